"""The daemon: start, wiring, reload, stop."""
