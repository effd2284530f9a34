//! What a scenario does to the world; each is in the trace.

use keepvip_proto::time::Duration;
use keepvip_proto::vrrp::track::{TrackId, TrackValue};
use keepvip_proto::{Apply, Change, GroupConfig};

use crate::network::Quality;
use crate::node::{NodeId, NodeState};
use crate::trace::{Entry, What};
use crate::world::{Setup, World};

impl World {
    /// Sets how well a LAN works from now on.
    pub fn set_quality(&mut self, lan: usize, quality: Quality) {
        self.act(None, format!("LAN {lan}: {quality:?}"));
        self.quality[lan] = quality;
    }

    /// Starts a node that is dead.
    pub fn start(&mut self, id: NodeId) {
        self.act(Some(id), "starts".into());
        self.nodes[id].boot(self.now);
        let setup = &self.setups[id];
        let changes = setup
            .routers
            .iter()
            .zip(0..)
            .map(|(config, slot)| Change::Add {
                slot,
                config: Box::new(config.clone()),
            })
            .collect();
        let apply = Apply {
            changes,
            groups: groups(setup),
            clear_residue: true,
            hold_until: (!setup.startup_delay.is_zero()).then(|| self.now + setup.startup_delay),
            links: Vec::new(),
            tell_unknown: false,
        };
        self.nodes[id].core.handle_clock(self.now.as_micros());
        self.nodes[id].core.apply(self.now, apply);
        self.wake_up(id);
    }

    /// Gives a running node another configuration, with the same routers in the same slots.
    ///
    /// A node that sleeps cannot reload; one that is dead reads the new configuration when it starts.
    pub fn reload(&mut self, id: NodeId, setup: Setup) {
        if self.nodes[id].state == NodeState::Paused {
            return;
        }
        self.act(Some(id), "reloads".into());
        let changes = setup
            .routers
            .iter()
            .zip(0..)
            .filter(|(config, slot)| self.setups[id].routers.get(*slot as usize) != Some(*config))
            .map(|(config, slot)| Change::Update {
                slot,
                config: Box::new(config.clone()),
            })
            .collect();
        let apply = Apply {
            changes,
            groups: groups(&setup),
            clear_residue: false,
            hold_until: None,
            links: Vec::new(),
            tell_unknown: false,
        };
        self.setups[id] = setup;
        if self.nodes[id].state == NodeState::Running {
            self.nodes[id].core.handle_clock(self.now.as_micros());
            self.nodes[id].core.apply(self.now, apply);
            self.wake_up(id);
        }
    }

    /// kill -9: nothing is said, the addresses stay.
    pub fn kill(&mut self, id: NodeId) {
        self.act(Some(id), "is killed".into());
        self.end(id);
    }

    /// SIGTERM: priority 0, addresses removed. A node that sleeps does it when it wakes.
    pub fn stop(&mut self, id: NodeId) {
        match self.nodes[id].state {
            NodeState::Running => {
                self.act(Some(id), "stops".into());
                self.nodes[id].core.shutdown(self.now, true);
                self.drain(id);
                self.end(id);
            }
            NodeState::Paused => self.nodes[id].stop_on_resume = true,
            NodeState::Dead => {}
        }
    }

    fn end(&mut self, id: NodeId) {
        self.nodes[id].is_suspended = false;
        self.nodes[id].state = NodeState::Dead;
        self.wake[id] = None;
        self.resume_at[id] = None;
    }

    /// The node is not scheduled for `span`.
    pub fn pause(&mut self, id: NodeId, span: Duration) {
        if self.nodes[id].state != NodeState::Running {
            return;
        }
        self.act(Some(id), format!("is paused for {span:?}"));
        self.nodes[id].state = NodeState::Paused;
        self.wake[id] = None;
        self.resume_at[id] = Some(self.now + span);
    }

    /// As [`Self::pause`], but what is sent to the node meanwhile is lost: a virtual machine that is suspended.
    pub fn suspend(&mut self, id: NodeId, span: Duration) {
        if self.nodes[id].state == NodeState::Running {
            self.pause(id, span);
            self.nodes[id].is_suspended = true;
        }
    }

    pub(crate) fn resume(&mut self, id: NodeId) {
        self.resume_at[id] = None;
        self.act(Some(id), "resumes".into());
        self.nodes[id].resume(self.now);
        if std::mem::take(&mut self.nodes[id].stop_on_resume) {
            self.stop(id);
        } else {
            self.wake_up(id);
        }
    }

    /// The next advert of a node reaches nobody.
    pub fn lose_next(&mut self, id: NodeId) {
        self.act(Some(id), "will lose its next advert".into());
        self.nodes[id].loses_next = true;
    }

    /// From now on `to` does not hear `from` on the LAN, or does again.
    pub fn set_cut(&mut self, lan: usize, from: NodeId, to: NodeId, cut: bool) {
        if cut {
            self.cut.insert((lan, from, to));
        } else {
            self.cut.remove(&(lan, from, to));
        }
    }

    /// Splits a LAN in two halves that do not hear each other, or heals it.
    pub fn split(&mut self, lan: usize, left: &[NodeId], cut: bool) {
        let what = if cut { "split" } else { "healed" };
        self.act(None, format!("LAN {lan} is {what} at {left:?}"));
        for a in 0..self.nodes.len() {
            for b in 0..self.nodes.len() {
                if left.contains(&a) != left.contains(&b) {
                    self.set_cut(lan, a, b, cut);
                }
            }
        }
    }

    /// Pulls or plugs the cable of a node.
    pub fn set_link(&mut self, id: NodeId, lan: usize, up: bool) {
        self.act(Some(id), format!("link {lan} {}", if up { "up" } else { "down" }));
        self.nodes[id].links_up[lan] = up;
        if self.nodes[id].state == NodeState::Running {
            self.nodes[id].tell_link(lan);
            self.wake_up(id);
        }
    }

    /// A tracked thing of a node has a new value.
    pub fn set_track(&mut self, id: NodeId, track: TrackId, value: TrackValue) {
        self.act(Some(id), format!("tracked thing {track} is {value:?}"));
        self.nodes[id].tracked.insert(track, value);
        if self.nodes[id].state == NodeState::Running {
            self.nodes[id].core.handle_track(track, value);
            self.wake_up(id);
        }
    }

    fn act(&mut self, node: Option<NodeId>, action: String) {
        self.trace.push(Entry {
            at: self.now,
            node,
            what: What::Action(action),
        });
    }
}

fn groups(setup: &Setup) -> Vec<GroupConfig> {
    setup
        .groups
        .iter()
        .map(|members| GroupConfig {
            members: members.clone(),
        })
        .collect()
}
