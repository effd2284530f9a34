//! In steady state the engine thread allocates nothing, frees nothing and calls nothing but what the network needs.

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use keepvip_proto::vrrp::report::State;
use support::{Node, pair, router, router_v6};

/// Counts allocations of the engine threads.
struct Counting;

static CALLS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// This thread is an engine. Only a yes is remembered: a thread gets its name some time after it was made.
    static ENGINE: Cell<bool> = const { Cell::new(false) };
}

fn count() {
    let engine = ENGINE.get() || {
        let mut name = [0_u8; 16];
        // SAFETY: the kernel writes a name of at most 16 octets. Nothing here allocates.
        unsafe { libc::prctl(libc::PR_GET_NAME, name.as_mut_ptr()) };
        ENGINE.set(name.starts_with(b"keepvip-engine"));
        ENGINE.get()
    };
    if engine {
        CALLS.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every call is handed on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is that of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        count();
        // SAFETY: the caller's promise is that of the system's allocator.
        unsafe { System.dealloc(ptr, layout) }
    }

    unsafe fn realloc(&self, ptr: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise is that of the system's allocator.
        unsafe { System.realloc(ptr, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn masters_and_backups_allocate_nothing() {
    if !support::privileged() {
        return;
    }
    let (a, b) = pair();
    let slots: Vec<u32> = (0..60).collect();
    let routers = |interface: &str, priority: u8| {
        let v4 = (1..=40).map(|vrid| router(interface, vrid, priority));
        v4.chain((1..=20).map(|vrid| router_v6(interface, vrid, priority)))
            .collect::<Vec<_>>()
    };
    let mut left = Node::running(&a, routers("left", 200), false);
    left.wait_states(&slots, State::Master);
    let mut right = Node::running(&b, routers("right", 100), false);
    right.wait_states(&slots, State::Backup);
    assert!(CALLS.load(Ordering::Relaxed) > 0, "nothing is counted");
    // The announcements of the beginning are over by then; after that, 20 adverts of each router.
    let settled = right.blocks[0].read().stats.advert_rcvd + 5;
    right.wait_heard(0, settled);
    let before = CALLS.load(Ordering::Relaxed);
    for slot in 0..60 {
        right.wait_heard(slot, settled + 20);
    }
    assert_eq!(
        CALLS.load(Ordering::Relaxed) - before,
        0,
        "calls of the allocator in steady state"
    );
    left.stop();
    right.stop();
}
