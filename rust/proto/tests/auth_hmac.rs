//! Signed adverts through the whole core (`vrrp-behaviour.md` 6): what leaves is signed, what is not signed as it should
//! be moves nothing.

mod bench;

use std::net::{IpAddr, Ipv4Addr};

use bench::{Bench, ETH0, OWN, PEER, Packet, config, update};
use keepvip_proto::time::Duration;
use keepvip_proto::vrrp::auth_hmac::{HmacConfig, HmacKey, HmacMode};
use keepvip_proto::vrrp::config::{OldChecksum, Peer, RouterConfig, Unicast};
use keepvip_proto::vrrp::report::{Reject, State};
use keepvip_proto::wire::hmac_trailer::{Sequence, TRAILER_LEN, TrailerView, sign};
use keepvip_proto::wire::{AdvertView, AuthField, Family, Ipv4Repr, Ipv4View, Version, ah};
use keepvip_proto::{AdvertRx, Core, Noted, Routine};

const KEY: [u8; 32] = [0x5a; 32];
const OTHER: [u8; 32] = [0xa5; 32];
const SECOND_US: u64 = 1_000_000;

fn hmac(mode: HmacMode) -> HmacConfig {
    let key = |id, secret: [u8; 32]| HmacKey {
        id,
        secret: secret.to_vec(),
    };
    HmacConfig {
        keys: vec![key(1, KEY), key(2, OTHER)],
        active_key: 1,
        mode,
        window_s: Some(5),
    }
}

fn signed(mode: HmacMode) -> RouterConfig {
    RouterConfig {
        version: Version::V3,
        password: None,
        hmac: Some(hmac(mode)),
        ..config()
    }
}

fn packet() -> Packet {
    Packet {
        version: Version::V3,
        advert_int: 100,
        ..Packet::default()
    }
}

/// The peer's advert with a trailer.
fn with_trailer(packet: &Packet, key: (u8, &[u8]), utc_us: u64) -> Vec<u8> {
    let mut bytes = packet.payload();
    let view = AdvertView::new_checked(&bytes, Family::V4).unwrap();
    let trailer = sign(key.0, key.1, Sequence::at(utc_us), packet.source, &view).unwrap();
    bytes.extend_from_slice(&trailer);
    bytes
}

fn hear(bench: &mut Bench, packet: &Packet, payload: &[u8]) {
    bench.core.handle_clock(bench.utc_us());
    let rx = AdvertRx {
        interface: ETH0,
        family: Family::V4,
        source: packet.source,
        destination: packet.destination,
        ttl: 255,
        payload,
        ah: None,
    };
    bench.core.handle_packet(bench.now, &rx);
    bench.turn();
}

fn count(core: &Core, cause: Reject) -> u64 {
    core.status(0).unwrap().stats.rejects[cause as usize]
}

/// Trailer and message of a sent IPv4 advert.
fn taken_apart(advert: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let packet = Ipv4View::new_checked(advert).unwrap();
    let (message, trailer) = AdvertView::split(packet.payload(), Family::V4).unwrap();
    (message.as_bytes().to_vec(), trailer.to_vec())
}

fn verifies(advert: &[u8], key: &[u8]) -> Sequence {
    let (message, trailer) = taken_apart(advert);
    let view = AdvertView::new_checked(&message, Family::V4).unwrap();
    let trailer = TrailerView::new_checked(&trailer).unwrap();
    assert!(trailer.verify(key, OWN, &view));
    trailer.sequence()
}

