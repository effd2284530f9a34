//! The engine as the rest of the process sees it: a thread that takes commands and tells what it did.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use keepvip_proto::vrrp::track::{TrackId, TrackValue};

use crate::modes::Modes;
use crate::netlink::{FilterOptions, VmacLink};
use crate::opener::{self, Opener};
use crate::ring::{self, ApplyCommand, Command, CommandSink, Record, RecordSource};
use crate::runtime::Runtime;
use crate::status::{PublishedThreadStatus, ThreadStatus};
use crate::sys::clock;
use crate::sys::eventfd::EventFd;
use crate::sys::sched;

/// Name of the thread, as `ps -L` shows it.
const NAME: &str = "keepvip-engine";
/// What the names of all our threads begin with.
const OURS: &str = "keepvip-";
/// Its stack. All of what is used is touched in advance.
const STACK: usize = 1 << 20;

/// What the last panic of an engine thread said. Written by the panic hook, read once the thread has ended.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// How the engine is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// `SCHED_RR` priority, 1 to 99; `None` for ordinary scheduling.
    pub rt_priority: Option<u8>,
    /// Lock the memory of the process.
    pub lock_memory: bool,
    /// How the packet filter is made, if an address needs it.
    pub filter: FilterOptions,
    /// How adverts are received and sent.
    pub modes: Modes,
}

/// Why a command was not accepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CommandError {
    /// The thread has ended.
    Ended,
    /// Too many commands wait already.
    Full,
    /// No thread could be made to open network namespaces.
    NoThread,
}

/// A running engine thread.
///
/// The locks in here are between the callers only; the thread itself never takes one.
pub struct Engine {
    commands: Mutex<CommandSink>,
    records: Mutex<RecordSource>,
    wake: Arc<EventFd>,
    status: Arc<ThreadStatus>,
    notices: Vec<String>,
    modes: Modes,
    opener: Mutex<Opener>,
    thread: Mutex<Option<JoinHandle<Result<(), String>>>>,
}

impl Engine {
    /// Opens all sockets in the network namespace of the calling thread, starts the thread, and returns once it has set
    /// itself up.
    ///
    /// # Errors
    /// A socket or the thread could not be made; without `CAP_NET_RAW` and `CAP_NET_ADMIN` there is no engine.
    pub fn start(options: Options) -> io::Result<Self> {
        keep_panics_silent();
        let mut notices = Vec::new();
        let mut modes = options.modes;
        let (commands, command_source) = ring::commands()?;
        let (record_sink, records) = ring::records()?;
        let status = Arc::new(ThreadStatus::default());
        status.sleeps_until(Some(clock::now()));
        let (opener, opener_port) = opener::opener()?;
        let runtime = Runtime::open(
            command_source,
            record_sink,
            opener_port,
            Arc::clone(&status),
            &options,
            &mut modes,
            &mut notices,
        )?;
        let (ready, is_ready) = mpsc::channel();
        let thread = thread::Builder::new().name(NAME.into()).stack_size(STACK).spawn({
            let status = Arc::clone(&status);
            move || {
                let settled = settle(&options, &status);
                let failed = settled.is_err();
                if ready.send(settled).is_err() || failed {
                    return Ok(());
                }
                drop(ready);
                supervise(runtime)
            }
        })?;
        let ended = |_| io::Error::other("the engine thread has ended");
        notices.append(&mut is_ready.recv().map_err(ended)??);
        Ok(Self {
            commands: Mutex::new(commands),
            wake: Arc::clone(records.wake()),
            records: Mutex::new(records),
            status,
            notices,
            modes,
            opener: Mutex::new(opener),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// How adverts are received and sent.
    #[must_use]
    pub const fn modes(&self) -> Modes {
        self.modes
    }

    /// What was not granted, in words.
    #[must_use]
    pub fn notices(&self) -> &[String] {
        &self.notices
    }

    /// Readable when records wait, and when the thread has ended.
    #[must_use]
    pub fn wake(&self) -> &EventFd {
        &self.wake
    }

    /// Numbers of the thread as a whole.
    #[must_use]
    pub fn status(&self) -> PublishedThreadStatus {
        self.status.read()
    }

    /// Hands over a configuration.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn apply(&self, command: Box<ApplyCommand>) -> Result<(), CommandError> {
        if lock(&self.opener).want(&command.namespaces).is_err() {
            return Err(CommandError::NoThread);
        }
        self.send(Command::Apply(command))
    }

    /// Tells the value of a tracked thing. Values that are told before a configuration are known to it from its start.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn track(&self, id: TrackId, value: TrackValue) -> Result<(), CommandError> {
        self.send(Command::Track { id, value })
    }

    /// Tells the packet filter of a virtual MAC that is there, or gone.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn filter_vmac(&self, link: VmacLink, there: bool) -> Result<(), CommandError> {
        self.send(Command::FilterVmac { link, there })
    }

