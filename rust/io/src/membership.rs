//! Multicast memberships, held by sockets that do nothing else.
//!
//! The kernel lets one IPv4 socket join only `igmp_max_memberships` (20) groups, so there are as many holders as it takes.
//! They are datagram sockets without a port: they receive nothing and do not stand in the way of received adverts.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use keepvip_proto::vrrp::config::{Family, NetnsId};
use keepvip_proto::vrrp::output::{Membership, MembershipOp};

use crate::netns::OWN;
use crate::sys::netns::within;
use crate::sys::{errno, socket};

/// Name of a thread that opens a holder, as `ps -L` shows it.
const NAME: &str = "keepvip-holder";

/// Memberships per socket. IPv4: the kernel's default limit. IPv6 has none of its own, but a budget of option memory.
const PER_HOLDER_V4: usize = 20;
const PER_HOLDER_V6: usize = 100;

struct Holder {
    netns: NetnsId,
    socket: OwnedFd,
    family: Family,
    joined: Vec<Membership>,
}

/// All memberships.
#[derive(Default)]
pub(crate) struct Memberships {
    holders: Vec<Holder>,
    /// Wanted, but refused so far: tried again when something about the host changes.
    missing: Vec<Membership>,
    /// The namespaces other than that of the thread, where holders are to be opened.
    entries: HashMap<NetnsId, File>,
}

/// A membership that the kernel refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) membership: Membership,
    pub(crate) errno: i32,
}

impl Memberships {
    /// Carries out a change. A refused membership is kept in mind, see [`Self::again`].
    pub(crate) fn change(&mut self, op: MembershipOp) -> Result<(), Refused> {
        match op {
            MembershipOp::Join(membership) => self.join(membership).map_err(|error| {
                if !self.missing.contains(&membership) {
                    self.missing.push(membership);
                }
                Refused {
                    membership,
                    errno: errno(&error),
                }
            }),
            MembershipOp::Leave(membership) => {
                self.missing.retain(|missing| *missing != membership);
                self.leave(membership);
                Ok(())
            }
        }
    }

    /// Takes in another namespace.
    pub(crate) fn open_in(&mut self, netns: NetnsId, entry: File) {
        self.entries.insert(netns, entry);
    }

    /// Lets go of a namespace and of all memberships in it.
    pub(crate) fn close(&mut self, netns: NetnsId) {
        self.entries.remove(&netns);
        self.holders.retain(|holder| holder.netns != netns);
        self.missing.retain(|missing| missing.interface.netns != netns);
    }

    /// Tries the refused ones again; true when some are still refused.
    pub(crate) fn again(&mut self) -> bool {
        for _ in 0..self.missing.len() {
            let membership = self.missing.remove(0);
            if self.join(membership).is_err() {
                self.missing.push(membership);
            }
        }
        !self.missing.is_empty()
    }

    fn join(&mut self, membership: Membership) -> io::Result<()> {
        // An interface that was created again has lost its memberships; the socket still lists the old ones.
        self.leave(membership);
        let family = Family::of(&membership.group);
        let netns = membership.interface.netns;
        let limit = match family {
            Family::V4 => PER_HOLDER_V4,
            Family::V6 => PER_HOLDER_V6,
        };
        for holder in &mut self.holders {
            if holder.netns == netns && holder.family == family && holder.joined.len() < limit {
                match socket::join(&holder.socket, membership.group, membership.interface.index) {
                    Ok(()) => {
                        holder.joined.push(membership);
                        return Ok(());
                    }
                    // A limit that the administrator set lower than the default: the next holder may have room.
                    Err(error) if matches!(errno(&error), libc::ENOBUFS | libc::ENOMEM) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        let domain = match family {
            Family::V4 => libc::AF_INET,
            Family::V6 => libc::AF_INET6,
        };
        let open = || socket::open(domain, libc::SOCK_DGRAM, 0);
        let holder = match self.entries.get(&netns) {
            Some(entry) => within(NAME, entry, open)?,
            None if netns == OWN => open()?,
            None => return Err(io::Error::from_raw_os_error(libc::ENODEV)),
        };
        socket::join(&holder, membership.group, membership.interface.index)?;
        self.holders.push(Holder {
            netns,
            socket: holder,
            family,
            joined: vec![membership],
        });
        Ok(())
    }

    fn leave(&mut self, membership: Membership) {
        for holder in &mut self.holders {
            if let Some(at) = holder.joined.iter().position(|joined| *joined == membership) {
                holder.joined.swap_remove(at);
                // An error says that the interface is gone; the place on the socket is free all the same.
                let _gone = socket::leave(&holder.socket, membership.group, membership.interface.index);
            }
        }
        self.holders.retain(|holder| !holder.joined.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use keepvip_proto::vrrp::output::IfId;

    use super::*;

    fn on_loopback(group: impl Into<IpAddr>) -> Membership {
        Membership {
            interface: IfId { netns: 0, index: 1 },
            group: group.into(),
        }
    }

    #[test]
    fn holders_are_added_and_removed_with_need() {
        let mut memberships = Memberships::default();
        for i in 0..45 {
            memberships
                .change(MembershipOp::Join(on_loopback([224, 0, 1, i])))
                .unwrap();
        }
        assert_eq!(
            memberships
                .holders
                .iter()
                .map(|holder| holder.joined.len())
                .collect::<Vec<_>>(),
            [20, 20, 5]
        );
        for i in 0..20 {
            memberships
                .change(MembershipOp::Leave(on_loopback([224, 0, 1, i])))
                .unwrap();
        }
        assert_eq!(memberships.holders.len(), 2);
        memberships
            .change(MembershipOp::Join(on_loopback([224, 0, 1, 1])))
            .unwrap();
        assert_eq!(
            memberships
                .holders
                .iter()
                .map(|holder| holder.joined.len())
                .sum::<usize>(),
            26
        );
    }

    #[test]
    fn a_refused_membership_is_wanted_until_it_is_left() {
        let mut memberships = Memberships::default();
        let nowhere = Membership {
            interface: IfId {
                netns: 0,
                index: 999_999,
            },
            group: [224, 0, 0, 18].into(),
        };
        let refused = memberships.change(MembershipOp::Join(nowhere)).unwrap_err();
        assert_eq!(
            refused,
            Refused {
                membership: nowhere,
                errno: libc::ENODEV
            }
        );
        assert!(memberships.again());
        assert_eq!(memberships.missing, [nowhere]);
        memberships.change(MembershipOp::Leave(nowhere)).unwrap();
        assert!(memberships.missing.is_empty() && memberships.holders.is_empty());
    }

    #[test]
    fn joining_twice_is_joining_anew() {
        let mut memberships = Memberships::default();
        let group = on_loopback([224, 0, 0, 18]);
        memberships.change(MembershipOp::Join(group)).unwrap();
        memberships.change(MembershipOp::Join(group)).unwrap();
        assert_eq!(
            memberships
                .holders
                .iter()
                .map(|holder| holder.joined.len())
                .sum::<usize>(),
            1
        );
    }
}
