//! Arbitrary histories of a whole core: packets good and bad, links and addresses that come and go, results with errors,
//! tracked things, reloads of any difference, lost notifications, time jumps; against a small model of the kernel that
//! answers at once and tells of what happened later, in order, as rtnetlink does.
//!
//! What must hold after every turn is in `World::check`; what must hold once the kernel has told everything, in
//! `World::check_told`.

mod bench;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;

use bench::{GROUP, Packet, add, address, config, link, update, vip};
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::auth_hmac::{HmacConfig, HmacKey, HmacMode};
use keepvip_proto::vrrp::config::{GarpConfig, IfName, OldChecksum, Peer, RouterConfig, Unicast, Vip};
use keepvip_proto::vrrp::output::{AddressFact, AddressOp, IfId, LinkFact, MembershipOp};
use keepvip_proto::vrrp::report::{EventKind, Faults, State};
use keepvip_proto::vrrp::track::{Track, TrackTarget, TrackValue};
use keepvip_proto::wire::hmac_trailer::{Sequence, sign};
use keepvip_proto::wire::{AdvertView, AuthField, Family, Ipv4Repr, Version, ah};
use keepvip_proto::{AdvertRx, Apply, Change, Core, GroupConfig};
use proptest::prelude::*;

const SLOTS: usize = 4;
const NAMES: [&str; 3] = ["eth0", "eth1", "eth2"];
/// A router that speaks to two peers instead of a group.
const UNICAST: usize = 2;
/// Another one, which leaves the choice of the interface to the routing table.
const ROUTED: usize = 3;
const KEY: [u8; 32] = [0x5a; 32];
const OTHER_KEY: [u8; 32] = [0xa5; 32];
const ENODEV: i32 = 19;
const EADDRNOTAVAIL: i32 = 99;

/// What may happen.
#[derive(Clone, Debug)]
enum Step {
    /// Awake at every deadline.
    Pass {
        us: u64,
    },
    /// Asleep.
    Jump {
        us: u64,
    },
    Advert {
        slot: usize,
        priority: u8,
        interval: u16,
        sender: u8,
        spoil: Spoil,
    },
    Bytes {
        interface: usize,
        bytes: Vec<u8>,
        ttl: u8,
    },
    Carrier {
        name: usize,
        up: bool,
    },
    /// Deleted, or created again under another index.
    Exists {
        name: usize,
        exists: bool,
    },
    Rename {
        name: usize,
        away: bool,
    },
    Source {
        name: usize,
        present: bool,
    },
    /// Somebody else takes one of our addresses off.
    Thief {
        nth: usize,
    },
    Track {
        id: u32,
        value: TrackValue,
    },
    Configure {
        genes: Vec<Option<Gene>>,
        groups: Vec<Option<u8>>,
    },
    /// Notifications are lost, and everything is told anew.
    Overrun,
    /// The kernel carries out what was asked for, so many operations.
    Work {
        operations: usize,
    },
    /// It answers.
    Answer {
        operations: usize,
    },
    /// It tells of what happened, so many messages.
    News {
        messages: usize,
    },
    /// All of that, until there is nothing left.
    Tell,
    /// The kernel refuses what comes next.
    Refuse {
        errno: i32,
    },
}

#[derive(Clone, Copy, Debug)]
enum Spoil {
    Nothing,
    Checksum,
    Ttl,
    Password,
    Short,
}

/// One router's configuration, as far as it varies.
#[derive(Clone, Debug)]
struct Gene {
    priority: u8,
    initial_master: bool,
    v3: bool,
    fast: bool,
    nopreempt: bool,
    preempt_delay_s: u64,
    quirks: u8,
    vips: u8,
    tracks: u8,
    garp: u8,
    auth: u8,
}

fn gene() -> impl Strategy<Value = Gene> {
    (
        prop_oneof![4 => 1..=254u8, 1 => Just(255u8)],
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        any::<bool>(),
        0..3u64,
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
        any::<u8>(),
    )
        .prop_map(
            |(priority, initial_master, v3, fast, nopreempt, preempt_delay_s, quirks, vips, tracks, garp, auth)| Gene {
                priority,
                initial_master,
                v3,
                fast,
                nopreempt,
                preempt_delay_s,
                quirks,
                vips,
                tracks,
                garp,
                auth,
            },
        )
}

impl Gene {
    fn hmac(&self) -> Option<HmacConfig> {
        let mode = match self.auth % 5 {
            0 => HmacMode::Enforce,
            1 => HmacMode::Permissive,
            2 => HmacMode::ReceiveOnly,
            _ => return None,
        };
        Some(HmacConfig {
            keys: [(1, KEY), (2, OTHER_KEY)]
                .map(|(id, secret)| HmacKey {
                    id,
                    secret: secret.to_vec(),
                })
                .to_vec(),
            active_key: 1 + (self.auth >> 4 & 1),
            mode,
            window_s: (self.auth >> 5 & 1 == 0).then_some(5),
        })
    }

