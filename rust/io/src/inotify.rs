//! Changes of directories, for an event loop outside: files that are tracked, files that say when to reload.

use std::ffi::{CString, OsString};
use std::io;
use std::os::fd::RawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use crate::sys::inotify;

/// Octets of an event before its name: watch, mask, cookie, length of the name.
const HEADER: usize = 16;

/// What happened in a directory that is watched.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileEvent {
    /// The watch; -1 with `IN_Q_OVERFLOW`, when events were lost.
    pub watch: i32,
    /// `IN_*` bits.
    pub mask: u32,
    /// Name within the directory; empty when the event is about the directory itself.
    pub name: OsString,
}

/// An inotify instance.
#[derive(Debug)]
pub struct Inotify {
    inotify: inotify::Inotify,
}

impl Inotify {
    /// Fails when the user has too many of them (`EMFILE`).
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            inotify: inotify::Inotify::open()?,
        })
    }

    /// Watches a path for the events of `mask` (`IN_*`); the number of the watch.
    pub fn watch(&self, path: &Path, mask: u32) -> io::Result<i32> {
        let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::ENOENT))?;
        self.inotify.add(&path, mask)
    }

    /// Ends a watch; of one that has ended it says nothing.
    pub fn forget(&self, watch: i32) {
        // The kernel ends the watch of a directory that is deleted by itself.
        let _gone = self.inotify.remove(watch);
    }

    /// All events that wait, in order.
    pub fn drain(&self) -> io::Result<Vec<FileEvent>> {
        let mut events = Vec::new();
        let mut buffer = [0; 8192];
        loop {
            match self.inotify.read(&mut buffer) {
                Ok(len) => parse(&buffer[..len], &mut events),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(events),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The descriptor: readable while events wait.
    #[must_use]
    pub fn raw(&self) -> RawFd {
        self.inotify.raw()
    }
}

fn parse(mut bytes: &[u8], events: &mut Vec<FileEvent>) {
    let word = |bytes: &[u8], at: usize| bytes[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
    while bytes.len() >= HEADER {
        let name_len = word(bytes, 12) as usize;
        let Some(name) = bytes.get(HEADER..HEADER + name_len) else {
            return;
        };
        let end = name.iter().position(|octet| *octet == 0).unwrap_or(name_len);
        events.push(FileEvent {
            watch: word(bytes, 0).cast_signed(),
            mask: word(bytes, 4),
            name: OsString::from_vec(name[..end].to_vec()),
        });
        bytes = &bytes[HEADER + name_len..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_written_and_one_that_goes() {
        let folder = std::env::temp_dir().join(format!("keepvip-inotify-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let inotify = Inotify::new().unwrap();
        let watch = inotify.watch(&folder, libc::IN_CLOSE_WRITE | libc::IN_DELETE).unwrap();
        std::fs::write(folder.join("a"), "1").unwrap();
        std::fs::remove_file(folder.join("a")).unwrap();
        let seen = inotify.drain().unwrap();
        let masks: Vec<_> = seen.iter().map(|event| (event.watch, event.mask)).collect();
        assert_eq!(masks, [(watch, libc::IN_CLOSE_WRITE), (watch, libc::IN_DELETE)]);
        assert!(seen.iter().all(|event| event.name == "a"));
        std::fs::remove_dir(&folder).unwrap();
        assert_eq!(inotify.drain().unwrap()[0].mask, libc::IN_IGNORED);
        inotify.forget(watch);
    }
}
