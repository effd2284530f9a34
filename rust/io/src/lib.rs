//! The engine thread: everything between a packet or a deadline and an advertisement, an address or an announcement.

#![deny(unsafe_code)]
#[allow(unsafe_code, reason = "system calls; every other module is safe code")]
mod sys;
