//! The core by itself: what it accepts, what it sends to the byte, and what it does when the host changes under it.

mod bench;

use std::net::{IpAddr, Ipv4Addr};

use bench::{Bench, ETH0, GROUP, OWN, PEER, Packet, address, config, last_octet, link, vip};
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::{GarpConfig, IfName, OldChecksum, Peer, RouterConfig, Unicast, Vip};
use keepvip_proto::vrrp::output::{AddressFact, IfId, LinkFact, Membership, MembershipOp};
use keepvip_proto::vrrp::report::{EventKind, Faults, Reason, Reject, State};
use keepvip_proto::vrrp::track::{Track, TrackTarget, TrackValue};
use keepvip_proto::wire::{AdvertView, AuthField, Family, Ipv4View, Pseudo, Version};
use keepvip_proto::{Apply, Change, Core, GroupConfig};

#[test]
fn the_advert_is_what_the_rfc_says() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    bench.run(Duration::from_secs(1));
    let header = Ipv4View::new_checked(&bench.adverts[0]).unwrap();
    assert_eq!((header.tos(), header.ttl(), header.protocol()), (0xc0, 255, 112));
    assert_eq!((IpAddr::V4(header.src()), IpAddr::V4(header.dst())), (OWN, GROUP));
    assert!(header.ident() != 0 && header.checksum_ok());
    let advert = AdvertView::new_checked(header.payload(), Family::V4).unwrap();
    assert!(advert.checksum_ok_v2() && advert.password_matches(b"passw123"));
    assert_eq!(
        (
            advert.vrid(),
            advert.priority(),
            advert.advert_int_raw(),
            advert.count()
        ),
        (50, 100, 1, 1)
    );
    let second = Ipv4View::new_checked(&bench.adverts[1]).unwrap();
    assert!(second.checksum_ok() && second.ident() != header.ident());
}

#[test]
fn every_wrong_field_is_counted_and_moves_nothing() {
    let wrong: Vec<(Reject, Packet)> = vec![
        (
            Reject::Ttl,
            Packet {
                ttl: 254,
                ..Packet::default()
            },
        ),
        (
            Reject::Version,
            Packet {
                version: Version::V3,
                advert_int: 100,
                ..Packet::default()
            },
        ),
        (
            Reject::Version,
            Packet {
                spoil: |bytes| bytes[0] = 0x41,
                ..Packet::default()
            },
        ),
        (
            Reject::Type,
            Packet {
                spoil: |bytes| bytes[0] = 0x22,
                ..Packet::default()
            },
        ),
        (
            Reject::Interval,
            Packet {
                advert_int: 2,
                ..Packet::default()
            },
        ),
        (
            Reject::Checksum,
            Packet {
                spoil: |bytes| bytes[6] ^= 1,
                ..Packet::default()
            },
        ),
        (
            Reject::AuthTypeInvalid,
            Packet {
                spoil: |bytes| bytes[4] = 9,
                ..Packet::default()
            },
        ),
        (
            Reject::AuthTypeMismatch,
            Packet {
                auth: AuthField::None,
                ..Packet::default()
            },
        ),
        (
            Reject::AuthFailure,
            Packet {
                auth: AuthField::Pass(*b"wrong\0\0\0"),
                ..Packet::default()
            },
        ),
        (
            Reject::Length,
            Packet {
                spoil: |bytes| bytes.truncate(12),
                ..Packet::default()
            },
        ),
        (
            Reject::Length,
            Packet {
                spoil: |bytes| bytes.push(0),
                ..Packet::default()
            },
        ),
        (
            Reject::Length,
            Packet {
                spoil: |bytes| bytes[3] = 200,
                ..Packet::default()
            },
        ),
        (
            Reject::Destination,
            Packet {
                destination: OWN,
                ..Packet::default()
            },
        ),
    ];
    for as_master in [false, true] {
        for (cause, packet) in &wrong {
            let mut bench = Bench::new(vec![config()]);
            if as_master {
                bench.become_master();
            }
            bench.now += Duration::from_millis(100);
            let before = bench.core.status(0).unwrap();
            let sent = bench.adverts.len();
            for _ in 0..3 {
                bench.hear(packet);
            }
            let after = bench.core.status(0).unwrap();
            assert_eq!(after.stats.rejects[*cause as usize], 3, "{cause:?}");
            assert_eq!(after.stats.advert_rcvd, 0, "{cause:?}");
            assert_eq!(
                (after.state, after.next_deadline),
                (before.state, before.next_deadline),
                "{cause:?}"
            );
            assert_eq!(bench.adverts.len(), sent, "{cause:?}");
            assert_eq!(bench.rejected(), [*cause], "told once, not three times");
        }
    }
}

