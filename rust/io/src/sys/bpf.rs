//! eBPF: maps, programs, and the memory that a map shares with us.

use core::mem::size_of;
use core::ptr::NonNull;
use core::sync::atomic::AtomicU64;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use super::{checked, own, socket};

const MAP_CREATE: libc::c_int = 0;
const MAP_UPDATE: libc::c_int = 2;
const MAP_DELETE: libc::c_int = 3;
const PROG_LOAD: libc::c_int = 5;
const PROG_SOCKET_FILTER: u32 = 1;
const NO_PREALLOC: u32 = 1;
const MMAPABLE: u32 = 1 << 10;
/// Not in every libc.
const SO_ATTACH_BPF: libc::c_int = 50;

/// One instruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub(crate) struct Insn {
    pub(crate) code: u8,
    /// Source in the upper four bits, destination in the lower four (little endian hosts), the other way round else.
    pub(crate) registers: u8,
    pub(crate) offset: i16,
    pub(crate) immediate: i32,
}

/// What kind of map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// Memory for an entry is taken when it is put in.
    Hash,
    /// All entries exist from the start, and can be mapped into our memory.
    SharedArray,
}

/// A map.
pub(crate) struct Map {
    fd: OwnedFd,
    key_len: usize,
    value_len: usize,
    entries: usize,
}

#[repr(C)]
struct CreateAttr {
    kind: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
    flags: u32,
    inner: u32,
    numa: u32,
    name: [u8; 16],
}

#[repr(C)]
struct ElementAttr {
    map: u32,
    _padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

#[repr(C)]
struct LoadAttr {
    kind: u32,
    count: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    version: u32,
    flags: u32,
    name: [u8; 16],
}

impl Map {
    /// Makes a map.
    pub(crate) fn new(kind: Kind, key_len: usize, value_len: usize, entries: usize) -> io::Result<Self> {
        let small = |n: usize| u32::try_from(n).map_err(|_| io::Error::from_raw_os_error(libc::E2BIG));
        let (kind, flags) = match kind {
            Kind::Hash => (1, NO_PREALLOC),
            Kind::SharedArray => (2, MMAPABLE),
        };
        let mut attr = CreateAttr {
            kind,
            key_size: small(key_len)?,
            value_size: small(value_len)?,
            max_entries: small(entries)?,
            flags,
            inner: 0,
            numa: 0,
            name: *b"keepvip\0\0\0\0\0\0\0\0\0",
        };
        // SAFETY: `attr` lays out what this command reads; it holds no pointer.
        let fd = unsafe { bpf(MAP_CREATE, &mut attr) }?;
        // SAFETY: just opened.
        let fd = unsafe { own(fd) };
        Ok(Self {
            fd,
            key_len,
            value_len,
            entries,
        })
    }

    /// Its descriptor, for a program that uses it.
    pub(crate) fn descriptor(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Puts an entry in, or exchanges it.
    pub(crate) fn put(&self, key: &[u8], value: &[u8]) -> io::Result<()> {
        assert!(key.len() == self.key_len && value.len() == self.value_len);
        let mut attr = self.element(key, value.as_ptr().expose_provenance());
        // SAFETY: the kernel reads `key_len` and `value_len` octets, which the slices were checked to have.
        unsafe { bpf(MAP_UPDATE, &mut attr) }.map(|_| ())
    }

    /// Takes an entry out.
    pub(crate) fn delete(&self, key: &[u8]) -> io::Result<()> {
        assert_eq!(key.len(), self.key_len);
        let mut attr = self.element(key, 0);
        // SAFETY: the kernel reads `key_len` octets, which the slice was checked to have.
        unsafe { bpf(MAP_DELETE, &mut attr) }.map(|_| ())
    }

    fn element(&self, key: &[u8], value: usize) -> ElementAttr {
        ElementAttr {
            map: self.fd.as_raw_fd().cast_unsigned(),
            _padding: 0,
            key: key.as_ptr().expose_provenance() as u64,
            value: value as u64,
            flags: 0,
        }
    }

    /// The values of a [`Kind::SharedArray`] as they are, while programs change them.
    pub(crate) fn share(&self) -> io::Result<SharedWords> {
        let bytes = self.entries * self.value_len.next_multiple_of(8);
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping at an address of the kernel's choice.
        let place = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                bytes,
                protection,
                libc::MAP_SHARED,
                self.fd.as_raw_fd(),
                0,
            )
        };
        if place == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let words = NonNull::new(place.cast()).ok_or_else(|| io::Error::from_raw_os_error(libc::ENOMEM))?;
        Ok(SharedWords { words, bytes })
    }
}

/// Memory that the kernel's programs write to, as words.
pub(crate) struct SharedWords {
    words: NonNull<AtomicU64>,
    bytes: usize,
}

// SAFETY: it owns its mapping, which can be used from any thread; access is by atomic words only.
unsafe impl Send for SharedWords {}

impl SharedWords {
    /// All words.
    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping has that many octets, is aligned to a page and lives as long as `self`; any bits are a word.
        unsafe { core::slice::from_raw_parts(self.words.as_ptr(), self.bytes / size_of::<AtomicU64>()) }
    }
}

impl Drop for SharedWords {
    fn drop(&mut self) {
        // SAFETY: mapped with this length by `Map::share`, and no reference into it outlives `self`.
        unsafe { libc::munmap(self.words.as_ptr().cast(), self.bytes) };
    }
}

/// Loads a socket filter; the error of a program that the kernel does not accept is `EACCES` or `EINVAL`.
pub(crate) fn load_filter(program: &[Insn]) -> io::Result<OwnedFd> {
    let license = c"Apache-2.0";
    let mut attr = LoadAttr {
        kind: PROG_SOCKET_FILTER,
        count: u32::try_from(program.len()).unwrap_or(u32::MAX),
        insns: program.as_ptr().expose_provenance() as u64,
        license: license.as_ptr().expose_provenance() as u64,
        log_level: 0,
        log_size: 0,
        log: 0,
        version: 0,
        flags: 0,
        name: *b"keepvip\0\0\0\0\0\0\0\0\0",
    };
    // SAFETY: the kernel reads `count` instructions and a string that ends with a zero.
    let fd = unsafe { bpf(PROG_LOAD, &mut attr) }?;
    // SAFETY: just opened.
    Ok(unsafe { own(fd) })
}

/// Has a filter look at everything that a socket receives from now on.
pub(crate) fn attach(socket: &impl AsFd, filter: &OwnedFd) -> io::Result<()> {
    socket::set(socket, libc::SOL_SOCKET, SO_ATTACH_BPF, filter.as_raw_fd())
}

/// # Safety
/// `attr` is what `command` reads, and pointers in it are good for what the kernel does with them.
unsafe fn bpf<T>(command: libc::c_int, attr: &mut T) -> io::Result<RawFd> {
    // SAFETY: by the contract of this function; the kernel reads no more than the given size.
    let ret = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut *attr, size_of::<T>()) };
    checked(libc::c_int::try_from(ret).unwrap_or(-1))
}
