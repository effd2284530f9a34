//! What can go wrong here, and the Python exception that it becomes.

use std::io;

use keepvip_io::CommandError;
use pyo3::PyErr;
use pyo3::exceptions::{PyOSError, PyRuntimeError, PyValueError};

/// An error of the binding.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A value that the configuration compiler should not have let through.
    #[error("{field}: {problem}: {value}")]
    Value {
        field: &'static str,
        problem: &'static str,
        value: String,
    },
    /// A change that is none of "add", "update", "remove", or has the wrong operands.
    #[error("bad change {0:?} of slot {1}")]
    Change(String, u32),
    /// An instance is in a network namespace that has no number.
    #[error("network namespace {0} has no number")]
    Namespace(String),
    /// The kernel refused something.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The engine thread has ended.
    #[error("the engine has ended")]
    Ended,
    /// The engine thread does not take its commands.
    #[error("the engine does not take commands")]
    Full,
    /// There is no thread to open network namespaces.
    #[error("no thread can be made to open network namespaces")]
    NoThread,
}

impl From<CommandError> for Error {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Ended => Self::Ended,
            CommandError::Full => Self::Full,
            CommandError::NoThread => Self::NoThread,
        }
    }
}

impl From<Error> for PyErr {
    fn from(error: Error) -> Self {
        match error {
            Error::Value { .. } | Error::Change(..) | Error::Namespace(_) => PyValueError::new_err(error.to_string()),
            Error::Io(error) => match error.raw_os_error() {
                Some(errno) => PyOSError::new_err((errno, error.to_string())),
                None => PyOSError::new_err(error.to_string()),
            },
            Error::Ended | Error::Full | Error::NoThread => PyRuntimeError::new_err(error.to_string()),
        }
    }
}
