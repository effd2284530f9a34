//! Namespaces that come and go while the engine runs.

use keepvip_proto::engine::Core;
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::NetnsId;

use super::Runtime;
use crate::netns::{Namespace, Namespaces, OWN};
use crate::opener::{Closed, Opened, Report};
use crate::ring::RecordKind;
use crate::sys::{clock, errno};

/// A configuration waits so long for its namespaces to be read; what is not known then counts as missing.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known of a namespace other than the engine's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Door {
    /// Nothing, so far.
    #[default]
    Unknown,
    /// Its sockets are open.
    Open,
    /// The same, and it was not read in time.
    Late,
    /// It cannot be opened.
    Missing,
    /// It is gone, or nobody needs it any longer: it is closed as soon as what is under way there is done.
    Closing,
}

/// All of them.
#[derive(Default)]
pub(super) struct Doors {
    /// By id.
    list: Vec<Door>,
    /// Those that are being closed.
    closing: Vec<NetnsId>,
    /// When a configuration began to wait for them.
    awaited: Option<Instant>,
}

impl Doors {
    fn get(&self, id: NetnsId) -> Door {
        self.list.get(usize::from(id)).copied().unwrap_or_default()
    }

    fn set(&mut self, id: NetnsId, door: Door) {
        let at = usize::from(id);
        if self.list.len() <= at {
            self.list.resize(at + 1, Door::Unknown);
        }
        self.list[at] = door;
    }

    /// True when it is known of all these namespaces what is in them, or that they do not exist.
    pub(super) fn settled(&mut self, wanted: &[(NetnsId, String)], namespaces: &Namespaces, core: &mut Core) -> bool {
        if wanted.iter().all(|&(id, _)| self.is_settled(id, namespaces)) {
            self.awaited = None;
            return true;
        }
        let now = clock::now();
        let since = *self.awaited.get_or_insert(now);
        if now < since + PATIENCE {
            return false;
        }
        self.awaited = None;
        for &(id, _) in wanted {
            if !self.is_settled(id, namespaces) {
                core.handle_netns_missing(id);
                let open = self.get(id) == Door::Open;
                self.set(id, if open { Door::Late } else { Door::Missing });
            }
        }
        true
    }

    fn is_settled(&self, id: NetnsId, namespaces: &Namespaces) -> bool {
        match self.get(id) {
            Door::Missing | Door::Late => true,
            Door::Open => namespaces.get(id).is_some_and(Namespace::started),
            Door::Unknown | Door::Closing => false,
        }
    }

    /// When waiting for them ends.
    pub(super) fn patience_ends(&self) -> Option<Instant> {
        self.awaited.map(|since| since + PATIENCE)
    }
}

impl Runtime {
    /// Takes in what the opener has to tell: one thing per turn, so that adverts can leave in between.
    pub(super) fn take_namespaces(&mut self, ready: bool) {
        if ready {
            self.opener.clear();
        }
        if self.hands.has_room()
            && let Some(report) = self.opener.take()
        {
            let now = clock::now();
            match report {
                Report::Opened(opened) => self.take_in(now, opened),
                Report::Missing { id, errno } => self.lose(now, id, errno),
                Report::Gone { id } => {
                    self.lose(now, id, libc::ENOENT);
                    self.close_soon(id);
                }
            }
        }
        self.backlog.namespaces = self.hands.has_room() && self.opener.has_more();
    }

    fn take_in(&mut self, now: Instant, opened: Opened) {
        let Opened { id, namespace, grip } = opened;
        match self.namespaces.add(namespace, &mut self.epoll, &mut self.core) {
            Ok(()) => {
                self.hands.open(grip);
                if self.doors.get(id) == Door::Missing {
                    self.records.push(now, RecordKind::NamespaceFound { netns: id });
                }
                self.doors.set(id, Door::Open);
            }
            Err((namespace, error)) => {
                self.lose(now, id, errno(&error));
                self.opener.give_back(Closed { id, namespace });
            }
        }
    }

    fn lose(&mut self, now: Instant, id: NetnsId, errno: i32) {
        self.core.handle_netns_missing(id);
        if self.doors.get(id) != Door::Missing {
            self.records
                .push(now, RecordKind::NamespaceMissing { netns: id, errno });
        }
        self.doors.set(id, Door::Missing);
    }

    fn close_soon(&mut self, id: NetnsId) {
        if !self.doors.closing.contains(&id) {
            self.doors.closing.push(id);
        }
    }

    /// Closes what the new configuration does not need.
    pub(super) fn close_all_but(&mut self, wanted: &[(NetnsId, String)]) {
        for id in OWN + 1..NetnsId::try_from(self.doors.list.len()).unwrap_or(NetnsId::MAX) {
            if wanted.iter().any(|&(wanted, _)| wanted == id) {
                continue;
            }
            match self.doors.get(id) {
                Door::Open | Door::Late => {
                    self.doors.set(id, Door::Closing);
                    self.close_soon(id);
                }
                // It may exist by the time that somebody wants it again.
                Door::Missing => self.doors.set(id, Door::Unknown),
                Door::Closing | Door::Unknown => {}
            }
        }
    }

    /// Closes what is to be closed. All adverts and address operations that were asked for are done.
    pub(super) fn close_doors(&mut self) {
        while self.hands.has_room()
            && self.opener.has_room()
            && let Some(id) = self.doors.closing.pop()
        {
            self.core.forget_netns(id);
            self.hands.close(id);
            if self.doors.get(id) == Door::Closing {
                self.doors.set(id, Door::Unknown);
            }
            if let Some(namespace) = self.namespaces.remove(id, &self.epoll) {
                self.opener.give_back(Closed { id, namespace });
            }
        }
        self.hands.flush();
    }
}
