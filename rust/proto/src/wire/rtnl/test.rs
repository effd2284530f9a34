//! Datagrams captured from Linux 6.18 in a network namespace, hand-made lies, and our requests byte for byte.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::wire::{EmitError, Family, MacAddress};

// The captures are from a little-endian machine. What made them: lo, a veth pair v0/v1, a bridge br0 with v1 in it, a
// macvlan vrrp.51 on v0, IPv6 forwarding on for v0.
/// Answer to RTM_GETLINK with `RTEXT_FILTER_SKIP_STATS`, sequence 1.
const LINKS: &[u8] = include_bytes!("testdata/links.bin");
/// Answer to RTM_GETADDR, sequence 2.
const ADDRESSES: &[u8] = include_bytes!("testdata/addrs.bin");
/// Notifications: address 10.0.0.1/24 removed, v1 leaves the bridge, v0 set down, vrrp.51 deleted.
const CHANGES: &[u8] = include_bytes!("testdata/changes.bin");
/// RTM_DELADDR of an address that is not there (sequence 77), RTM_NEWADDR with success (78).
const ANSWERS: &[u8] = include_bytes!("testdata/answers.bin");

fn parsed(datagram: &[u8]) -> Vec<Payload> {
    messages(datagram)
        .map(|message| message.unwrap().parse().unwrap())
        .collect()
}

fn links(payloads: &[Payload]) -> Vec<LinkMessage> {
    let link = |payload: &Payload| match payload {
        Payload::NewLink(link) => Some(*link),
        _ => None,
    };
    payloads.iter().filter_map(link).collect()
}

fn addresses(payloads: &[Payload]) -> Vec<AddressMessage> {
    let address = |payload: &Payload| match payload {
        Payload::NewAddress(address) => Some(*address),
        _ => None,
    };
    payloads.iter().filter_map(address).collect()
}

fn v4(text: &str) -> IpAddr {
    IpAddr::V4(text.parse::<Ipv4Addr>().unwrap())
}

fn v6(text: &str) -> IpAddr {
    IpAddr::V6(text.parse::<Ipv6Addr>().unwrap())
}

/// A netlink message around `body`.
fn message(kind: u16, flags: u16, seq: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = (HEADER_LEN as u32 + body.len() as u32).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(seq.to_ne_bytes());
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend(body);
    bytes
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = (4 + value.len() as u16).to_ne_bytes().to_vec();
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(value);
    bytes.resize(align(bytes.len()), 0);
    bytes
}

#[test]
fn captured_links() {
    let payloads = parsed(LINKS);
    assert_eq!(payloads.last(), Some(&Payload::Done { errno: 0 }));
    assert!(messages(LINKS).all(|message| {
        let message = message.unwrap();
        message.seq == 1 && message.is_multipart() && !message.dump_interrupted()
    }));
    let links = links(&payloads);
    assert_eq!(
        links.iter().map(|link| link.name.as_str().unwrap()).collect::<Vec<_>>(),
        ["lo", "v1", "v0", "br0", "vrrp.51"]
    );
    let [lo, v1, v0, br0, macvlan] = links[..] else {
        panic!("{links:?}")
    };

    assert_eq!((lo.index, lo.hardware, lo.mtu), (1, 772, Some(65536)));
    assert!(lo.flags.contains(LinkFlags::LOOPBACK) && lo.flags.is_up());
    assert_eq!(
        (lo.oper_state, lo.kind, lo.link),
        (Some(OperState::Unknown), None, None)
    );

    assert_eq!((v0.index, v0.hardware, v0.mtu), (3, 1, Some(1500)));
    assert_eq!(v0.address.unwrap().mac(), Some(MacAddress([2, 0, 0, 0, 0, 1])));
    let expected = LinkFlags::UP
        .union(LinkFlags::RUNNING)
        .union(LinkFlags::LOWER_UP)
        .union(LinkFlags::MULTICAST);
    assert!(v0.flags.contains(expected.union(LinkFlags::BROADCAST)));
    assert!(!v0.flags.contains(LinkFlags::NOARP) && !v0.flags.contains(LinkFlags::POINTOPOINT));
    assert_eq!((v0.oper_state, v0.carrier), (Some(OperState::Up), Some(true)));
    assert_eq!((v0.kind, v0.link, v0.master), (Name::new(b"veth"), Some(2), None));
    assert_eq!((v0.ipv6_forwarding, v1.ipv6_forwarding), (Some(true), Some(false)));
    assert_eq!((v1.master, v1.link), (Some(br0.index), Some(3)));
    assert_eq!(
        (macvlan.kind, macvlan.link, macvlan.link_netnsid),
        (Name::new(b"macvlan"), Some(3), None)
    );
    assert_eq!(macvlan.address.unwrap().as_bytes(), [0, 0, 0x5e, 0, 1, 51]);
    assert!(!macvlan.flags.is_up());
}