#[test]
fn every_advert_is_signed_and_the_sequence_grows() {
    let mut bench = Bench::new(vec![signed(HmacMode::Enforce)]);
    bench.become_master();
    bench.core.handle_clock(bench.utc_us());
    bench.core.shutdown(bench.now, true);
    bench.turn();
    let sequences: Vec<Sequence> = bench.adverts.iter().map(|advert| verifies(advert, &KEY)).collect();
    assert!(sequences.len() > 1 && sequences.windows(2).all(|pair| pair[1].is_after(pair[0])));
    assert_eq!(bench.adverts.last().unwrap()[22], 0, "priority 0 is signed as well");
    let packet = Ipv4View::new_checked(&bench.adverts[0]).unwrap();
    let (message, _) = AdvertView::split(packet.payload(), Family::V4).unwrap();
    assert!(
        message.checksum_ok_v3(&packet.pseudo()),
        "the checksum covers the message alone"
    );
    assert_eq!(packet.total_len(), 20 + 12 + TRAILER_LEN);
}

#[test]
fn version_2_has_its_empty_field_before_the_trailer() {
    let mut bench = Bench::new(vec![RouterConfig {
        version: Version::V2,
        password: Some(*b"passw123"),
        ..signed(HmacMode::Enforce)
    }]);
    bench.become_master();
    verifies(&bench.adverts[0], &KEY);
    let (message, _) = taken_apart(&bench.adverts[0]);
    let view = AdvertView::new_checked(&message, Family::V4).unwrap();
    assert!(view.checksum_ok_v2());
    assert_eq!((view.auth_type().number(), view.auth_data()), (0, Some([0; 8])));
}

#[test]
fn all_peers_get_the_same_signature() {
    let peer = |last| Peer {
        addr: IpAddr::V4(Ipv4Addr::new(10, 0, 0, last)),
        min_ttl: 0,
        max_ttl: 255,
    };
    let mut bench = Bench::new(vec![RouterConfig {
        unicast: Some(Unicast {
            peers: vec![Peer { addr: PEER, ..peer(3) }, peer(4)],
            ttl: Some(255),
            check_source: false,
            old_checksum: OldChecksum::Never,
        }),
        ..signed(HmacMode::Enforce)
    }]);
    bench.become_master();
    bench.run(Duration::from_secs(1));
    let first = taken_apart(&bench.adverts[0]).1;
    assert_eq!(taken_apart(&bench.adverts[1]).1, first);
    assert_ne!(taken_apart(&bench.adverts[2]).1, first);
    // Whoever is no peer is not heard, whatever it signs with.
    let stranger = Packet {
        source: "10.0.0.77".parse().unwrap(),
        destination: OWN,
        ..packet()
    };
    let payload = with_trailer(&stranger, (1, &KEY), bench.utc_us());
    hear(&mut bench, &stranger, &payload);
    assert_eq!(
        (bench.state(0), count(&bench.core, Reject::UnknownPeer)),
        (State::Master, 1)
    );
    let known = Packet {
        source: PEER,
        destination: OWN,
        ..packet()
    };
    let payload = with_trailer(&known, (1, &KEY), bench.utc_us());
    hear(&mut bench, &known, &payload);
    assert_eq!(bench.state(0), State::Backup);
}

#[test]
fn each_way_to_be_wrong_has_its_counter_and_moves_nothing() {
    for as_master in [false, true] {
        let mut bench = Bench::new(vec![signed(HmacMode::Enforce)]);
        if as_master {
            bench.become_master();
        }
        let deadline = bench.core.next_protocol_deadline(0);
        let (state, utc) = (bench.state(0), bench.utc_us());
        let packet = packet();
        let good = with_trailer(&packet, (1, &KEY), utc);
        let spoilt = |at: usize| {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            bytes
        };
        let end = good.len();
        let wrong = [
            (Reject::HmacMissing, packet.payload()),
            (Reject::HmacMalformed, spoilt(end - 28)),
            (Reject::HmacMalformed, spoilt(end - 26)),
            (Reject::HmacMalformed, good[..end - 1].to_vec()),
            (Reject::HmacUnknownKey, with_trailer(&packet, (9, &KEY), utc)),
            (Reject::HmacInvalid, with_trailer(&packet, (1, &OTHER), utc)),
            (Reject::HmacInvalid, spoilt(end - 1)),
            (Reject::HmacInvalid, spoilt(2)),
            (Reject::HmacStale, with_trailer(&packet, (1, &KEY), utc - 7 * SECOND_US)),
            (
                Reject::HmacStale,
                with_trailer(&packet, (9, &OTHER), utc + 7 * SECOND_US),
            ),
        ];
        for (cause, payload) in &wrong {
            let before = count(&bench.core, *cause);
            hear(&mut bench, &packet, payload);
            assert_eq!(count(&bench.core, *cause), before + 1, "{cause:?}");
            assert_eq!(bench.core.next_protocol_deadline(0), deadline, "{cause:?}");
            assert_eq!(bench.state(0), state, "{cause:?}");
        }
        assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 0);
        hear(&mut bench, &packet, &good);
        assert_eq!(bench.state(0), State::Backup);
        assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 1);
    }
}