    fn config(&self, slot: usize) -> RouterConfig {
        let mut vips: Vec<Vip> = (1..4)
            .filter(|bit| self.vips >> bit & 1 == 1)
            .map(|last| vip(&format!("10.{slot}.1.{last}")))
            .collect();
        if slot == ROUTED {
            for vip in &mut vips {
                vip.dev = IfName::new(NAMES[slot % 2]);
            }
        }
        if let Some(first) = vips.first_mut().filter(|_| slot != ROUTED) {
            first.dev = (self.vips >> 4 & 1 == 1).then(|| IfName::new("eth2").unwrap());
            first.no_track = self.vips >> 5 & 1 == 1;
            first.label = (self.vips >> 6 & 1 == 1).then(|| IfName::new("x:1").unwrap());
        }
        if let Some(last) = vips.last_mut() {
            last.advertised = self.vips >> 7 == 0;
        }
        let weights = [0, -30, 40];
        let mut tracks: Vec<Track> = (0..2)
            .filter(|bit| self.tracks >> bit & 1 == 1)
            .map(|id| Track {
                target: TrackTarget::Value(id),
                weight: weights[usize::from(self.tracks >> 2) % 3],
                reverse: self.tracks >> 5 & 1 == 1,
            })
            .collect();
        if self.tracks >> 6 == 3 {
            tracks.push(Track {
                target: TrackTarget::Interface(IfName::new("eth2").unwrap()),
                weight: 0,
                reverse: false,
            });
        }
        let quirk = |bit: u8| self.quirks >> bit & 1 == 1;
        RouterConfig {
            interface: IfName::new(NAMES[slot % 2]).filter(|_| slot != ROUTED),
            source: (slot >= UNICAST).then(|| destination(slot)),
            unicast: (slot >= UNICAST).then(|| Unicast {
                peers: [7, 9].map(|last| peer(slot, last)).to_vec(),
                ttl: Some(255),
                check_source: self.quirks & 128 != 0,
                old_checksum: OldChecksum::Detect,
            }),
            track_source: slot == UNICAST && self.tracks & 16 != 0,
            vrid: vrid(slot),
            version: if self.v3 { Version::V3 } else { Version::V2 },
            advert_interval: match (self.v3, self.fast) {
                (true, true) => Duration::from_millis(100),
                (false, true) => Duration::from_secs(2),
                (_, false) => Duration::from_secs(1),
            },
            password: quirk(0).then_some(*b"passw123"),
            hmac: self.hmac(),
            ah_key: (self.auth % 5 == 3).then_some(*b"ahsecret"),
            priority: self.priority,
            initial_master: self.initial_master,
            nopreempt: self.nopreempt,
            preempt_delay: Duration::from_secs(self.preempt_delay_s),
            lower_prio_no_advert: quirk(1),
            higher_prio_send_advert: quirk(2),
            owner_ignore_adverts: quirk(3),
            dont_track_primary: quirk(4),
            timer_expired_backup: (self.nopreempt && quirk(5)).then_some(200),
            down_timer_adverts: if quirk(6) { 2 } else { 3 },
            garp: GarpConfig {
                delay: Duration::from_secs(u64::from(self.garp & 3)),
                repeat: u16::from(self.garp >> 2 & 3),
                refresh: Duration::from_secs(u64::from(self.garp >> 4 & 3)),
                garp_interval: Duration::from_millis(u64::from(self.garp >> 6) * 50),
                ..GarpConfig::default()
            },
            vips,
            tracks,
            ..config()
        }
    }
}

/// What a raw socket delivers of a peer's advert; `guard`: key and number of an Authentication Header.
fn ip_packet(packet: &Packet, message: &[u8], ttl: u8, guard: Option<([u8; 8], u32)>, multicast: bool) -> Vec<u8> {
    let (IpAddr::V4(src), IpAddr::V4(dst)) = (packet.source, packet.destination) else {
        unreachable!("all of it is IPv4")
    };
    let guard_len = if guard.is_some() { ah::HEADER_LEN } else { 0 };
    let header = Ipv4Repr {
        ttl,
        protocol: if guard.is_some() { ah::PROTOCOL } else { 112 },
        ..Ipv4Repr::vrrp(src, dst, 1, guard_len + message.len())
    };
    let mut bytes = vec![0; 20 + guard_len];
    header.emit(&mut bytes).unwrap();
    bytes.extend_from_slice(message);
    if let Some((key, sequence)) = guard {
        ah::seal(&mut bytes, &key, sequence, multicast);
    }
    bytes
}

/// Where adverts for a router go.
fn destination(slot: usize) -> IpAddr {
    if slot >= UNICAST {
        IpAddr::from([10, u8::try_from(slot % 2).unwrap(), 0, 2])
    } else {
        GROUP
    }
}

fn peer(slot: usize, last: u8) -> Peer {
    Peer {
        addr: IpAddr::from([10, u8::try_from(slot % 2).unwrap(), 0, last]),
        min_ttl: 255,
        max_ttl: 255,
    }
}

