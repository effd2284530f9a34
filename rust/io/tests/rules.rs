//! The rules that are not negotiable: listen before you speak, floods, announcements that wait for adverts.

mod support;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use keepvip_io::{FilterOptions, Modes, Options, RecordKind};
use keepvip_proto::engine::{Apply, Change};
use keepvip_proto::time;
use keepvip_proto::vrrp::config::RouterConfig;
use keepvip_proto::vrrp::report::{EventKind, Reason, State};
use support::frame::{advert, forged, garp};
use support::tap::{Tap, be_punctual, now_us};
use support::{Netns, Node, PATIENCE, pair, router, vip};

/// Ends a side thread, also when the test fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sends adverts with the exact rhythm of a master of priority 200, while `work` runs.
fn with_master<T>(tap: &Tap, vrid: u8, work: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    let lan = tap.injector();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            be_punctual();
            let start = Instant::now();
            for i in 0.. {
                lan.send(&forged([10, 9, 0, 2].into(), vrid, 200));
                let next = Duration::from_millis(100 * (i + 1));
                while start.elapsed() < next && !done.load(Ordering::Relaxed) {
                    std::thread::park_timeout(next.saturating_sub(start.elapsed()));
                }
                if done.load(Ordering::Relaxed) {
                    return;
                }
            }
        });
        let _ended = Ends(&done);
        work()
    })
}

/// Asleep for less than its master down interval, a master that spoke first would send one more advert; asleep for longer,
/// it would listen by the core's own caution. Both must be silent.
#[test]
fn a_sleeper_hears_the_new_master_before_it_speaks() {
    if !support::privileged() {
        return;
    }
    for asleep in [Duration::from_millis(250), Duration::from_millis(1_000)] {
        let (a, b) = pair();
        let tap = Tap::open(&b, "right");
        let mut node = Node::running(&a, [router("left", 1, 100)], false);
        node.wait_state(0, State::Master);
        let before = node.blocks[0].read().stats.advert_sent;
        let from = support::stopped(node.thread_id(), || {
            let from = now_us();
            with_master(&tap, 1, || tap.collect(asleep));
            from
        });
        let yielded = with_master(&tap, 1, || node.wait_state(0, State::Backup));
        let RecordKind::Event {
            kind: EventKind::Transition { reason, .. },
            ..
        } = yielded.kind
        else {
            panic!("not a transition");
        };
        assert_eq!(reason, Reason::HigherPriority);
        assert!(
            yielded.at.as_micros() > from + asleep.as_micros() as u64,
            "the thread was not asleep"
        );
        let spoke = node.blocks[0].read().stats.advert_sent - before;
        // One more may have left between the look at the counter and the sleep.
        assert!(spoke <= 1, "it spoke before it listened");
        let seen = tap.collect(Duration::from_millis(10));
        let after = seen
            .iter()
            .filter_map(advert)
            .filter(|advert| advert.priority == 100 && advert.at_us > from + 5_000);
        assert_eq!(after.count(), 0, "it spoke before it listened");
        node.stop();
    }
}

#[test]
fn a_sleeping_backup_wakes_up_as_backup() {
    if !support::privileged() {
        return;
    }
    for asleep in [Duration::from_millis(500), Duration::from_millis(1_000)] {
        let (a, b) = pair();
        let tap = Tap::open(&b, "right");
        let mut node = Node::start(&a);
        with_master(&tap, 1, || {
            node.add([router("left", 1, 100)], false);
            node.wait_state(0, State::Backup);
            node.wait_heard(0, 3);
            support::stopped(node.thread_id(), || tap.collect(asleep));
            let heard = node.blocks[0].read().stats.advert_rcvd;
            node.wait_heard(0, heard + 3);
        });
        assert_eq!(node.transitions(), [(0, State::Backup)], "a false takeover");
        node.stop();
    }
}

#[test]
fn a_flood_neither_silences_a_master_nor_fools_a_backup() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let tap = Tap::open(&b, "right");
    let options = Options {
        rt_priority: Some(10),
        lock_memory: false,
        filter: FilterOptions::default(),
        modes: Modes::from_environment().unwrap(),
    };
    let mut node = Node::start_with(&a, options);
    let flood = tap.injector();
    let stop = AtomicBool::new(false);
    let (first, last, adverts) = with_master(&tap, 2, || {
        node.add([router("left", 1, 255), router("left", 2, 100)], false);
        node.wait_state(0, State::Master);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // Well-formed adverts of a router that nobody here knows, as fast as they go.
                let noise = forged([10, 9, 0, 66].into(), 77, 1);
                while !stop.load(Ordering::Relaxed) {
                    flood.send(&noise);
                }
            });
            let _ended = Ends(&stop);
            let (mut first, mut last, mut adverts) = (0, 0, Vec::new());
            let end = now_us() + 1_500_000;
            while last < end {
                last = tap
                    .wait("an advert of ours", |frame| advert(frame).filter(|seen| seen.vrid == 1))
                    .at_us;
                first = if first == 0 { last } else { first };
                adverts.push(last);
            }
            (first, last, adverts)
        })
    });
    let gaps = adverts.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(gaps < 200_000, "{gaps} µs between two adverts from {first} to {last}");
    assert!(!node.transitions().contains(&(1, State::Master)), "a false takeover");
    node.stop();
}

