"""What notifications did so far, for status and metrics."""

from __future__ import annotations

import msgspec

__all__ = ["NotifyCounters"]


class NotifyCounters(msgspec.Struct, kw_only=True, gc=False):
    """Totals since the start, apart from the `*_waiting` and `*_running` gauges."""

    scripts_queued: int = 0
    scripts_waiting: int = 0
    scripts_running: int = 0
    scripts_ok: int = 0
    """Exit status 0."""
    scripts_failed: int = 0
    """Another exit status, or killed by somebody else."""
    scripts_timed_out: int = 0
    scripts_stopped: int = 0
    """Ended because the daemon stopped."""
    scripts_not_started: int = 0
    scripts_lost: int = 0
    scripts_dropped: int = 0
    """Never run, because too many were waiting or the daemon stopped first."""
    scripts_merged: int = 0
    """Not queued, because the same was waiting already (`notify_master_rx_lower_pri` only)."""
    fifo_lines: int = 0
    """Lines written, counted once per FIFO."""
    fifo_lost: int = 0
    """Lines that found a FIFO full because nobody reads it, or that could not be opened."""
    mails_queued: int = 0
    mails_waiting: int = 0
    mails_sent: int = 0
    mails_failed: int = 0
    mails_retried: int = 0
    mails_dropped: int = 0
    """Never tried, because too many were waiting or the daemon stopped first."""