fn vrid(slot: usize) -> u8 {
    50 + u8::try_from(slot).unwrap()
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let value = prop_oneof![
        Just(TrackValue::Unknown),
        Just(TrackValue::Good),
        Just(TrackValue::Bad),
        (-300..300i32).prop_map(TrackValue::Number)
    ];
    let spoil = prop_oneof![
        8 => Just(Spoil::Nothing),
        1 => Just(Spoil::Checksum),
        1 => Just(Spoil::Ttl),
        1 => Just(Spoil::Password),
        1 => Just(Spoil::Short)
    ];
    let genes = prop::collection::vec(prop::option::weighted(0.8, gene()), SLOTS);
    let groups = prop::collection::vec(prop::option::weighted(0.6, 0..2u8), SLOTS);
    let step = prop_oneof![
        8 => (0..5_000_000u64).prop_map(|us| Step::Pass { us }),
        1 => (0..20_000_000u64).prop_map(|us| Step::Jump { us }),
        6 => (0..SLOTS, prop_oneof![Just(0u8), Just(255u8), any::<u8>()], 1..300u16, prop_oneof![Just(7u8), 1..250u8], spoil)
            .prop_map(|(slot, priority, interval, sender, spoil)| Step::Advert { slot, priority, interval, sender, spoil }),
        1 => (0..3usize, prop::collection::vec(any::<u8>(), 0..40), any::<u8>())
            .prop_map(|(interface, bytes, ttl)| Step::Bytes { interface, bytes, ttl }),
        2 => (0..3usize, any::<bool>()).prop_map(|(name, up)| Step::Carrier { name, up }),
        1 => (0..3usize, any::<bool>()).prop_map(|(name, exists)| Step::Exists { name, exists }),
        1 => (0..3usize, any::<bool>()).prop_map(|(name, away)| Step::Rename { name, away }),
        1 => (0..2usize, any::<bool>()).prop_map(|(name, present)| Step::Source { name, present }),
        2 => (0..8usize).prop_map(|nth| Step::Thief { nth }),
        2 => (0..2u32, value).prop_map(|(id, value)| Step::Track { id, value }),
        2 => (genes, groups).prop_map(|(genes, groups)| Step::Configure { genes, groups }),
        1 => Just(Step::Overrun),
        4 => (1..8usize).prop_map(|operations| Step::Work { operations }),
        4 => (1..8usize).prop_map(|operations| Step::Answer { operations }),
        4 => (1..8usize).prop_map(|messages| Step::News { messages }),
        3 => Just(Step::Tell),
        1 => prop_oneof![Just(1), Just(12), Just(105)].prop_map(|errno| Step::Refuse { errno }),
    ];
    prop::collection::vec(step, 1..80)
}

/// What the kernel tells, in the order in which it happened.
#[derive(Clone, Debug)]
enum News {
    Link(LinkFact),
    Gone(IfId),
    Address(AddressFact),
    AddressGone(AddressFact),
}

#[derive(Debug, Default)]
struct Kernel {
    links: BTreeMap<IfId, LinkFact>,
    addresses: BTreeSet<(IfId, IpAddr, u8)>,
    news: VecDeque<News>,
    next_index: u32,
    /// Address operations that were asked for, and those that were carried out and not answered.
    asked: VecDeque<AddressOp>,
    answers: VecDeque<(AddressOp, i32)>,
    refuse: Option<i32>,
    /// Something was refused for these routers: their addresses are anybody's guess.
    refused: BTreeSet<u32>,
}

impl Kernel {
    fn by_name(&self, name: &str) -> Option<IfId> {
        let name = IfName::new(name).unwrap();
        self.links.values().find(|fact| fact.name == name).map(|fact| fact.id)
    }

    fn set_link(&mut self, fact: LinkFact) {
        self.links.insert(fact.id, fact);
        self.news.push_back(News::Link(fact));
    }

    fn create(&mut self, name: usize) {
        self.next_index += 1;
        let id = IfId {
            netns: 0,
            index: self.next_index,
        };
        self.set_link(LinkFact {
            id,
            name: IfName::new(NAMES[name]).unwrap(),
            ..link(true)
        });
        self.put(source_of(id, name));
    }

    fn delete(&mut self, id: IfId) {
        let here: Vec<_> = self.addresses.iter().filter(|(on, _, _)| *on == id).copied().collect();
        for (interface, addr, prefix_len) in here {
            self.take(interface, addr, prefix_len);
        }
        self.links.remove(&id);
        self.news.push_back(News::Gone(id));
    }

    fn put(&mut self, fact: AddressFact) {
        self.addresses.insert((fact.interface, fact.addr, fact.prefix_len));
        self.news.push_back(News::Address(fact));
    }

    fn take(&mut self, interface: IfId, addr: IpAddr, prefix_len: u8) -> bool {
        let had = self.addresses.remove(&(interface, addr, prefix_len));
        if had {
            self.news.push_back(News::AddressGone(AddressFact {
                interface,
                ..address(addr, prefix_len)
            }));
        }
        had
    }
}

