//! A new configuration, and the end: commands that change what routers there are.

use super::{Apply, Change, Core, Group};
use crate::time::{Duration, Instant};
use crate::vrrp::config::{IfName, NetnsId, PRIORITY_OWNER, RouterConfig, Vip};
use crate::vrrp::output::AddressOp;
use crate::vrrp::report::{EventKind, Evidence, Faults, GroupIndex, Reason, Slot, State};
use crate::vrrp::router::{Held, Phase, Router};
use crate::vrrp::track::TrackTarget;

impl Core {
    /// Puts a new configuration into force. Routers that are not named in `apply.changes` notice nothing.
    ///
    /// Everything that is taken away goes before anything that is added, so that an address may move from one router
    /// to another in one step.
    pub fn apply(&mut self, now: Instant, apply: Apply) {
        if let Some(until) = apply.hold_until {
            self.hold_until = until;
        }
        let mut updated = Vec::new();
        let mut added = Vec::new();
        for change in apply.changes {
            match change {
                Change::Remove { slot } => self.remove(now, slot),
                Change::Update { slot, config } => updated.push((slot, self.update(now, slot, config))),
                Change::Add { slot, config } => {
                    self.make_room(slot);
                    self.routers[slot as usize] = Some(Box::new(Router::new(config)));
                    added.push(slot);
                }
            }
        }
        self.index_routers();
        self.regroup(apply.groups);
        for &slot in &added {
            if self
                .router(slot)
                .is_some_and(|router| router.config.interface.is_none())
            {
                self.link_up(slot);
            }
            self.look_at(now, slot);
        }
        if apply.clear_residue {
            self.clear_residue();
        }
        for (slot, vips_added) in updated {
            self.finish_update(now, slot, vips_added);
        }
        self.start(now, &added);
    }

    /// Releases everything: priority 0 and no addresses, unless `release` is false, which leaves the addresses where
    /// they are and says nothing (`-V`). `Stopped` follows when the queues are drained.
    pub fn shutdown(&mut self, now: Instant, release: bool) {
        self.stopped_at = now;
        for slot in 0..u32::try_from(self.routers.len()).unwrap_or(u32::MAX) {
            let Some(router) = self.router_mut(slot) else {
                continue;
            };
            let evidence = router.evidence(now);
            if release {
                self.change_state(now, slot, State::Init, Reason::Shutdown, evidence);
            } else {
                router.phase = Phase::Init;
                self.announcer.cancel(slot);
            }
            self.rearm(slot);
        }
        self.stopping = Some(true);
    }

    fn make_room(&mut self, slot: Slot) {
        let needed = slot as usize + 1;
        if self.routers.len() < needed {
            self.routers.resize_with(needed, || None);
            self.armed.resize(needed, None);
            self.is_dirty.resize(needed, false);
            self.dirty.reserve(needed);
            self.wheel.reserve(slot + 1);
            self.adverts.reserve(needed);
            self.events.reserve(2 * needed);
        }
    }

    fn remove(&mut self, now: Instant, slot: Slot) {
        let Some(router) = self.router(slot) else {
            return;
        };
        let state = router.state();
        if state == State::Master {
            self.withdraw_all(slot);
            self.queue_farewell(slot);
        }
        self.announcer.cancel(slot);
        self.unlink(slot);
        self.wheel.remove(slot);
        self.armed[slot as usize] = None;
        self.lost.retain(|&lost| lost != slot);
        self.routers[slot as usize] = None;
        self.report(now, EventKind::Deleted { slot, state });
    }