#[test]
fn a_foreign_vrid_and_a_short_packet_are_nobodys() {
    let mut bench = Bench::new(vec![config()]);
    bench.hear(&Packet {
        spoil: |bytes| bytes[1] = 51,
        ..Packet::default()
    });
    bench.hear(&Packet {
        spoil: |bytes| bytes.truncate(1),
        ..Packet::default()
    });
    bench.hear(&Packet {
        spoil: Vec::clear,
        ..Packet::default()
    });
    assert_eq!(bench.core.status(0).unwrap().stats.rejects, [0; Reject::COUNT]);
}

#[test]
fn another_address_list_is_told_and_accepted() {
    let mut bench = Bench::new(vec![config()]);
    bench.hear(&Packet {
        addresses: vec![Ipv4Addr::new(10, 0, 0, 77)],
        ..Packet::default()
    });
    assert_eq!(bench.rejected(), [Reject::AddressList]);
    assert_eq!(bench.core.status(0).unwrap().master, Some(PEER));
}

#[test]
fn skip_check_adv_addr_looks_at_the_list_once_per_sender() {
    let mut bench = Bench::new(vec![RouterConfig {
        skip_check_adv_addr: true,
        ..config()
    }]);
    let other = Packet {
        addresses: vec![],
        ..Packet::default()
    };
    bench.hear(&other);
    bench.hear(&other);
    assert_eq!(
        bench.core.status(0).unwrap().stats.rejects[Reject::AddressList as usize],
        1
    );
}

#[test]
fn version_3_without_the_pseudo_header_needs_the_keyword() {
    let v3 = RouterConfig {
        version: Version::V3,
        password: None,
        ..config()
    };
    for (lenient, accepted) in [(false, 0), (true, 1)] {
        let mut bench = Bench::new(vec![RouterConfig {
            checksum_as_v2: lenient,
            ..v3.clone()
        }]);
        let spoil: fn(&mut Vec<u8>) = |bytes| {
            let repr = AdvertView::new_checked(bytes, Family::V4).unwrap().to_repr().unwrap();
            let mut plain = vec![0; repr.buffer_len()];
            repr.emit(&mut plain, &Pseudo::None).unwrap();
            *bytes = plain;
        };
        bench.hear(&Packet {
            version: Version::V3,
            advert_int: 100,
            spoil,
            ..Packet::default()
        });
        assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, accepted);
    }
}

#[test]
fn a_version_3_interval_of_zero_is_refused() {
    let mut bench = Bench::new(vec![RouterConfig {
        version: Version::V3,
        password: None,
        ..config()
    }]);
    bench.hear(&Packet {
        version: Version::V3,
        advert_int: 0,
        ..Packet::default()
    });
    assert_eq!(bench.rejected(), [Reject::Interval]);
}

#[test]
fn a_lower_advert_is_answered_once_per_wake_up() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    let sent = bench.adverts.len();
    let packet = Packet {
        priority: 50,
        ..Packet::default()
    };
    for _ in 0..10 {
        bench.receive(&packet);
    }
    bench.turn();
    assert_eq!(bench.adverts.len(), sent + 1);
    let told = bench
        .events
        .iter()
        .filter(|event| matches!(event.kind, EventKind::MasterRxLower { .. }))
        .count();
    assert_eq!(told, 1);
}

#[test]
fn addresses_are_announced_in_batches_of_rounds() {
    let mut bench = Bench::new(vec![RouterConfig {
        vips: vec![vip("10.0.0.1"), vip("10.0.0.3")],
        ..config()
    }]);
    bench.run(Duration::from_secs(20));
    let at = bench.announced[0].0;
    let first: Vec<_> = bench
        .announced
        .iter()
        .filter(|(when, _)| *when == at)
        .map(|(_, addr)| *addr)
        .collect();
    assert_eq!(first.len(), 10);
    assert_eq!(first[..4], [last_octet(1), last_octet(3), last_octet(1), last_octet(3)]);
    let second: Vec<_> = bench.announced[10..].iter().map(|(when, _)| when.since(at)).collect();
    assert_eq!(second, [Duration::from_secs(5); 10]);
}

#[test]
fn a_garp_interval_spaces_them_out() {
    let garp = GarpConfig {
        garp_interval: Duration::from_millis(10),
        delay: Duration::ZERO,
        ..GarpConfig::default()
    };
    let mut bench = Bench::new(vec![RouterConfig { garp, ..config() }]);
    bench.run(Duration::from_secs(5));
    let start = bench.announced[0].0;
    let times: Vec<_> = bench
        .announced
        .iter()
        .map(|(at, _)| at.since(start).as_micros())
        .collect();
    assert_eq!(times, [0, 10_000, 20_000, 30_000, 40_000]);
}

#[test]
fn a_refresh_repeats_them_for_ever() {
    let garp = GarpConfig {
        refresh: Duration::from_secs(10),
        refresh_repeat: 2,
        ..GarpConfig::default()
    };
    let mut bench = Bench::new(vec![RouterConfig { garp, ..config() }]);
    bench.run(Duration::from_secs(50));
    let start = bench.announced[0].0;
    let later: Vec<_> = bench.announced[10..]
        .iter()
        .map(|(at, _)| at.since(start).as_micros() / 1_000_000)
        .collect();
    assert_eq!(later, [15, 15, 25, 25, 35, 35, 45, 45]);
}

