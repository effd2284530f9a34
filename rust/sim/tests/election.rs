//! The rules of `vrrp-behaviour.md` 1.1 to 1.9 and 10, one scenario each, with the real core and exact virtual time.

#[macro_use]
mod common;

use common::{alone, millis, router, router_v3, secs, transitions, world};
use keepvip_proto::time::Duration;
use keepvip_proto::vrrp::report::{EventKind, Reason, State};
use keepvip_proto::wire::Family;
use keepvip_sim::{Setup, What, World};

const LAN_DELAY_US: u64 = 50;

fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

/// Two nodes, 100 (`state MASTER`) and 99, settled.
fn pair() -> World {
    let mut master = router(0, 50, 100);
    master.initial_master = true;
    let mut world = world(vec![master, router(0, 50, 99)]);
    world.start(0);
    world.start(1);
    world.run(secs(5));
    same!(world, world.masters(0), [0]);
    world
}

#[test]
fn state_master_shortens_the_first_wait_to_an_interval_and_a_step() {
    let mut config = router(0, 1, 100);
    config.initial_master = true;
    let mut world = world(vec![config]);
    world.start(0);
    let took = world.run_until(secs(10), |world| !world.masters(0).is_empty());
    same!(world, took, Some(us(1_000_000 + 1_000_000 / 256)));
    same!(
        world,
        transitions(&world, 0, 0, 0),
        [
            (State::Backup, Reason::Startup),
            (State::Master, Reason::MasterDownShortened)
        ]
    );
}

#[test]
fn without_it_the_wait_is_the_master_down_interval() {
    let mut world = world(vec![router(0, 1, 100)]);
    world.start(0);
    let took = world.run_until(secs(10), |world| !world.masters(0).is_empty());
    same!(world, took, Some(us(3_000_000 + 156 * 1_000_000 / 256)));
}

#[test]
fn an_owner_is_master_at_once() {
    let mut world = world(vec![router(0, 1, 255)]);
    world.start(0);
    let took = world.run_until(secs(10), |world| !world.masters(0).is_empty());
    same!(world, took, Some(us(1)));
    same!(world, transitions(&world, 0, 0, 0)[1], (State::Master, Reason::Owner));
}

#[test]
fn version_3_counts_the_skew_in_the_interval() {
    let mut world = world(vec![router_v3(0, 1, 100, 100, Family::V4)]);
    world.start(0);
    let took = world.run_until(secs(10), |world| !world.masters(0).is_empty());
    same!(world, took, Some(us(300_000 + 156 * 100_000 / 256)));
}

#[test]
fn a_killed_master_is_replaced_after_the_master_down_interval() {
    let mut world = pair();
    let last_advert = world.now();
    world.kill(0);
    let took = world.run_until(secs(10), |world| world.masters(0) == [1]);
    // From the last advert, which came within the second before the kill, 3.613281 s.
    let down = us(3_000_000 + 157 * 1_000_000 / 256);
    let took = took.unwrap();
    holds!(world, took <= down + us(LAN_DELAY_US) && took + secs(1) >= down);
    let EventKind::Transition { reason, evidence, .. } = last_event(&world, 1) else {
        panic!("{}", world.trace_text());
    };
    same!(world, reason, Reason::MasterDown);
    same!(
        world,
        (evidence.own_priority, evidence.master_priority),
        (99, Some(100))
    );
    same!(
        world,
        evidence.deadline.unwrap().since(evidence.last_advert.unwrap()),
        down
    );
    holds!(world, evidence.last_advert.unwrap() <= last_advert + us(LAN_DELAY_US));
}

fn last_event(world: &World, node: usize) -> EventKind {
    let events = world.trace().iter().rev().filter(|entry| entry.node == Some(node));
    events
        .filter_map(|entry| match &entry.what {
            What::Event(event) if matches!(event.kind, EventKind::Transition { .. }) => Some(event.kind),
            _ => None,
        })
        .next()
        .unwrap()
}