/// Whatever a quick way for repeated adverts compares, the same octets twice are a replay.
#[test]
fn the_same_octets_again_do_not_keep_a_backup_quiet() {
    let mut bench = Bench::new(vec![signed(HmacMode::Enforce)]);
    let packet = packet();
    let payload = with_trailer(&packet, (1, &KEY), bench.utc_us());
    hear(&mut bench, &packet, &payload);
    let deadline = bench.core.next_protocol_deadline(0);
    for _ in 0..4 {
        bench.run(Duration::from_millis(800));
        hear(&mut bench, &packet, &payload);
    }
    assert_eq!(count(&bench.core, Reject::HmacReplay), 4);
    assert_eq!(bench.core.next_protocol_deadline(0), deadline);
    bench.run(Duration::from_secs(1));
    assert_eq!(bench.state(0), State::Master);
}

#[test]
fn an_advert_that_fails_a_later_check_leaves_no_mark() {
    let mut bench = Bench::new(vec![signed(HmacMode::Enforce)]);
    let packet = packet();
    let good = with_trailer(&packet, (1, &KEY), bench.utc_us());
    let mut first = good.clone();
    // The signature does not cover the checksum: anybody on the way can spoil it.
    first[6] ^= 1;
    hear(&mut bench, &packet, &first);
    assert_eq!(count(&bench.core, Reject::Checksum), 1);
    hear(&mut bench, &packet, &good);
    assert_eq!(
        (
            count(&bench.core, Reject::HmacReplay),
            bench.core.status(0).unwrap().stats.advert_rcvd
        ),
        (0, 1)
    );
}

#[test]
fn modes_differ_in_unsigned_adverts_only() {
    for (mode, hears, signs) in [
        (HmacMode::Enforce, false, true),
        (HmacMode::Permissive, true, true),
        (HmacMode::ReceiveOnly, true, false),
    ] {
        let mut bench = Bench::new(vec![signed(mode)]);
        bench.become_master();
        assert_eq!(taken_apart(&bench.adverts[0]).1.len(), if signs { 28 } else { 0 });
        let packet = packet();
        let forged = with_trailer(&packet, (1, &OTHER), bench.utc_us());
        hear(&mut bench, &packet, &forged);
        assert_eq!(
            (bench.state(0), count(&bench.core, Reject::HmacInvalid)),
            (State::Master, 1)
        );
        hear(&mut bench, &packet, &packet.payload());
        assert_eq!(bench.state(0) == State::Backup, hears, "{mode:?}");
    }
}

#[test]
fn without_the_keyword_a_trailer_is_too_long() {
    let mut bench = Bench::new(vec![RouterConfig {
        hmac: None,
        ..signed(HmacMode::Enforce)
    }]);
    let packet = packet();
    let payload = with_trailer(&packet, (1, &KEY), bench.utc_us());
    hear(&mut bench, &packet, &payload);
    assert_eq!(count(&bench.core, Reject::Length), 1);
}

