//! What makes the engine thread run on time: scheduling class, locked memory, no signals.

use core::mem::zeroed;
use std::io;

use super::checked;

/// Longest time in µs that a real-time thread may compute without sleeping before the kernel ends the process. A safety
/// net against an endless loop that would otherwise hold a processor for ever; the engine sleeps many times a second.
const RT_TIME_SOFT_US: libc::rlim_t = 2_000_000;
const RT_TIME_HARD_US: libc::rlim_t = 3_000_000;

/// Octets of stack touched in advance, more than the engine ever uses.
const STACK: usize = 192 * 1024;

/// Gives the calling thread, and none of its children, round-robin real-time scheduling with `priority` (1 to 99).
pub(crate) fn real_time(priority: u8) -> io::Result<()> {
    limit_rt_time()?;
    // SAFETY: all zero is a valid parameter block.
    let mut param: libc::sched_param = unsafe { zeroed() };
    param.sched_priority = priority.into();
    // SAFETY: 0 means the calling thread; `param` is valid.
    checked(unsafe { libc::sched_setscheduler(0, libc::SCHED_RR | libc::SCHED_RESET_ON_FORK, &raw const param) })?;
    Ok(())
}

/// Sets the safety net, never above a limit that somebody set lower.
fn limit_rt_time() -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is a valid place for the result.
    checked(unsafe { libc::getrlimit(libc::RLIMIT_RTTIME, &raw mut limit) })?;
    limit.rlim_cur = limit.rlim_cur.min(RT_TIME_SOFT_US);
    limit.rlim_max = limit.rlim_max.min(RT_TIME_HARD_US);
    // SAFETY: `limit` is valid.
    checked(unsafe { libc::setrlimit(libc::RLIMIT_RTTIME, &raw const limit) })?;
    Ok(())
}

/// Keeps every page of the process that is, or will be, touched in memory.
///
/// `ONFAULT` leaves untouched pages alone, so thread stacks and reserves cost nothing. The kernel refuses when the
/// process is larger than its limit on locked memory and `CAP_IPC_LOCK` is missing.
pub(crate) fn lock_memory() -> io::Result<()> {
    // SAFETY: takes no pointer; changes no memory.
    checked(unsafe { libc::mlockall(libc::MCL_CURRENT | libc::MCL_FUTURE | libc::MCL_ONFAULT) })?;
    Ok(())
}

/// Takes away the slack that the kernel gives to sleeping calls of this thread (50 µs by default).
pub(crate) fn no_timer_slack() -> io::Result<()> {
    // SAFETY: takes no pointer. 1 ns is the smallest slack; 0 would mean the default.
    checked(unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64, 0_u64, 0_u64, 0_u64) })?;
    Ok(())
}

/// Leaves all signals of the process to its other threads.
pub(crate) fn block_signals() -> io::Result<()> {
    // SAFETY: all zero is a valid place for a set.
    let mut set: libc::sigset_t = unsafe { zeroed() };
    // SAFETY: `set` is a valid place for the result.
    checked(unsafe { libc::sigfillset(&raw mut set) })?;
    // SAFETY: `set` is a valid set, the old one is not asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const set, core::ptr::null_mut()) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Touches the stack that the engine is going to use, so that no page of it is missing later.
#[inline(never)]
pub(crate) fn touch_stack() {
    let mut stack = [0_u8; STACK];
    for page in stack.chunks_mut(4096) {
        page[0] = std::hint::black_box(1);
    }
    std::hint::black_box(&stack);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_need_no_privilege_are_granted() {
        std::thread::spawn(|| {
            block_signals().unwrap();
            no_timer_slack().unwrap();
            touch_stack();
            // SAFETY: takes no pointer.
            assert_eq!(unsafe { libc::prctl(libc::PR_GET_TIMERSLACK) }, 1);
        })
        .join()
        .unwrap();
    }
}