#[test]
fn captured_addresses() {
    let payloads = parsed(ADDRESSES);
    let list = addresses(&payloads);
    assert_eq!(list.len(), 9);
    let find = |local| *list.iter().find(|address| address.local == local).unwrap();

    let labelled = find(v4("10.0.0.1"));
    assert_eq!((labelled.index, labelled.prefix_len, labelled.scope), (3, 24, 0));
    assert_eq!((labelled.label, labelled.peer), (Name::new(b"v0:vip"), None));
    assert_eq!(labelled.broadcast, Some(Ipv4Addr::new(10, 0, 0, 255)));
    assert_eq!(
        (labelled.flags, labelled.family()),
        (AddressFlags::PERMANENT, Family::V4)
    );
    assert!(labelled.is_usable());

    assert_eq!((find(v4("127.0.0.1")).scope, find(v4("10.8.0.2")).scope), (254, 253));
    assert_eq!(
        (find(v4("10.9.0.1")).peer, find(v4("10.9.0.1")).prefix_len),
        (Some(v4("10.9.0.2")), 32)
    );

    let peer = find(v6("2001:db8:1::1"));
    assert_eq!(
        (peer.peer, peer.prefix_len, peer.family()),
        (Some(v6("2001:db8:1::2")), 128, Family::V6)
    );
    assert!(peer.flags.contains(AddressFlags::DEPRECATED.union(AddressFlags::NODAD)));
    // Beyond the eight bits of the header.
    let quiet = find(v6("2001:db8::1"));
    assert!(quiet.flags.contains(AddressFlags::NOPREFIXROUTE) && quiet.peer.is_none() && quiet.is_usable());
    let tentative = find(v6("fe80::ff:fe00:1"));
    assert!(tentative.flags.contains(AddressFlags::TENTATIVE) && !tentative.is_usable());
}

#[test]
fn captured_changes() {
    let payloads = parsed(CHANGES);
    let Payload::DelAddress(removed) = payloads[0] else {
        panic!("{:?}", payloads[0])
    };
    assert_eq!((removed.local, removed.label), (v4("10.0.0.1"), Name::new(b"v0:vip")));
    // Leaving a bridge comes as RTM_DELLINK of the bridge's family: not a link that is gone.
    let gone: Vec<_> = payloads
        .iter()
        .filter_map(|payload| match payload {
            Payload::DelLink(link) => Some(link.name.as_str().unwrap()),
            _ => None,
        })
        .collect();
    assert_eq!(gone, ["vrrp.51"]);
    assert!(payloads.contains(&Payload::Other));
    let last_of = |name| *links(&payloads).iter().rfind(|link| link.name == name).unwrap();
    let (v0, v1) = (last_of(Name::new(b"v0").unwrap()), last_of(Name::new(b"v1").unwrap()));
    assert!(!v0.flags.contains(LinkFlags::UP) && !v0.flags.is_up());
    assert!(v1.flags.contains(LinkFlags::UP) && !v1.flags.is_up());
    assert_eq!((v1.oper_state, v1.master), (Some(OperState::LowerLayerDown), None));
}

