//! A second, deliberately naive router, written from the reference text and sharing nothing with the core, runs beside
//! the real one through arbitrary histories; they must agree on state, deadline and adverts after every step.
//!
//! The model knows one router without a group, in whole microseconds, and nothing of queues or wheels.

mod bench;

use bench::{Bench, Packet, config, link};
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::RouterConfig;
use keepvip_proto::vrrp::report::State;
use keepvip_proto::wire::Version;
use keepvip_proto::{Apply, Change};
use proptest::prelude::*;

const SECOND_US: u64 = 1_000_000;

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// Time passes, and we are awake at every deadline.
    Pass(u64),
    /// The peer (a higher address than ours) sends this priority.
    Hear { priority: u8, interval_cs: u16 },
    /// The cable.
    Link(bool),
    /// A reload with another priority.
    Priority(u8),
}

#[derive(Debug)]
struct Model {
    now: u64,
    state: State,
    version: Version,
    priority: u64,
    interval: u64,
    master_interval: u64,
    deadline: u64,
    nopreempt: bool,
    preempt_delay: u64,
    preempt_at: Option<u64>,
    adverts: usize,
}

impl Model {
    fn skew(&self) -> u64 {
        match self.version {
            Version::V2 => (256 - self.priority) * SECOND_US / 256,
            Version::V3 => (256 - self.priority) * self.master_interval / 256,
        }
    }

    fn down(&self) -> u64 {
        3 * self.master_interval + self.skew()
    }

    fn becomes_backup(&mut self) {
        self.state = State::Backup;
        self.preempt_at = None;
        self.deadline = self.now + self.down();
    }

    fn becomes_master(&mut self) {
        self.state = State::Master;
        self.master_interval = self.interval;
        self.adverts += 1;
        self.deadline = self.now + self.interval;
    }

    fn pass(&mut self, span: u64) {
        let end = self.now + span;
        while self.state != State::Fault && self.deadline <= end {
            self.now = self.deadline;
            match self.state {
                State::Backup => self.becomes_master(),
                _ => {
                    self.adverts += 1;
                    self.deadline += self.interval;
                }
            }
        }
        self.now = end;
    }

    fn hear(&mut self, priority: u64, interval: u64) {
        let interval = if self.version == Version::V2 {
            self.interval
        } else {
            interval
        };
        match self.state {
            State::Backup if priority == 0 => self.deadline = self.now + self.skew(),
            State::Backup => {
                if priority >= self.priority {
                    self.preempt_at = None;
                } else if self.preempt_delay > 0 && !self.nopreempt && self.preempt_at.is_none() {
                    self.preempt_at = Some(self.now + self.preempt_delay);
                }
                let tolerated = self.preempt_at.is_some_and(|at| self.now < at);
                if priority >= self.priority || self.nopreempt || tolerated {
                    self.master_interval = interval;
                    self.deadline = self.now + self.down();
                }
            }
            State::Master if priority == 0 || priority < self.priority => {
                self.adverts += 1;
                self.deadline = self.now + self.interval;
            }
            // The peer's address is higher: equal priority loses.
            State::Master => {
                self.master_interval = interval;
                self.becomes_backup();
            }
            State::Init | State::Fault => {}
        }
    }

    fn link(&mut self, up: bool) {
        match (self.state, up) {
            (State::Fault, true) => {
                self.master_interval = self.interval;
                self.becomes_backup();
            }
            (State::Backup | State::Master, false) => self.state = State::Fault,
            _ => {}
        }
    }

    fn reload(&mut self, priority: u64) {
        if priority == self.priority {
            return;
        }
        let before = self.down();
        self.priority = priority;
        match self.state {
            State::Backup => self.deadline = (self.deadline + self.down() - before).max(self.now),
            State::Master => {
                self.adverts += 1;
                self.deadline = self.now + self.interval;
            }
            State::Init | State::Fault => {}
        }
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..5_000_000u64).prop_map(Step::Pass),
        4 => (prop_oneof![Just(0u8), 98..103u8, any::<u8>()], 10..400u16)
            .prop_map(|(priority, interval_cs)| Step::Hear { priority, interval_cs }),
        1 => any::<bool>().prop_map(Step::Link),
        1 => (1..254u8).prop_map(Step::Priority),
    ];
    prop::collection::vec(step, 1..60)
}

fn configs() -> impl Strategy<Value = RouterConfig> {
    (
        any::<bool>(),
        1..254u8,
        any::<bool>(),
        prop_oneof![Just(0), 1..5_000_000u64],
        1..30u64,
    )
        .prop_map(|(v3, priority, nopreempt, preempt_delay_us, interval)| RouterConfig {
            version: if v3 { Version::V3 } else { Version::V2 },
            password: None,
            hmac: None,
            ah_key: None,
            priority,
            nopreempt,
            preempt_delay: Duration::from_micros(preempt_delay_us),
            advert_interval: if v3 {
                Duration::from_millis(interval * 100)
            } else {
                Duration::from_secs(1)
            },
            ..config()
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn the_core_does_what_the_text_says(config in configs(), steps in steps()) {
        let mut bench = Bench::new(vec![config.clone()]);
        let interval = config.advert_interval.as_micros();
        let mut model = Model {
            now: bench.now.as_micros(),
            state: State::Init,
            version: config.version,
            priority: u64::from(config.priority),
            interval,
            master_interval: interval,
            deadline: 0,
            nopreempt: config.nopreempt,
            preempt_delay: config.preempt_delay.as_micros(),
            preempt_at: None,
            adverts: 0,
        };
        model.becomes_backup();
        let mut current = config;
        for step in steps {
            match step {
                Step::Pass(span) => {
                    model.pass(span);
                    bench.run(Duration::from_micros(span));
                }
                Step::Hear { priority, interval_cs } => {
                    model.hear(u64::from(priority), u64::from(interval_cs) * 10_000);
                    let v2 = current.version == Version::V2;
                    bench.hear(&Packet {
                        priority,
                        version: current.version,
                        advert_int: if v2 { 1 } else { interval_cs },
                        auth: keepvip_proto::wire::AuthField::None,
                        ..Packet::default()
                    });
                }
                Step::Link(up) => {
                    model.link(up);
                    bench.core.handle_link(link(up));
                    bench.turn();
                }
                Step::Priority(priority) => {
                    model.reload(u64::from(priority));
                    if priority != current.priority {
                        current.priority = priority;
                        let changes = vec![Change::Update { slot: 0, config: Box::new(current.clone()) }];
                        bench.tell_kept();
                        bench.core.apply(bench.now, Apply { changes, ..Apply::default() });
                        bench.turn();
                    }
                }
            }
            // A deadline that the step moved to this moment is handled at once.
            model.pass(0);
            bench.tell_kept();
            let status = bench.core.status(0).unwrap();
            prop_assert_eq!(status.state, model.state);
            prop_assert_eq!(bench.sent_alive(), model.adverts);
            if model.state != State::Fault {
                let next = bench.core.next_protocol_deadline(0);
                prop_assert_eq!(next, Some(Instant::from_micros(model.deadline)));
            }
        }
    }
}
