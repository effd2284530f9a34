//! A thread that enters network namespaces, so that the engine need not: it opens all sockets there and hands them over.
//!
//! It also knows which of the wanted namespaces exist: it hears of names that come and go below `/run/netns`, and looks
//! whether a name still means the namespace that was opened. As long as sockets are open in a namespace the kernel keeps it
//! alive, deleted or not, with all its interfaces; so they must be closed soon. Closing can take long (a packet socket
//! waits for other processors), and is done here, too.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use keepvip_proto::vrrp::config::NetnsId;
use rtrb::{Consumer, Producer, RingBuffer};

use crate::hands::Grip;
use crate::netns::Namespace;
use crate::sys::eventfd::EventFd;
use crate::sys::netns::{FolderWatch, wait_for, within};
use crate::sys::{errno, sched};

/// Name of the thread, as `ps -L` shows it, and of those that it sends into namespaces.
const NAME: &str = "keepvip-netns";
const STACK: usize = 128 * 1024;
/// Where ip-netns(8) keeps them.
const FOLDER: &str = "/run/netns";
/// Reports, and closed namespaces, that may wait.
const CAPACITY: usize = 64;
/// A name that appears means a namespace only when it was mounted on, which nobody tells: it is tried again and again.
const RETRY_FIRST_MS: i32 = 2;
const RETRY_LAST_MS: i32 = 1000;

/// A namespace as it was opened.
pub(crate) struct Opened {
    pub(crate) id: NetnsId,
    pub(crate) namespace: Box<Namespace>,
    pub(crate) grip: Box<Grip>,
}

/// What the thread has to say.
pub(crate) enum Report {
    /// All sockets are open.
    Opened(Opened),
    /// It cannot be opened for this reason; it is tried again.
    Missing { id: NetnsId, errno: i32 },
    /// The name is gone, or means another namespace: all that is open must be given back.
    Gone { id: NetnsId },
}

/// What the engine gives back.
pub(crate) struct Closed {
    pub(crate) id: NetnsId,
    /// What is left of it to be closed.
    pub(crate) namespace: Box<Namespace>,
}

/// What the threads share, the engine apart: it only signals.
struct Orders {
    /// Ids and names of all that are wanted, when that has changed.
    wanted: Mutex<Option<Vec<(NetnsId, String)>>>,
    end: std::sync::atomic::AtomicBool,
    wake: Arc<EventFd>,
}

/// The engine's end.
pub(crate) struct OpenerPort {
    reports: Consumer<Report>,
    closed: Producer<Closed>,
    done: Arc<EventFd>,
    wake: Arc<EventFd>,
}

impl OpenerPort {
    /// The next report.
    pub(crate) fn take(&mut self) -> Option<Report> {
        self.reports.pop().ok()
    }

    /// True when there are more reports.
    pub(crate) fn has_more(&self) -> bool {
        !self.reports.is_empty()
    }

    /// True when something can be given back.
    pub(crate) fn has_room(&self) -> bool {
        !self.closed.is_full()
    }

    /// Gives a namespace back.
    pub(crate) fn give_back(&mut self, closed: Closed) {
        let full = self.closed.push(closed).is_err();
        debug_assert!(!full);
        self.wake.signal();
    }

    /// Makes the descriptor unreadable. Call it before the reports are taken.
    pub(crate) fn clear(&self) {
        self.done.clear();
    }
}

impl AsFd for OpenerPort {
    /// Readable when reports wait.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.done.as_fd()
    }
}

/// The thread, which starts when the first namespace is wanted.
pub(crate) struct Opener {
    orders: Arc<Orders>,
    worker: Option<Worker>,
    thread: Option<JoinHandle<()>>,
}

/// Makes both ends.
pub(crate) fn opener() -> io::Result<(Opener, OpenerPort)> {
    let (report_sink, reports) = RingBuffer::new(CAPACITY);
    let (closed, closed_source) = RingBuffer::new(CAPACITY);
    let (wake, done) = (Arc::new(EventFd::new()?), Arc::new(EventFd::new()?));
    let orders = Arc::new(Orders {
        wanted: Mutex::new(None),
        end: false.into(),
        wake: Arc::clone(&wake),
    });
    let worker = Worker {
        orders: Arc::clone(&orders),
        reports: report_sink,
        closed: closed_source,
        done: Arc::clone(&done),
        doors: HashMap::new(),
        watch: None,
        retry_ms: RETRY_FIRST_MS,
    };
    let opener = Opener {
        orders,
        worker: Some(worker),
        thread: None,
    };
    let port = OpenerPort {
        reports,
        closed,
        done,
        wake,
    };
    Ok((opener, port))
}

impl Opener {
    /// From now on these namespaces are wanted, and no others.
    pub(crate) fn want(&mut self, wanted: &[(NetnsId, String)]) -> io::Result<()> {
        if wanted.is_empty() && self.thread.is_none() {
            return Ok(());
        }
        *lock(&self.orders.wanted) = Some(wanted.to_vec());
        if let Some(worker) = self.worker.take() {
            let thread = thread::Builder::new().name(NAME.into()).stack_size(STACK);
            self.thread = Some(thread.spawn(move || worker.run())?);
        }
        self.orders.wake.signal();
        Ok(())
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        self.orders.end.store(true, std::sync::atomic::Ordering::Relaxed);
        self.orders.wake.signal();
        if let Some(thread) = self.thread.take() {
            // It holds nothing that others need.
            let _ended = thread.join();
        }
    }
}

