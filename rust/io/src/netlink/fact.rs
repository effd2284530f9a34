//! From what rtnetlink says to what the core wants to know.

use keepvip_proto::vrrp::config::{IfName, NetnsId};
use keepvip_proto::vrrp::output::{AddressFact, AddressOp, IfId, LinkFact};
use keepvip_proto::wire::rtnl::{self, AddressFlags, AddressRequest, LinkFlags, Name};

/// Marks our addresses for people who look at them (`proto keepalived`, as keepalived's own).
const PROTO: u8 = 18;

/// A link.
pub(super) fn link(netns: NetnsId, link: &rtnl::LinkMessage) -> LinkFact {
    LinkFact {
        id: IfId {
            netns,
            index: link.index,
        },
        name: IfName(*link.name.as_padded()),
        up: link.flags.is_up(),
        announces: !link.flags.contains(LinkFlags::NOARP) && !link.flags.contains(LinkFlags::LOOPBACK),
        mac: link
            .address
            .and_then(|address| address.mac())
            .map_or([0; 6], |mac| mac.0),
        mtu: link.mtu.unwrap_or(0),
        master: link.master.unwrap_or(0),
        router: link.ipv6_forwarding.unwrap_or(false),
    }
}

/// An address.
pub(super) fn address(netns: NetnsId, address: &rtnl::AddressMessage) -> AddressFact {
    AddressFact {
        interface: IfId {
            netns,
            index: address.index,
        },
        addr: address.local,
        prefix_len: address.prefix_len,
        unusable: !address.is_usable(),
    }
}

/// The kernel's form of an address operation.
pub(super) fn request(op: &AddressOp) -> AddressRequest {
    let vip = &op.vip;
    let mut request = AddressRequest::new(op.interface.index, vip.addr, vip.prefix_len);
    request.peer = vip.peer;
    if op.install {
        request.scope = vip.scope;
        request.flags = AddressFlags(vip.flags);
        request.broadcast = match vip.broadcast {
            Some(core::net::IpAddr::V4(broadcast)) => Some(broadcast),
            _ => None,
        };
        request.label = vip.label.and_then(|label| Name::new(label.as_bytes()));
        request.preferred_lft_s = vip.preferred_lft_s;
        request.proto = Some(PROTO);
    }
    request
}

#[cfg(test)]
mod tests {
    use keepvip_proto::vrrp::config::Vip;

    use super::*;

    fn vip() -> Vip {
        Vip {
            addr: "192.0.2.1".parse().unwrap(),
            prefix_len: 24,
            dev: None,
            scope: 253,
            broadcast: Some("192.0.2.255".parse().unwrap()),
            label: IfName::new("eth0:1"),
            peer: Some("198.51.100.1".parse().unwrap()),
            flags: AddressFlags::NOPREFIXROUTE.0,
            preferred_lft_s: Some(0),
            no_track: false,
            advertised: true,
            guarded: false,
        }
    }

    #[test]
    fn a_removal_names_only_what_identifies_the_address() {
        let op = AddressOp {
            slot: 0,
            interface: IfId { netns: 0, index: 7 },
            vip: vip(),
            install: true,
            orphan: false,
        };
        let add = request(&op);
        assert_eq!(
            (add.index, add.local, add.prefix_len, add.scope),
            (7, op.vip.addr, 24, 253)
        );
        assert_eq!(add.label, Name::new(b"eth0:1"));
        assert_eq!(add.broadcast, Some("192.0.2.255".parse().unwrap()));
        assert_eq!((add.flags, add.preferred_lft_s), (AddressFlags::NOPREFIXROUTE, Some(0)));
        let remove = request(&AddressOp { install: false, ..op });
        assert_eq!(
            (remove.index, remove.local, remove.prefix_len, remove.peer),
            (7, op.vip.addr, 24, add.peer)
        );
        assert_eq!((remove.label, remove.broadcast, remove.scope), (None, None, 0));
    }
}