impl Kernel {
    fn is_idle(&self) -> bool {
        self.asked.is_empty() && self.answers.is_empty() && self.news.is_empty()
    }

    /// Carries out an operation; false when none was asked for.
    fn work(&mut self) -> bool {
        let Some(op) = self.asked.pop_front() else {
            return false;
        };
        let errno = match self.refuse.take() {
            Some(errno) => {
                self.refused.insert(op.slot);
                errno
            }
            None if !self.links.contains_key(&op.interface) => ENODEV,
            None if op.install => {
                self.put(AddressFact {
                    interface: op.interface,
                    ..address(op.vip.addr, op.vip.prefix_len)
                });
                0
            }
            None if self.take(op.interface, op.vip.addr, op.vip.prefix_len) => 0,
            None => EADDRNOTAVAIL,
        };
        self.answers.push_back((op, errno));
        true
    }
}

fn source_of(interface: IfId, name: usize) -> AddressFact {
    AddressFact {
        interface,
        ..address(format!("10.{name}.0.2").parse().unwrap(), 24)
    }
}

#[derive(Debug, Default)]
struct Life {
    config: Option<RouterConfig>,
    told: Option<State>,
    sent: u64,
    heard: u64,
}

struct World {
    core: Core,
    now: Instant,
    kernel: Kernel,
    lives: Vec<Life>,
    groups: Vec<Vec<u32>>,
    joined: BTreeSet<(IfId, IpAddr)>,
    /// Deletions by others, and notifications lost, since nobody can tell these from them.
    thefts: usize,
    restored: usize,
    track: BTreeMap<u32, TrackValue>,
    /// Of the peers' adverts.
    sequence: u32,
}