/// A namespace that is wanted, or was and is not given back yet.
struct Door {
    name: String,
    wanted: bool,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be opened; `told`: that it could not be is known.
    Shut { told: bool },
    /// Device and inode of what was opened. `gone`: the engine was told to give it back.
    Open { file: (u64, u64), gone: bool },
}

/// The thread's side.
struct Worker {
    orders: Arc<Orders>,
    reports: Producer<Report>,
    closed: Consumer<Closed>,
    done: Arc<EventFd>,
    doors: HashMap<NetnsId, Door>,
    watch: Option<FolderWatch>,
    retry_ms: i32,
}

impl Worker {
    fn run(mut self) {
        // What is refused here was refused to the engine too, which has said so.
        let _signals = sched::block_signals();
        loop {
            self.orders.wake.clear();
            if self.orders.end.load(std::sync::atomic::Ordering::Relaxed) {
                return;
            }
            self.take_orders();
            self.take_closed();
            if self.watch.is_none() {
                // Without the folder there are no namespaces either; it is looked for with them.
                self.watch = FolderWatch::open(Path::new(FOLDER)).ok();
            }
            if let Some(watch) = &self.watch {
                watch.clear();
            }
            self.look();
            self.wait();
        }
    }

    fn take_orders(&mut self) {
        let Some(wanted) = lock(&self.orders.wanted).take() else {
            return;
        };
        for door in self.doors.values_mut() {
            door.wanted = false;
        }
        for (id, name) in wanted {
            let door = self.doors.entry(id).or_insert_with(|| Door {
                name,
                wanted: true,
                state: State::Shut { told: false },
            });
            door.wanted = true;
        }
        self.doors
            .retain(|_, door| door.wanted || matches!(door.state, State::Open { .. }));
        self.retry_ms = RETRY_FIRST_MS;
    }

    fn take_closed(&mut self) {
        while let Ok(closed) = self.closed.pop() {
            drop(closed.namespace);
            if let Some(door) = self.doors.get_mut(&closed.id) {
                door.state = State::Shut { told: false };
                if !door.wanted {
                    self.doors.remove(&closed.id);
                }
            }
        }
    }

    /// Compares what is there with what is open.
    fn look(&mut self) {
        let mut ids: Vec<NetnsId> = self.doors.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            if self.reports.is_full() {
                // The engine takes them; then it is looked again.
                self.retry_ms = RETRY_FIRST_MS;
                return;
            }
            let Some(door) = self.doors.get_mut(&id) else {
                continue;
            };
            let path = Path::new(FOLDER).join(&door.name);
            let report = match door.state {
                State::Open { gone: true, .. } => continue,
                State::Open { file, .. } => {
                    let there = path.metadata().map(|found| (found.dev(), found.ino()));
                    if there.is_ok_and(|there| there == file) {
                        continue;
                    }
                    door.state = State::Open { file, gone: true };
                    self.retry_ms = RETRY_FIRST_MS;
                    Report::Gone { id }
                }
                State::Shut { told } => match open(id, &path) {
                    Ok((opened, file)) => {
                        door.state = State::Open { file, gone: false };
                        Report::Opened(opened)
                    }
                    Err(_) if told => continue,
                    Err(error) => {
                        door.state = State::Shut { told: true };
                        let errno = errno(&error);
                        Report::Missing { id, errno }
                    }
                },
            };
            let full = self.reports.push(report).is_err();
            debug_assert!(!full);
            self.done.signal();
        }
    }

    /// Waits for news, or for the time to try again what could not be opened.
    fn wait(&mut self) {
        let shut = |door: &Door| door.wanted && matches!(door.state, State::Shut { .. });
        let timeout_ms = if self.doors.values().any(shut) || self.reports.is_full() {
            let now = self.retry_ms;
            self.retry_ms = (now * 2).min(RETRY_LAST_MS);
            now
        } else {
            self.retry_ms = RETRY_FIRST_MS;
            -1
        };
        let before = self.watch.is_some();
        wait_for(&*self.orders.wake, self.watch.as_ref(), timeout_ms);
        debug_assert!(before == self.watch.is_some());
    }
}

/// Opens everything in the namespace that `path` means; device and inode tell it from others.
fn open(id: NetnsId, path: &Path) -> io::Result<(Opened, (u64, u64))> {
    let entry = File::open(path)?;
    let found = entry.metadata()?;
    // What is not granted was not granted to the engine's own sockets either, which has been said.
    let mut notices = Vec::new();
    let (namespace, grip) = within(NAME, &entry, || {
        Ok((Box::new(Namespace::open(id, &mut notices)?), Box::new(Grip::open(id)?)))
    })?;
    Ok((Opened { id, namespace, grip }, (found.dev(), found.ino())))
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
