//! Several nodes on simulated LANs with virtual time, as a Python class: the real core, no sockets, no clock.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use keepvip_io::{Record, RecordKind};
use keepvip_proto::time::{Duration, Instant};
use keepvip_proto::vrrp::config::RouterConfig;
use keepvip_proto::vrrp::track::TrackValue;
use keepvip_sim::{NodeState, Quality, Setup, What, World};
use pyo3::exceptions::PyIndexError;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::config::{self, Instance, PyTrack, Value};
use crate::error::Error;
use crate::event;

/// One node: its instances in the order of their slots, what they track by slot, its sync groups, what it calls its
/// interface on each LAN, and its start-up delay in µs.
type PyNode = (
    Vec<Instance>,
    HashMap<u32, Vec<PyTrack>>,
    Vec<Vec<u32>>,
    Vec<String>,
    u64,
);

/// A simulated world. See `_core.pyi`.
#[pyclass(frozen, module = "keepvip._core")]
pub(crate) struct Simulation {
    inner: Mutex<Inner>,
}

struct Inner {
    world: World,
    nodes: usize,
    lans: usize,
    next_seq: u64,
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
            next_seq: 1,
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

    fn suspend(&self, node: usize, span_us: u64) -> PyResult<()> {
        self.of(node, 0)?.world.suspend(node, Duration::from_micros(span_us));
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

    fn set_track(&self, node: usize, number: u32, value: Value) -> PyResult<()> {
        let value = TrackValue::try_from(value)?;
        self.of(node, 0)?.world.set_track(node, number, value);
        Ok(())
    }

    fn addresses(&self, node: usize) -> PyResult<Vec<String>> {
        let inner = self.of(node, 0)?;
        Ok(inner
            .world
            .node(node)
            .addresses()
            .map(|addr| addr.to_string())
            .collect())
    }

    #[getter]
    fn now_us(&self) -> u64 {
        self.lock().world.now().as_micros()
    }

    fn run_until(&self, py: Python<'_>, at_us: u64) {
        py.detach(|| {
            let mut inner = self.lock();
            let span = Instant::from_micros(at_us).since(inner.world.now());
            inner.world.run(span);
        });
    }

    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut inner = self.lock();
        let from = inner.next_seq;
        let told = inner
            .world
            .take_trace()
            .into_iter()
            .filter_map(|entry| match entry.what {
                What::Event(reported) => Some((entry.node?, reported)),
                What::Action(_) | What::Advert { .. } => None,
            })
            .zip(from..)
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
        inner.next_seq += told.len() as u64;
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

fn setup((instances, mut tracks, groups, interfaces, startup_delay_us): PyNode) -> Result<Setup, Error> {
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
        interfaces: interfaces
            .iter()
            .map(|name| config::interface("interface", name))
            .collect::<Result<_, _>>()?,
        startup_delay: Duration::from_micros(startup_delay_us),
    })
}
