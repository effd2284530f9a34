//! Network namespaces, engines in them, and a tap on the wire, for the integration tests.
//!
//! The tests need root; without it they say so and pass. Every test makes its own namespaces, which vanish with their
//! last descriptor, and never touches the one that it was started in.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of this")]

pub mod frame;
pub mod tap;

use std::fs::File;
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use keepvip_io::{ApplyCommand, Engine, FilterOptions, Modes, Options, Record, RecordKind, StatusBlock};
use keepvip_proto::engine::{Apply, Change, GroupConfig};
use keepvip_proto::time;
use keepvip_proto::vrrp::config::{Family, GarpConfig, IfName, RouterConfig, Version, Vip};
use keepvip_proto::vrrp::report::{EventKind, State};
use keepvip_proto::vrrp::stats::Stats;

/// Longest that any test waits for anything. Not a sleep: everything that is waited for wakes the test.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// True when namespaces can be made; says so when not.
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
pub fn privileged() -> bool {
    // SAFETY: takes no pointer.
    let root = unsafe { libc::geteuid() } == 0;
    if !root {
        eprintln!("skipped: network namespaces need root");
    }
    root
}

/// A network namespace.
pub struct Netns {
    fd: File,
}

impl Netns {
    /// A new one, with its loopback up. The calling thread stays where it was.
    pub fn new() -> Self {
        let netns = std::thread::spawn(|| {
            // SAFETY: takes no pointer; only the namespace of this short-lived thread changes.
            let unshared = unsafe { libc::unshare(libc::CLONE_NEWNET) };
            assert_eq!(unshared, 0, "{}", std::io::Error::last_os_error());
            Self {
                fd: File::open("/proc/thread-self/ns/net").unwrap(),
            }
        })
        .join()
        .unwrap();
        netns.ip("link set lo up");
        netns
    }

    /// Runs `work` in a thread of the namespace.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    // SAFETY: the descriptor is an open namespace; only this short-lived thread changes.
                    let entered = unsafe { libc::setns(self.fd.as_raw_fd(), libc::CLONE_NEWNET) };
                    assert_eq!(entered, 0, "{}", std::io::Error::last_os_error());
                    work()
                })
                .join()
                .unwrap()
        })
    }

    /// `ip` with these words, separated by blanks; several commands by semicolons.
    pub fn ip(&self, commands: &str) {
        self.run(|| {
            for command in commands.split(';') {
                let words = command.split_whitespace();
                let output = Command::new("ip").args(words).output().expect("iproute2 is needed");
                assert!(
                    output.status.success(),
                    "ip {command}: {}",
                    String::from_utf8_lossy(&output.stderr)
                );
            }
        });
    }

    /// Many commands, one a line, in one process.
    pub fn batch(&self, commands: &str) {
        self.run(|| {
            let mut ip = Command::new("ip")
                .args(["-batch", "-"])
                .stdin(Stdio::piped())
                .spawn()
                .unwrap();
            ip.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
            assert!(ip.wait().unwrap().success());
        });
    }

    /// What `ip` prints.
    pub fn ask(&self, command: &str) -> String {
        self.run(|| {
            let output = Command::new("ip")
                .args(command.split_whitespace())
                .output()
                .expect("iproute2 is needed");
            String::from_utf8(output.stdout).unwrap()
        })
    }

    /// A path that names the namespace for `ip link set … netns`.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.fd.as_raw_fd())
    }
}

/// Two namespaces with a cable between them: `left` in one, `right` in the other, both up, with 10.9.0.1 and .2.
pub fn pair() -> (Netns, Netns) {
    let (a, b) = (Netns::new(), Netns::new());
    cable(&a, "left", &b, "right");
    a.ip("addr add 10.9.0.1/24 dev left");
    b.ip("addr add 10.9.0.2/24 dev right");
    (a, b)
}

/// A cable between two namespaces, both ends up.
pub fn cable(a: &Netns, left: &str, b: &Netns, right: &str) {
    a.ip(&format!(
        "link add {left} type veth peer name {right} netns {}; link set {left} up",
        b.path()
    ));
    b.ip(&format!("link set {right} up"));
}

/// A virtual router on IPv4, version 3, 100 ms.
pub fn router(interface: &str, vrid: u8, priority: u8) -> RouterConfig {
    RouterConfig {
        netns: 0,
        interface: IfName::new(interface),
        vmac: None,
        address_links: vec![],
        vrf: None,
        family: Family::V4,
        version: Version::V3,
        vrid,
        priority,
        initial_master: false,
        advert_interval: time::Duration::from_millis(100),
        nopreempt: false,
        preempt_delay: time::Duration::ZERO,
        down_timer_adverts: 3,
        skip_check_adv_addr: false,
        lower_prio_no_advert: false,
        higher_prio_send_advert: false,
        owner_ignore_adverts: false,
        checksum_as_v2: false,
        timer_expired_backup: None,
        password: None,
        hmac: None,
        ah_key: None,
        source: None,
        group: IpAddr::from([224, 0, 0, 18]),
        unicast: None,
        track_source: false,
        dont_track_primary: false,
        vips: vec![vip(&format!("10.10.{vrid}.1"), 32)],
        garp: GarpConfig::default(),
        tracks: Vec::new(),
    }
}

