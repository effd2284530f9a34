//! A new configuration, and the end: commands that change what routers there are.

use super::{Apply, Change, Core, Group};
use crate::time::{Duration, Instant};
use crate::vrrp::config::{IfName, NetnsId, RouterConfig, Vip};
use crate::vrrp::report::{EventKind, Evidence, GroupIndex, Reason, Slot, State};
use crate::vrrp::router::{Held, Phase, Router};
use crate::vrrp::track::TrackTarget;

impl Core {
    /// Puts a new configuration into force. Routers that are not named in `apply.changes` notice nothing.
    ///
    /// Everything that is taken away goes before anything that is added, so that an address may move from one router
    /// to another in one step.
    pub fn apply(&mut self, now: Instant, apply: Apply) {
        if self.stopping.is_some() {
            // What ends does not start again.
            return;
        }
        if let Some(until) = apply.hold_until {
            self.hold_until = until;
        }
        self.unwatch_all();
        self.unknown = apply.tell_unknown.then(Default::default);
        self.configure_links(apply.links);
        let (updated, added) = self.exchange(now, apply.changes);
        self.index_routers();
        self.regroup(apply.groups);
        for &(slot, _) in &updated {
            self.link_up(slot);
        }
        for &slot in &added {
            // The others are linked when their interface is found.
            if self
                .router(slot)
                .is_some_and(|router| router.config.interface.is_none())
            {
                self.link_up(slot);
            }
        }
        // Everybody, since a fault may lie in what another router has or no longer has: its VRID, its place in a group.
        for slot in 0..self.slot_count() {
            self.observe(now, slot);
        }
        if apply.clear_residue {
            self.clear_residue();
        }
        self.start(now, &added);
        for slot in 0..self.slot_count() {
            self.judge(now, slot);
        }
        for index in 0..self.groups.len() {
            self.report_group(now, u32::try_from(index).unwrap_or(GroupIndex::MAX));
        }
        for (slot, vips_added) in updated {
            self.finish_update(now, slot, vips_added);
        }
    }

    /// Takes routers out, exchanges their configurations, puts new ones in. Returns the slots that were updated, with
    /// whether they got new addresses, and those that were added.
    fn exchange(&mut self, now: Instant, changes: Vec<Change>) -> (Vec<(Slot, bool)>, Vec<Slot>) {
        let mut removed: Vec<Slot> = changes
            .iter()
            .filter_map(|change| match change {
                Change::Remove { slot } => Some(*slot),
                Change::Add { .. } | Change::Update { .. } => None,
            })
            .collect();
        removed.sort_unstable();
        self.forget_adverts(&removed);
        let mut updated = Vec::new();
        let mut added = Vec::new();
        for change in changes {
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
        (updated, added)
    }

    /// Releases everything: priority 0 and no addresses, unless `release` is false, which leaves the addresses where
    /// they are and says nothing (`-V`). `Stopped` follows when the queues are drained.
    pub fn shutdown(&mut self, now: Instant, release: bool) {
        self.stopped_at = now;
        for slot in 0..self.slot_count() {
            let Some(router) = self.router_mut(slot) else {
                continue;
            };
            let evidence = router.evidence(now);
            if release {
                self.change_state(now, slot, State::Init, Reason::Shutdown, evidence);
            } else {
                self.leave_phase(slot);
                self.announcer.cancel(slot);
                if let Some(router) = self.router_mut(slot) {
                    router.phase = Phase::Init;
                }
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
            self.ops_pending.resize(needed, 0);
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
            self.leave_phase(slot);
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
        let kept = |vip: &Vip| config.vips.iter().any(|new| new.same_address(vip));
        let dropped: Vec<usize> = (0..)
            .zip(&router.config.vips)
            .filter_map(|(index, vip)| (!kept(vip)).then_some(index))
            .collect();
        for index in dropped {
            self.take_off(slot, index, true);
        }
        self.unlink(slot);
        let Some(router) = self.router_mut(slot) else {
            return false;
        };
        let known = |vip: &Vip| router.config.vips.iter().any(|old| old.same_address(vip));
        let vips_added = !config.vips.iter().all(known);
        router.held = config.vips.iter().map(|vip| carried_over(router, vip)).collect();
        router.reconfigure(now, config);
        self.rebuild_frames(slot);
        vips_added
    }

    fn finish_update(&mut self, now: Instant, slot: Slot, vips_added: bool) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let garp = router.config.garp;
        let count = router.held.len();
        if let Phase::Master(master) = &mut router.phase {
            if vips_added {
                master.second_batch_at = (!garp.delay.is_zero()).then(|| now + garp.delay);
            }
            for index in 0..count {
                // What the kernel refused is tried again.
                let missing = self.router(slot).is_some_and(|router| {
                    let held = router.held[index];
                    !held.wanted || (!held.present && !router.config.vips[index].no_track)
                });
                if missing {
                    self.install(slot, index);
                }
            }
            if vips_added {
                // A batch under way knows only the old ones.
                self.announcer.cancel(slot);
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
            let below = [config.vmac.map(|vmac| vmac.link), config.vrf];
            names.extend(below.into_iter().flatten().map(|name| (config.netns, name)));
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
                .extend((config.vips.iter().zip(0..)).map(|(vip, index)| (config.netns, vip.addr, slot, index)));
        }
        self.vips.sort_unstable();
        self.address_ops.reserve(2 * self.vips.len());
        self.own_deletions.reserve(2 * self.vips.len());
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
                let state = self.router(slot)?.told_state();
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
            if self.router(slot).is_none_or(|router| router.state() != State::Init) {
                continue;
            }
            let serious = self
                .unit(slot)
                .find(|(_, other)| other.faults.is_serious())
                .map(|(other, _)| other);
            let waiting = self.unit(slot).any(|(_, other)| !other.faults.is_empty());
            let all_owners = self.unit(slot).all(|(_, other)| other.is_eager_owner());
            match serious {
                Some(faulty) => self.start_faulty(now, slot, faulty),
                None if waiting => self.start_quietly(slot),
                None => self.start_waiting(now, from, slot, all_owners),
            }
            if let Some(router) = self.router_mut(slot) {
                router.faults_changed = false;
            }
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

    /// `faulty`: the router itself, or the member of its group that has the fault.
    fn start_faulty(&mut self, now: Instant, slot: Slot, faulty: Slot) {
        let Some(router) = self.router(slot) else {
            return;
        };
        let own = router.faults.is_serious();
        let reason = if own { router.faults.reason() } else { Reason::SyncGroup };
        let evidence = Evidence {
            member: (!own).then_some(faulty),
            ..router.evidence(now)
        };
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

/// What is known of an address that the new configuration keeps unchanged.
fn carried_over(router: &Router, vip: &Vip) -> Held {
    let index = router.config.vips.iter().position(|known| known.same_address(vip));
    let Some((index, held)) = index.and_then(|index| Some((index, *router.held.get(index)?))) else {
        return Held::default();
    };
    // To be guarded from now on, or no longer: it is put on again, which changes the packet filter only.
    let wanted = held.wanted && router.config.vips[index].guarded == vip.guarded;
    Held { wanted, ..held }
}