#[test]
fn a_key_rotates_without_a_lost_advert() {
    let mut bench = Bench::new(vec![signed(HmacMode::Enforce)]);
    bench.become_master();
    let last = verifies(bench.adverts.last().unwrap(), &KEY);
    let rotated = RouterConfig {
        hmac: Some(HmacConfig {
            active_key: 2,
            ..hmac(HmacMode::Enforce)
        }),
        ..signed(HmacMode::Enforce)
    };
    bench.reload(vec![update(0, rotated)], vec![]);
    assert_eq!(bench.state(0), State::Master);
    let next = verifies(bench.adverts.last().unwrap(), &OTHER);
    assert!(next.is_after(last), "the sequence goes on over a reload");
    assert_eq!(taken_apart(bench.adverts.last().unwrap()).1[1], 2);
}

#[test]
fn a_clock_that_is_half_a_window_off_is_told_once() {
    let mut bench = Bench::new(vec![signed(HmacMode::Enforce)]);
    let packet = packet();
    for off in [3, 4] {
        let payload = with_trailer(&packet, (1, &KEY), bench.utc_us() + off * SECOND_US);
        hear(&mut bench, &packet, &payload);
    }
    assert_eq!(bench.rejected(), [Reject::ClockSkew]);
    assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 2);
}

/// RFC 2338 passwords give way: `AuthField::Pass` is no part of a signed advert.
#[test]
fn a_password_beside_it_is_a_type_mismatch() {
    let mut bench = Bench::new(vec![RouterConfig {
        version: Version::V2,
        ..signed(HmacMode::Enforce)
    }]);
    let packet = Packet {
        auth: AuthField::Pass(*b"passw123"),
        ..Packet::default()
    };
    let payload = with_trailer(&packet, (1, &KEY), bench.utc_us());
    hear(&mut bench, &packet, &payload);
    assert_eq!(count(&bench.core, Reject::AuthTypeMismatch), 1);
}

struct Everything;

impl Routine for Everything {
    fn noted(&mut self, _: u32) -> Noted {
        Noted::default()
    }

    fn stop(&mut self, _: u32) -> Noted {
        Noted::default()
    }
}

/// A driver must not compare what has a time or a number of its own: somebody else could repeat it.
#[test]
fn nothing_that_is_proven_is_routine() {
    let guarded = RouterConfig {
        password: None,
        ah_key: Some(*b"ahsecret"),
        ..config()
    };
    let plain = RouterConfig {
        version: Version::V3,
        password: None,
        ..config()
    };
    for (config, routine) in [(plain, true), (signed(HmacMode::Permissive), false), (guarded, false)] {
        let mut bench = Bench::new(vec![config.clone()]);
        let mut named = None;
        for number in 1..4 {
            bench.run(Duration::from_millis(900));
            let packet = Packet {
                auth: AuthField::Ah,
                version: config.version,
                advert_int: config.interval_field(),
                ..Packet::default()
            };
            let message = if config.hmac.is_some() {
                with_trailer(&packet, (1, &KEY), bench.utc_us())
            } else {
                packet.payload()
            };
            let guard_len = if config.ah_key.is_some() { ah::HEADER_LEN } else { 0 };
            let header = Ipv4Repr {
                protocol: if guard_len > 0 { ah::PROTOCOL } else { 112 },
                ..Ipv4Repr::vrrp(
                    Ipv4Addr::new(10, 0, 0, 9),
                    Ipv4Addr::new(224, 0, 0, 18),
                    1,
                    guard_len + message.len(),
                )
            };
            let mut bytes = vec![0; 20 + guard_len];
            header.emit(&mut bytes).unwrap();
            bytes.extend_from_slice(&message);
            if guard_len > 0 {
                ah::seal(&mut bytes, b"ahsecret", number, true);
            }
            bench.core.handle_clock(bench.utc_us());
            let rx = AdvertRx::from_ipv4(ETH0, &bytes).unwrap();
            named = bench.core.handle_packet_with(bench.now, &rx, &mut Everything);
            bench.turn();
        }
        let stats = bench.core.status(0).unwrap().stats;
        assert_eq!((stats.advert_rcvd, named.is_some()), (3, routine));
    }
}
