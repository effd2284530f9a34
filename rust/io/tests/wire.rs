//! By whatever socket an advert leaves, the octets on the wire are the same.

mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use keepvip_io::{FilterOptions, Modes, Options, Send};
use keepvip_proto::vrrp::config::{RouterConfig, Version};
use keepvip_proto::vrrp::report::State;
use support::tap::Tap;
use support::{Netns, Node, pair, router, router_v6};

fn routers() -> Vec<RouterConfig> {
    let old = RouterConfig {
        version: Version::V2,
        password: Some(*b"secret\0\0"),
        advert_interval: keepvip_proto::time::Duration::from_secs(1),
        priority: 255,
        initial_master: true,
        ..router("left", 7, 255)
    };
    let other_group = RouterConfig {
        group: [224, 129, 3, 18].into(),
        ..router("left", 9, 200)
    };
    vec![
        router("left", 1, 200),
        router("left", 2, 150),
        old,
        other_group,
        router_v6("left", 1, 200),
    ]
}

/// All adverts of a short life, by family and VRID: claim, a few more, priority 0.
fn life(a: &Netns, tap: &Tap, send: Send) -> BTreeMap<(Vec<u8>, u8), Vec<Vec<u8>>> {
    let options = Options {
        rt_priority: None,
        lock_memory: false,
        filter: FilterOptions::default(),
        modes: Modes {
            send,
            ..Modes::default()
        },
    };
    let mut node = Node::start_with(a, options);
    node.add(routers(), false);
    node.wait_states(&[0, 1, 2, 3, 4], State::Master);
    for slot in [0, 1, 3, 4] {
        node.wait_sent(slot, 5);
    }
    node.stop();
    let mut of: BTreeMap<_, Vec<Vec<u8>>> = BTreeMap::new();
    for frame in tap.collect(Duration::from_millis(100)) {
        let (vrrp, protocol) = match frame.bytes[12..14] {
            [0x08, 0x00] => (34, frame.bytes[23]),
            [0x86, 0xdd] => (54, frame.bytes[20]),
            _ => continue,
        };
        if protocol == 112 {
            let key = (frame.bytes[12..14].to_vec(), frame.bytes[vrrp + 1]);
            of.entry(key).or_default().push(frame.bytes);
        }
    }
    of
}

#[test]
fn raw_and_packet_sockets_send_the_same_octets() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let tap = Tap::open(&b, "right");
    let raw = life(&a, &tap, Send::Raw);
    let packet = life(&a, &tap, Send::Packet);
    assert_eq!(raw.len(), 5);
    assert!(raw.keys().eq(packet.keys()));
    for (key, frames) in &raw {
        let others = &packet[key];
        assert!(frames.len() >= 2, "{key:?}");
        // The beginning and the end; how many there are between them is a matter of time.
        let count = frames.len().min(others.len()) - 1;
        if key.0 == [0x08, 0x00] {
            assert_eq!(frames[..count], others[..count], "{key:?}");
            for frame in frames.iter().chain(others) {
                assert_eq!(frame[..3], [0x01, 0x00, 0x5e]);
                assert_eq!(frame[15], 0xc0, "type of service");
                assert_ne!(frame[18..20], [0, 0], "identification");
                let header = frame[14..34]
                    .chunks(2)
                    .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
                let sum: u32 = header.sum();
                assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "header checksum");
            }
        }
        let last = |frames: &[Vec<u8>]| {
            let mut frame = frames.last().unwrap().clone();
            if key.0 == [0x08, 0x00] {
                // Identification and checksum depend on how many went before.
                frame[18..20].fill(0);
                frame[24..26].fill(0);
            } else {
                // The kernel draws a flow label for each socket.
                frame[15..18].fill(0);
            }
            frame
        };
        assert_eq!(last(frames), last(others), "{key:?}");
        assert_eq!(
            last(frames)[if key.0 == [0x08, 0x00] { 36 } else { 56 }],
            0,
            "priority 0"
        );
    }
}