impl World {
    fn new() -> Self {
        let mut world = Self {
            core: Core::new(),
            now: Instant::from_micros(1_000_000),
            kernel: Kernel::default(),
            lives: (0..SLOTS).map(|_| Life::default()).collect(),
            groups: vec![],
            joined: BTreeSet::new(),
            thefts: 0,
            restored: 0,
            track: BTreeMap::new(),
            sequence: 0,
        };
        for name in 0..NAMES.len() {
            world.kernel.create(name);
        }
        world.overrun();
        world
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Pass { us } => self.pass(Duration::from_micros(*us)),
            Step::Jump { us } => {
                self.now += Duration::from_micros(*us);
                self.turn();
            }
            Step::Advert {
                slot,
                priority,
                interval,
                sender,
                spoil,
            } => self.advert(*slot, *priority, *interval, *sender, *spoil),
            Step::Bytes { interface, bytes, ttl } => self.receive(*interface, bytes, *ttl, 9, GROUP),
            Step::Carrier { name, up } => {
                if let Some(id) = self.kernel.by_name(NAMES[*name]) {
                    let fact = self.kernel.links[&id];
                    self.kernel.set_link(LinkFact { up: *up, ..fact });
                }
            }
            Step::Exists { name, exists } => match (self.kernel.by_name(NAMES[*name]), exists) {
                (None, true) => self.kernel.create(*name),
                (Some(id), false) => self.kernel.delete(id),
                _ => {}
            },
            Step::Rename { name, away } => self.rename(NAMES[*name], *away),
            Step::Source { name, present } => {
                if let Some(id) = self.kernel.by_name(NAMES[*name]) {
                    let fact = source_of(id, *name);
                    if *present {
                        self.kernel.put(fact);
                    } else {
                        self.kernel.take(id, fact.addr, fact.prefix_len);
                    }
                }
            }
            Step::Thief { nth } => {
                let ours = self
                    .kernel
                    .addresses
                    .iter()
                    .filter(|(_, _, prefix_len)| *prefix_len == 32);
                if let Some((interface, addr, prefix_len)) = ours.copied().nth(*nth) {
                    self.kernel.take(interface, addr, prefix_len);
                    self.thefts += 1;
                }
            }
            Step::Track { id, value } => {
                self.track.insert(*id, *value);
                self.core.handle_track(*id, *value);
                self.turn();
            }
            Step::Configure { genes, groups } => self.configure(genes, groups),
            Step::Overrun => self.overrun(),
            Step::Work { operations } => {
                for _ in 0..*operations {
                    self.kernel.work();
                }
            }
            Step::Answer { operations } => self.answer(*operations),
            Step::News { messages } => self.news(*messages),
            Step::Tell => self.tell(),
            Step::Refuse { errno } => self.kernel.refuse = Some(*errno),
        }
    }

    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.core.poll_at().filter(|&at| at <= end) {
            self.now = at;
            self.turn();
        }
        self.now = end;
    }

    fn rename(&mut self, name: &str, away: bool) {
        let other = format!("{name}x");
        let (from, to) = if away {
            (name, other.as_str())
        } else {
            (other.as_str(), name)
        };
        if let Some(id) = self.kernel.by_name(from)
            && self.kernel.by_name(to).is_none()
        {
            let fact = self.kernel.links[&id];
            self.kernel.set_link(LinkFact {
                name: IfName::new(to).unwrap(),
                ..fact
            });
        }
    }

    fn advert(&mut self, slot: usize, priority: u8, interval: u16, sender: u8, spoil: Spoil) {
        let Some(config) = &self.lives[slot].config else {
            return;
        };
        let v2 = config.version == Version::V2;
        let packet = Packet {
            vrid: vrid(slot),
            version: config.version,
            priority,
            advert_int: if v2 { config.interval_field() } else { interval },
            auth: match (config.auth_field(), spoil) {
                (AuthField::Pass(_), Spoil::Password) => AuthField::Pass(*b"wrong..."),
                (field, _) => field,
            },
            source: IpAddr::from([10, u8::try_from(slot % 2).unwrap(), 0, sender]),
            destination: destination(slot),
            addresses: vec![],
            ..Packet::default()
        };
        let mut bytes = packet.payload();
        self.sequence += 1;
        self.sign(&mut bytes, &packet, slot, spoil);
        match spoil {
            Spoil::Checksum => bytes[6] ^= 0x55,
            Spoil::Short => bytes.truncate(7),
            Spoil::Nothing | Spoil::Ttl | Spoil::Password => {}
        }
        let ttl = if matches!(spoil, Spoil::Ttl) { 1 } else { 255 };
        let config = self.lives[slot].config.as_ref().unwrap();
        let key = config.ah_key().map(|key| {
            if matches!(spoil, Spoil::Password) {
                *b"another!"
            } else {
                key
            }
        });
        let harmless = match spoil {
            Spoil::Nothing => false,
            Spoil::Ttl => config.unicast.as_ref().is_none_or(|unicast| unicast.check_source),
            Spoil::Password => {
                config.hmac.as_ref().is_some_and(HmacConfig::signs) || key.is_some() || config.auth_password().is_some()
            }
            Spoil::Checksum | Spoil::Short => true,
        };
        let before = harmless.then(|| self.core.next_protocol_deadline(u32::try_from(slot).unwrap()));
        let packet = ip_packet(
            &packet,
            &bytes,
            ttl,
            key.map(|key| (key, self.sequence)),
            config.unicast.is_none(),
        );
        self.hand_over(slot % 2, &packet);
        if let Some(before) = before {
            assert_eq!(
                self.core.next_protocol_deadline(u32::try_from(slot).unwrap()),
                before,
                "{spoil:?}"
            );
        }
        self.turn();
    }

    fn receive(&mut self, name: usize, payload: &[u8], ttl: u8, sender: u8, destination: IpAddr) {
        let Some(interface) = self.kernel.by_name(NAMES[name]) else {
            return;
        };
        let rx = AdvertRx {
            interface,
            family: Family::V4,
            source: IpAddr::from([10, u8::try_from(name).unwrap(), 0, sender]),
            destination,
            ttl,
            payload,
            ah: None,
        };
        self.core.handle_packet(self.now, &rx);
        self.turn();
    }

    /// What a peer appends where adverts are signed.
    fn sign(&self, bytes: &mut Vec<u8>, packet: &Packet, slot: usize, spoil: Spoil) {
        let config = self.lives[slot].config.as_ref().unwrap();
        let Some(hmac) = config.hmac.as_ref().filter(|hmac| hmac.signs()) else {
            return;
        };
        let (id, key) = if matches!(spoil, Spoil::Password) {
            (1, OTHER_KEY)
        } else {
            (hmac.active_key, [KEY, OTHER_KEY][usize::from(hmac.active_key - 1)])
        };
        let view = AdvertView::new_checked(bytes, Family::V4).unwrap();
        let sequence = Sequence(Sequence::at(self.now.as_micros()).0 + u64::from(self.sequence));
        let trailer = sign(id, &key, sequence, packet.source, &view).unwrap();
        bytes.extend_from_slice(&trailer);
    }

    fn hand_over(&mut self, name: usize, packet: &[u8]) {
        if let Some(interface) = self.kernel.by_name(NAMES[name]) {
            let rx = AdvertRx::from_ipv4(interface, packet).unwrap();
            self.core.handle_clock(self.now.as_micros());
            self.core.handle_packet(self.now, &rx);
        }
    }

    fn configure(&mut self, genes: &[Option<Gene>], groups: &[Option<u8>]) {
        let mut changes = Vec::new();
        for (slot, gene) in genes.iter().enumerate() {
            let at = u32::try_from(slot).unwrap();
            let new = gene.as_ref().map(|gene| gene.config(slot));
            match (&self.lives[slot].config, &new) {
                (None, Some(config)) => {
                    changes.push(add(at, config.clone()));
                    self.lives[slot] = Life::default();
                }
                (Some(old), Some(config)) if old != config => changes.push(update(at, config.clone())),
                (Some(_), None) => changes.push(Change::Remove { slot: at }),
                _ => {}
            }
            self.lives[slot].config = new;
        }
        self.groups = (0..2)
            .map(|group| {
                (0..)
                    .zip(groups)
                    .filter(|(slot, of)| **of == Some(group) && self.lives[*slot as usize].config.is_some())
                    .map(|(slot, _)| slot)
                    .collect()
            })
            .collect();
        let groups = self
            .groups
            .iter()
            .map(|members| GroupConfig {
                members: members.clone(),
            })
            .collect();
        self.core.apply(
            self.now,
            Apply {
                changes,
                groups,
                ..Apply::default()
            },
        );
        self.turn();
    }

    fn overrun(&mut self) {
        self.thefts += self.kernel.news.len();
        self.kernel.news.clear();
        self.core.begin_resync(0);
        for fact in self.kernel.links.values() {
            self.core.handle_link(*fact);
        }
        for (interface, addr, prefix_len) in &self.kernel.addresses {
            self.core.handle_address(AddressFact {
                interface: *interface,
                ..address(*addr, *prefix_len)
            });
        }
        self.core.end_resync(self.now, 0);
        self.turn();
    }

    fn answer(&mut self, operations: usize) {
        for _ in 0..operations {
            let Some((op, errno)) = self.kernel.answers.pop_front() else {
                break;
            };
            self.core.handle_address_result(self.now, &op, errno);
        }
        self.turn();
    }

    fn news(&mut self, messages: usize) {
        for _ in 0..messages {
            match self.kernel.news.pop_front() {
                Some(News::Link(fact)) => self.core.handle_link(fact),
                Some(News::Gone(id)) => self.core.handle_link_gone(id),
                Some(News::Address(fact)) => self.core.handle_address(fact),
                Some(News::AddressGone(fact)) => {
                    self.core
                        .handle_address_gone(fact.interface, fact.addr, fact.prefix_len);
                }
                None => break,
            }
        }
        self.turn();
    }

    /// Everything is done and told, and what follows from it, until there is nothing more to tell.
    fn tell(&mut self) {
        while !self.kernel.is_idle() {
            while self.kernel.work() {}
            self.answer(usize::MAX);
            self.news(usize::MAX);
        }
        self.check_told();
    }

    fn turn(&mut self) {
        self.core.handle_deadlines(self.now);
        self.drain();
        self.check();
    }

    fn drain(&mut self) {
        while let Some(op) = self.core.poll_membership() {
            match op {
                MembershipOp::Join(to) => assert!(self.joined.insert((to.interface, to.group)), "joined twice"),
                MembershipOp::Leave(from) => assert!(self.joined.remove(&(from.interface, from.group)), "left twice"),
            }
        }
        while let Some(advert) = self.core.poll_advert() {
            let (slot, alive) = (advert.slot, advert.bytes[22] != 0);
            if alive {
                let state = self.core.status(slot).map(|status| status.state);
                assert!(
                    state == Some(State::Master) || self.parting(slot),
                    "an advert of router {slot}, which is {state:?}"
                );
            }
        }
        self.kernel
            .asked
            .extend(std::iter::from_fn(|| self.core.poll_address_op()));
        let mut buffer = [0; 128];
        while let Some(tx) = self.core.poll_announce(self.now, &mut buffer) {
            // A unicast router tells its own address when it leaves FAULT.
            let may = self.core.status(tx.slot).map(|status| status.state) == Some(State::Master);
            assert!(may || tx.slot as usize >= UNICAST);
        }
        while let Some(event) = self.core.poll_event() {
            assert!(event.at <= self.now);
            self.note(&event.kind);
        }
        while self.core.poll_dirty().is_some() {}
    }

    fn parting(&self, slot: u32) -> bool {
        let config = self.lives[slot as usize].config.as_ref();
        config.is_some_and(|config| config.higher_prio_send_advert)
    }

    /// No report is lost and none is doubled: each begins where the one before ended.
    fn note(&mut self, kind: &EventKind) {
        match *kind {
            EventKind::Transition { slot, from, to, .. } => {
                let life = &mut self.lives[slot as usize];
                assert_eq!(life.told.unwrap_or(State::Init), from, "router {slot} to {to:?}");
                assert_ne!(from, to);
                life.told = Some(to);
            }
            EventKind::Deleted { slot, .. } => self.lives[slot as usize].told = None,
            EventKind::GroupTransition { group, to } => {
                for &slot in &self.groups[group as usize] {
                    assert_eq!(self.lives[slot as usize].told, Some(to), "member {slot} of {group}");
                }
            }
            EventKind::AddressRestored { .. } => self.restored += 1,
            _ => {}
        }
    }

    fn check(&mut self) {
        let poll_at = self.core.poll_at();
        assert!(
            poll_at.is_none_or(|at| at > self.now),
            "nothing is left to do, and yet {poll_at:?} at {:?}",
            self.now
        );
        for slot in self.core.slots().collect::<Vec<_>>() {
            let status = self.core.status(slot).unwrap();
            let life = &mut self.lives[slot as usize];
            let config = life.config.as_ref().unwrap();
            assert!((life.sent..=life.sent + 1000).contains(&status.stats.advert_sent));
            assert!(life.heard <= status.stats.advert_rcvd);
            (life.sent, life.heard) = (status.stats.advert_sent, status.stats.advert_rcvd);
            assert!(status.priority == 255 || status.base_priority == 255 || status.priority < 255);
            assert_eq!(
                life.told.unwrap_or(State::Fault),
                status.state,
                "router {slot} is not what was told"
            );
            let deadline = self.core.next_protocol_deadline(slot);
            let down = config.master_down(status.priority, status.master_advert_interval);
            match status.state {
                State::Init => panic!("router {slot} did not start"),
                State::Fault => assert_eq!(deadline, None),
                State::Backup => {
                    let deadline = deadline.unwrap();
                    assert!(
                        deadline > self.now && deadline <= self.now + down,
                        "{deadline:?} {:?}",
                        self.now
                    );
                }
                State::Master => {
                    let deadline = deadline.unwrap();
                    assert!(deadline > self.now && deadline <= self.now + config.advert_interval.times(2));
                }
            }
            assert!(
                status.state == State::Fault || !status.faults.is_serious(),
                "router {slot}: {status:?}"
            );
        }
        assert!(
            self.restored <= self.thefts,
            "put back what nobody took: {} of {}",
            self.restored,
            self.thefts
        );
    }

    /// The core knows everything.
    fn check_told(&mut self) {
        for slot in self.core.slots() {
            let status = self.core.status(slot).unwrap();
            let unit: Vec<u32> = self
                .groups
                .iter()
                .find(|members| members.contains(&slot))
                .cloned()
                .unwrap_or_else(|| vec![slot]);
            let faults: Vec<Faults> = unit
                .iter()
                .map(|&slot| self.core.status(slot).unwrap().faults)
                .collect();
            if faults.iter().any(|faults| faults.is_serious()) {
                assert_eq!(status.state, State::Fault, "router {slot} of {unit:?}: {faults:?}");
            }
            if faults.iter().all(|faults| faults.is_empty()) {
                assert_ne!(status.state, State::Fault, "router {slot} of {unit:?}");
            }
            self.check_addresses(slot, status.state == State::Master);
        }
        let wanted: BTreeSet<_> = self
            .core
            .slots()
            .filter_map(|slot| {
                let config = self.lives[slot as usize].config.as_ref()?;
                let interface = config.interface.filter(|_| config.unicast.is_none())?;
                let name = String::from_utf8_lossy(interface.as_bytes()).into_owned();
                Some((self.kernel.by_name(&name)?, GROUP))
            })
            .collect();
        assert_eq!(self.joined, wanted);
    }

    fn check_addresses(&self, slot: u32, master: bool) {
        if self.kernel.refused.contains(&slot) {
            return;
        }
        let config = self.lives[slot as usize].config.as_ref().unwrap();
        for vip in &config.vips {
            let name = vip.dev.or(config.interface).unwrap();
            let place = self.kernel.by_name(&String::from_utf8_lossy(name.as_bytes()));
            let on: Vec<IfId> = self
                .kernel
                .addresses
                .iter()
                .filter(|(_, addr, _)| *addr == vip.addr)
                .map(|(interface, _, _)| *interface)
                .collect();
            match place.filter(|_| master) {
                Some(place) if vip.no_track => assert!(on.is_empty() || on == [place], "{on:?} {place:?}"),
                Some(place) => assert_eq!(on, [place], "router {slot}, {}", vip.addr),
                // A master may lack the interface of an address without tracking.
                None if master => {}
                None => assert_eq!(on, [], "router {slot} is no master, {}", vip.addr),
            }
        }
    }

    fn end(mut self) {
        self.core.shutdown(self.now, true);
        let mut last = None;
        while let Some(advert) = self.core.poll_advert() {
            assert_eq!(advert.bytes[22], 0, "only farewells at the end");
        }
        while let Some(op) = self.core.poll_address_op() {
            assert!(!op.install);
            self.core.handle_address_result(self.now, &op, 0);
        }
        while let Some(event) = self.core.poll_event() {
            last = Some(event.kind);
        }
        assert_eq!(last, Some(EventKind::Stopped));
        self.core.handle_deadlines(self.now + Duration::from_secs(100));
        assert!(self.core.poll_advert().is_none() && self.core.poll_event().is_none());
        assert_eq!(self.core.poll_at(), None);
    }
}

