//! What becomes of the processes of the host, for an event loop outside.

use std::io;
use std::os::fd::RawFd;
use std::thread;

use keepvip_proto::wire::proc_event::{self, ProcEvent};

use crate::sys::connector::{self, Connector};

/// How long the kernel may take to say that we are subscribed; it does so before `send` returns.
const ANSWER_MS: i32 = 500;
/// More than one event.
const BUFFER: usize = 1024;

/// What waited to be read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Drained {
    /// In order.
    pub events: Vec<ProcEvent>,
    /// Some were lost, so that only a look at all processes helps.
    pub lost: bool,
}

/// A subscription to the process events of the kernel.
#[derive(Debug)]
pub struct ProcessEvents {
    connector: Connector,
}

impl ProcessEvents {
    /// Subscribes. `buffer`: octets of the receive buffer, and whether the limit of the system may be exceeded.
    ///
    /// The kernel answers only in its first network namespace: from another one, that one is entered for a moment, on a
    /// thread that ends with it. In another user or PID namespace there is no answer at all (`TimedOut`).
    pub fn subscribe(buffer: Option<(i32, bool)>) -> io::Result<Self> {
        match Self::subscribe_here(buffer) {
            Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => thread::spawn(move || {
                connector::enter_first_namespace()?;
                Self::subscribe_here(buffer)
            })
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the thread that subscribes has panicked"))),
            result => result,
        }
    }

    fn subscribe_here(buffer: Option<(i32, bool)>) -> io::Result<Self> {
        let connector = Connector::open()?;
        if let Some((bytes, force)) = buffer {
            connector.set_buffer(bytes, force)?;
        }
        connector.send(&proc_event::subscription())?;
        while connector.wait(ANSWER_MS) {
            let mut message = [0; BUFFER];
            let len = connector.receive(&mut message)?;
            match proc_event::parse(&message[..len]) {
                Some(ProcEvent::Subscribed(0)) => return Ok(Self { connector }),
                Some(ProcEvent::Subscribed(errno)) => {
                    return Err(io::Error::from_raw_os_error(errno.cast_signed()));
                }
                _ => {}
            }
        }
        Err(io::Error::new(
            io::ErrorKind::TimedOut,
            "the kernel does not answer: this is not its first user and PID namespace",
        ))
    }

    /// Takes everything that waits, without waiting.
    pub fn drain(&self) -> io::Result<Drained> {
        let mut drained = Drained::default();
        let mut message = [0; BUFFER];
        loop {
            match self.connector.receive(&mut message) {
                Ok(len) => drained.events.extend(proc_event::parse(&message[..len])),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => drained.lost = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(drained),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The descriptor: readable while events wait.
    #[must_use]
    pub fn raw(&self) -> RawFd {
        self.connector.raw()
    }
}