#[test]
fn announcements_wait_for_their_addresses_and_for_nobody_else() {
    let other = RouterConfig {
        vrid: 51,
        vips: vec![vip("10.0.0.5")],
        ..config()
    };
    let mut bench = Bench::new(vec![config(), other]);
    let at = bench.core.poll_at().unwrap();
    bench.core.handle_deadlines(at);
    let mut buffer = [0; 128];
    let ops: Vec<_> = std::iter::from_fn(|| bench.core.poll_address_op()).collect();
    assert_eq!(ops.len(), 2);
    assert!(bench.core.poll_announce(at, &mut buffer).is_none());
    bench.core.handle_address_result(at, &ops[1], 0);
    assert_eq!(bench.core.poll_announce(at, &mut buffer).unwrap().slot, 1);
}

#[test]
fn somebody_else_deletes_the_address_and_it_is_put_back() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    bench.core.handle_address_gone(ETH0, last_octet(1), 32);
    bench.turn();
    assert_eq!(bench.ops.len(), 1);
    assert!(bench.ops[0].install);
    assert!(bench.told(|kind| matches!(kind, EventKind::AddressRestored { count: 1, .. })));
    assert_eq!(bench.state(0), State::Master);
    // The same address with another prefix length is somebody else's business.
    bench.core.handle_address_gone(ETH0, last_octet(1), 24);
    bench.turn();
    assert_eq!(bench.ops.len(), 1);
}

#[test]
fn no_track_leaves_a_deleted_address_alone() {
    let vips = vec![Vip {
        no_track: true,
        ..vip("10.0.0.1")
    }];
    let mut bench = Bench::new(vec![RouterConfig { vips, ..config() }]);
    bench.become_master();
    bench.core.handle_address_gone(ETH0, last_octet(1), 32);
    bench.turn();
    assert_eq!(bench.ops, []);
}

#[test]
fn our_own_deletion_is_not_somebody_elses() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    // Down and up again, and master again, before the kernel's notifications are read.
    bench.core.handle_link(link(false));
    bench.core.handle_deadlines(bench.now);
    let off = bench.core.poll_address_op().unwrap();
    bench.core.handle_address_result(bench.now, &off, 0);
    bench.core.handle_link(link(true));
    bench.core.handle_deadlines(bench.now);
    bench.now += Duration::from_secs(4);
    bench.core.handle_deadlines(bench.now);
    let on = bench.core.poll_address_op().unwrap();
    bench.core.handle_address_result(bench.now, &on, 0);
    bench.core.handle_address_gone(ETH0, last_octet(1), 32);
    bench.turn();
    bench.core.handle_address(address(last_octet(1), 32));
    bench.turn();
    assert_eq!(bench.state(0), State::Master);
    assert!(!bench.told(|kind| matches!(kind, EventKind::AddressRestored { .. })));
}

#[test]
fn an_interface_that_goes_down_takes_its_addresses_without_a_fight() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    // The kernel tells of the addresses first.
    bench.core.handle_address_gone(ETH0, last_octet(1), 32);
    bench.core.handle_link(link(false));
    bench.turn();
    assert_eq!(bench.state(0), State::Fault);
    assert!(!bench.told(|kind| matches!(kind, EventKind::AddressRestored { .. })));
}

#[test]
fn an_overrun_finds_what_was_deleted_meanwhile() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    bench.core.begin_resync(0);
    bench.core.handle_link(link(true));
    bench.core.handle_address(address(OWN, 24));
    bench.core.end_resync(bench.now, 0);
    bench.turn();
    assert!(bench.told(|kind| *kind == EventKind::Resynced));
    assert_eq!(bench.ops.iter().filter(|op| op.install).count(), 1);
    assert_eq!(bench.state(0), State::Master);
}

#[test]
fn a_source_address_that_comes_back_at_once_is_no_fault() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    bench.core.handle_address_gone(ETH0, OWN, 24);
    bench.core.handle_address(address(OWN, 24));
    bench.turn();
    assert_eq!(bench.events, []);
    bench.core.handle_address_gone(ETH0, OWN, 24);
    bench.turn();
    assert_eq!(bench.state(0), State::Fault);
    assert!(bench.core.status(0).unwrap().faults.contains(Faults::NO_SOURCE_ADDRESS));
    bench.core.handle_address(address(OWN, 24));
    bench.turn();
    assert_eq!(bench.state(0), State::Backup);
}

