//! VRRP as pure code. This crate does no I/O, reads no clock and starts no thread: time and packets come in as arguments.
#![forbid(unsafe_code)]
