//! A core from which a filter keeps the routine adverts is no other core: same transitions at the same times, same
//! counters.

mod bench;

use bench::{Bench, Packet, config, last_octet, vip};
use keepvip_proto::time::Duration;
use keepvip_proto::vrrp::config::RouterConfig;
use keepvip_proto::vrrp::report::{EventKind, State};
use keepvip_proto::vrrp::track::{Track, TrackTarget, TrackValue};
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

#[derive(Clone, Debug)]
enum Step {
    /// So many adverts of a peer, an interval apart.
    Adverts {
        vrid: u8,
        peer: u8,
        priority: u8,
        count: u8,
    },
    /// One advert.
    Advert {
        vrid: u8,
        peer: u8,
        priority: u8,
    },
    Wait {
        ms: u64,
    },
    Track {
        value: i16,
    },
    Reload {
        priority: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let who = || {
        (
            50_u8..53,
            8_u8..11,
            prop::sample::select(vec![0_u8, 50, 100, 150, 150, 200, 200, 255]),
        )
    };
    prop_oneof![
        4 => (who(), 1_u8..12).prop_map(|((vrid, peer, priority), count)| Step::Adverts { vrid, peer, priority, count }),
        3 => who().prop_map(|(vrid, peer, priority)| Step::Advert { vrid, peer, priority }),
        3 => (1_u64..4_500).prop_map(|ms| Step::Wait { ms }),
        1 => prop::sample::select(vec![-20_i16, 0, 90]).prop_map(|value| Step::Track { value }),
        1 => prop::sample::select(vec![90_u8, 100, 180]).prop_map(|priority| Step::Reload { priority }),
    ]
}

fn routers(first_priority: u8, nopreempt: bool, preempt_delay_s: u64) -> Vec<RouterConfig> {
    let router = |vrid: u8, priority| RouterConfig {
        vrid,
        priority,
        nopreempt,
        preempt_delay: Duration::from_secs(preempt_delay_s),
        tracks: vec![Track {
            target: TrackTarget::Value(0),
            weight: 1,
            reverse: false,
        }],
        vips: vec![vip("10.0.0.1")],
        ..config()
    };
    vec![router(50, first_priority), router(51, 120), router(52, 100)]
}

fn play(bench: &mut Bench, steps: &[Step], configs: &[RouterConfig], groups: &[Vec<u32>]) {
    for step in steps {
        match *step {
            Step::Adverts {
                vrid,
                peer,
                priority,
                count,
            } => {
                for _ in 0..count {
                    bench.hear(&advert(vrid, peer, priority));
                    bench.run(SECOND);
                }
            }
            Step::Advert { vrid, peer, priority } => bench.hear(&advert(vrid, peer, priority)),
            Step::Wait { ms } => bench.run(Duration::from_millis(ms)),
            Step::Track { value } => {
                bench.core.handle_track(0, TrackValue::Number(value.into()));
                bench.turn();
            }
            Step::Reload { priority } => {
                let config = RouterConfig {
                    priority,
                    ..configs[2].clone()
                };
                bench.reload(vec![bench::update(2, config)], groups.to_vec());
            }
        }
    }
}

fn advert(vrid: u8, peer: u8, priority: u8) -> Packet {
    Packet {
        vrid,
        source: last_octet(peer),
        priority,
        ..Packet::default()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_filter_changes_nothing(
        steps in prop::collection::vec(step(), 1..40),
        nopreempt in any::<bool>(),
        preempt_delay_s in prop::sample::select(vec![0_u64, 0, 5]),
        first_priority in prop::sample::select(vec![60_u8, 100, 200]),
        grouped in any::<bool>(),
    ) {
        let groups = if grouped { vec![vec![0, 1]] } else { vec![] };
        let configs = routers(first_priority, nopreempt, preempt_delay_s);
        let mut plain = Bench::bare(false);
        let mut filtered = Bench::bare(false);
        plain.filter.on = false;
        filtered.filter.on = true;
        for bench in [&mut plain, &mut filtered] {
            bench.core.handle_track(0, TrackValue::Number(0));
            bench.add(configs.clone(), groups.clone());
            play(bench, &steps, &configs, &groups);
            bench.tell_kept();
        }
        // Two timers of the same microsecond may swap; nothing rests on their order.
        let sorted = |mut adverts: Vec<Vec<u8>>| {
            adverts.sort_unstable();
            adverts
        };
        let transitions = |bench: &Bench| -> Vec<String> {
            let mut events: Vec<String> = bench
                .events
                .iter()
                .filter(|event| !matches!(event.kind, EventKind::Resynced))
                .map(|event| format!("{event:?}"))
                .collect();
            events.sort_unstable();
            events
        };
        prop_assert_eq!(transitions(&plain), transitions(&filtered));
        prop_assert_eq!(sorted(plain.adverts), sorted(filtered.adverts));
        for slot in 0..3 {
            let (a, b) = (plain.core.status(slot).unwrap(), filtered.core.status(slot).unwrap());
            prop_assert_eq!(a.state, b.state);
            prop_assert_eq!(a.stats, b.stats);
            prop_assert_eq!(a.master, b.master);
            prop_assert_eq!(plain.core.next_protocol_deadline(slot), filtered.core.next_protocol_deadline(slot));
        }
    }
}

#[test]
fn a_hundred_adverts_cost_a_few_looks() {
    let mut bench = Bench::new(vec![config()]);
    bench.filter.on = true;
    let mut turns = 0;
    for _ in 0..100 {
        bench.hear(&Packet::default());
        let end = bench.now + SECOND;
        while let Some(at) = bench.core.poll_at().filter(|&at| at <= end) {
            bench.now = at;
            bench.turn();
            turns += 1;
        }
        bench.now = end;
    }
    assert_eq!(bench.filter.kept, 99);
    assert!(turns <= 60, "{turns} wake-ups");
    assert_eq!(bench.state(0), State::Backup);
    let last = bench.now.before(SECOND);
    bench.run(Duration::from_secs(4));
    let taken = bench.events.iter().find_map(|event| match event.kind {
        EventKind::Transition { to: State::Master, .. } => Some(event.at),
        _ => None,
    });
    // Three intervals and the skew of priority 100 after the last of the adverts that were kept.
    assert_eq!(taken, Some(last + Duration::from_micros(3_000_000 + 609_375)));
    assert_eq!(bench.core.status(0).unwrap().stats.advert_rcvd, 100);
    assert_eq!(bench.core.status(0).unwrap().master, None);
}
