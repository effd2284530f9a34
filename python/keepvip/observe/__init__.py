"""What happened, for people: sentences, the journal of transitions, the event feed and the log."""