#[test]
fn captured_answers() {
    let expected = [
        Payload::Answer(Answer {
            errno: 99,
            seq: 77,
            kind: kind::DEL_ADDRESS,
        }),
        Payload::Answer(Answer {
            errno: 0,
            seq: 78,
            kind: kind::NEW_ADDRESS,
        }),
    ];
    assert_eq!(parsed(ANSWERS), expected);
    assert!(matches!(expected[1], Payload::Answer(answer) if answer.is_ack()));
}

#[test]
fn messages_without_a_body_of_interest() {
    let done = |code: i32| parsed(&message(kind::DONE, flag::MULTI, 1, &code.to_ne_bytes()))[0];
    assert_eq!(done(0), Payload::Done { errno: 0 });
    assert_eq!(done(-105), Payload::Done { errno: 105 });
    assert_eq!(parsed(&message(kind::DONE, 0, 1, &[])), [Payload::Done { errno: 0 }]);
    assert_eq!(parsed(&message(kind::NOOP, 0, 1, &[])), [Payload::Noop]);
    assert_eq!(parsed(&message(kind::OVERRUN, 0, 0, &[])), [Payload::Overrun]);
    assert_eq!(parsed(&message(999, 0, 0, &[1, 2, 3])), [Payload::Other]);
    let interrupted = message(kind::DONE, flag::MULTI | flag::DUMP_INTR, 1, &[]);
    assert!(messages(&interrupted).next().unwrap().unwrap().dump_interrupted());
}

#[test]
fn forwarding_of_an_interface() {
    let netconf = |family: u8, index: i32, forwarding: Option<i32>| {
        let mut body = vec![family, 0, 0, 0];
        body.extend(attribute(1, &index.to_ne_bytes()));
        if let Some(value) = forwarding {
            body.extend(attribute(2, &value.to_ne_bytes()));
        }
        parsed(&message(kind::NEW_NETCONF, 0, 0, &body))[0]
    };
    let on = NetConfMessage {
        index: 3,
        ipv6_forwarding: true,
    };
    assert_eq!(netconf(family::INET6, 3, Some(1)), Payload::NetConf(on));
    let off = NetConfMessage {
        index: 3,
        ipv6_forwarding: false,
    };
    assert_eq!(netconf(family::INET6, 3, Some(0)), Payload::NetConf(off));
    assert_eq!(netconf(family::INET, 3, Some(1)), Payload::Other);
    assert_eq!(netconf(family::INET6, -1, Some(1)), Payload::Other);
    assert_eq!(netconf(family::INET6, 3, None), Payload::Other);
}

#[test]
fn impossible_lengths_end_the_row() {
    let good = message(kind::NOOP, 0, 1, &[]);
    for (len, error) in [
        (0u32, WireError::HeaderLength),
        (15, WireError::HeaderLength),
        (17, WireError::Truncated),
        (u32::MAX, WireError::Truncated),
    ] {
        let mut datagram = good.clone();
        datagram.extend(&good);
        datagram[16..20].copy_from_slice(&len.to_ne_bytes());
        let mut row = messages(&datagram);
        assert!(row.next().unwrap().is_ok());
        assert_eq!(row.next(), Some(Err(error)), "{len}");
        assert_eq!(row.next(), None);
    }
    assert_eq!(messages(&good[..15]).next(), Some(Err(WireError::TooShort)));
    assert_eq!(messages(&[]).next(), None);
}