#[test]
fn a_stopped_master_is_replaced_after_the_skew() {
    let mut world = pair();
    world.stop(0);
    holds!(world, world.node(0).installed.is_empty());
    let took = world.run_until(secs(10), |world| world.masters(0) == [1]);
    same!(world, took, Some(us(157 * 1_000_000 / 256 + LAN_DELAY_US)));
    same!(
        world,
        transitions(&world, 1, 0, 0).last(),
        Some(&(State::Master, Reason::PriorityZero))
    );
}

#[test]
fn the_old_master_preempts_when_it_returns() {
    let mut world = pair();
    world.kill(0);
    world.run(secs(10));
    same!(world, world.masters(0), [1]);
    // What it left behind is removed before anything else.
    holds!(world, !world.node(0).installed.is_empty());
    world.start(0);
    holds!(world, world.node(0).installed.is_empty());
    world.run(secs(5));
    same!(world, world.masters(0), [0]);
    same!(
        world,
        transitions(&world, 0, 0, 0).last(),
        Some(&(State::Master, Reason::Preempt))
    );
    same!(
        world,
        transitions(&world, 1, 0, 0).last(),
        Some(&(State::Backup, Reason::HigherPriority))
    );
    holds!(world, world.node(1).installed.is_empty());
}

#[test]
fn nopreempt_leaves_a_live_master_alone_but_not_a_dead_one() {
    let mut better = router(0, 1, 100);
    better.nopreempt = true;
    let mut world = world(vec![better, router(0, 1, 99)]);
    world.start(1);
    world.run(secs(5));
    world.start(0);
    world.run(secs(20));
    same!(world, world.masters(0), [1]);
    world.kill(1);
    world.run(secs(5));
    same!(world, world.masters(0), [0]);
}

#[test]
fn preempt_delay_counts_from_the_first_advert_of_the_lower_master() {
    let mut better = router(0, 1, 100);
    better.preempt_delay = secs(10);
    let mut world = world(vec![better, router(0, 1, 99)]);
    world.start(1);
    world.run(secs(5));
    world.start(0);
    let took = world.run_until(secs(60), |world| world.masters(0) == [0]).unwrap();
    // Ten seconds of tolerance, and the rest of the down time that the last accepted advert began.
    holds!(world, took >= secs(12) && took <= secs(15));
}

#[test]
fn preempt_delay_does_not_delay_the_takeover_from_a_silent_master() {
    let mut better = router(0, 1, 100);
    better.preempt_delay = secs(100);
    let mut world = world(vec![better, router(0, 1, 99)]);
    world.start(1);
    world.run(secs(5));
    world.start(0);
    world.run(secs(5));
    world.kill(1);
    holds!(
        world,
        world.run_until(secs(4), |world| world.masters(0) == [0]).is_some()
    );
}

#[test]
fn equal_priorities_are_decided_by_the_higher_address() {
    let mut world = world(vec![router(0, 1, 100), router(0, 1, 100)]);
    world.split(0, &[0], true);
    world.start(0);
    world.start(1);
    world.run(secs(5));
    same!(world, world.masters(0), [0, 1]);
    world.split(0, &[0], false);
    world.run(secs(2));
    same!(world, world.masters(0), [1]);
    same!(
        world,
        transitions(&world, 0, 0, 0).last(),
        Some(&(State::Backup, Reason::EqualPriorityHigherAddress))
    );
}

#[test]
fn two_owners_end_with_one_master() {
    let mut world = world(vec![router(0, 1, 255), router(0, 1, 255)]);
    world.start(0);
    world.start(1);
    world.run(secs(20));
    same!(world, world.masters(0), [1]);
}

#[test]
fn an_owner_that_hears_a_deaf_owner_gives_way() {
    let mut world = world(vec![router(0, 1, 255), router(0, 1, 255)]);
    // Node 0 never hears node 1, so it never steps back.
    world.set_cut(0, 1, 0, true);
    world.start(0);
    world.start(1);
    world.run(secs(20));
    same!(world, world.masters(0), [0]);
    same!(world, world.node(1).core.status(0).unwrap().priority, 254);
    world.kill(0);
    world.run(secs(10));
    same!(world, world.masters(0), [1]);
    same!(world, world.node(1).core.status(0).unwrap().priority, 255);
}

