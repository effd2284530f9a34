//! Several nodes with the real protocol core, on simulated LANs, with virtual time.
//!
//! The world is deterministic: the same seed and the same calls give the same trace. A [`World`] has nodes and LANs;
//! every node has one interface on every LAN. Packets may be lost, delayed, doubled and overtaken; LANs may be split;
//! nodes may be killed, started, paused (as a VM that is not scheduled) and given another configuration; links may go
//! down. What happened is in the trace, with the reason that the core itself gave.

#![forbid(unsafe_code)]

mod act;
mod deliver;
mod network;
mod node;
mod random;
mod trace;
mod world;

pub use network::Quality;
pub use node::{Installed, Node, NodeId, NodeState};
pub use random::Random;
pub use trace::{Entry, What};
pub use world::{Setup, World};
