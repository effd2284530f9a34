//! Masters of one interval share their wake-ups: earlier once, never later, and periodic from then on.

mod bench;

use std::collections::BTreeMap;

use bench::{Bench, config, vip};
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::{RouterConfig, Version};
use keepvip_proto::vrrp::phases::{FEW, PER_INTERFACE, PHASES};
use proptest::prelude::*;

/// When each router advertised, and all moments at which the core wanted to be woken for an advert.
fn advertise(bench: &mut Bench, span: Duration) -> (BTreeMap<u8, Vec<Instant>>, BTreeMap<Instant, usize>) {
    let (mut of_router, mut at_moment) = (BTreeMap::<u8, Vec<Instant>>::new(), BTreeMap::new());
    let end = bench.now + span;
    while let Some(at) = bench.core.poll_at().filter(|&at| at <= end) {
        bench.now = bench.now.max(at);
        let before = bench.adverts.len();
        bench.turn();
        for packet in &bench.adverts[before..] {
            of_router.entry(packet[21]).or_default().push(bench.now);
            *at_moment.entry(bench.now).or_default() += 1;
        }
    }
    bench.now = end;
    (of_router, at_moment)
}

fn routers(priorities: &[u8], interval: Duration) -> Vec<RouterConfig> {
    (1..=u8::MAX)
        .zip(priorities)
        .map(|(vrid, &priority)| RouterConfig {
            vrid,
            priority,
            version: Version::V3,
            password: None,
            advert_interval: interval,
            vips: vec![vip(&format!("10.0.1.{vrid}"))],
            ..config()
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Different priorities make them take over at different moments.
    #[test]
    fn gaps_are_exact_but_the_first(
        priorities in prop::collection::vec(1_u8..255, 1..255),
        interval_ms in prop::sample::select(vec![10_u64, 100, 1_000, 2_500]),
    ) {
        let interval = Duration::from_millis(interval_ms);
        let mut bench = Bench::new(routers(&priorities, interval));
        let (of_router, at_moment) = advertise(&mut bench, interval.times(12));
        prop_assert_eq!(of_router.len(), priorities.len());
        for times in of_router.values() {
            let gaps: Vec<Duration> = times.windows(2).map(|pair| pair[1].since(pair[0])).collect();
            prop_assert!(!gaps.is_empty());
            prop_assert!(gaps[0] <= interval, "{:?}", gaps[0]);
            prop_assert!(gaps[1..].iter().all(|&gap| gap == interval), "{:?}", gaps);
            if priorities.len() <= FEW as usize {
                prop_assert_eq!(gaps[0], interval);
            }
        }
        // The last interval: all are masters for long.
        let last: Vec<usize> = at_moment
            .range(bench.now.before(interval)..)
            .map(|(_, &burst)| burst)
            .collect();
        prop_assert!(last.len() <= PHASES + FEW as usize + 1, "{} wake-ups", last.len());
        prop_assert!(last.iter().all(|&burst| burst <= PER_INTERFACE as usize), "{:?}", last);
        if priorities.len() > 100 {
            prop_assert!(last.len() <= 16 + FEW as usize, "{} wake-ups", last.len());
        }
    }
}

#[test]
fn a_late_advert_does_not_shift_the_rhythm() {
    let interval = Duration::from_millis(100);
    let mut bench = Bench::new(routers(&[100; 40], interval));
    advertise(&mut bench, interval.times(6));
    let due = bench.core.next_protocol_deadline(7).unwrap();
    bench.now = due + Duration::from_millis(30);
    bench.turn();
    assert_eq!(bench.core.next_protocol_deadline(7), Some(due + interval));
}