/// The same on IPv6.
pub fn router_v6(interface: &str, vrid: u8, priority: u8) -> RouterConfig {
    let vips = [format!("fe80::10:{vrid:x}"), format!("2001:db8::{vrid:x}")];
    RouterConfig {
        family: Family::V6,
        group: "ff02::12".parse().unwrap(),
        vips: vips
            .iter()
            .map(|addr| Vip {
                flags: 2,
                ..vip(addr, 64)
            })
            .collect(),
        ..router(interface, vrid, priority)
    }
}

/// A virtual address.
pub fn vip(addr: &str, prefix_len: u8) -> Vip {
    Vip {
        addr: addr.parse().unwrap(),
        prefix_len,
        dev: None,
        scope: 0,
        broadcast: None,
        label: None,
        peer: None,
        flags: 0,
        preferred_lft_s: None,
        no_track: false,
        advertised: true,
        guarded: false,
    }
}

/// An engine in a namespace.
pub struct Node {
    pub engine: Engine,
    pub records: Vec<Record>,
    pub blocks: Vec<Arc<StatusBlock>>,
    epoch: u32,
    looked_at: usize,
    thread: i32,
}

impl Node {
    /// Starts an engine with ordinary scheduling.
    pub fn start(netns: &Netns) -> Self {
        let options = Options {
            rt_priority: None,
            lock_memory: false,
            filter: FilterOptions::default(),
            modes: Modes::from_environment().unwrap(),
        };
        Self::start_with(netns, options)
    }

    /// Starts an engine.
    pub fn start_with(netns: &Netns, options: Options) -> Self {
        // One at a time, so that the new thread is known by its difference.
        static STARTING: Mutex<()> = Mutex::new(());
        let starting = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
        let before = engine_threads();
        let engine = netns.run(|| Engine::start(options)).unwrap();
        let thread = engine_threads()
            .into_iter()
            .find(|thread| !before.contains(thread))
            .unwrap();
        drop(starting);
        Self {
            engine,
            records: Vec::new(),
            blocks: Vec::new(),
            epoch: 0,
            looked_at: 0,
            thread,
        }
    }

    /// Starts an engine with these routers in slots 0, 1, 2 …, in one sync group if `together`.
    pub fn running(netns: &Netns, routers: impl IntoIterator<Item = RouterConfig>, together: bool) -> Self {
        let mut node = Self::start(netns);
        node.add(routers, together);
        node
    }

    /// The first configuration.
    pub fn add(&mut self, routers: impl IntoIterator<Item = RouterConfig>, together: bool) {
        let changes: Vec<_> = (0..)
            .zip(routers)
            .map(|(slot, config)| Change::Add {
                slot,
                config: Box::new(config),
            })
            .collect();
        let members = (0..).take(changes.len()).collect();
        self.blocks = changes.iter().map(|_| Arc::default()).collect();
        let groups = if together {
            vec![GroupConfig { members }]
        } else {
            Vec::new()
        };
        self.apply(Apply {
            changes,
            groups,
            clear_residue: true,
            hold_until: None,
            links: Vec::new(),
            tell_unknown: false,
        });
    }

    /// A further configuration.
    pub fn apply(&mut self, apply: Apply) {
        self.epoch += 1;
        let status = self.blocks.iter().cloned().map(Some).collect();
        self.engine
            .apply(Box::new(ApplyCommand {
                namespaces: vec![],
                apply,
                status,
                epoch: self.epoch,
            }))
            .unwrap();
    }