#[test]
fn a_backup_learns_the_masters_interval_in_version_3() {
    let mut world = world(vec![
        router_v3(0, 1, 100, 2000, Family::V6),
        router_v3(0, 1, 99, 100, Family::V6),
    ]);
    world.start(0);
    world.run(secs(10));
    world.start(1);
    world.run(secs(4));
    // Its own interval is 100 ms; had it not learnt 2 s it would be master by now.
    same!(world, world.masters(0), [0]);
    same!(
        world,
        world.node(1).core.status(0).unwrap().master_advert_interval,
        secs(2)
    );
    world.kill(0);
    world.run(secs(10));
    same!(world, world.masters(0), [1]);
    same!(
        world,
        world.node(1).core.status(0).unwrap().master_advert_interval,
        millis(100)
    );
}

#[test]
fn a_lower_interval_in_version_2_is_another_network() {
    let mut other = router(0, 1, 200);
    other.advert_interval = secs(2);
    let mut world = world(vec![router(0, 1, 100), other]);
    world.start(0);
    world.start(1);
    world.run(secs(20));
    same!(world, world.masters(0), [0, 1]);
}

#[test]
fn a_wrong_password_is_not_heard() {
    let mut other = router(0, 1, 200);
    other.password = Some(*b"other\0\0\0");
    let mut world = world(vec![router(0, 1, 100), other]);
    world.start(0);
    world.start(1);
    world.run(secs(20));
    same!(world, world.masters(0), [0, 1]);
}

#[test]
fn a_cut_link_is_a_fault_and_its_return_starts_from_backup() {
    let mut world = pair();
    world.set_link(0, 0, false);
    same!(world, world.state(0, 0), Some(State::Fault));
    holds!(world, world.node(0).installed.is_empty());
    world.run(secs(10));
    same!(world, world.masters(0), [1]);
    world.set_link(0, 0, true);
    same!(world, world.state(0, 0), Some(State::Backup));
    world.run(secs(10));
    same!(world, world.masters(0), [0]);
    same!(
        world,
        transitions(&world, 0, 0, 0)[2..],
        [
            (State::Fault, Reason::InterfaceDown),
            (State::Backup, Reason::FaultCleared),
            (State::Master, Reason::Preempt),
        ]
    );
}

/// The main job: two networks, one group.
fn group_pair() -> World {
    let setup = |priority, initial_master| {
        let member = |lan, vrid| {
            let mut config = router(lan, vrid, priority);
            config.initial_master = initial_master;
            config
        };
        Setup {
            routers: vec![member(0, 50), member(1, 2)],
            groups: vec![vec![0, 1]],
            ..Setup::default()
        }
    };
    let mut world = World::new(vec![setup(100, true), setup(99, false)], 2, 1);
    world.start(0);
    world.start(1);
    world.run(secs(5));
    same!(world, (world.masters(0), world.masters(1)), (vec![0], vec![0]));
    world
}

#[test]
fn a_sync_group_moves_as_one_on_a_fault() {
    let mut world = group_pair();
    let from = world.trace().len();
    world.set_link(0, 1, false);
    same!(
        world,
        (world.state(0, 0), world.state(0, 1)),
        (Some(State::Fault), Some(State::Fault))
    );
    world.run(secs(5));
    same!(world, (world.masters(0), world.masters(1)), (vec![1], vec![1]));
    same!(
        world,
        transitions(&world, 0, 1, from),
        [(State::Fault, Reason::InterfaceDown)]
    );
    same!(
        world,
        transitions(&world, 0, 0, from),
        [(State::Fault, Reason::SyncGroup)]
    );
    world.set_link(0, 1, true);
    world.run(secs(10));
    same!(world, (world.masters(0), world.masters(1)), (vec![0], vec![0]));
}

