//! The Python module `keepvip._core`: converts between Python and the engine, and nothing else.

mod config;
mod engine;
mod error;
mod event;
mod simulate;
mod status;
mod watch;

use pyo3::prelude::*;

/// The native half of keepvip; see `_core.pyi` for its importers.
#[pymodule(gil_used = false)]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use crate::engine::Engine;
    #[pymodule_export]
    use crate::simulate::Simulation;
    #[pymodule_export]
    use crate::watch::{Inotify, ProcessEvents};

    /// How the module was compiled: "debug" or "release".
    #[pymodule_export]
    const BUILD_PROFILE: &str = if cfg!(debug_assertions) { "debug" } else { "release" };

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
