//! Everything that can go wrong in the core election, in every order, up to a small number of mishaps.
//!
//! Time goes in steps of 700 ms, which drift through all phases of the adverts' second. At each step one thing may happen,
//! or none:
//!
//! * a node is killed, or stopped (priority 0), or started when it does not run;
//! * a node sleeps for 2.1 s (less than a master down interval) or for 4.9 s (more), which spans further steps; or it is
//!   suspended for 8.4 s (more than two of them), and what is sent to it meanwhile is lost;
//! * the next advert of a node reaches nobody;
//! * a LAN is split between the first node and the others, or healed;
//! * the cable of a node is pulled, or plugged in again (only where the case says so).
//!
//! *All* sequences are tried, up to a number of mishaps and steps that the tests below give: a tree whose branches are clones of
//! one world. After every mishap the branch is also continued by another clone in which everything is repaired, nobody is
//! disturbed any longer, and then must hold:
//!
//! 1. Within the time that the protocol allows there is one master, and only one, and it stays.
//! 2. Where everybody preempts, it is the best of those that run.
//! 3. Only the master holds the address.
//! 4. Nobody changed its role more often than it had to: twice at most.
//! 5. All members of a sync group have one state, which is also looked at all the time.
//!
//! And at every step, repaired or not: while the LAN is whole and nobody sleeps, two masters do not last longer than it takes
//! until one of them speaks: an interval, and the skew when it woke late and listens first.
//!
//! The first mishap hits a calm world, so more can be said of it: a killed master is replaced after the master down interval, a
//! stopped one after the skew, at whatever phase it happens; nothing that happens to a backup makes anybody move; and a master that slept
//! through its replacement yields before it speaks.
//!
//! A failure names the sequence and prints the trace of that world.

#[macro_use]
mod common;

use common::{alone, millis, router, router_v3, secs, transitions};
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::RouterConfig;
use keepvip_proto::vrrp::report::{Reason, State};
use keepvip_proto::wire::Family;
use keepvip_sim::{NodeState, Setup, World};

const STEP: Duration = millis(700);
const SHORT_SLEEP: Duration = millis(2_100);
const LONG_SLEEP: Duration = millis(4_900);
const SUSPENSION: Duration = millis(8_400);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mishap {
    Kill(usize),
    Stop(usize),
    Start(usize),
    Sleep(usize, Duration),
    Suspend(usize),
    LoseNext(usize),
    Split(usize),
    Heal(usize),
    Pull(usize, usize),
    Plug(usize, usize),
}

/// What is explored: the first state, and what may be expected of the end.
struct Case {
    world: World,
    nodes: usize,
    /// LANs, and routers of each node: one for each LAN, all in one sync group.
    lans: usize,
    /// Cables are pulled.
    pulls: bool,
    /// The best of those that run ends as master.
    best_wins: bool,
    /// Longest time from repair to a single master.
    settle: Duration,
    /// Longest time with two masters while they can hear each other.
    overlap: Duration,
}

/// How far.
#[derive(Clone, Copy)]
struct Limits {
    steps: usize,
    mishaps: usize,
}

/// One branch.
#[derive(Clone)]
struct Branch {
    world: World,
    path: Vec<(usize, Mishap)>,
    split: Vec<bool>,
    /// Since when there were two masters that should know of each other.
    doubled: Option<Instant>,
}

fn explore(case: &Case, limits: Limits) -> usize {
    let root = Branch {
        world: case.world.clone(),
        path: vec![],
        split: vec![false; case.lans],
        doubled: None,
    };
    let mut stack = vec![(root, 0)];
    let mut tried = 0;
    while let Some((branch, step)) = stack.pop() {
        if step == limits.steps {
            continue;
        }
        if branch.path.len() < limits.mishaps {
            for mishap in possible(case, &branch) {
                let mut next = branch.clone();
                next.path.push((step, mishap));
                happen(&mut next, mishap);
                run(case, &mut next, STEP);
                check_repaired(case, &next);
                if let [(_, first)] = next.path[..] {
                    check_first(case, &branch.world, first);
                }
                tried += 1;
                stack.push((next, step + 1));
            }
        }
        let mut quiet = branch;
        run(case, &mut quiet, STEP);
        stack.push((quiet, step + 1));
    }
    tried
}

fn possible(case: &Case, branch: &Branch) -> Vec<Mishap> {
    let mut all: Vec<_> = (0..case.lans)
        .map(|lan| {
            if branch.split[lan] {
                Mishap::Heal(lan)
            } else {
                Mishap::Split(lan)
            }
        })
        .collect();
    for id in 0..case.nodes {
        for lan in (0..case.lans).filter(|_| case.pulls) {
            all.push(if branch.world.node(id).links_up(lan) {
                Mishap::Pull(id, lan)
            } else {
                Mishap::Plug(id, lan)
            });
        }
        match branch.world.node(id).state {
            NodeState::Running => all.extend([
                Mishap::Kill(id),
                Mishap::Stop(id),
                Mishap::Sleep(id, SHORT_SLEEP),
                Mishap::Sleep(id, LONG_SLEEP),
                Mishap::Suspend(id),
            ]),
            NodeState::Paused => all.push(Mishap::Kill(id)),
            NodeState::Dead => all.push(Mishap::Start(id)),
        }
        if branch.world.state(id, 0) == Some(State::Master) {
            all.push(Mishap::LoseNext(id));
        }
    }
    all
}

