//! The one timer that wakes the engine.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use keepvip_proto::time::Instant;

use super::{checked, own};

/// Fires at an absolute time of `CLOCK_MONOTONIC`.
///
/// A timerfd is a high-resolution timer without slack, so it fires as exactly as the kernel can. It is only set when the
/// time changes: a deadline that moved and moved back costs nothing.
pub(crate) struct Timer {
    fd: OwnedFd,
    armed: Option<Instant>,
}

impl Timer {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = libc::TFD_CLOEXEC | libc::TFD_NONBLOCK;
        // SAFETY: takes no pointer.
        let fd = checked(unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, flags) })?;
        // SAFETY: just opened.
        let fd = unsafe { own(fd) };
        Ok(Self { fd, armed: None })
    }

    /// Sets the timer, or stops it.
    pub(crate) fn arm(&mut self, at: Option<Instant>) -> io::Result<()> {
        if at == self.armed {
            return Ok(());
        }
        // All zero means "off", so the start of the clock becomes its first microsecond.
        let us = at.map_or(0, |at| at.as_micros().max(1));
        let time = libc::timespec {
            tv_sec: libc::time_t::try_from(us / 1_000_000).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::try_from(us % 1_000_000 * 1_000).unwrap_or(0),
        };
        let spec = libc::itimerspec {
            it_interval: libc::timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: time,
        };
        let fd = self.fd.as_raw_fd();
        // SAFETY: `spec` is a valid setting, the old one is not asked for.
        checked(unsafe { libc::timerfd_settime(fd, libc::TFD_TIMER_ABSTIME, &raw const spec, std::ptr::null_mut()) })?;
        self.armed = at;
        Ok(())
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use keepvip_proto::time::Duration;

    use super::super::clock::now;
    use super::super::epoll::{Epoll, Token, Trigger};
    use super::*;

    const TOKEN: Token = Token { kind: 3, netns: 7 };

    fn fired(epoll: &mut Epoll, block: bool) -> bool {
        epoll.wait(block).unwrap();
        epoll.ready().any(|token| token == TOKEN)
    }

    #[test]
    fn fires_at_its_time_and_not_before() {
        let mut timer = Timer::new().unwrap();
        let mut epoll = Epoll::new().unwrap();
        epoll.add(&timer, TOKEN, Trigger::Edge).unwrap();
        for _ in 0..3 {
            let at = now() + Duration::from_millis(2);
            timer.arm(Some(at)).unwrap();
            assert!(!fired(&mut epoll, false));
            assert!(fired(&mut epoll, true));
            assert!(now() >= at);
            // Edge triggered: reported once, with nothing read.
            assert!(!fired(&mut epoll, false));
        }
    }

    #[test]
    fn a_time_that_has_passed_fires_at_once() {
        let mut timer = Timer::new().unwrap();
        let mut epoll = Epoll::new().unwrap();
        epoll.add(&timer, TOKEN, Trigger::Edge).unwrap();
        timer.arm(Some(Instant::ZERO)).unwrap();
        assert!(fired(&mut epoll, true));
    }
}