type Whole = (Vec<Gene>, Vec<Option<u8>>, Vec<Step>);

fn life() -> impl Strategy<Value = Whole> {
    let groups = prop::collection::vec(prop::option::of(0..2u8), SLOTS);
    (prop::collection::vec(gene(), SLOTS), groups, steps())
}

fn live((genes, groups, steps): Whole) {
    let mut world = World::new();
    let genes: Vec<_> = genes.into_iter().map(Some).collect();
    world.step(&Step::Configure { genes, groups });
    for step in &steps {
        world.step(step);
    }
    world.step(&Step::Tell);
    world.end();
}

/// Takes a history from octets: a fuzzer with coverage finds its way through them. Where they end, zeros follow.
struct Octets<'a>(core::slice::Iter<'a, u8>);

impl Octets<'_> {
    fn octet(&mut self) -> u8 {
        self.0.next().copied().unwrap_or(0)
    }

    fn below(&mut self, limit: u8) -> usize {
        usize::from(self.octet() % limit)
    }

    fn bit(&mut self) -> bool {
        self.octet() & 1 == 1
    }

    fn wide(&mut self) -> u16 {
        u16::from_be_bytes([self.octet(), self.octet()])
    }

    fn gene(&mut self) -> Gene {
        let flags = self.octet();
        Gene {
            priority: self.octet().max(1),
            initial_master: flags & 1 != 0,
            v3: flags & 2 != 0,
            fast: flags & 4 != 0,
            nopreempt: flags & 8 != 0,
            preempt_delay_s: u64::from(flags >> 4 & 3).min(2),
            quirks: self.octet(),
            vips: self.octet(),
            tracks: self.octet(),
            garp: self.octet(),
            auth: self.octet(),
        }
    }

    fn genes(&mut self) -> (Vec<Option<Gene>>, Vec<Option<u8>>) {
        let present = self.octet();
        let genes = (0..SLOTS)
            .map(|slot| (present >> slot & 1 == 0).then(|| self.gene()))
            .collect();
        let groups = self.octet();
        let group = |slot: usize| match groups >> (2 * slot) & 3 {
            group @ (0 | 1) => Some(group),
            _ => None,
        };
        (genes, (0..SLOTS).map(group).collect())
    }

    fn advert(&mut self) -> Step {
        Step::Advert {
            slot: self.below(4),
            priority: self.octet(),
            interval: self.wide() % 299 + 1,
            sender: self.octet() % 249 + 1,
            spoil: match self.octet() % 12 {
                0 => Spoil::Checksum,
                1 => Spoil::Ttl,
                2 => Spoil::Password,
                3 => Spoil::Short,
                _ => Spoil::Nothing,
            },
        }
    }

    fn step(&mut self) -> Step {
        match self.octet() % 24 {
            0..=4 => Step::Pass {
                us: u64::from(self.wide()) * 76,
            },
            5 => Step::Jump {
                us: u64::from(self.wide()) * 300,
            },
            6..=9 => self.advert(),
            10 => Step::Bytes {
                interface: self.below(3),
                ttl: self.octet() | 0xf0,
                bytes: (0..self.below(40)).map(|_| self.octet()).collect(),
            },
            11 => Step::Carrier {
                name: self.below(3),
                up: self.bit(),
            },
            12 => Step::Exists {
                name: self.below(3),
                exists: self.bit(),
            },
            13 => Step::Rename {
                name: self.below(3),
                away: self.bit(),
            },
            14 => Step::Source {
                name: self.below(2),
                present: self.bit(),
            },
            15 => Step::Thief { nth: self.below(8) },
            16 => Step::Track {
                id: u32::from(self.bit()),
                value: match self.octet() {
                    0 => TrackValue::Unknown,
                    1 => TrackValue::Good,
                    2 => TrackValue::Bad,
                    other => TrackValue::Number((i32::from(other) - 129) * 3),
                },
            },
            17 => {
                let (genes, groups) = self.genes();
                Step::Configure { genes, groups }
            }
            18 => Step::Overrun,
            19 => Step::Work {
                operations: self.below(8) + 1,
            },
            20 => Step::Answer {
                operations: self.below(8) + 1,
            },
            21 => Step::News {
                messages: self.below(8) + 1,
            },
            22 => Step::Tell,
            _ => Step::Refuse {
                errno: [1, 12, 105][self.below(3)],
            },
        }
    }
}

/// Lives the history that octets stand for.
pub(crate) fn live_by(octets: &[u8]) {
    let mut octets = Octets(octets.iter());
    let mut world = World::new();
    let (genes, groups) = octets.genes();
    world.step(&Step::Configure { genes, groups });
    // Longer ones find nothing that shorter ones do not, and take their time.
    for _ in 0..200 {
        if octets.0.as_slice().is_empty() {
            break;
        }
        world.step(&octets.step());
    }
    world.step(&Step::Tell);
    world.end();
}

proptest! {
    // `PROPTEST_CASES` sets how many.
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens(life in life()) {
        live(life);
    }

    #[test]
    fn whatever_octets_say(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        live_by(&octets);
    }
}

/// What the fuzzer has found its way by so far.
#[test]
#[expect(clippy::disallowed_methods, reason = "the test reads files, not the core")]
fn the_corpus() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus/operations");
    let mut lived = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        live_by(&std::fs::read(entry.unwrap().path()).unwrap());
        lived += 1;
    }
    assert!(lived > 0);
}
