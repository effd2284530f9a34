//! The engine thread: everything between a packet or a deadline and an advert, an address or an announcement.
//!
//! `keepvip-proto` decides, this crate does: it owns the sockets, the clock and the thread, drives the core, and talks to
//! the rest of the process through two rings and some shared numbers; a second thread (`hands.rs`) does what the kernel
//! may make it wait for. What the thread never does once it runs: open a
//! file, log, resolve a name, start a process, wait for a lock that another thread holds, allocate in steady state.
//!
//! Read `runtime.rs` first; [`Engine`] is what the binding uses.

#![deny(unsafe_code)]

mod advert;
mod announce;
mod engine;
mod failures;
mod hands;
mod inotify;
mod membership;
mod modes;
mod netlink;
mod netns;
mod opener;
mod processes;
mod quiet;
mod ring;
mod runtime;
mod status;
#[allow(unsafe_code, reason = "system calls; every other module is safe code")]
mod sys;

pub use engine::{CommandError, Engine, Options};
pub use inotify::{FileEvent, Inotify};
pub use modes::{Modes, Receive, Send};
pub use netlink::{FilterOptions, VmacLink};
pub use processes::{Drained, ProcessEvents};
pub use ring::{ApplyCommand, Record, RecordKind};
pub use status::{LATE_BUCKETS, PublishedStatus, PublishedThreadStatus, StatusBlock, fault_names};
pub use sys::eventfd::EventFd;