    /// Exchanges the configuration of a router that goes on, and takes away the addresses that it no longer has.
    /// Returns whether it has new ones.
    fn update(&mut self, now: Instant, slot: Slot, config: Box<RouterConfig>) -> bool {
        let Some(router) = self.router(slot) else {
            return false;
        };
        let old = &router.config;
        for index in 0..old.vips.len() {
            let Some(router) = self.router(slot) else {
                break;
            };
            if router.held[index].wanted && !config.vips.contains(&router.config.vips[index]) {
                self.withdraw_orphan(slot, index);
            }
        }
        self.unlink(slot);
        let Some(router) = self.router_mut(slot) else {
            return false;
        };
        let before = router.master_down();
        let same_interval = router.master_interval == router.config.advert_interval;
        let held = config.vips.iter().map(|vip| carried_over(router, vip)).collect();
        router.held = held;
        router.stepped_down &= config.priority == PRIORITY_OWNER;
        if same_interval || router.config.version != config.version {
            router.master_interval = config.advert_interval;
        }
        let vips_added = config.vips.iter().any(|vip| !router.config.vips.contains(vip));
        router.config = config;
        router.old_checksum = router.config.starts_with_old_checksum();
        router.reported = 0;
        router.shift_deadline(now, before);
        vips_added
    }

    /// Takes off an address that the configuration no longer has; nothing waits for the answer.
    fn withdraw_orphan(&mut self, slot: Slot, index: usize) {
        let interface = self.vip_interface(slot, index);
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        router.held[index].wanted = false;
        let vip = router.config.vips[index];
        if let Some(interface) = interface {
            self.address_ops.push_back(AddressOp {
                slot,
                interface,
                vip,
                install: false,
                orphan: true,
            });
        }
    }

    fn finish_update(&mut self, now: Instant, slot: Slot, vips_added: bool) {
        self.link_up(slot);
        self.look_at(now, slot);
        self.rebuild_frames(slot);
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let garp = router.config.garp;
        let count = router.held.len();
        if let Phase::Master(master) = &mut router.phase {
            if vips_added {
                master.second_batch_at = (!garp.delay.is_zero()).then(|| now + garp.delay);
            }
            if !garp.refresh.is_zero() && master.refresh_at.is_none() {
                master.refresh_at = Some(now + garp.delay + garp.refresh);
            } else if garp.refresh.is_zero() {
                master.refresh_at = None;
            }
            for index in 0..count {
                if !self.router(slot).is_some_and(|router| router.held[index].wanted) {
                    self.install(slot, index);
                }
            }
            if vips_added {
                self.announcer.add(slot, garp.repeat);
            }
            self.advertise_now(now, slot);
        }
        self.rearm(slot);
        self.mark_dirty(slot);
    }

    /// Rebuilds what is looked up by name or address.
    fn index_routers(&mut self) {
        self.watchers.clear();
        self.vips.clear();
        self.trackers.clear();
        for (slot, router) in (0..).zip(&self.routers) {
            let Some(router) = router else {
                continue;
            };
            let config = &router.config;
            let mut names: Vec<(NetnsId, IfName)> = config.interface.iter().map(|&name| (config.netns, name)).collect();
            names.extend(
                config
                    .vips
                    .iter()
                    .filter_map(|vip| vip.dev)
                    .map(|dev| (config.netns, dev)),
            );
            for track in &config.tracks {
                match track.target {
                    TrackTarget::Interface(name) => names.push((config.netns, name)),
                    TrackTarget::Value(id) => self.trackers.entry(id).or_default().push(slot),
                }
            }
            names.sort_unstable();
            names.dedup();
            for name in names {
                self.watchers.entry(name).or_default().push(slot);
            }
            self.vips
                .extend(config.vips.iter().zip(0..).map(|(vip, index)| (vip.addr, slot, index)));
        }
        self.vips.sort_unstable();
        self.address_ops.reserve(2 * self.vips.len());
    }