#[test]
fn a_sync_group_reports_its_state_after_its_members() {
    let world = group_pair();
    let of_node: Vec<_> = world.trace().iter().filter(|entry| entry.node == Some(0)).collect();
    let group_at = of_node.iter().position(|entry| {
        matches!(&entry.what, What::Event(event) if matches!(event.kind, EventKind::GroupTransition { to: State::Master, .. }))
    });
    let last_member_at = of_node.iter().rposition(|entry| {
        matches!(&entry.what, What::Event(event) if matches!(event.kind, EventKind::Transition { to: State::Master, .. }))
    });
    holds!(world, last_member_at.is_some() && group_at > last_member_at);
}

#[test]
fn a_sync_group_does_not_take_over_one_network_alone() {
    let mut world = group_pair();
    // Node 1 no longer hears the master on LAN 1, but on LAN 0 it does.
    world.set_cut(1, 0, 1, true);
    world.run(secs(30));
    same!(world, (world.masters(0), world.masters(1)), (vec![0], vec![0]));
    world.kill(0);
    world.run(secs(8));
    same!(world, (world.masters(0), world.masters(1)), (vec![1], vec![1]));
}

#[test]
fn a_sync_group_takeover_waits_for_the_last_deadline_only() {
    let mut world = group_pair();
    world.kill(0);
    let took = world
        .run_until(secs(10), |world| world.masters(0) == [1] && world.masters(1) == [1])
        .unwrap();
    holds!(world, took <= us(3_613_281 + LAN_DELAY_US));
}

#[test]
fn a_paused_master_that_was_replaced_by_a_lower_one_yields_and_preempts_by_the_rules() {
    let mut world = pair();
    world.pause(0, secs(5));
    world.run(millis(4_900));
    same!(world, world.masters(0), [1]);
    let from = world.trace().len();
    let sent_before = world.node(0).core.status(0).unwrap().stats.advert_sent;
    world.run(secs(2));
    same!(
        world,
        world.node(0).core.status(0).unwrap().stats.advert_sent,
        sent_before
    );
    world.run(secs(20));
    same!(world, world.masters(0), [0]);
    same!(
        world,
        transitions(&world, 0, 0, from),
        [(State::Backup, Reason::LateWakeup), (State::Master, Reason::Preempt)]
    );
    same!(
        world,
        transitions(&world, 1, 0, from),
        [(State::Backup, Reason::HigherPriority)]
    );
}

#[test]
fn a_paused_master_that_may_not_preempt_stays_away() {
    let mut config = router(0, 50, 100);
    config.nopreempt = true;
    let mut world = world(vec![config, router(0, 50, 99)]);
    world.start(0);
    world.run(secs(5));
    world.start(1);
    world.run(secs(5));
    world.pause(0, secs(5));
    world.run(secs(30));
    same!(world, world.masters(0), [1]);
}

#[test]
fn a_short_pause_is_no_reason_to_yield() {
    let mut world = pair();
    let from = world.trace().len();
    world.pause(0, millis(2_500));
    world.run(secs(20));
    same!(
        world,
        (transitions(&world, 0, 0, from), transitions(&world, 1, 0, from)),
        (vec![], vec![])
    );
}

#[test]
fn a_paused_master_that_was_replaced_by_a_higher_one_yields_without_a_word() {
    let mut keeper = router(0, 1, 200);
    keeper.nopreempt = true;
    let mut world = world(vec![router(0, 1, 100), keeper]);
    world.start(0);
    world.run(secs(5));
    world.start(1);
    world.run(secs(5));
    same!(world, world.masters(0), [0]);
    world.pause(0, secs(5));
    world.run(millis(4_900));
    same!(world, world.masters(0), [1]);
    let sent_before = world.node(0).core.status(0).unwrap().stats.advert_sent;
    let from = world.trace().len();
    world.run(secs(20));
    same!(world, world.masters(0), [1]);
    same!(
        world,
        transitions(&world, 0, 0, from),
        [(State::Backup, Reason::HigherPriority)]
    );
    same!(world, transitions(&world, 1, 0, from), []);
    same!(
        world,
        world.node(0).core.status(0).unwrap().stats.advert_sent,
        sent_before
    );
}