fn happen(branch: &mut Branch, mishap: Mishap) {
    let world = &mut branch.world;
    match mishap {
        Mishap::Kill(id) => world.kill(id),
        Mishap::Stop(id) => world.stop(id),
        Mishap::Start(id) => world.start(id),
        Mishap::Sleep(id, span) => world.pause(id, span),
        Mishap::Suspend(id) => world.suspend(id, SUSPENSION),
        Mishap::LoseNext(id) => world.lose_next(id),
        Mishap::Split(lan) | Mishap::Heal(lan) => {
            branch.split[lan] = mishap == Mishap::Split(lan);
            world.split(lan, &[0], branch.split[lan]);
        }
        Mishap::Pull(id, lan) | Mishap::Plug(id, lan) => world.set_link(id, lan, mishap == Mishap::Plug(id, lan)),
    }
}

/// Runs on, and watches for masters that do not know of each other.
fn run(case: &Case, branch: &mut Branch, span: Duration) {
    let end = branch.world.now() + span;
    while branch.world.now() < end {
        branch.world.run(millis(50).min(end.since(branch.world.now())));
        check_groups(case, branch);
        let disturbed = branch.split.contains(&true)
            || (0..case.nodes)
                .map(|id| branch.world.node(id))
                .any(|node| node.state == NodeState::Paused || node.loses_next());
        if disturbed || branch.world.masters(0).len() < 2 {
            branch.doubled = None;
            continue;
        }
        let since = *branch.doubled.get_or_insert_with(|| branch.world.now());
        assert!(
            branch.world.now().since(since) <= case.overlap,
            "two masters: {:?}\n{}",
            branch.path,
            branch.world.trace_text()
        );
    }
}

fn check_groups(case: &Case, branch: &Branch) {
    for id in 0..case.nodes {
        for slot in 1..u32::try_from(case.lans).unwrap() {
            assert_eq!(
                branch.world.state(id, 0),
                branch.world.state(id, slot),
                "members of node {id} after {:?}\n{}",
                branch.path,
                branch.world.trace_text()
            );
        }
    }
}

fn check_repaired(case: &Case, branch: &Branch) {
    let mut branch = branch.clone();
    for lan in 0..case.lans {
        if branch.split[lan] {
            happen(&mut branch, Mishap::Heal(lan));
        }
        for id in 0..case.nodes {
            if !branch.world.node(id).links_up(lan) {
                happen(&mut branch, Mishap::Plug(id, lan));
            }
        }
    }
    // Whoever sleeps wakes up by itself; then the dead are started, and nothing else happens.
    run(case, &mut branch, SUSPENSION);
    for id in 0..case.nodes {
        if branch.world.node(id).state == NodeState::Dead {
            branch.world.start(id);
        }
    }
    let from = branch.world.trace().len();
    run(case, &mut branch, case.settle);
    let (world, path) = (&branch.world, &branch.path);
    let masters = world.masters(0);
    assert!(
        masters.len() == 1 && (!case.best_wins || masters == [0]),
        "masters {masters:?} after {path:?}\n{}",
        world.trace_text()
    );
    for id in 0..case.nodes {
        let moved = transitions(world, id, 0, from);
        // Up once and down once; a start has one more, from INIT.
        assert!(
            moved.len() <= 3,
            "node {id}: {moved:?} after {path:?}\n{}",
            world.trace_text()
        );
        assert_eq!(
            world.node(id).installed.is_empty(),
            masters != [id],
            "addresses of node {id} after {path:?}\n{}",
            world.trace_text()
        );
    }
    let settled = world.trace().len();
    run(case, &mut branch, secs(5));
    assert_eq!(
        branch.world.trace().len(),
        settled,
        "it moves again after {:?}\n{}",
        branch.path,
        branch.world.trace_text()
    );
}

