//! rtnetlink: facts about links and addresses in, changes of addresses out.
//!
//! Two sockets, because answers to commands must not wait behind a dump of a thousand interfaces.

mod address;
mod fact;
mod monitor;
mod nft;

pub(crate) use address::{AddressSocket, CHUNK};
pub(crate) use monitor::{DATAGRAM, Monitor, Pumped};
pub(crate) use nft::Families;
pub use nft::{FilterOptions, VmacLink};
