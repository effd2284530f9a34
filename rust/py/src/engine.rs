//! The engine as a Python class.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use keepvip_io::{ApplyCommand, FilterOptions, Modes, Options, Record, StatusBlock, VmacLink};
use keepvip_proto::engine::{Apply, Change, GroupConfig};
use keepvip_proto::time::Instant;
use keepvip_proto::vrrp::config::RouterConfig;
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::config::{self, Instance, PyLinkConfig, PyLinks, PyTrack, Value};
use crate::error::Error;
use crate::{event, status};

/// A change of one slot: "add" or "update" with an instance, "remove" without.
type PyChange = (String, u32, Option<Instance>);

/// A `PacketFilter`.
#[derive(FromPyObject)]
struct PyFilter {
    table: String,
    priority: i32,
    counters: bool,
    by_index: bool,
}

/// A running engine thread. See `_core.pyi`.
#[pyclass(frozen, module = "keepvip._core")]
pub(crate) struct Engine {
    engine: keepvip_io::Engine,
    /// Blocks that the thread publishes to, by slot.
    blocks: Mutex<Vec<Option<Arc<StatusBlock>>>>,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (*, rt_priority, lock_memory, packet_filter))]
    fn new(py: Python<'_>, rt_priority: Option<u8>, lock_memory: bool, packet_filter: PyFilter) -> Result<Self, Error> {
        let options = Options {
            rt_priority,
            lock_memory,
            modes: Modes::from_environment()?,
            filter: FilterOptions {
                table: packet_filter.table,
                priority: packet_filter.priority,
                counters: packet_filter.counters,
                by_index: packet_filter.by_index,
            },
        };
        let engine = py.detach(|| keepvip_io::Engine::start(options))?;
        Ok(Self {
            engine,
            blocks: Mutex::default(),
        })
    }

    #[pyo3(signature = (*, index, parent, v6, there))]
    fn filter_vmac(&self, index: u32, parent: u32, v6: bool, there: bool) -> Result<(), Error> {
        self.engine.filter_vmac(VmacLink { index, parent, v6 }, there)?;
        Ok(())
    }

    /// How adverts are received and how they are sent.
    #[getter]
    fn modes(&self) -> (&'static str, &'static str) {
        let modes = self.engine.modes();
        (modes.receive.name(), modes.send.name())
    }

    #[getter]
    fn notices(&self) -> Vec<String> {
        self.engine.notices().to_vec()
    }

    #[pyo3(signature = (*, changes, tracks, links, groups, namespaces, epoch, clear_residue, hold_until_us, interfaces, tell_unknown))]
    #[expect(clippy::too_many_arguments, reason = "all of them have names in Python")]
    fn apply(
        &self,
        changes: Vec<PyChange>,
        mut tracks: HashMap<u32, Vec<PyTrack>>,
        mut links: HashMap<u32, PyLinks>,
        groups: Vec<Vec<u32>>,
        namespaces: HashMap<String, u16>,
        epoch: u32,
        clear_residue: bool,
        hold_until_us: Option<u64>,
        interfaces: Vec<PyLinkConfig>,
        tell_unknown: bool,
    ) -> Result<(), Error> {
        // All of it is converted before anything is changed.
        let interfaces = interfaces
            .into_iter()
            .map(config::link_config)
            .collect::<Result<Vec<_>, _>>()?;
        let changes = changes
            .into_iter()
            .map(|change| {
                let tracks = tracks.remove(&change.1).unwrap_or_default();
                let links = links.remove(&change.1);
                self::change(change, tracks, links, &namespaces)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let mut blocks = lock(&self.blocks);
        let mut next = blocks.clone();
        for change in &changes {
            match change {
                Change::Add { slot, .. } => {
                    let at = *slot as usize;
                    next.resize_with(next.len().max(at + 1), || None);
                    next[at] = Some(Arc::default());
                }
                Change::Remove { slot } => {
                    if let Some(block) = next.get_mut(*slot as usize) {
                        *block = None;
                    }
                }
                Change::Update { .. } => {}
            }
        }
        let apply = Apply {
            changes,
            groups: groups.into_iter().map(|members| GroupConfig { members }).collect(),
            clear_residue,
            hold_until: hold_until_us.map(Instant::from_micros),
            links: interfaces,
            tell_unknown,
        };
        self.engine.apply(Box::new(ApplyCommand {
            apply,
            status: next.clone(),
            namespaces: namespaces.into_iter().map(|(name, id)| (id, name)).collect(),
            epoch,
        }))?;
        *blocks = next;
        Ok(())
    }

    fn track(&self, number: u32, value: Value) -> Result<(), Error> {
        Ok(self.engine.track(number, value.try_into()?)?)
    }

    fn fileno(&self) -> i32 {
        self.engine.wake().raw()
    }

    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let mut records: Vec<Record> = Vec::new();
        self.engine.drain(|record| records.push(record));
        let tuples = records
            .iter()
            .map(|record| event::record(py, record))
            .collect::<PyResult<Vec<_>>>()?;
        PyList::new(py, tuples)
    }

    fn status<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyTuple>> {
        let blocks = lock(&self.blocks).clone();
        let published = blocks
            .iter()
            .enumerate()
            .filter_map(|(slot, block)| Some((slot, block.as_ref()?.read())));
        let routers = published
            .map(|(slot, published)| status::router(py, slot, &published))
            .collect::<PyResult<Vec<_>>>()?;
        let thread = status::thread(py, &self.engine.status())?;
        (thread, PyList::new(py, routers)?).into_pyobject(py)
    }

    #[getter]
    fn ended(&self) -> bool {
        self.engine.status().ended
    }

    #[getter]
    fn wake_due_us(&self) -> Option<u64> {
        self.engine.status().wake_due.map(Instant::as_micros)
    }

    #[pyo3(signature = (*, release))]
    fn stop(&self, release: bool) -> Result<(), Error> {
        Ok(self.engine.stop(release)?)
    }

    fn join(&self, py: Python<'_>) -> Option<String> {
        py.detach(|| self.engine.join()).err()
    }

    fn crash(&self) -> Result<(), Error> {
        Ok(self.engine.crash()?)
    }
}

fn change(
    (kind, slot, instance): PyChange,
    tracks: Vec<PyTrack>,
    links: Option<PyLinks>,
    namespaces: &HashMap<String, u16>,
) -> Result<Change, Error> {
    let router = |instance: Instance| -> Result<_, Error> {
        let netns = match &instance.net_namespace {
            None => 0,
            Some(name) => *namespaces.get(name).ok_or_else(|| Error::Namespace(name.clone()))?,
        };
        let mut config = RouterConfig::try_from(instance)?;
        config.netns = netns;
        config.tracks = tracks.into_iter().map(config::track).collect::<Result<_, _>>()?;
        if let Some(links) = links {
            config::put_on_links(&mut config, links)?;
        }
        Ok(Box::new(config))
    };
    match (kind.as_str(), instance) {
        ("add", Some(instance)) => Ok(Change::Add {
            slot,
            config: router(instance)?,
        }),
        ("update", Some(instance)) => Ok(Change::Update {
            slot,
            config: router(instance)?,
        }),
        ("remove", None) => Ok(Change::Remove { slot }),
        _ => Err(Error::Change(kind, slot)),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