    /// Asks the thread to release everything and to end; a `Stopped` record is its last.
    ///
    /// # Errors
    /// See [`CommandError`].
    pub fn stop(&self, release: bool) -> Result<(), CommandError> {
        self.send(Command::Shutdown { release })
    }

    /// Makes the thread panic.
    ///
    /// # Errors
    /// See [`CommandError`].
    #[doc(hidden)]
    pub fn crash(&self) -> Result<(), CommandError> {
        self.send(Command::Crash)
    }

    fn send(&self, command: Command) -> Result<(), CommandError> {
        if self.status.read().ended {
            return Err(CommandError::Ended);
        }
        lock(&self.commands).send(command).map_err(|_| CommandError::Full)
    }

    /// Hands all waiting records to `take`, oldest first.
    pub fn drain(&self, mut take: impl FnMut(Record)) {
        let mut records = lock(&self.records);
        records.clear();
        while let Some(record) = records.pop() {
            take(record);
        }
    }

    /// Waits for the end of the thread; `Err` with the reason when it failed. Further calls return `Ok` at once.
    ///
    /// # Errors
    /// What the thread died of.
    pub fn join(&self) -> Result<(), String> {
        let thread = lock(&self.thread).take();
        match thread.map(JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(panic_message()),
        }
    }
}

impl Drop for Engine {
    /// An engine that nobody can stop any more releases its addresses.
    fn drop(&mut self) {
        if lock(&self.thread).is_some() {
            // Ended already: nothing to stop. Full: the thread hangs, and waiting for it would hang us as well.
            if self.stop(true) != Err(CommandError::Full) {
                let _failed_with_nobody_to_tell = self.join();
            }
        }
    }
}

impl core::fmt::Debug for Engine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Engine")
            .field("status", &self.status.read())
            .finish_non_exhaustive()
    }
}

/// Prepares the calling thread. What is refused costs punctuality, not function: it is told, and that is all.
fn settle(options: &Options, status: &ThreadStatus) -> io::Result<Vec<String>> {
    let mut notices = Vec::new();
    sched::block_signals()?;
    sched::no_timer_slack()?;
    sched::touch_stack();
    let mut locked = false;
    if options.lock_memory {
        match sched::lock_memory() {
            Ok(()) => locked = true,
            Err(error) => notices.push(format!(
                "memory is not locked ({error}): a page fault can delay an advert"
            )),
        }
    }
    let mut realtime = false;
    if let Some(priority) = options.rt_priority {
        match sched::real_time(priority) {
            Ok(()) => realtime = true,
            Err(error) => notices.push(format!(
                "no real-time scheduling ({error}): a busy host can delay an advert"
            )),
        }
    }
    status.granted(realtime, locked);
    Ok(notices)
}

/// Runs the loop; when it fails, withdraws what it held.
fn supervise(mut runtime: Runtime) -> Result<(), String> {
    let outcome = match panic::catch_unwind(AssertUnwindSafe(|| runtime.run())) {
        Ok(outcome) => outcome.map_err(|error| error.to_string()),
        Err(_) => Err(panic_message()),
    };
    if outcome.is_err() {
        runtime.last_gasp();
    }
    runtime.end(outcome.is_err());
    outcome
}

/// The default hook prints to standard error. In the engine thread that could block for ever, before the addresses are
/// off: in our threads the message is kept instead.
fn keep_panics_silent() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if thread::current().name().is_some_and(|name| name.starts_with(OURS)) {
                lock(&PANIC).get_or_insert_with(|| info.to_string());
            } else {
                usual(info);
            }
        }));
    });
}

fn panic_message() -> String {
    lock(&PANIC).take().unwrap_or_else(|| "panic without a message".into())
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