#[test]
fn residue_of_a_killed_daemon_is_removed_at_start() {
    let mut core = Core::new();
    let now = Instant::from_micros(1);
    core.begin_resync(0);
    core.handle_link(link(true));
    core.handle_address(address(last_octet(1), 32));
    core.handle_address(address(OWN, 24));
    core.end_resync(now, 0);
    let changes = vec![Change::Add {
        slot: 0,
        config: Box::new(config()),
    }];
    core.apply(
        now,
        Apply {
            changes,
            clear_residue: true,
            ..Apply::default()
        },
    );
    let op = core.poll_address_op().unwrap();
    assert!(!op.install && op.orphan && op.vip.addr == last_octet(1));
    // And it was not taken for a source address, although it is the first one.
    assert_eq!(core.status(0).unwrap().state, State::Backup);
    core.handle_deadlines(now + Duration::from_secs(4));
    let advert = core.poll_advert().unwrap();
    assert_eq!(advert.source, OWN);
}

#[test]
fn memberships_follow_the_interface() {
    let mut bench = Bench::new(vec![config(), RouterConfig { vrid: 51, ..config() }]);
    let membership = Membership {
        interface: ETH0,
        group: GROUP,
    };
    assert_eq!(bench.memberships, [MembershipOp::Join(membership)]);
    bench.memberships.clear();
    bench.core.handle_link_gone(ETH0);
    bench.turn();
    assert_eq!(bench.memberships, [MembershipOp::Leave(membership)]);
    assert!(bench.core.status(0).unwrap().faults.contains(Faults::INTERFACE_MISSING));
    let again = IfId { netns: 0, index: 9 };
    bench.core.handle_link(LinkFact {
        id: again,
        ..link(true)
    });
    bench.core.handle_address(AddressFact {
        interface: again,
        ..address(OWN, 24)
    });
    bench.turn();
    assert_eq!(
        bench.memberships[1..],
        [MembershipOp::Join(Membership {
            interface: again,
            group: GROUP
        })]
    );
    assert_eq!((bench.state(0), bench.state(1)), (State::Backup, State::Backup));
}

#[test]
fn a_master_whose_interface_is_created_anew_between_two_wake_ups_goes_on_there() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    let again = IfId { netns: 0, index: 9 };
    bench.core.handle_link_gone(ETH0);
    bench.core.handle_link(LinkFact {
        id: again,
        ..link(true)
    });
    bench.core.handle_address(AddressFact {
        interface: again,
        ..address(OWN, 24)
    });
    bench.turn();
    assert_eq!(bench.state(0), State::Master);
    assert!(bench.ops.iter().any(|op| op.install && op.interface == again));
}

#[test]
fn a_vrid_used_twice_is_a_fault_of_the_later_one() {
    let bench = Bench::new(vec![config(), config()]);
    assert_eq!((bench.state(0), bench.state(1)), (State::Backup, State::Fault));
    let other_group = RouterConfig {
        group: "224.0.0.99".parse().unwrap(),
        ..config()
    };
    let bench = Bench::new(vec![config(), other_group]);
    assert_eq!((bench.state(0), bench.state(1)), (State::Backup, State::Backup));
}

#[test]
fn packets_reach_the_router_of_their_group() {
    let other: IpAddr = "224.0.0.99".parse().unwrap();
    let mut bench = Bench::new(vec![
        config(),
        RouterConfig {
            group: other,
            ..config()
        },
    ]);
    bench.hear(&Packet {
        destination: other,
        ..Packet::default()
    });
    assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 0);
    assert_eq!(bench.core.status(1).unwrap().stats.advert_rcvd, 1);
    bench.hear(&Packet::default());
    assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 1);
}

#[test]
fn a_removed_master_says_goodbye_and_leaves_nothing() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    let sent = bench.adverts.len();
    bench.core.apply(
        bench.now,
        Apply {
            changes: vec![Change::Remove { slot: 0 }],
            ..Apply::default()
        },
    );
    bench.turn();
    let last = AdvertView::new_checked(&bench.adverts[sent][20..], Family::V4).unwrap();
    assert_eq!((bench.adverts.len(), last.priority()), (sent + 1, 0));
    assert!(bench.ops.iter().all(|op| !op.install) && bench.ops.len() == 1);
    assert_eq!(
        bench.events.last().unwrap().kind,
        EventKind::Deleted {
            slot: 0,
            state: State::Master
        }
    );
    assert!(bench.core.status(0).is_none());
}

#[test]
fn an_address_moves_between_routers_in_one_reload() {
    let mut other = RouterConfig {
        vrid: 51,
        vips: vec![vip("10.0.0.5")],
        ..config()
    };
    let mut bench = Bench::new(vec![config(), other.clone()]);
    bench.become_master();
    other.vips.push(vip("10.0.0.1"));
    let less = RouterConfig {
        vips: vec![vip("10.0.0.7")],
        ..config()
    };
    let changes = vec![
        Change::Update {
            slot: 1,
            config: Box::new(other),
        },
        Change::Update {
            slot: 0,
            config: Box::new(less),
        },
    ];
    bench.core.apply(
        bench.now,
        Apply {
            changes,
            ..Apply::default()
        },
    );
    bench.turn();
    let of_vip: Vec<_> = bench
        .ops
        .iter()
        .filter(|op| op.vip.addr == last_octet(1))
        .map(|op| op.install)
        .collect();
    assert_eq!(of_vip, [false, true]);
    assert_eq!((bench.state(0), bench.state(1)), (State::Master, State::Master));
}