#[test]
fn bodies_that_lie() {
    let parse = |kind, body: &[u8]| messages(&message(kind, 0, 0, body)).next().unwrap().unwrap().parse();
    let with = |mut body: Vec<u8>, attributes: &[Vec<u8>]| {
        body.extend(attributes.concat());
        body
    };
    let address = vec![family::INET, 24, 0, 0, 3, 0, 0, 0];
    let mut link = vec![0; 16];
    link[4] = 3;
    assert_eq!(parse(kind::NEW_ADDRESS, &address[..7]), Err(WireError::TooShort));
    assert_eq!(parse(kind::NEW_LINK, &link[..15]), Err(WireError::TooShort));
    assert_eq!(parse(kind::ERROR, &[0; 19]), Err(WireError::TooShort));
    assert_eq!(parse(kind::NEW_NETCONF, &[10, 0, 0]), Err(WireError::TooShort));
    assert_eq!(parse(kind::NEW_ADDRESS, &address), Err(WireError::AttributeMissing));
    let short_address = with(address.clone(), &[attribute(2, &[10, 0, 0])]);
    assert_eq!(
        parse(kind::NEW_ADDRESS, &short_address),
        Err(WireError::AttributeLength)
    );
    let attribute_too_long = with(address.clone(), &[vec![9, 0, 2, 0, 10, 0, 0, 1]]);
    assert_eq!(
        parse(kind::NEW_ADDRESS, &attribute_too_long),
        Err(WireError::AttributeLength)
    );
    let attribute_too_short = with(address, &[vec![3, 0, 2, 0, 10, 0, 0, 1]]);
    assert_eq!(
        parse(kind::NEW_ADDRESS, &attribute_too_short),
        Err(WireError::AttributeLength)
    );
    let short_mtu = with(link.clone(), &[attribute(4, &[0xdc, 5])]);
    assert_eq!(parse(kind::NEW_LINK, &short_mtu), Err(WireError::AttributeLength));
    // An interface without index, and a family without addresses.
    assert_eq!(parse(kind::NEW_LINK, &[0; 16]), Ok(Payload::Other));
    assert_eq!(parse(kind::NEW_ADDRESS, &[45, 0, 0, 0, 3, 0, 0, 0]), Ok(Payload::Other));
    // Without IFA_LOCAL the address is the local one; without IFA_FLAGS the header's flags count.
    let only_address = with(
        vec![family::INET, 24, 0x80, 0, 3, 0, 0, 0],
        &[attribute(1, &[10, 0, 0, 1])],
    );
    let Ok(Payload::NewAddress(parsed)) = parse(kind::NEW_ADDRESS, &only_address) else {
        panic!()
    };
    assert_eq!(
        (parsed.local, parsed.peer, parsed.flags),
        (v4("10.0.0.1"), None, AddressFlags::PERMANENT)
    );
}

#[test]
fn long_names_and_addresses_are_cut() {
    let mut body = vec![0; 16];
    body[4] = 3;
    body.extend(attribute(3, b"a-name-of-more-than-fifteen-bytes\0"));
    body.extend(attribute(1, &[7; 40]));
    let Payload::NewLink(link) = parsed(&message(kind::NEW_LINK, 0, 0, &body))[0] else {
        panic!()
    };
    assert_eq!(link.name.as_bytes(), b"a-name-of-more-");
    assert_eq!(link.address.unwrap().as_bytes(), [7; 32]);
    assert_eq!(link.address.unwrap().mac(), None);
}

#[test]
fn names() {
    assert_eq!(Name::new(b"eth0").unwrap().to_string(), "eth0");
    assert_eq!(Name::new(b"eth0").unwrap().as_padded(), b"eth0\0\0\0\0\0\0\0\0\0\0\0\0");
    assert_eq!(Name::new(b"fifteen-bytes-1").unwrap().as_bytes().len(), Name::MAX_LEN);
    assert_eq!(Name::new(b"sixteen-bytes-16"), None);
    assert_eq!(Name::new(b""), None);
    assert_eq!(Name::new(b"a\0b"), None);
    let odd = Name::new(b"\xff0").unwrap();
    assert_eq!((odd.as_str(), odd.to_string().as_str()), (None, "\\xff0"));
    assert!(Name::default().is_empty() && !odd.is_empty());
    assert_eq!(OperState::from(9), OperState::Other(9));
}