    fn regroup(&mut self, groups: Vec<super::GroupConfig>) {
        for router in self.routers.iter_mut().flatten() {
            router.group = None;
        }
        let mut regrouped = Vec::with_capacity(groups.len());
        for (index, group) in (0..).zip(groups) {
            let mut members = Vec::with_capacity(group.members.len());
            for slot in group.members {
                if let Some(router) = self.router_mut(slot)
                    && router.group.is_none()
                {
                    router.group = Some(index);
                    members.push(slot);
                }
            }
            let known = members.iter().find_map(|&slot| {
                let state = self.router(slot)?.state();
                (state != State::Init).then_some(state)
            });
            regrouped.push(Group {
                members,
                reported: known.unwrap_or(State::Init),
            });
        }
        self.groups = regrouped;
    }

    /// First states (`vrrp-behaviour.md` 1.1): alone, or with all members of the group.
    fn start(&mut self, now: Instant, added: &[Slot]) {
        let from = now.max(self.hold_until);
        for &slot in added {
            let Some(router) = self.router(slot).filter(|router| router.state() == State::Init) else {
                continue;
            };
            let group = router.group;
            let faulty = match group {
                None => !router.faults.is_empty(),
                Some(group) => self.group_routers(group).any(|(_, other)| !other.faults.is_empty()),
            };
            let all_owners = group.is_none_or(|group| {
                self.group_routers(group)
                    .all(|(_, other)| other.is_owner() && other.config.initial_master)
            });
            let only_waiting = |router: &Router| router.faults.is_empty() || router.faults == Faults::WAITING;
            let quiet = match group {
                None => only_waiting(router),
                Some(group) => self.group_routers(group).all(|(_, other)| only_waiting(other)),
            };
            if faulty && quiet {
                self.start_quietly(slot);
            } else if faulty {
                self.start_faulty(now, slot);
            } else {
                self.start_waiting(now, from, slot, all_owners);
            }
        }
        for index in 0..self.groups.len() {
            self.report_group(now, u32::try_from(index).unwrap_or(GroupIndex::MAX));
        }
    }

    /// Waits in FAULT for the first results of what it tracks; that is no fault to tell anybody of.
    fn start_quietly(&mut self, slot: Slot) {
        if let Some(router) = self.router_mut(slot) {
            router.phase = Phase::Fault;
            router.quiet = true;
        }
        self.mark_dirty(slot);
    }

    fn start_faulty(&mut self, now: Instant, slot: Slot) {
        let Some(router) = self.router(slot) else {
            return;
        };
        let reason = if router.faults.is_empty() {
            Reason::SyncGroup
        } else {
            router.faults.reason()
        };
        let evidence = router.evidence(now);
        self.change_state(now, slot, State::Fault, reason, evidence);
    }

    fn start_waiting(&mut self, now: Instant, from: Instant, slot: Slot, all_owners: bool) {
        let Some(router) = self.router(slot) else {
            return;
        };
        let (mut wait, mut why) = router.first_wait();
        if why == Reason::Owner && !all_owners {
            (wait, why) = (router.master_down(), Reason::MasterDown);
        }
        let evidence = Evidence {
            deadline: Some(from + wait),
            late: Duration::ZERO,
            ..router.evidence(now)
        };
        self.change_state(now, slot, State::Backup, Reason::Startup, evidence);
        if let Some(router) = self.router_mut(slot) {
            let wish = router.config.initial_master;
            if let Phase::Backup(backup) = &mut router.phase {
                backup.deadline = from + wait;
                backup.why = why;
                backup.wants_master = wish;
            }
        }
        self.rearm(slot);
    }
}

/// What is known of an address that the new configuration keeps unchanged. Where only an attribute of it changed (its
/// label, say), the old one is being deleted, and that deletion is ours.
fn carried_over(router: &Router, vip: &Vip) -> Held {
    let known = || router.config.vips.iter().zip(&router.held);
    if let Some((_, held)) = known().find(|(known, _)| *known == vip) {
        return *held;
    }
    let replaced = matches!(router.phase, Phase::Master(_))
        && known().any(|(known, _)| known.addr == vip.addr && known.prefix_len == vip.prefix_len);
    Held {
        own_deletions: u16::from(replaced),
        ..Held::default()
    }
}