#[test]
fn a_reload_with_more_addresses_announces_all_of_them_twice() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    bench.run(Duration::from_secs(10));
    bench.announced.clear();
    let more = RouterConfig {
        vips: vec![vip("10.0.0.1"), vip("10.0.0.3")],
        ..config()
    };
    let changes = vec![Change::Update {
        slot: 0,
        config: Box::new(more),
    }];
    bench.core.apply(
        bench.now,
        Apply {
            changes,
            ..Apply::default()
        },
    );
    bench.turn();
    assert_eq!(bench.announced.len(), 10);
    bench.run(Duration::from_secs(6));
    assert_eq!(bench.announced.len(), 20);
    assert_eq!(bench.ops.len(), 1, "the address that stays is not touched");
}

#[test]
fn stopping_says_priority_0_first_and_stopped_last() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    let sent = bench.adverts.len();
    bench.core.shutdown(bench.now, true);
    bench.turn();
    assert_eq!((bench.adverts.len(), bench.ops.len()), (sent + 1, 1));
    assert_eq!(bench.events.last().unwrap().kind, EventKind::Stopped);
    assert!(bench.core.poll_event().is_none());
}

#[test]
fn stopping_without_release_leaves_everything() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    let sent = bench.adverts.len();
    bench.core.shutdown(bench.now, false);
    bench.turn();
    assert_eq!((bench.adverts.len(), bench.ops.len()), (sent, 0));
    assert_eq!(bench.events.last().unwrap().kind, EventKind::Stopped);
}

#[test]
fn a_startup_delay_keeps_everybody_deaf_and_quiet() {
    let owner = RouterConfig {
        priority: 255,
        initial_master: true,
        ..config()
    };
    let mut bench = Bench::new(vec![]);
    let start = bench.now;
    let hold_until = Some(start + Duration::from_secs(10));
    let changes = vec![Change::Add {
        slot: 0,
        config: Box::new(owner),
    }];
    bench.core.apply(
        start,
        Apply {
            changes,
            hold_until,
            ..Apply::default()
        },
    );
    bench.run(Duration::from_secs(1));
    bench.hear(&Packet::default());
    bench.run(Duration::from_secs(8));
    let status = bench.core.status(0).unwrap();
    assert_eq!((status.state, status.stats.advert_rcvd), (State::Backup, 0));
    bench.run(Duration::from_millis(1_001));
    assert_eq!(bench.state(0), State::Master);
}

#[test]
fn a_group_with_a_faulty_member_starts_in_fault() {
    let missing = RouterConfig {
        interface: IfName::new("eth7"),
        vrid: 51,
        ..config()
    };
    let mut bench = Bench::new(vec![]);
    let changes = vec![
        Change::Add {
            slot: 0,
            config: Box::new(config()),
        },
        Change::Add {
            slot: 1,
            config: Box::new(missing),
        },
    ];
    let groups = vec![GroupConfig { members: vec![0, 1] }];
    bench.core.apply(
        bench.now,
        Apply {
            changes,
            groups,
            ..Apply::default()
        },
    );
    assert_eq!((bench.state(0), bench.state(1)), (State::Fault, State::Fault));
}

#[test]
fn an_owner_whose_only_address_is_the_virtual_one_sends_from_it() {
    let owner = RouterConfig {
        priority: 255,
        initial_master: true,
        vips: vec![vip("10.0.0.2")],
        ..config()
    };
    let mut bench = Bench::new(vec![owner]);
    bench.run(Duration::from_secs(1));
    assert_eq!(bench.state(0), State::Master);
    assert_eq!(
        Ipv4View::new_checked(&bench.adverts[0]).unwrap().src(),
        Ipv4Addr::new(10, 0, 0, 2)
    );
}

#[test]
fn a_priority_raised_in_backup_shifts_the_deadline_by_the_difference() {
    let mut bench = Bench::new(vec![config()]);
    bench.hear(&Packet::default());
    let before = bench.core.status(0).unwrap().next_deadline.unwrap();
    bench.run(Duration::from_secs(1));
    let changes = vec![Change::Update {
        slot: 0,
        config: Box::new(RouterConfig {
            priority: 164,
            ..config()
        }),
    }];
    bench.core.apply(
        bench.now,
        Apply {
            changes,
            ..Apply::default()
        },
    );
    let after = bench.core.status(0).unwrap().next_deadline.unwrap();
    assert_eq!(before.since(after), Duration::from_millis(250));
}