/// `struct nlmsghdr`, `struct ifaddrmsg`, attributes.
#[test]
fn address_requests_byte_for_byte() {
    let mut buffer = [0xa5; 512];
    let mut requests = Requests::new(&mut buffer);
    let request = AddressRequest {
        broadcast: Some(Ipv4Addr::new(10, 0, 0, 255)),
        label: Name::new(b"v0:vip"),
        ..AddressRequest::new(3, v4("10.0.0.1"), 24)
    };
    requests
        .add_address(0x0102_0304, &request, IfExists::Replace, true)
        .unwrap();
    #[rustfmt::skip]
    let expected: [u8; 60] = [
        60, 0, 0, 0, 20, 0, 0x05, 0x05, 4, 3, 2, 1, 0, 0, 0, 0,
        2, 24, 0, 0, 3, 0, 0, 0,
        8, 0, 2, 0, 10, 0, 0, 1,
        8, 0, 1, 0, 10, 0, 0, 1,
        8, 0, 4, 0, 10, 0, 0, 255,
        11, 0, 3, 0, b'v', b'0', b':', b'v', b'i', b'p', 0, 0,
    ];
    assert_eq!(requests.as_bytes(), expected);
    requests.clear();

    let request = AddressRequest {
        peer: Some(v6("2001:db8::2")),
        flags: AddressFlags::NODAD.union(AddressFlags::NOPREFIXROUTE),
        preferred_lft_s: Some(0),
        proto: Some(18),
        ..AddressRequest::new(3, v6("2001:db8::1"), 64)
    };
    requests.add_address(1, &request, IfExists::Fail, false).unwrap();
    #[rustfmt::skip]
    let expected: [u8; 100] = [
        100, 0, 0, 0, 20, 0, 0x01, 0x06, 1, 0, 0, 0, 0, 0, 0, 0,
        10, 64, 2, 0, 3, 0, 0, 0,
        20, 0, 2, 0, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
        20, 0, 1, 0, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2,
        8, 0, 8, 0, 2, 2, 0, 0,
        20, 0, 6, 0, 0, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0,
        5, 0, 11, 0, 18, 0, 0, 0,
    ];
    assert_eq!(requests.as_bytes(), expected);
    requests.clear();

    requests
        .remove_address(2, &AddressRequest::new(3, v4("10.0.0.1"), 24), true)
        .unwrap();
    #[rustfmt::skip]
    let expected: [u8; 40] = [
        40, 0, 0, 0, 21, 0, 0x05, 0x00, 2, 0, 0, 0, 0, 0, 0, 0,
        2, 24, 0, 0, 3, 0, 0, 0,
        8, 0, 2, 0, 10, 0, 0, 1,
        8, 0, 1, 0, 10, 0, 0, 1,
    ];
    assert_eq!(requests.as_bytes(), expected);
}

