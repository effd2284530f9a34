//! File and process events as Python classes. See `_core.pyi`.

use std::ffi::OsString;
use std::path::PathBuf;

use keepvip_proto::wire::proc_event::ProcEvent;
use pyo3::prelude::*;

use crate::error::Error;

/// Watches directories.
#[pyclass(frozen, module = "keepvip._core")]
pub(crate) struct Inotify {
    inotify: keepvip_io::Inotify,
}

#[pymethods]
impl Inotify {
    #[new]
    fn new() -> Result<Self, Error> {
        Ok(Self {
            inotify: keepvip_io::Inotify::new()?,
        })
    }

    #[expect(clippy::needless_pass_by_value, reason = "that is how a path comes from Python")]
    fn watch(&self, path: PathBuf, mask: u32) -> Result<i32, Error> {
        Ok(self.inotify.watch(&path, mask)?)
    }

    fn forget(&self, watch: i32) {
        self.inotify.forget(watch);
    }

    fn drain(&self) -> Result<Vec<(i32, u32, OsString)>, Error> {
        let events = self.inotify.drain()?;
        Ok(events
            .into_iter()
            .map(|event| (event.watch, event.mask, event.name))
            .collect())
    }

    fn fileno(&self) -> i32 {
        self.inotify.raw()
    }
}

/// Kind, process, and for a fork the parent.
type PyEvent = (&'static str, u32, u32);

/// Hears of the processes of the host.
#[pyclass(frozen, module = "keepvip._core")]
pub(crate) struct ProcessEvents {
    events: keepvip_io::ProcessEvents,
}

#[pymethods]
impl ProcessEvents {
    #[new]
    #[pyo3(signature = (*, buffer_bytes, force))]
    fn new(py: Python<'_>, buffer_bytes: Option<i32>, force: bool) -> Result<Self, Error> {
        let buffer = buffer_bytes.map(|bytes| (bytes, force));
        let events = py.detach(|| keepvip_io::ProcessEvents::subscribe(buffer))?;
        Ok(Self { events })
    }

    fn drain(&self) -> Result<(Vec<PyEvent>, bool), Error> {
        let drained = self.events.drain()?;
        let events = drained
            .events
            .into_iter()
            .filter_map(|event| match event {
                ProcEvent::Fork { parent, child } => Some(("fork", child, parent)),
                ProcEvent::Exec(process) => Some(("exec", process, 0)),
                ProcEvent::Comm(process) => Some(("comm", process, 0)),
                ProcEvent::Exit(process) => Some(("exit", process, 0)),
                ProcEvent::Subscribed(_) => None,
            })
            .collect();
        Ok((events, drained.lost))
    }

    fn fileno(&self) -> i32 {
        self.events.raw()
    }
}