/// What one mishap does to a calm world.
fn check_first(case: &Case, calm: &World, mishap: Mishap) {
    let master = calm.masters(0)[0];
    let mut branch = Branch {
        world: calm.clone(),
        path: vec![(0, mishap)],
        split: vec![false; case.lans],
        doubled: None,
    };
    let config = &calm.setup(1 - master.min(1)).routers[0];
    let (down, skew) = (
        config.master_down(config.priority, config.advert_interval),
        RouterConfig::skew(config.version, config.priority, config.advert_interval),
    );
    happen(&mut branch, mishap);
    let world = &mut branch.world;
    let from = world.trace().len();
    // The delay of the LAN, and whether the last advert had just left.
    let slack = millis(1);
    match mishap {
        Mishap::Kill(id) if id == master => {
            let took = world.run_until(secs(10), |world| !world.masters(0).is_empty());
            let took = took.unwrap_or(Duration::ZERO);
            holds!(
                world,
                took <= down + slack && took + config.advert_interval + slack >= down
            );
        }
        Mishap::Stop(id) if id == master => {
            let took = world.run_until(secs(10), |world| !world.masters(0).is_empty());
            holds!(world, took.is_some_and(|took| took <= skew + slack && took >= skew));
        }
        Mishap::Kill(id) | Mishap::Stop(id) | Mishap::Sleep(id, _) | Mishap::Suspend(id) if id != master => {
            world.run(SUSPENSION + secs(6));
            for node in (0..case.nodes).filter(|&node| node != id) {
                same!(world, transitions(world, node, 0, from), []);
            }
            if !matches!(mishap, Mishap::Stop(_)) {
                same!(world, transitions(world, id, 0, from), []);
            }
        }
        Mishap::Sleep(_, SHORT_SLEEP) | Mishap::LoseNext(_) => {
            world.run(secs(9));
            for node in 0..case.nodes {
                same!(world, transitions(world, node, 0, from), []);
            }
        }
        // A master that slept through its replacement is the first to yield, and has said nothing before.
        Mishap::Sleep(id, _) | Mishap::Suspend(id) => {
            let sent = |world: &World| world.node(id).core.status(0).unwrap().stats.advert_sent;
            let before = sent(world);
            world.run_until(secs(20), |world| transitions(world, id, 0, from).len() == 1);
            // The other member of its group may have heard of it first.
            let [(State::Backup, Reason::LateWakeup | Reason::SyncGroup)] = transitions(world, id, 0, from)[..] else {
                panic!("{}", world.trace_text());
            };
            same!(world, sent(world), before);
        }
        // The others have no single right outcome before they are repaired.
        Mishap::Kill(_)
        | Mishap::Stop(_)
        | Mishap::Start(_)
        | Mishap::Split(_)
        | Mishap::Heal(_)
        | Mishap::Pull(..)
        | Mishap::Plug(..) => {}
    }
}

fn case(configs: Vec<RouterConfig>, best_wins: bool) -> Case {
    case_of(configs.into_iter().map(alone).collect(), best_wins)
}

fn case_of(setups: Vec<Setup>, best_wins: bool) -> Case {
    let (nodes, lans) = (setups.len(), setups[0].routers.len());
    let first = setups[0].routers[0].clone();
    let worst = setups.iter().map(|setup| setup.routers[0].priority).min().unwrap();
    let interval = first.advert_interval;
    let skew = RouterConfig::skew(first.version, worst, interval);
    let mut world = World::new(setups, lans, 1);
    for id in 0..nodes {
        world.start(id);
    }
    world.run(secs(5));
    same!(world, world.masters(0).len(), 1);
    Case {
        world,
        nodes,
        lans,
        pulls: false,
        best_wins,
        // A down time, one more for whoever listened first, and another to preempt.
        settle: interval.times(12),
        overlap: interval + skew + millis(100),
    }
}

fn first_master(mut config: RouterConfig) -> RouterConfig {
    config.initial_master = true;
    config
}

const DEEP: Limits = Limits { steps: 6, mishaps: 4 };
const WIDE: Limits = Limits { steps: 7, mishaps: 2 };

#[test]
fn two_nodes_of_different_priority() {
    let case = case(vec![first_master(router(0, 7, 100)), router(0, 7, 99)], true);
    let tried = explore(&case, DEEP);
    // A change that makes the exploration small would make it worthless.
    assert!(tried > 50_000, "{tried}");
}

#[test]
fn two_nodes_of_equal_priority() {
    let case = case(vec![router(0, 7, 100), router(0, 7, 100)], false);
    explore(&case, WIDE);
}

#[test]
fn a_better_node_that_does_not_preempt() {
    let mut better = router(0, 7, 100);
    better.nopreempt = true;
    let case = case(vec![better, router(0, 7, 99)], false);
    explore(&case, WIDE);
}

#[test]
fn version_3_over_ipv6() {
    let node = |priority| router_v3(0, 7, priority, 1000, Family::V6);
    let case = case(vec![node(100), node(99)], true);
    explore(&case, WIDE);
}

#[test]
fn three_nodes() {
    let case = case(
        vec![first_master(router(0, 7, 100)), router(0, 7, 99), router(0, 7, 98)],
        true,
    );
    explore(&case, WIDE);
}

#[test]
fn cables_too() {
    let mut case = case(vec![first_master(router(0, 7, 100)), router(0, 7, 99)], true);
    case.pulls = true;
    explore(&case, WIDE);
}

#[test]
fn a_sync_group_on_two_lans() {
    let setup = |priority, wish: fn(RouterConfig) -> RouterConfig| Setup {
        routers: [0, 1].map(|lan| wish(router(lan, 7, priority))).to_vec(),
        groups: vec![vec![0, 1]],
        ..Setup::default()
    };
    let mut case = case_of(vec![setup(100, first_master), setup(99, |config| config)], true);
    case.pulls = true;
    explore(&case, WIDE);
}
