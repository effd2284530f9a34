//! A core on a test bench: one interface, a peer that can send anything, every output collected.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::{GarpConfig, IfName, RouterConfig, Vip};
use keepvip_proto::vrrp::output::{AddressFact, AddressOp, IfId, LinkFact, MembershipOp};
use keepvip_proto::vrrp::report::{Event, EventKind, Reason, Reject, State};

use keepvip_proto::wire::{AddressList, AdvertRepr, AuthField, Family, Pseudo, Version};
use keepvip_proto::{AdvertRx, Apply, Change, Core, GroupConfig, Noted, Routine};

pub(crate) const ETH0: IfId = IfId { netns: 0, index: 2 };
pub(crate) const ETH1: IfId = IfId { netns: 0, index: 3 };
pub(crate) const PEER: IpAddr = last_octet(9);
pub(crate) const OWN: IpAddr = last_octet(2);
pub(crate) const GROUP: IpAddr = IpAddr::V4(Ipv4Addr::new(224, 0, 0, 18));

/// 10.0.0.`last`.
pub(crate) const fn last_octet(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(10, 0, 0, last))
}

pub(crate) fn vip(text: &str) -> Vip {
    Vip {
        addr: text.parse().unwrap(),
        prefix_len: 32,
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

/// The wall clock when the other one starts.
const UTC_US: u64 = 1_700_000_000_000_000;

pub(crate) fn config() -> RouterConfig {
    RouterConfig {
        netns: 0,
        interface: IfName::new("eth0"),
        vmac: None,
        address_links: vec![],
        vrf: None,
        family: Family::V4,
        version: Version::V2,
        vrid: 50,
        priority: 100,
        initial_master: false,
        advert_interval: Duration::from_secs(1),
        nopreempt: false,
        preempt_delay: Duration::ZERO,
        down_timer_adverts: 3,
        skip_check_adv_addr: false,
        lower_prio_no_advert: false,
        higher_prio_send_advert: false,
        owner_ignore_adverts: false,
        checksum_as_v2: false,
        timer_expired_backup: None,
        password: Some(*b"passw123"),
        hmac: None,
        ah_key: None,
        source: None,
        group: GROUP,
        unicast: None,
        track_source: false,
        dont_track_primary: false,
        vips: vec![vip("10.0.0.1")],
        garp: GarpConfig::default(),
        tracks: vec![],
    }
}

pub(crate) fn link(up: bool) -> LinkFact {
    LinkFact {
        id: ETH0,
        name: IfName::new("eth0").unwrap(),
        up,
        announces: true,
        mac: [2, 0, 0, 0, 0, 1],
        mtu: 1500,
        master: 0,
        router: false,
    }
}

/// A second interface, which the bench has only when a test adds it.
pub(crate) fn link1(up: bool) -> LinkFact {
    LinkFact {
        id: ETH1,
        name: IfName::new("eth1").unwrap(),
        ..link(up)
    }
}

pub(crate) const fn address(addr: IpAddr, prefix_len: u8) -> AddressFact {
    AddressFact {
        interface: ETH0,
        addr,
        prefix_len,
        unusable: false,
    }
}

/// An advert of the peer, right unless a test spoils it.
pub(crate) struct Packet {
    pub(crate) interface: IfId,
    pub(crate) vrid: u8,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) ttl: u8,
    pub(crate) version: Version,
    pub(crate) priority: u8,
    pub(crate) advert_int: u16,
    pub(crate) auth: AuthField,
    pub(crate) addresses: Vec<Ipv4Addr>,
    pub(crate) spoil: fn(&mut Vec<u8>),
}

impl Default for Packet {
    fn default() -> Self {
        Self {
            interface: ETH0,
            vrid: 50,
            source: PEER,
            destination: GROUP,
            ttl: 255,
            version: Version::V2,
            priority: 200,
            advert_int: 1,
            auth: AuthField::Pass(*b"passw123"),
            addresses: vec![Ipv4Addr::new(10, 0, 0, 1)],
            spoil: |_| {},
        }
    }
}

impl Packet {
    pub(crate) fn payload(&self) -> Vec<u8> {
        let repr = AdvertRepr {
            version: self.version,
            vrid: self.vrid,
            priority: self.priority,
            advert_int: self.advert_int,
            auth: if self.version == Version::V2 {
                self.auth
            } else {
                AuthField::None
            },
            addresses: AddressList::V4(&self.addresses),
        };
        let pseudo = match self.version {
            Version::V2 => Pseudo::None,
            Version::V3 => Pseudo::new(self.source, self.destination).unwrap(),
        };
        let mut bytes = vec![0xa5; repr.buffer_len()];
        repr.emit(&mut bytes, &pseudo).unwrap();
        (self.spoil)(&mut bytes);
        bytes
    }
}

/// What the engine's socket filter does: keeps adverts that are equal to the last one that was routine.
#[derive(Default)]
pub(crate) struct Filter {
    pub(crate) on: bool,
    known: HashMap<(IfId, u8), (u32, IpAddr, Vec<u8>)>,
    noted: HashMap<u32, Noted>,
    /// Adverts kept from the core.
    pub(crate) kept: u64,
}

impl Filter {
    fn keeps(&mut self, now: Instant, rx: &AdvertRx<'_>) -> bool {
        let vrid = rx.payload.get(1).copied().unwrap_or_default();
        let Some((slot, source, payload)) = self.known.get(&(rx.interface, vrid)) else {
            return false;
        };
        let same = *source == rx.source && payload == rx.payload && rx.ttl == 255 && rx.destination == GROUP;
        if same {
            let noted = self.noted.entry(*slot).or_default();
            *noted = Noted {
                count: noted.count + 1,
                last: now,
            };
            self.kept += 1;
        }
        same
    }
}

impl Routine for Filter {
    fn noted(&mut self, slot: u32) -> Noted {
        self.noted.remove(&slot).unwrap_or_default()
    }

    fn stop(&mut self, slot: u32) -> Noted {
        self.known.retain(|_, (known, ..)| *known != slot);
        self.noted(slot)
    }
}

pub(crate) struct Bench {
    pub(crate) core: Core,
    pub(crate) filter: Filter,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    pub(crate) ops: Vec<AddressOp>,
    pub(crate) adverts: Vec<Vec<u8>>,
    pub(crate) advert_interfaces: Vec<IfId>,
    pub(crate) announced: Vec<(Instant, IpAddr)>,
    pub(crate) memberships: Vec<MembershipOp>,
    /// Address operations that the kernel has yet to tell of: it does so after it has answered.
    news: Vec<AddressOp>,
}

impl Bench {
    pub(crate) fn new(configs: Vec<RouterConfig>) -> Self {
        Self::with_groups(configs, vec![])
    }

    /// With sync groups, and with `eth1` in place before the configuration.
    pub(crate) fn with_groups(configs: Vec<RouterConfig>, groups: Vec<Vec<u32>>) -> Self {
        let mut bench = Self::bare(!groups.is_empty());
        bench.add(configs, groups);
        bench
    }

    /// Without a configuration.
    pub(crate) fn bare(eth1: bool) -> Self {
        let mut bench = Self {
            core: Core::new(),
            filter: Filter {
                on: std::env::var_os("KEEPVIP_TEST_FILTER").is_some(),
                ..Filter::default()
            },
            now: Instant::from_micros(1_000),
            events: vec![],
            ops: vec![],
            adverts: vec![],
            advert_interfaces: vec![],
            announced: vec![],
            memberships: vec![],
            news: vec![],
        };
        bench.core.begin_resync(0);
        bench.core.handle_link(link(true));
        bench.core.handle_address(address(OWN, 24));
        if eth1 {
            bench.core.handle_link(link1(true));
            bench.core.handle_address(AddressFact {
                interface: ETH1,
                ..address("10.1.0.2".parse().unwrap(), 24)
            });
        }
        bench.core.end_resync(bench.now, 0);
        bench
    }

    /// The first configuration.
    pub(crate) fn add(&mut self, configs: Vec<RouterConfig>, groups: Vec<Vec<u32>>) {
        let changes = (0..).zip(configs).map(|(slot, config)| add(slot, config)).collect();
        self.core.apply(
            self.now,
            Apply {
                changes,
                groups: groups.into_iter().map(|members| GroupConfig { members }).collect(),
                clear_residue: true,
                ..Apply::default()
            },
        );
        self.turn();
    }

    /// A reload.
    pub(crate) fn reload(&mut self, changes: Vec<Change>, groups: Vec<Vec<u32>>) {
        self.tell_kept();
        let groups = groups.into_iter().map(|members| GroupConfig { members }).collect();
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

    /// Turns of the engine's loop until nothing is left to do now; every address operation succeeds, and the kernel
    /// tells of it in the next turn.
    pub(crate) fn turn(&mut self) {
        self.core.handle_clock(self.utc_us());
        loop {
            for op in std::mem::take(&mut self.news) {
                if op.install {
                    self.core.handle_address(AddressFact {
                        interface: op.interface,
                        ..address(op.vip.addr, op.vip.prefix_len)
                    });
                } else {
                    self.core
                        .handle_address_gone(op.interface, op.vip.addr, op.vip.prefix_len);
                }
            }
            self.core.handle_deadlines_with(self.now, &mut self.filter);
            self.drain();
            if self.news.is_empty() {
                return;
            }
        }
    }

    fn drain(&mut self) {
        self.memberships
            .extend(std::iter::from_fn(|| self.core.poll_membership()));
        while let Some(advert) = self.core.poll_advert() {
            self.adverts.push(advert.bytes.to_vec());
            self.advert_interfaces.push(advert.interface);
        }
        while let Some(op) = self.core.poll_address_op() {
            self.core.handle_address_result(self.now, &op, 0);
            self.news.push(op);
            self.ops.push(op);
        }
        let mut buffer = [0; 128];
        while self.core.poll_announce(self.now, &mut buffer).is_some() {
            self.announced
                .push((self.now, IpAddr::from(<[u8; 4]>::try_from(&buffer[38..42]).unwrap())));
        }
        self.events.extend(std::iter::from_fn(|| self.core.poll_event()));
    }

    pub(crate) fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(at) = self.core.poll_at().filter(|&at| at <= end) {
            self.now = self.now.max(at);
            self.turn();
        }
        self.now = end;
    }

    /// Lets the master down interval of priority 100 run out, and forgets what was said and done until then.
    pub(crate) fn become_master(&mut self) {
        self.run(Duration::from_secs(4));
        assert_eq!(self.state(0), State::Master);
        self.events.clear();
        self.ops.clear();
    }

    /// The wall clock.
    pub(crate) fn utc_us(&self) -> u64 {
        UTC_US + self.now.as_micros()
    }

    pub(crate) fn state(&self, slot: u32) -> State {
        self.core.status(slot).unwrap().state
    }

    pub(crate) fn receive(&mut self, packet: &Packet) {
        self.core.handle_clock(self.utc_us());
        let payload = packet.payload();
        let rx = AdvertRx {
            interface: packet.interface,
            family: Family::V4,
            source: packet.source,
            destination: packet.destination,
            ttl: packet.ttl,
            payload: &payload,
            ah: None,
        };
        if self.filter.keeps(self.now, &rx) {
            return;
        }
        let slot = self.core.handle_packet_with(self.now, &rx, &mut self.filter);
        if let Some(slot) = slot.filter(|_| self.filter.on) {
            let before = self.filter.stop(slot);
            self.core.watched(self.now, slot, before);
            let known = (slot, rx.source, payload.clone());
            self.filter.known.insert((rx.interface, packet.vrid), known);
        }
    }

    /// Tells the core what the filter kept, so that deadlines and counters can be compared.
    pub(crate) fn tell_kept(&mut self) {
        self.core.look_at_all(self.now, &mut self.filter);
    }

    pub(crate) fn hear(&mut self, packet: &Packet) {
        self.receive(packet);
        self.turn();
    }

    /// Adverts sent, those of priority 0 aside.
    pub(crate) fn sent_alive(&self) -> usize {
        self.adverts.iter().filter(|packet| packet[22] != 0).count()
    }

    /// What was told of a router: its state, and why; in order.
    pub(crate) fn moves(&self, of: u32) -> Vec<(State, Reason)> {
        self.events
            .iter()
            .filter_map(|event| match event.kind {
                EventKind::Transition { slot, to, reason, .. } if slot == of => Some((to, reason)),
                _ => None,
            })
            .collect()
    }

    /// States that were told of a sync group, in order.
    pub(crate) fn group_moves(&self, of: u32) -> Vec<State> {
        self.events
            .iter()
            .filter_map(|event| match event.kind {
                EventKind::GroupTransition { group, to } if group == of => Some(to),
                _ => None,
            })
            .collect()
    }

    /// Priority of each advert sent, with the router's VRID.
    pub(crate) fn spoken(&self) -> Vec<(u8, u8)> {
        self.adverts.iter().map(|packet| (packet[21], packet[22])).collect()
    }

    pub(crate) fn told(&self, what: impl Fn(&EventKind) -> bool) -> bool {
        self.events.iter().any(|event| what(&event.kind))
    }

    pub(crate) fn rejected(&self) -> Vec<Reject> {
        self.events
            .iter()
            .filter_map(|event| match event.kind {
                EventKind::AdvertRejected { cause, .. } => Some(cause),
                _ => None,
            })
            .collect()
    }
}

pub(crate) fn add(slot: u32, config: RouterConfig) -> Change {
    Change::Add {
        slot,
        config: Box::new(config),
    }
}

pub(crate) fn update(slot: u32, config: RouterConfig) -> Change {
    Change::Update {
        slot,
        config: Box::new(config),
    }
}
