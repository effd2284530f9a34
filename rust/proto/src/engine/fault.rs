//! What faults mean for the states of a router and of its sync group (`vrrp-behaviour.md` 1.7, 10).
//!
//! Everything follows from the faults as they are now, never from the change that led to them: judging twice does no harm,
//! and after a reload everybody is judged anew.

use super::Core;
use crate::time::{Duration, Instant};
use crate::vrrp::report::{EventKind, Evidence, Reason, Slot, State};
use crate::vrrp::router::{Phase, Router};

impl Core {
    /// Moves a router, and its group, where its faults want it. Those of all members are known.
    pub(super) fn judge(&mut self, now: Instant, slot: Slot) {
        let Some(router) = self.router_mut(slot) else {
            return;
        };
        let changed = core::mem::take(&mut router.faults_changed);
        let (state, faults, quiet) = (router.state(), router.faults, router.quiet);
        if state == State::Init {
            // It has not started, or has stopped for good.
            return;
        }
        if faults.is_serious() {
            if state == State::Fault && !quiet && changed {
                self.report(now, EventKind::FaultChange { slot, faults });
            }
            self.fall(now, slot);
        } else if state == State::Fault {
            if self.unit(slot).all(|(_, router)| router.faults.is_empty()) {
                self.leave_fault(now, slot);
            } else if changed && !quiet {
                self.report(now, EventKind::FaultChange { slot, faults });
            }
        }
    }

    /// The router itself, or all members of its group.
    pub(super) fn unit(&self, slot: Slot) -> impl Iterator<Item = (Slot, &Router)> {
        let router = self.router(slot);
        let group = router.and_then(|router| router.group);
        let alone = router.filter(|_| group.is_none()).map(|router| (slot, router));
        alone
            .into_iter()
            .chain(group.into_iter().flat_map(|group| self.group_routers(group)))
    }

    /// Takes a faulty router and its group to FAULT.
    fn fall(&mut self, now: Instant, slot: Slot) {
        self.fall_alone(now, slot, None);
        let Some(group) = self.router(slot).and_then(|router| router.group) else {
            return;
        };
        for position in 0..self.members(group) {
            if let Some(other) = self.member(group, position).filter(|&other| other != slot) {
                self.fall_alone(now, other, Some(slot));
            }
        }
        self.report_group(now, group);
    }

    /// `because_of`: the member with the fault, when it is not the router itself.
    fn fall_alone(&mut self, now: Instant, slot: Slot, because_of: Option<Slot>) {
        let Some(router) = self.router(slot) else {
            return;
        };
        let own = router.faults.is_serious();
        let reason = if own { router.faults.reason() } else { Reason::SyncGroup };
        let evidence = Evidence {
            member: because_of.filter(|_| !own),
            ..router.evidence(now)
        };
        match router.state() {
            State::Init => {}
            State::Backup | State::Master => self.change_state(now, slot, State::Fault, reason, evidence),
            State::Fault => self.tell_quiet(now, slot, reason, evidence),
        }
    }

    /// A router that waited for first results is in FAULT for a reason that is worth telling.
    fn tell_quiet(&mut self, now: Instant, slot: Slot, reason: Reason, evidence: Evidence) {
        let Some(router) = self.router_mut(slot).filter(|router| router.quiet) else {
            return;
        };
        router.quiet = false;
        router.last_transition = Some(now);
        let kind = EventKind::Transition {
            slot,
            group: router.group,
            from: State::Init,
            to: State::Fault,
            reason,
            evidence,
        };
        self.report(now, kind);
        self.mark_dirty(slot);
    }

    /// Nobody in the group is faulty any longer: those in FAULT leave it. Owners among themselves do not wait for a master
    /// that cannot be better than they are.
    fn leave_fault(&mut self, now: Instant, slot: Slot) {
        let led = self.unit(slot).any(|(_, router)| router.state() == State::Master);
        let owners = self.unit(slot).all(|(_, router)| router.is_eager_owner());
        let to = if owners && !led && now >= self.hold_until {
            State::Master
        } else {
            State::Backup
        };
        self.leave_alone(now, slot, to, None);
        let Some(group) = self.router(slot).and_then(|router| router.group) else {
            return;
        };
        for position in 0..self.members(group) {
            if let Some(other) = self.member(group, position).filter(|&other| other != slot) {
                self.leave_alone(now, other, to, Some(slot));
            }
        }
        self.report_group(now, group);
    }

    fn leave_alone(&mut self, now: Instant, slot: Slot, to: State, because_of: Option<Slot>) {
        let Some(router) = self.router(slot).filter(|router| router.state() == State::Fault) else {
            return;
        };
        let reason = match because_of {
            _ if router.quiet => Reason::Startup,
            None => Reason::FaultCleared,
            Some(_) => Reason::SyncGroup,
        };
        let evidence = Evidence {
            member: because_of,
            ..router.evidence(now)
        };
        self.change_state(now, slot, to, reason, evidence);
        let start = self.hold_until;
        let owners = self.unit(slot).all(|(_, router)| router.is_eager_owner());
        if owners
            && start > now
            && let Some(router) = self.router_mut(slot)
            && let Phase::Backup(backup) = &mut router.phase
        {
            // As it would have started without the fault.
            backup.deadline = start + Duration::from_micros(1);
            backup.why = Reason::Owner;
            backup.wants_master = true;
            self.rearm(slot);
        }
    }
}
