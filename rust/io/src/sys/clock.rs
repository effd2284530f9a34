//! The engine's clock.

use keepvip_proto::time::{Duration, Instant};

/// `CLOCK_MONOTONIC` now, rounded down to a microsecond; read through the vDSO, without entering the kernel.
pub(crate) fn now() -> Instant {
    let mut spec = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `spec` is a valid place for the result. The call cannot fail for a clock that every kernel has.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut spec) };
    let seconds = u64::try_from(spec.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(spec.tv_nsec).unwrap_or(0);
    Instant::from_micros(seconds * 1_000_000 + nanos / 1_000)
}

/// `CLOCK_REALTIME` now in µs since 1970; it may be set, in either direction.
pub(crate) fn utc_us() -> u64 {
    let mut spec = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: as in `now`.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut spec) };
    let seconds = u64::try_from(spec.tv_sec).unwrap_or(0);
    let nanos = u64::try_from(spec.tv_nsec).unwrap_or(0);
    seconds * 1_000_000 + nanos / 1_000
}

/// Sleeps for less than a second, or shorter when a signal comes.
pub(crate) fn nap(span: Duration) {
    let us = i64::try_from(span.as_micros()).unwrap_or(i64::MAX).min(999_999);
    let spec = libc::timespec {
        tv_sec: 0,
        tv_nsec: us * 1_000,
    };
    // SAFETY: `spec` is a valid request; no remainder is asked for.
    unsafe { libc::clock_nanosleep(libc::CLOCK_MONOTONIC, 0, &raw const spec, std::ptr::null_mut()) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nap_takes_its_time_and_the_clock_sees_it() {
        let before = now();
        nap(Duration::from_millis(2));
        assert!(now().since(before).as_micros() >= 2_000);
    }
}
