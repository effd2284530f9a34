//! Counters of one router, named as keepalived's statistics are (`vrrp-behaviour.md` 14).

use super::report::Reject;

/// Counters of one router since it was configured.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stats {
    /// Valid adverts received.
    pub advert_rcvd: u64,
    /// Adverts sent.
    pub advert_sent: u64,
    /// Times it became master.
    pub become_master: u64,
    /// Times it left master.
    pub release_master: u64,
    /// Adverts of priority 0 received.
    pub pri_zero_rcvd: u64,
    /// Adverts of priority 0 sent.
    pub pri_zero_sent: u64,
    /// Gratuitous ARPs sent.
    pub garp_sent: u64,
    /// Unsolicited neighbour advertisements sent.
    pub na_sent: u64,
    /// Addresses that somebody else deleted and we put back.
    pub address_restored: u64,
    /// Longest delay between a deadline and its handling, in µs.
    pub late_max_us: u64,
    /// Adverts by cause of rejection (or remark), indexed by [`Reject`].
    pub rejects: [u64; Reject::COUNT],
}