#[test]
fn higher_prio_send_advert_says_one_more_word_before_it_yields() {
    for (keyword, more) in [(false, 0), (true, 1)] {
        let mut bench = Bench::new(vec![RouterConfig {
            higher_prio_send_advert: keyword,
            ..config()
        }]);
        bench.become_master();
        let sent = bench.adverts.len();
        bench.hear(&Packet::default());
        assert_eq!((bench.state(0), bench.adverts.len()), (State::Backup, sent + more));
    }
}

#[test]
fn lower_prio_no_advert_announces_without_an_advert() {
    let mut bench = Bench::new(vec![RouterConfig {
        lower_prio_no_advert: true,
        ..config()
    }]);
    bench.become_master();
    let (sent, announced) = (bench.adverts.len(), bench.announced.len());
    let deadline = bench.core.next_protocol_deadline(0);
    bench.hear(&Packet {
        priority: 50,
        ..Packet::default()
    });
    assert_eq!((bench.adverts.len(), bench.announced.len()), (sent, announced + 5));
    assert_eq!(bench.core.next_protocol_deadline(0), deadline);
}

const CHECK: TrackTarget = TrackTarget::Value(0);

fn tracking(weight: i16) -> RouterConfig {
    RouterConfig {
        tracks: vec![Track {
            target: CHECK,
            weight,
            reverse: false,
        }],
        ..config()
    }
}

#[test]
fn a_weight_moves_the_priority_and_the_deadline_by_the_difference() {
    let mut bench = Bench::new(vec![tracking(-64)]);
    let before = bench.core.next_protocol_deadline(0).unwrap();
    bench.core.handle_track(0, TrackValue::Bad);
    bench.turn();
    assert_eq!(bench.core.status(0).unwrap().priority, 36);
    assert_eq!(
        bench.core.next_protocol_deadline(0).unwrap().since(before),
        Duration::from_millis(250)
    );
    assert!(bench.told(|kind| matches!(kind, EventKind::PriorityChange { priority: 36, .. })));
    bench.core.handle_track(0, TrackValue::Good);
    bench.turn();
    assert_eq!(bench.core.next_protocol_deadline(0), Some(before));
}

#[test]
fn a_masters_next_advert_carries_the_new_priority() {
    let mut bench = Bench::new(vec![tracking(-64)]);
    bench.become_master();
    bench.core.handle_track(0, TrackValue::Bad);
    bench.run(Duration::from_secs(1));
    let last = AdvertView::new_checked(&bench.adverts.last().unwrap()[20..], Family::V4).unwrap();
    assert_eq!((last.priority(), last.checksum_ok_v2()), (36, true));
    assert_eq!(bench.state(0), State::Master);
}

#[test]
fn without_a_weight_a_failure_is_a_fault() {
    let mut bench = Bench::new(vec![tracking(0)]);
    // Nobody is told of a fault while there is no first result.
    assert_eq!(
        (
            bench.state(0),
            bench.told(|kind| matches!(kind, EventKind::Transition { .. }))
        ),
        (State::Fault, false)
    );
    bench.core.handle_track(0, TrackValue::Good);
    bench.turn();
    assert_eq!(bench.state(0), State::Backup);
    bench.become_master();
    bench.core.handle_track(0, TrackValue::Bad);
    bench.turn();
    let Some(EventKind::Transition {
        to: State::Fault,
        reason: Reason::TrackFailed,
        evidence,
        ..
    }) = bench.events.first().map(|event| event.kind)
    else {
        panic!("{:?}", bench.events);
    };
    assert_eq!(evidence.track, Some(CHECK));
    bench.core.handle_track(0, TrackValue::Good);
    bench.turn();
    assert_eq!(bench.state(0), State::Backup);
}

#[test]
fn a_tracker_that_a_reload_adds_changes_nothing_before_its_first_result() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    bench.core.apply(
        bench.now,
        Apply {
            changes: vec![Change::Update {
                slot: 0,
                config: Box::new(tracking(0)),
            }],
            ..Apply::default()
        },
    );
    bench.turn();
    assert_eq!(bench.state(0), State::Master);
    bench.core.handle_track(0, TrackValue::Bad);
    bench.turn();
    assert_eq!(bench.state(0), State::Fault);
    bench.core.handle_track(0, TrackValue::Ignored);
    bench.turn();
    assert_eq!(bench.state(0), State::Backup);
}

#[test]
fn a_first_result_that_is_bad_is_told() {
    let mut bench = Bench::new(vec![tracking(0)]);
    bench.core.handle_track(0, TrackValue::Bad);
    bench.turn();
    assert!(bench.told(|kind| matches!(
        kind,
        EventKind::Transition {
            from: State::Init,
            to: State::Fault,
            reason: Reason::TrackFailed,
            ..
        }
    )));
}