#[test]
fn announcements_wait_for_adverts() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let tap = Tap::open(&b, "right");
    let many: Vec<RouterConfig> = (1..=40)
        .map(|vrid| RouterConfig {
            vips: (1..=50).map(|i| vip(&format!("10.30.{vrid}.{i}"), 32)).collect(),
            ..router("left", vrid, 200)
        })
        .collect();
    let slots: Vec<u32> = (0..40).collect();
    let mut node = Node::running(&a, many, true);
    node.wait_states(&slots, State::Master);
    // 2000 addresses and 10000 announcements; the second adverts come in time all the same.
    let frames = tap.collect(Duration::from_millis(500));
    let mut last = [0_u64; 256];
    let mut announced = 0;
    for frame in &frames {
        announced += usize::from(garp(frame).is_some());
        if let Some(advert) = advert(frame) {
            let before = std::mem::replace(&mut last[usize::from(advert.vrid)], advert.at_us);
            let gap_us = if before == 0 { 0 } else { advert.at_us - before };
            assert!(gap_us < 150_000, "router {} was silent for {gap_us} µs", advert.vrid);
        }
    }
    assert!(announced > 2_000, "only {announced} announcements");
    node.stop();
}

#[test]
fn commands_and_status_do_not_wait_for_each_other() {
    if !support::privileged() {
        return;
    }
    let (a, _b) = pair();
    let mut node = Node::running(&a, [router("left", 1, 100)], false);
    node.wait_state(0, State::Master);
    for round in 0..20_u8 {
        let mut config = router("left", 1, 100 + round);
        config.vips.push(vip(&format!("10.40.0.{round}"), 32));
        node.apply(Apply {
            changes: vec![Change::Update {
                slot: 0,
                config: Box::new(config),
            }],
            ..Apply::default()
        });
    }
    let end = Instant::now() + PATIENCE;
    while node.blocks[0].read().priority != 119 {
        assert!(Instant::now() < end);
        std::thread::yield_now();
    }
    let count = |node: &mut Node| node.transitions().len();
    assert_eq!(count(&mut node), 2, "INIT to BACKUP to MASTER, and no more");
    assert_eq!(a.ask("-o addr show dev left").matches("10.40.0.").count(), 1);
    node.stop();
}

/// The kernel has one lock for network configuration. Who deletes many interfaces, in whatever namespace, holds it for
/// tens of milliseconds, and addresses have to wait for it. Adverts have not.
#[test]
fn a_kernel_that_is_busy_elsewhere_delays_no_advert() {
    if !support::privileged() {
        return;
    }
    let (a, _b) = pair();
    let elsewhere = Netns::new();
    let options = Options {
        rt_priority: Some(10),
        lock_memory: false,
        filter: FilterOptions::default(),
        modes: Modes::from_environment().unwrap(),
    };
    let mut node = Node::start_with(&a, options);
    let fast = |vrid| RouterConfig {
        advert_interval: time::Duration::from_millis(10),
        ..router("left", vrid, 200)
    };
    node.add((1..=20).map(fast), false);
    node.wait_states(&(0..20).collect::<Vec<_>>(), State::Master);
    let links: String = (0..150)
        .map(|i| format!("link add d{i} group 7 type veth peer name e{i}\n"))
        .collect();
    let mut lates = Vec::new();
    for round in 0..5_u8 {
        elsewhere.batch(&links);
        let before = node.engine.status().late;
        let deleted = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                elsewhere.ip("link del group 7");
                deleted.store(true, Ordering::Relaxed);
            });
            for change in 0_u32.. {
                let mut config = fast(1);
                config.vips.push(vip(&format!("10.50.{round}.{}", change % 200), 32));
                let change = Change::Update {
                    slot: 0,
                    config: Box::new(config),
                };
                let sent = node.blocks[0].read().stats.advert_sent;
                node.apply(Apply {
                    changes: vec![change],
                    ..Apply::default()
                });
                if deleted.load(Ordering::Relaxed) {
                    break;
                }
                // A change is in force when its advert is sent.
                node.wait_sent(0, sent + 1);
            }
        });
        let after = node.engine.status().late;
        // Late by 8 ms and more.
        lates.push(after[14..].iter().sum::<u64>() - before[14..].iter().sum::<u64>());
        if lates.last() == Some(&0) {
            break;
        }
    }
    // A virtual machine may lose its processor for a moment, but not five times in the same ten milliseconds.
    assert!(lates.contains(&0), "late wake-ups in each round: {lates:?}");
    node.stop();
}
