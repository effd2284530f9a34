//! The engine thread: everything between a packet or a deadline and an advertisement, an address or an announcement.
