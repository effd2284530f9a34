//! Several nodes on simulated LANs with virtual time, as a Python class: the real core, no sockets, no clock.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keepvip_io::{Record, RecordKind};
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::{IfName, RouterConfig};
use keepvip_proto::vrrp::track::TrackValue;
use keepvip_sim::{NodeState, Quality, Setup, What, World};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::config::{self, Instance, PyTrack};
use crate::error::Error;
use crate::event;

/// One node: its instances in the order of their slots, what they track by slot, its sync groups, and what it calls its
/// interface on each LAN.
type PyNode = (Vec<Instance>, HashMap<u32, Vec<PyTrack>>, Vec<Vec<u32>>, Vec<String>);

/// A simulated world. See `_core.pyi`.
#[pyclass(frozen, module = "keepvip._core")]
pub(crate) struct Simulation {
    inner: Mutex<Inner>,
}

struct Inner {
    world: World,
    nodes: usize,
    lans: usize,
    /// Entries of the trace that were told.
    told: usize,
}

#[pymethods]
impl Simulation {
    #[new]
    #[pyo3(signature = (*, nodes, lans, seed))]
    fn new(nodes: Vec<PyNode>, lans: usize, seed: u64) -> Result<Self, Error> {
        let count = nodes.len();
        let setups = nodes.into_iter().map(setup).collect::<Result<_, _>>()?;
        let inner = Inner {
            world: World::new(setups, lans, seed),
            nodes: count,
            lans,
            told: 0,
        };
        Ok(Self {
            inner: Mutex::new(inner),
        })
    }

    fn start(&self, node: usize) -> PyResult<()> {
        let mut inner = self.of(node, 0)?;
        if inner.world.node(node).state == NodeState::Dead {
            inner.world.start(node);
        }
        Ok(())
    }

    fn kill(&self, node: usize) -> PyResult<()> {
        self.of(node, 0)?.world.kill(node);
        Ok(())
    }

    fn stop(&self, node: usize) -> PyResult<()> {
        self.of(node, 0)?.world.stop(node);
        Ok(())
    }

    fn pause(&self, node: usize, span_us: u64) -> PyResult<()> {
        self.of(node, 0)?.world.pause(node, Duration::from_micros(span_us));
        Ok(())
    }

    fn set_link(&self, node: usize, lan: usize, up: bool) -> PyResult<()> {
        self.of(node, lan)?.world.set_link(node, lan, up);
        Ok(())
    }

    /// Cuts every node off from all others on a LAN, or heals it.
    fn split(&self, lan: usize, cut: bool) -> PyResult<()> {
        let mut inner = self.of(0, lan)?;
        for node in 0..inner.nodes {
            inner.world.split(lan, &[node], cut);
        }
        Ok(())
    }

    fn set_loss(&self, lan: usize, per_mille: u64) -> PyResult<()> {
        let quality = Quality {
            loss_per_mille: per_mille,
            ..Quality::default()
        };
        self.of(0, lan)?.world.set_quality(lan, quality);
        Ok(())
    }

    fn set_track(&self, node: usize, number: u32, good: bool) -> PyResult<()> {
        let value = if good { TrackValue::Good } else { TrackValue::Bad };
        self.of(node, 0)?.world.set_track(node, number, value);
        Ok(())
    }

    #[getter]
    fn now_us(&self) -> u64 {
        self.lock().world.now().as_micros()
    }

    fn run_until(&self, at_us: u64) {
        let mut inner = self.lock();
        let span = Instant::from_micros(at_us).since(inner.world.now());
        inner.world.run(span);
    }

    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut inner = self.lock();
        let from = inner.told;
        inner.told = inner.world.trace().len();
        let told = inner.world.trace()[from..]
            .iter()
            .filter_map(|entry| match &entry.what {
                What::Event(reported) => Some((entry.node, reported)),
                What::Action(_) | What::Advert { .. } => None,
            })
            .zip(1..)
            .map(|((node, reported), seq)| {
                let record = Record {
                    seq,
                    epoch: 1,
                    at: reported.at,
                    kind: RecordKind::Event {
                        kind: reported.kind,
                        took: Duration::ZERO,
                    },
                };
                (node, event::record(py, &record)?).into_pyobject(py)
            })
            .collect::<PyResult<Vec<Bound<'py, PyTuple>>>>()?;
        PyList::new(py, told)
    }
}

impl Simulation {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn of(&self, node: usize, lan: usize) -> PyResult<MutexGuard<'_, Inner>> {
        let inner = self.lock();
        if node < inner.nodes && lan < inner.lans {
            Ok(inner)
        } else {
            Err(PyIndexError::new_err("there is no such node or LAN"))
        }
    }
}

fn setup((instances, mut tracks, groups, interfaces): PyNode) -> Result<Setup, Error> {
    let routers = (0..)
        .zip(instances)
        .map(|(slot, instance)| {
            let mut router = RouterConfig::try_from(instance)?;
            let tracks = tracks.remove(&slot).unwrap_or_default();
            router.tracks = tracks.into_iter().map(config::track).collect::<Result<_, _>>()?;
            Ok(router)
        })
        .collect::<Result<_, Error>>()?;
    Ok(Setup {
        routers,
        groups,
        interfaces: interfaces.iter().filter_map(|name| IfName::new(name)).collect(),
        ..Setup::default()
    })
}
