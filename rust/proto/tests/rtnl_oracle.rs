//! The rtnetlink codec against netlink-packet-route, which was written by others from the same kernel headers.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use keepvip_proto::wire::Family;
use keepvip_proto::wire::rtnl::{
    ADDRESS_REQUEST_MAX_LEN, AddressFlags, AddressRequest, IfExists, Name, Payload, Requests, messages,
};
use netlink_packet_core::{NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{AfSpecInet6, AfSpecUnspec, LinkAttribute, LinkFlags, LinkInfo, LinkMessage};
use proptest::prelude::*;

const LINKS: &[u8] = include_bytes!("../src/wire/rtnl/testdata/links.bin");
const ADDRESSES: &[u8] = include_bytes!("../src/wire/rtnl/testdata/addrs.bin");
const CHANGES: &[u8] = include_bytes!("../src/wire/rtnl/testdata/changes.bin");

/// Our reading of a datagram beside the oracle's, where it knows the type.
fn both(datagram: &[u8]) -> Vec<(Payload, NetlinkPayload<RouteNetlinkMessage>)> {
    const RTM_DELNETCONF: u16 = 81;
    let mut at = 0;
    let mut pairs = Vec::new();
    for message in messages(datagram).map(Result::unwrap) {
        if message.kind != RTM_DELNETCONF {
            let theirs = NetlinkMessage::<RouteNetlinkMessage>::deserialize(&datagram[at..]).unwrap();
            pairs.push((message.parse().unwrap(), theirs.payload));
        }
        at += (16 + message.body.len()).next_multiple_of(4);
    }
    pairs
}

fn check_link(ours: &Payload, theirs: &LinkMessage) {
    let (Payload::NewLink(ours) | Payload::DelLink(ours)) = ours else {
        // Bridge ports are none of our business.
        assert_ne!(u8::from(theirs.header.interface_family), 0);
        return;
    };
    assert_eq!(ours.index, theirs.header.index);
    assert_eq!(ours.flags.0, theirs.header.flags.bits());
    assert_eq!(
        ours.flags.is_up(),
        theirs.header.flags.contains(LinkFlags::Up | LinkFlags::Running)
    );
    assert_eq!(ours.hardware, u16::from(theirs.header.link_layer_type));
    let (mut master, mut link, mut forwarding, mut kind) = (None, None, None, None);
    for attribute in &theirs.attributes {
        match attribute {
            LinkAttribute::IfName(name) => assert_eq!(ours.name.as_str(), Some(name.as_str())),
            LinkAttribute::Mtu(mtu) => assert_eq!(ours.mtu, Some(*mtu)),
            LinkAttribute::Address(address) => assert_eq!(ours.address.unwrap().as_bytes(), address),
            LinkAttribute::Carrier(carrier) => assert_eq!(ours.carrier, Some(*carrier != 0)),
            LinkAttribute::OperState(state) => {
                assert_eq!(format!("{:?}", ours.oper_state.unwrap()), format!("{state:?}"));
            }
            LinkAttribute::Link(index) => link = Some(*index),
            LinkAttribute::Controller(index) => master = Some(*index),
            LinkAttribute::LinkInfo(list) => {
                kind = list.iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            LinkAttribute::AfSpecUnspec(list) => {
                let inet6 = list.iter().find_map(|spec| match spec {
                    AfSpecUnspec::Inet6(list) => Some(list),
                    _ => None,
                });
                forwarding = inet6.into_iter().flatten().find_map(|spec| match spec {
                    AfSpecInet6::DevConf(conf) => Some(conf.forwarding != 0),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    assert_eq!(
        (ours.master, ours.link, ours.ipv6_forwarding),
        (master, link, forwarding)
    );
    assert_eq!(ours.kind.map(|kind| kind.to_string()), kind);
}

fn check_address(ours: &Payload, theirs: &AddressMessage) {
    let (Payload::NewAddress(ours) | Payload::DelAddress(ours)) = ours else {
        panic!("{ours:?} is no address")
    };
    assert_eq!(
        (ours.index, ours.prefix_len),
        (theirs.header.index, theirs.header.prefix_len)
    );
    assert_eq!(ours.scope, u8::from(theirs.header.scope));
    let (mut local, mut address, mut broadcast, mut label) = (None, None, None, None);
    for attribute in &theirs.attributes {
        match attribute {
            AddressAttribute::Local(ip) => local = Some(*ip),
            AddressAttribute::Address(ip) => address = Some(*ip),
            AddressAttribute::Broadcast(ip) => broadcast = Some(*ip),
            AddressAttribute::Label(text) => label = Some(text.clone()),
            AddressAttribute::Flags(flags) => assert_eq!(ours.flags.0, flags.bits()),
            _ => {}
        }
    }
    assert_eq!(Some(ours.local), local.or(address));
    assert_eq!(
        ours.peer,
        address.filter(|address| Some(*address) != local && local.is_some())
    );
    assert_eq!(
        (ours.broadcast, ours.label.map(|label| label.to_string())),
        (broadcast, label)
    );
}

#[test]
fn captures_are_read_alike() {
    let mut checked = 0;
    for (ours, theirs) in [LINKS, ADDRESSES, CHANGES].into_iter().flat_map(both) {
        let NetlinkPayload::InnerMessage(theirs) = theirs else {
            continue;
        };
        match theirs {
            RouteNetlinkMessage::NewLink(theirs) | RouteNetlinkMessage::DelLink(theirs) => check_link(&ours, &theirs),
            RouteNetlinkMessage::NewAddress(theirs) | RouteNetlinkMessage::DelAddress(theirs) => {
                check_address(&ours, &theirs);
            }
            _ => continue,
        }
        checked += 1;
    }
    assert!(checked > 25, "{checked}");
}

#[test]
fn dump_requests_are_understood() {
    let mut buffer = [0xa5; 128];
    let mut requests = Requests::new(&mut buffer);
    requests.dump_links(7).unwrap();
    let theirs = NetlinkMessage::<RouteNetlinkMessage>::deserialize(requests.as_bytes()).unwrap();
    assert_eq!((theirs.header.sequence_number, theirs.header.flags), (7, 0x301));
    let NetlinkPayload::InnerMessage(RouteNetlinkMessage::GetLink(link)) = theirs.payload else {
        panic!()
    };
    let LinkAttribute::ExtMask(mask) = &link.attributes[0] else {
        panic!()
    };
    assert_eq!(format!("{mask:?}"), "[SkipStats]");

    requests.clear();
    requests.dump_addresses(8, Some(Family::V6)).unwrap();
    let theirs = NetlinkMessage::<RouteNetlinkMessage>::deserialize(requests.as_bytes()).unwrap();
    let NetlinkPayload::InnerMessage(RouteNetlinkMessage::GetAddress(address)) = theirs.payload else {
        panic!()
    };
    assert_eq!(u8::from(address.header.family), 10);
}

fn request() -> impl Strategy<Value = AddressRequest> {
    let label = prop::option::of("[a-z0-9:]{1,15}").prop_map(|name| name.and_then(|name| Name::new(name.as_bytes())));
    let ips = any::<(bool, u128, Option<u128>, Option<u32>)>();
    let rest = any::<(u32, u8, u8, u32, Option<u32>, Option<u8>)>();
    (ips, label, rest).prop_map(|((is_v6, local, peer, broadcast), label, rest)| {
        let ip = |bits: u128| match is_v6 {
            true => IpAddr::V6(Ipv6Addr::from_bits(bits)),
            false => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
        };
        let (index, prefix_len, scope, flags, preferred_lft_s, proto) = rest;
        AddressRequest {
            index,
            local: ip(local),
            prefix_len: prefix_len % if is_v6 { 129 } else { 33 },
            peer: peer.map(ip),
            broadcast: broadcast.filter(|_| !is_v6).map(Ipv4Addr::from_bits),
            label,
            scope,
            flags: AddressFlags(flags),
            preferred_lft_s,
            proto,
        }
    })
}

proptest! {
    #[test]
    fn address_requests_are_understood(request in request(), seq: u32, replace: bool, ack: bool) {
        let mut buffer = [0xa5; ADDRESS_REQUEST_MAX_LEN];
        let mut requests = Requests::new(&mut buffer);
        let if_exists = if replace { IfExists::Replace } else { IfExists::Fail };
        requests.add_address(seq, &request, if_exists, ack).unwrap();
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(requests.as_bytes()).unwrap();
        let expected_flags = 0x401 | if replace { 0x100 } else { 0x200 } | if ack { 4 } else { 0 };
        prop_assert_eq!((message.header.sequence_number, message.header.flags), (seq, expected_flags));
        let NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(theirs)) = message.payload else { panic!() };
        check_address(&messages(requests.as_bytes()).next().unwrap().unwrap().parse().unwrap(), &theirs);
        prop_assert_eq!(theirs.header.flags.bits(), request.flags.0 as u8);
        let cache_info = theirs.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::CacheInfo(info) => Some((info.ifa_preferred, info.ifa_valid)),
            _ => None,
        });
        prop_assert_eq!(cache_info, request.preferred_lft_s.map(|preferred_s| (preferred_s, u32::MAX)));
        let proto = theirs.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Protocol(proto) => Some(u8::from(*proto)),
            _ => None,
        });
        prop_assert_eq!(proto, request.proto);
    }

    /// What the oracle writes, we read.
    #[test]
    fn oracle_links_are_read(index in 1u32.., flags: u32, name in "[a-z0-9.]{1,15}", mtu: u32, mac: [u8; 6]) {
        let mut link = LinkMessage::default();
        link.header.index = index >> 1;
        link.header.flags = LinkFlags::from_bits_retain(flags);
        link.attributes = vec![
            LinkAttribute::IfName(name),
            LinkAttribute::Mtu(mtu),
            LinkAttribute::Address(mac.to_vec()),
            LinkAttribute::Carrier(1),
        ];
        prop_assume!(link.header.index > 0);
        let inner = RouteNetlinkMessage::NewLink(link.clone());
        let mut message = NetlinkMessage::new(NetlinkHeader::default(), NetlinkPayload::InnerMessage(inner));
        message.finalize();
        let mut bytes = vec![0; message.buffer_len()];
        message.serialize(&mut bytes);
        check_link(&messages(&bytes).next().unwrap().unwrap().parse().unwrap(), &link);
    }
}
