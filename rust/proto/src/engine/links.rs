//! What the configuration says of interfaces as such: how long a change of state must last to be believed, who says what
//! that state is, and which of them share one pace of announcements (`vrrp-behaviour.md` 2, 3).

use std::collections::{HashMap, HashSet};

use super::Core;
use crate::time::{Duration, Instant};
use crate::vrrp::config::{Family, IfName, NetnsId};
use crate::vrrp::output::{IfId, LinkFact};
use crate::vrrp::track::{TrackId, TrackValue};

/// Announcements of several interfaces that keep a distance from each other (`garp_group`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Interfaces with the same number share it.
    pub group: u32,
    /// Least gap between two ARPs; zero leaves it to the router.
    pub garp_interval: Duration,
    /// Least gap between two NAs; zero leaves it to the router.
    pub gna_interval: Duration,
}

/// What is configured of one interface.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LinkConfig {
    /// Namespace of the interface.
    pub netns: NetnsId,
    /// Its name.
    pub name: IfName,
    /// How long it must be down to be believed (`interface_up_down_delays`).
    pub down_delay: Duration,
    /// How long it must be up to be believed, the first time apart.
    pub up_delay: Duration,
    /// With whom its announcements keep a distance.
    pub pace: Option<Pace>,
    /// Its state is what this tracked thing says, not what rtnetlink does (`linkbeat_use_polling`).
    pub polled: Option<TrackId>,
}

/// A change of state that is not believed yet.
#[derive(Clone, Copy, Debug)]
struct Doubt {
    up: bool,
    /// Set when all facts of the wake-up are in.
    until: Option<Instant>,
}

/// All of them, and what is not believed yet.
#[derive(Clone, Debug, Default)]
pub(super) struct Links {
    configs: HashMap<(NetnsId, IfName), LinkConfig>,
    doubts: HashMap<IfId, Doubt>,
    /// Have been up.
    known_up: HashSet<IfId>,
}

impl Links {
    /// When the next doubt ends; `Some(ZERO)` where that is not known yet.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.doubts
            .values()
            .map(|doubt| doubt.until.unwrap_or(Instant::ZERO))
            .min()
    }

    /// Which distance an announcement keeps, and from what: the group of the interface, or itself.
    pub(super) fn pace(&self, link: &LinkFact, family: Family, own: Duration) -> (IfId, Duration) {
        let pace = self
            .configs
            .get(&(link.id.netns, link.name))
            .and_then(|config| config.pace);
        let gap = pace.map(|pace| match family {
            Family::V4 => pace.garp_interval,
            Family::V6 => pace.gna_interval,
        });
        match (pace, gap) {
            (Some(pace), Some(gap)) if !gap.is_zero() => (
                IfId {
                    // No namespace has this number: nothing else is called so.
                    netns: NetnsId::MAX,
                    index: pace.group,
                },
                gap,
            ),
            _ => (link.id, own),
        }
    }

    /// What to take for the state of a link that is said to be as in `fact`; `believed` is what it was taken for.
    fn weigh(&mut self, fact: LinkFact, believed: Option<bool>) -> LinkFact {
        let config = self.configs.get(&(fact.id.netns, fact.name));
        let delay = config.map_or(Duration::ZERO, |config| delay(config, fact.up));
        let first = fact.up && self.known_up.insert(fact.id);
        let Some(believed) = believed.filter(|&believed| believed != fact.up && !delay.is_zero() && !first) else {
            self.doubts.remove(&fact.id);
            return fact;
        };
        let doubt = Doubt {
            up: fact.up,
            until: None,
        };
        self.doubts.entry(fact.id).or_insert(doubt);
        LinkFact { up: believed, ..fact }
    }
}

const fn delay(config: &LinkConfig, up: bool) -> Duration {
    if up { config.up_delay } else { config.down_delay }
}

impl Core {
    /// Exchanges what is configured of interfaces. Doubts that no longer have a reason end at once.
    pub(super) fn configure_links(&mut self, configs: Vec<LinkConfig>) {
        self.links.configs = configs
            .into_iter()
            .map(|config| ((config.netns, config.name), config))
            .collect();
        for config in self.links.configs.values() {
            let Some(value) = config.polled.and_then(|id| self.track_values.get(id as usize)) else {
                continue;
            };
            if let (Some(link), Some(up)) = (link_of(&self.facts, config), up_by(*value)) {
                self.facts.link_told(LinkFact { up, ..link });
            }
        }
        let facts = &self.facts;
        let configs = &self.links.configs;
        self.links.doubts.retain(|&id, doubt| {
            let link = facts.link(id);
            let config = link.and_then(|link| configs.get(&(link.id.netns, link.name)));
            let stays = config.is_some_and(|config| !delay(config, doubt.up).is_zero());
            if !stays {
                doubt.until = Some(Instant::ZERO);
            }
            link.is_some()
        });
    }

    /// The state of a link that somebody else than rtnetlink tells, and how long it must last.
    pub(super) fn judge_link(&mut self, told: LinkFact) -> LinkFact {
        let polled = self
            .links
            .configs
            .get(&(told.id.netns, told.name))
            .and_then(|config| config.polled)
            .and_then(|id| self.track_values.get(id as usize))
            .and_then(|value| up_by(*value));
        let told = LinkFact {
            up: polled.unwrap_or(told.up),
            ..told
        };
        let believed = self.facts.link(told.id).map(|link| link.up);
        self.links.weigh(told, believed)
    }

    /// A tracked thing may be the state of an interface.
    pub(super) fn beat(&mut self, id: TrackId, value: TrackValue) {
        let config = self.links.configs.values().find(|config| config.polled == Some(id));
        let link = config.and_then(|config| link_of(&self.facts, config));
        if let (Some(link), Some(up)) = (link, up_by(value)) {
            self.handle_link(LinkFact { up, ..link });
        }
    }

    /// Believes what has lasted.
    pub(super) fn end_doubts(&mut self, now: Instant) {
        if self.links.doubts.is_empty() {
            return;
        }
        let mut over = Vec::new();
        for (&id, doubt) in &mut self.links.doubts {
            let Some(link) = self.facts.link(id) else {
                continue;
            };
            let config = self.links.configs.get(&(link.id.netns, link.name));
            let delay = config.map_or(Duration::ZERO, |config| delay(config, doubt.up));
            if *doubt.until.get_or_insert(now + delay) <= now {
                over.push(LinkFact { up: doubt.up, ..*link });
            }
        }
        for fact in over {
            self.links.doubts.remove(&fact.id);
            self.facts.link_told(fact);
            self.look_again(fact.id.netns, fact.name);
        }
    }

    /// A link is gone, and what was believed of it.
    pub(super) fn forget_link(&mut self, id: IfId) {
        self.links.doubts.remove(&id);
        self.links.known_up.remove(&id);
    }
}

fn link_of(facts: &crate::vrrp::facts::Facts, config: &LinkConfig) -> Option<LinkFact> {
    let id = facts.by_name(config.netns, config.name)?;
    facts.link(id).copied()
}

const fn up_by(value: TrackValue) -> Option<bool> {
    match value {
        TrackValue::Good => Some(true),
        TrackValue::Bad => Some(false),
        TrackValue::Unknown | TrackValue::Number(_) | TrackValue::Ignored => None,
    }
}
