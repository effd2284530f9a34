//! The Python module `keepvip._core`: converts between Python and the engine, and nothing else.

use pyo3::prelude::*;

/// The native half of keepvip; `keepvip.engine` is its only importer.
#[pymodule(gil_used = false)]
mod _core {}
