//! Adverts that wake nobody.
//!
//! A backup hears the same advert again and again, and waking up for it costs ten times what it costs to receive it. Where
//! the kernel lets us (CAP_BPF), a socket filter compares each advert with the last accepted one of its router; an equal one
//! is noted and dropped before any wake-up. The core asks for the notes when a deadline is near
//! ([`keepvip_proto::Routine`]). Everything else arrives as ever: other octets, another sender, priority 0.
//!
//! Without the capability every advert arrives, and nothing but the price is different.

mod layout;
mod program;

use core::sync::atomic::{AtomicU64, Ordering};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use keepvip_proto::engine::{AdvertRx, Noted, Routine};
use keepvip_proto::time::Instant;
use keepvip_proto::vrrp::config::{Family, NetnsId};
use keepvip_proto::vrrp::report::Slot;

use crate::sys::bpf::{self, Kind, Map, SharedWords};
use layout::{COUNT, DESTINATION, ENTRY, Key, LAST, LENGTH, MOST, PAYLOAD, SOURCE};

/// Routers beyond that are heard by waking up. 1.5 MB.
const ROUTERS: usize = 8192;
/// The socket that every engine has.
const FIRST: (Family, NetnsId) = (Family::V4, 0);
const WORDS: usize = ENTRY / 8;

/// The filters of all namespaces, and what they note.
pub(crate) struct Quiet {
    keys: Map,
    entries: Map,
    notes: SharedWords,
    /// The filter of the socket that every engine has.
    first: OwnedFd,
    /// The key that finds each slot's entry.
    known: Vec<Option<Key>>,
}

impl Quiet {
    /// Makes the maps, and sees whether the kernel takes the filter; an error means that it does not let us.
    pub(crate) fn open() -> io::Result<Self> {
        let keys = Map::new(Kind::Hash, size_of::<Key>(), size_of::<u32>(), 2 * ROUTERS)?;
        let entries = Map::new(Kind::SharedArray, size_of::<u32>(), ENTRY, ROUTERS)?;
        let notes = entries.share()?;
        let first = program::program(FIRST.0, FIRST.1, keys.descriptor(), entries.descriptor());
        let first = bpf::load_filter(&first)?;
        Ok(Self {
            keys,
            entries,
            notes,
            first,
            known: vec![None; ROUTERS],
        })
    }

    /// Filters what a receive socket of a namespace gets.
    pub(crate) fn attach(&self, socket: &impl AsFd, family: Family, netns: NetnsId) -> io::Result<()> {
        let (keys, entries) = (self.keys.descriptor(), self.entries.descriptor());
        if (family, netns) == FIRST {
            return bpf::attach(socket, &self.first);
        }
        let program = program::program(family, netns, keys, entries);
        bpf::attach(socket, &bpf::load_filter(&program)?)
    }

    /// Adverts of this router that are equal to this one are kept from now on. Gives what was noted until now; `None` when
    /// they cannot be kept.
    pub(crate) fn watch(&mut self, slot: Slot, rx: &AdvertRx<'_>) -> Option<Noted> {
        let len = rx.payload.len();
        if !(8..=MOST).contains(&len) || slot as usize >= ROUTERS {
            return None;
        }
        let before = self.stop(slot);
        let key = layout::key(rx);
        let known = self.known.get_mut(slot as usize)?;
        if *known != Some(key) {
            if let Some(old) = known.take() {
                // It is gone already when another router has taken it over.
                let _gone = self.keys.delete(&old);
            }
            self.keys.put(&key, &slot.to_ne_bytes()).ok()?;
            *known = Some(key);
        }
        let mut octets = [0; ENTRY];
        octets[SOURCE..SOURCE + 16].copy_from_slice(&layout::address(rx.source));
        octets[DESTINATION..DESTINATION + 16].copy_from_slice(&layout::address(rx.destination));
        octets[PAYLOAD..PAYLOAD + len].copy_from_slice(rx.payload);
        let entry = self.entry(slot)?;
        for (word, octets) in entry.iter().zip(octets.chunks_exact(8)).skip(SOURCE / 8) {
            let mut value = [0; 8];
            value.copy_from_slice(octets);
            word.store(u64::from_ne_bytes(value), Ordering::Relaxed);
        }
        // Last: from here on the filter uses the entry.
        entry[LENGTH / 8].store(len as u64, Ordering::Release);
        Some(before)
    }

    fn entry(&self, slot: Slot) -> Option<&[AtomicU64]> {
        let start = slot as usize * WORDS;
        self.notes.words().get(start..start + WORDS)
    }
}

impl Routine for Quiet {
    fn noted(&mut self, slot: Slot) -> Noted {
        let Some(entry) = self.entry(slot) else {
            return Noted::default();
        };
        // The filter writes the time first, so a counted advert has one.
        let count = entry[COUNT / 8].load(Ordering::Acquire);
        if count == 0 {
            return Noted::default();
        }
        let count = entry[COUNT / 8].swap(0, Ordering::AcqRel);
        let last = Instant::from_micros(entry[LAST / 8].load(Ordering::Relaxed) / 1_000);
        Noted { count, last }
    }

    fn stop(&mut self, slot: Slot) -> Noted {
        if let Some(entry) = self.entry(slot) {
            entry[LENGTH / 8].store(0, Ordering::SeqCst);
        }
        self.noted(slot)
    }
}

/// Every advert arrives.
pub(crate) struct Everything;

impl Routine for Everything {
    fn noted(&mut self, _: Slot) -> Noted {
        Noted::default()
    }

    fn stop(&mut self, _: Slot) -> Noted {
        Noted::default()
    }
}