#[test]
fn a_paused_backup_hears_the_master_before_it_speaks() {
    let mut world = pair();
    let from = world.trace().len();
    for _ in 0..5 {
        world.pause(1, secs(7));
        world.run(secs(8));
    }
    same!(world, transitions(&world, 1, 0, from), []);
}

#[test]
fn a_backup_that_lost_its_packets_while_paused_listens_first() {
    let mut world = pair();
    let from = world.trace().len();
    // Nothing reaches it while it sleeps, not even its socket.
    world.set_cut(0, 0, 1, true);
    world.pause(1, secs(9));
    world.run(millis(8_900));
    world.set_cut(0, 0, 1, false);
    world.run(secs(20));
    same!(world, transitions(&world, 1, 0, from), []);
    same!(world, world.masters(0), [0]);
}

#[test]
fn timer_expired_backup_steps_back_by_itself() {
    let mut config = router(0, 1, 100);
    config.nopreempt = true;
    config.timer_expired_backup = Some(254);
    let mut world = world(vec![config]);
    world.start(0);
    world.run(secs(5));
    let from = world.trace().len();
    world.pause(0, secs(6));
    world.run(millis(6_100));
    same!(
        world,
        transitions(&world, 0, 0, from),
        [(State::Backup, Reason::LateWakeup)]
    );
}

#[test]
fn a_reload_of_the_priority_moves_the_role_without_a_gap() {
    let mut world = pair();
    let mut lower = world.setup(0).clone();
    lower.routers[0].priority = 50;
    world.reload(0, lower);
    world.run(secs(5));
    same!(world, world.masters(0), [1]);
}

#[test]
fn a_reload_that_changes_nothing_sends_nothing() {
    let mut world = pair();
    let sent = world.node(0).core.status(0).unwrap().stats.advert_sent;
    let same = world.setup(0).clone();
    world.reload(0, same);
    same!(world, world.node(0).core.status(0).unwrap().stats.advert_sent, sent);
}

#[test]
fn a_reload_adds_and_removes_addresses_of_a_master() {
    let mut world = pair();
    let mut other = world.setup(0).clone();
    other.routers[0].vips = vec![common::vip("10.0.1.77"), common::vip("10.0.1.78")];
    world.reload(0, other);
    let mut held: Vec<_> = world
        .node(0)
        .installed
        .iter()
        .map(|(_, addr, _)| addr.to_string())
        .collect();
    held.sort();
    same!(world, held, ["10.0.1.77", "10.0.1.78"]);
}

#[test]
fn the_rhythm_of_adverts_is_exact() {
    let mut world = world(vec![router_v3(0, 1, 100, 100, Family::V4)]);
    world.wake_latency = us(900);
    world.trace_adverts = true;
    world.start(0);
    world.run(secs(100));
    let times: Vec<_> = world
        .trace()
        .iter()
        .filter(|entry| matches!(entry.what, What::Advert { .. }))
        .map(|entry| entry.at.as_micros())
        .collect();
    // Late wake-ups do not add up: the n-th advert is n intervals after the first, within one wake-up.
    for (n, at) in (0..).zip(&times) {
        let due = times[0] + n * 100_000;
        holds!(world, *at + 900 >= due && *at <= due + 900);
    }
    holds!(world, times.len() > 990);
}

#[test]
fn one_router_alone_in_the_group_config_is_still_a_router() {
    let setup = Setup {
        routers: vec![router(0, 1, 100)],
        groups: vec![vec![0]],
        ..Setup::default()
    };
    let mut world = World::new(vec![setup, alone(router(0, 1, 50))], 1, 1);
    world.start(0);
    world.start(1);
    world.run(secs(10));
    same!(world, world.masters(0), [0]);
}