    /// Waits for the next record that `wanted` answers for; earlier ones are skipped.
    pub fn wait<T>(&mut self, what: &str, mut wanted: impl FnMut(&Record) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.engine.drain(|record| self.records.push(record));
            while let Some(record) = self.records.get(self.looked_at) {
                self.looked_at += 1;
                if let Some(found) = wanted(record) {
                    return found;
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let failed = self.records.iter().any(|record| record.kind == RecordKind::Fatal);
            assert!(!failed, "waited for {what}, but: {:?}", self.engine.join());
            assert!(
                !left.is_zero(),
                "waited in vain for {what}; so far: {:#?}",
                self.records
            );
            let mut poll = libc::pollfd {
                fd: self.engine.wake().raw(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one valid entry.
            unsafe { libc::poll(&raw mut poll, 1, i32::try_from(left.as_millis()).unwrap() + 1) };
        }
    }

    /// Waits until the router in `slot` has changed to `state`.
    pub fn wait_state(&mut self, slot: u32, state: State) -> Record {
        self.wait(&format!("slot {slot} to become {state:?}"), |record| {
            match record.kind {
                RecordKind::Event {
                    kind: EventKind::Transition { slot: of, to, .. },
                    ..
                } if of == slot && to == state => Some(*record),
                _ => None,
            }
        })
    }

    /// Waits until the routers in `slots` have changed to `state`, in any order; returns the last of these reports.
    pub fn wait_states(&mut self, slots: &[u32], state: State) -> Record {
        let mut left: Vec<u32> = slots.to_vec();
        self.wait(&format!("slots {slots:?} to become {state:?}"), |record| {
            if let RecordKind::Event {
                kind: EventKind::Transition { slot, to, .. },
                ..
            } = record.kind
                && to == state
            {
                left.retain(|&other| other != slot);
            }
            left.is_empty().then_some(*record)
        })
    }

    /// Waits for a report that `wanted` answers for.
    pub fn wait_event<T>(&mut self, what: &str, mut wanted: impl FnMut(&EventKind) -> Option<T>) -> T {
        self.wait(what, |record| match &record.kind {
            RecordKind::Event { kind, .. } => wanted(kind),
            _ => None,
        })
    }

    /// Waits until the router in `slot` has heard so many adverts.
    pub fn wait_heard(&self, slot: usize, adverts: u64) {
        self.wait_stats(slot, |stats| stats.advert_rcvd >= adverts);
    }

    /// Waits until the router in `slot` has sent so many adverts.
    pub fn wait_sent(&self, slot: usize, adverts: u64) {
        self.wait_stats(slot, |stats| stats.advert_sent >= adverts);
    }

    fn wait_stats(&self, slot: usize, enough: impl Fn(&Stats) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !enough(&self.blocks[slot].read().stats) {
            assert!(Instant::now() < deadline, "slot {slot}: nothing moves");
            std::thread::yield_now();
        }
    }

    /// All transitions so far: slot and new state.
    pub fn transitions(&mut self) -> Vec<(u32, State)> {
        self.engine.drain(|record| self.records.push(record));
        let transition = |record: &Record| match record.kind {
            RecordKind::Event {
                kind: EventKind::Transition { slot, to, .. },
                ..
            } => Some((slot, to)),
            _ => None,
        };
        self.records.iter().filter_map(transition).collect()
    }

    /// Thread id of the engine: the one of that name that was started last.
    pub fn thread_id(&self) -> i32 {
        self.thread
    }

    /// Stops with everything released.
    pub fn stop(mut self) {
        self.engine.stop(true).unwrap();
        self.wait_event("the end", |kind| (*kind == EventKind::Stopped).then_some(()));
        self.engine.join().unwrap();
    }
}

/// Thread ids of all engines of this process.
fn engine_threads() -> Vec<i32> {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let ids = tasks.filter_map(|task| task.unwrap().file_name().into_string().unwrap().parse().ok());
    let is_engine = |id: &i32| {
        let name = std::fs::read_to_string(format!("/proc/self/task/{id}/comm")).unwrap_or_default();
        name.trim_end() == "keepvip-engine"
    };
    ids.filter(is_engine).collect()
}

/// Runs `work` while one thread of this process is stopped dead, as by a debugger.
///
/// A tracer cannot be a thread of the same process, so a child process does it: the scheduler's idle class under two
/// busy threads would only slow it down, and SIGSTOP stops the process as a whole.
pub fn stopped<T>(thread: i32, work: impl FnOnce() -> T) -> T {
    // SAFETY: takes no pointer; lets the child trace us even where Yama forbids it.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    let (mut hold, release) = std::io::pipe().map(|(reader, writer)| (writer, reader)).unwrap();
    let (mut held, holding) = std::io::pipe().unwrap();
    // SAFETY: the child calls only async-signal-safe functions (ptrace, waitpid, read, write, _exit).
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "{}", std::io::Error::last_os_error());
    if child == 0 {
        tracer(thread, release.as_raw_fd(), holding.as_raw_fd());
    }
    drop((release, holding));
    let mut byte = [0];
    held.read_exact(&mut byte).unwrap();
    assert_eq!(byte, [1], "the thread could not be stopped");
    let result = work();
    hold.write_all(&[1]).unwrap();
    // SAFETY: our own child; its status is not asked for.
    unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
    result
}

/// The child process: stops the thread, says so, and lets it go on when told to.
fn tracer(thread: i32, release: i32, holding: i32) -> ! {
    let null = std::ptr::null_mut::<libc::c_void>();
    let mut status = 0;
    let mut byte = [0_u8; 1];
    // SAFETY: async-signal-safe calls on our own descriptors and memory; the thread exists as long as its engine.
    unsafe {
        let stopped = libc::ptrace(libc::PTRACE_SEIZE, thread, null, null) == 0
            && libc::ptrace(libc::PTRACE_INTERRUPT, thread, null, null) == 0
            && libc::waitpid(thread, &raw mut status, libc::__WALL) == thread;
        byte[0] = u8::from(stopped);
        libc::write(holding, byte.as_ptr().cast(), 1);
        libc::read(release, byte.as_mut_ptr().cast(), 1);
        libc::ptrace(libc::PTRACE_DETACH, thread, null, null);
        libc::_exit(0)
    }
}