#[test]
fn a_tracked_interface_is_a_fact() {
    let eth1 = IfName::new("eth1").unwrap();
    let tracks = vec![Track {
        target: TrackTarget::Interface(eth1),
        weight: 0,
        reverse: false,
    }];
    let mut bench = Bench::new(vec![RouterConfig { tracks, ..config() }]);
    assert_eq!(bench.state(0), State::Fault);
    let other = LinkFact {
        id: IfId { netns: 0, index: 3 },
        name: eth1,
        ..link(true)
    };
    bench.core.handle_link(other);
    bench.turn();
    assert_eq!(bench.state(0), State::Backup);
    bench.core.handle_link(LinkFact { up: false, ..other });
    bench.turn();
    assert_eq!(bench.state(0), State::Fault);
}

#[test]
fn an_owner_ignores_weights() {
    let mut bench = Bench::new(vec![RouterConfig {
        priority: 255,
        initial_master: true,
        ..tracking(-64)
    }]);
    bench.core.handle_track(0, TrackValue::Bad);
    bench.turn();
    assert_eq!(bench.core.status(0).unwrap().priority, 255);
}

fn peers(list: &[IpAddr]) -> Option<Unicast> {
    let peers = list
        .iter()
        .map(|&addr| Peer {
            addr,
            min_ttl: 0,
            max_ttl: 255,
        })
        .collect();
    Some(Unicast {
        peers,
        ttl: Some(64),
        check_source: false,
        old_checksum: OldChecksum::Detect,
    })
}

fn unicast() -> RouterConfig {
    RouterConfig {
        unicast: peers(&[PEER, last_octet(10)]),
        source: Some(OWN),
        ..config()
    }
}

#[test]
fn unicast_adverts_go_to_every_peer_and_count_once() {
    let mut bench = Bench::new(vec![RouterConfig {
        version: Version::V3,
        ..unicast()
    }]);
    bench.become_master();
    assert_eq!(bench.memberships, []);
    let sent: Vec<_> = bench
        .adverts
        .iter()
        .map(|bytes| Ipv4View::new_checked(bytes).unwrap())
        .collect();
    let to: Vec<_> = sent
        .iter()
        .map(|header| (IpAddr::V4(header.dst()), header.ttl()))
        .collect();
    assert_eq!(to[..2], [(PEER, 64), (last_octet(10), 64)]);
    for header in &sent {
        let advert = AdvertView::new_checked(header.payload(), Family::V4).unwrap();
        assert!(advert.checksum_ok_v3(&header.pseudo()));
    }
    assert_eq!(bench.core.status(0).unwrap().stats.advert_sent * 2, sent.len() as u64);
    bench.adverts.clear();
    bench.core.shutdown(bench.now, true);
    bench.turn();
    assert_eq!(bench.adverts.len(), 2);
}

#[test]
fn unicast_adverts_are_heard_with_any_ttl_and_checked_on_demand() {
    let packet = || Packet {
        destination: OWN,
        ttl: 3,
        ..Packet::default()
    };
    let mut bench = Bench::new(vec![unicast()]);
    bench.hear(&packet());
    assert_eq!(bench.core.status(0).unwrap().master, Some(PEER));
    // A group is not what it listens to.
    bench.hear(&Packet::default());
    assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 1);
    let mut strict = unicast();
    strict.unicast.as_mut().unwrap().check_source = true;
    strict.unicast.as_mut().unwrap().peers[0].min_ttl = 200;
    let mut bench = Bench::new(vec![strict]);
    bench.hear(&packet());
    bench.hear(&Packet {
        source: last_octet(77),
        ttl: 255,
        ..packet()
    });
    assert_eq!(bench.rejected(), [Reject::Ttl, Reject::UnknownPeer]);
    bench.hear(&Packet { ttl: 200, ..packet() });
    assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 1);
}

#[test]
fn the_old_unicast_checksum_is_detected_and_taken_over() {
    let spoil: fn(&mut Vec<u8>) = |bytes| {
        let repr = AdvertView::new_checked(bytes, Family::V4).unwrap().to_repr().unwrap();
        let mut old = vec![0; repr.buffer_len()];
        repr.emit(&mut old, &Pseudo::new(PEER, GROUP).unwrap()).unwrap();
        *bytes = old;
    };
    let old = || Packet {
        destination: OWN,
        version: Version::V3,
        advert_int: 100,
        priority: 50,
        spoil,
        ..Packet::default()
    };
    let mut config = RouterConfig {
        version: Version::V3,
        ..unicast()
    };
    let mut bench = Bench::new(vec![config.clone()]);
    bench.hear(&old());
    assert_eq!(bench.rejected(), [Reject::OldChecksum]);
    bench.become_master();
    let header = Ipv4View::new_checked(&bench.adverts[0]).unwrap();
    let advert = AdvertView::new_checked(header.payload(), Family::V4).unwrap();
    assert!(advert.checksum_ok_v3(&Pseudo::new(OWN, GROUP).unwrap()));
    config.unicast.as_mut().unwrap().old_checksum = OldChecksum::Never;
    let mut bench = Bench::new(vec![config]);
    bench.hear(&old());
    assert_eq!(bench.rejected(), [Reject::Checksum]);
}