#[test]
fn dump_requests_byte_for_byte() {
    let mut buffer = [0xa5; 128];
    let mut requests = Requests::new(&mut buffer);
    requests.dump_links(1).unwrap();
    #[rustfmt::skip]
    let expected: [u8; 40] = [
        40, 0, 0, 0, 18, 0, 0x01, 0x03, 1, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        8, 0, 29, 0, 8, 0, 0, 0,
    ];
    assert_eq!((requests.as_bytes(), requests.len()), (&expected[..], DUMP_REQUEST_LEN));
    for (of, number) in [(None, 0), (Some(Family::V4), 2), (Some(Family::V6), 10)] {
        requests.clear();
        assert!(requests.is_empty());
        requests.dump_addresses(2, of).unwrap();
        let expected = [
            24, 0, 0, 0, 22, 0, 0x01, 0x03, 2, 0, 0, 0, 0, 0, 0, 0, number, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(requests.as_bytes(), expected);
    }
}

#[test]
fn what_cannot_be_said_is_refused_whole() {
    let mut buffer = [0xa5; 100];
    let mut requests = Requests::new(&mut buffer);
    let good = AddressRequest::new(3, v4("10.0.0.1"), 24);
    for (request, error) in [
        (AddressRequest { prefix_len: 33, ..good }, EmitError::PrefixLength),
        (
            AddressRequest {
                prefix_len: 129,
                ..AddressRequest::new(3, v6("::1"), 0)
            },
            EmitError::PrefixLength,
        ),
        (
            AddressRequest {
                peer: Some(v6("::1")),
                ..good
            },
            EmitError::FamilyMismatch,
        ),
        (
            AddressRequest {
                broadcast: Some(Ipv4Addr::BROADCAST),
                ..AddressRequest::new(3, v6("::1"), 128)
            },
            EmitError::FamilyMismatch,
        ),
    ] {
        assert_eq!(requests.add_address(1, &request, IfExists::Replace, true), Err(error));
        assert_eq!(requests.remove_address(1, &request, true), Err(error));
        assert!(requests.is_empty());
    }
    requests.remove_address(1, &good, true).unwrap();
    requests.remove_address(2, &good, true).unwrap();
    assert_eq!(requests.remove_address(3, &good, true), Err(EmitError::BufferTooSmall));
    assert_eq!(requests.dump_links(3), Err(EmitError::BufferTooSmall));
    assert_eq!(requests.len(), 80);
    assert_eq!(messages(requests.as_bytes()).count(), 2);
}

fn request() -> impl Strategy<Value = AddressRequest> {
    let name = prop::option::of("[a-z0-9:]{1,15}").prop_map(|name| name.and_then(|name| Name::new(name.as_bytes())));
    let common = (
        1u32..1000,
        any::<u8>(),
        any::<u32>(),
        any::<Option<u32>>(),
        any::<Option<u8>>(),
        name,
    );
    (
        common,
        any::<(u32, Option<u32>, Option<u32>)>(),
        any::<(u128, Option<u128>)>(),
        any::<(bool, u8)>(),
    )
        .prop_map(
            |((index, scope, flags, preferred_lft_s, proto, label), a4, a6, (is_v6, prefix_len))| {
                let (local, peer, broadcast) = if is_v6 {
                    (IpAddr::V6(a6.0.into()), a6.1.map(|bits| IpAddr::V6(bits.into())), None)
                } else {
                    (
                        IpAddr::V4(a4.0.into()),
                        a4.1.map(|bits| IpAddr::V4(bits.into())),
                        a4.2.map(Ipv4Addr::from),
                    )
                };
                let prefix_len = prefix_len % (Family::of(&local).max_prefix_len() + 1);
                let flags = AddressFlags(flags);
                AddressRequest {
                    index,
                    local,
                    prefix_len,
                    peer,
                    broadcast,
                    label,
                    scope,
                    flags,
                    preferred_lft_s,
                    proto,
                }
            },
        )
}

proptest! {
    /// What we ask for, read as if the kernel told it.
    #[test]
    fn requests_read_back(list in prop::collection::vec((request(), any::<u32>()), 0..10), cut in any::<usize>()) {
        let mut buffer = [0xa5; 10 * ADDRESS_REQUEST_MAX_LEN];
        let mut requests = Requests::new(&mut buffer);
        for (request, seq) in &list {
            requests.add_address(*seq, request, IfExists::Replace, false).unwrap();
        }
        let row: Vec<_> = messages(requests.as_bytes()).collect::<Result<_, _>>().unwrap();
        prop_assert_eq!(row.len(), list.len());
        for (message, (request, seq)) in row.iter().zip(&list) {
            prop_assert_eq!((message.seq, message.port), (*seq, 0));
            let Ok(Payload::NewAddress(told)) = message.parse() else { panic!("{message:?}") };
            prop_assert_eq!(told, AddressMessage {
                index: request.index,
                local: request.local,
                prefix_len: request.prefix_len,
                peer: request.peer.filter(|peer| *peer != request.local),
                broadcast: request.broadcast,
                scope: request.scope,
                flags: request.flags,
                label: request.label,
            });
        }
        // A cut row gives whole messages and then one error.
        let cut = cut.checked_rem(requests.len()).unwrap_or(0);
        let errors = messages(&requests.as_bytes()[..cut]).filter(Result::is_err).count();
        prop_assert!(errors <= 1);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        crate::wire::fuzz::rtnl(&bytes);
    }

    #[test]
    fn no_damaged_capture_makes_it_panic(
        which in 0usize..4,
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = [LINKS, ADDRESSES, CHANGES, ANSWERS][which].to_vec();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        crate::wire::fuzz::rtnl(&bytes);
    }
}
