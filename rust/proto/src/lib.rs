//! VRRP as pure code: codecs, routers, sync groups, announcements, timers.
//!
//! This crate does no I/O, reads no clock, starts no thread and holds no lock. Packets, facts about the host and the
//! time come in as arguments; what is to be done comes out as data ([`Core`]). The engine thread, the simulator, the
//! property tests and the fuzzer all drive the same code.

#![forbid(unsafe_code)]

pub mod engine;
mod key_hash;
pub mod time;
pub mod vrrp;
pub mod wheel;
pub mod wire;

pub use engine::{AdvertRx, Apply, Change, Core, GroupConfig, Noted, RouterStatus, Routine};