#[test]
fn unicast_needs_no_interface_but_a_peer() {
    let anywhere = RouterConfig {
        interface: None,
        vips: vec![],
        ..unicast()
    };
    let mut bench = Bench::new(vec![anywhere.clone()]);
    bench.hear(&Packet {
        destination: OWN,
        priority: 50,
        addresses: vec![],
        ..Packet::default()
    });
    assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 1);
    bench.become_master();
    assert!(!bench.adverts.is_empty());
    let bench = Bench::new(vec![RouterConfig {
        unicast: peers(&[]),
        ..anywhere
    }]);
    assert_eq!(bench.core.status(0).unwrap().faults, Faults::NO_PEER);
}

#[test]
fn unicast_routers_share_a_vrid_when_source_or_peers_differ() {
    let other_source = RouterConfig {
        source: Some(last_octet(3)),
        ..unicast()
    };
    let other_peers = RouterConfig {
        unicast: peers(&[last_octet(11)]),
        ..unicast()
    };
    let bench = Bench::new(vec![config(), unicast(), other_source, other_peers, unicast()]);
    let states: Vec<_> = (0..5).map(|slot| bench.state(slot)).collect();
    let backup = State::Backup;
    assert_eq!(states, [backup, backup, backup, backup, State::Fault]);
}

#[test]
fn each_unicast_router_hears_its_own_peers() {
    let other_peers = RouterConfig {
        unicast: peers(&[last_octet(11)]),
        ..unicast()
    };
    let mut bench = Bench::new(vec![unicast(), other_peers]);
    bench.hear(&Packet {
        destination: OWN,
        source: last_octet(11),
        ..Packet::default()
    });
    bench.hear(&Packet {
        destination: OWN,
        ..Packet::default()
    });
    let heard: Vec<_> = (0..2).map(|slot| bench.core.status(slot).unwrap().master).collect();
    assert_eq!(heard, [Some(PEER), Some(last_octet(11))]);
}

#[test]
fn a_unicast_router_that_leaves_fault_tells_its_own_address() {
    let mut bench = Bench::new(vec![unicast()]);
    bench.core.handle_link(link(false));
    bench.turn();
    bench.core.handle_link(link(true));
    bench.turn();
    assert_eq!(bench.announced, [(bench.now, OWN)]);
}

#[test]
fn track_source_is_a_fault_while_the_configured_address_is_missing() {
    let tracked = RouterConfig {
        source: Some(last_octet(8)),
        track_source: true,
        ..config()
    };
    let mut bench = Bench::new(vec![tracked]);
    assert_eq!(bench.state(0), State::Fault);
    bench.core.handle_address(address(last_octet(8), 24));
    bench.turn();
    assert_eq!(bench.state(0), State::Backup);
}

#[test]
fn the_notification_of_our_deletion_may_come_before_the_answer() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    bench.core.handle_link(link(false));
    bench.core.handle_deadlines(bench.now);
    let op = bench.core.poll_address_op().unwrap();
    bench.core.handle_address_gone(ETH0, last_octet(1), 32);
    bench.core.handle_address_result(bench.now, &op, 0);
    bench.core.handle_link(link(true));
    bench.run(Duration::from_secs(10));
    assert_eq!(bench.state(0), State::Master);
    bench.core.handle_address_gone(ETH0, last_octet(1), 32);
    bench.turn();
    assert!(bench.told(|kind| matches!(kind, EventKind::AddressRestored { .. })));
}

#[test]
fn an_address_deleted_before_we_knew_that_it_was_there_is_put_back() {
    let mut bench = Bench::new(vec![config()]);
    let at = bench.core.poll_at().unwrap();
    bench.now = at;
    bench.core.handle_deadlines(at);
    let op = bench.core.poll_address_op().unwrap();
    bench.core.handle_address(address(last_octet(1), 32));
    bench.core.handle_address_gone(ETH0, last_octet(1), 32);
    bench.core.handle_address_result(at, &op, 0);
    bench.turn();
    assert!(bench.told(|kind| matches!(kind, EventKind::AddressRestored { .. })));
}

#[test]
fn another_label_is_no_theft() {
    let mut bench = Bench::new(vec![config()]);
    bench.become_master();
    let vips = vec![Vip {
        label: IfName::new("eth0:1"),
        ..vip("10.0.0.1")
    }];
    let changes = vec![Change::Update {
        slot: 0,
        config: Box::new(RouterConfig { vips, ..config() }),
    }];
    bench.core.apply(
        bench.now,
        Apply {
            changes,
            ..Apply::default()
        },
    );
    bench.turn();
    bench.turn();
    assert_eq!(bench.ops.iter().map(|op| op.install).collect::<Vec<_>>(), [false, true]);
    assert!(!bench.told(|kind| matches!(kind, EventKind::AddressRestored { .. })));
}
