"""Health checks: finds out whether real servers work, and tells the pool (checkers-and-ipvs.md 3 and 4).

    Checkers ──▶ Runner ──▶ a way to probe ──▶ State ──▶ report
    tasks, reload  when       TCP, UDP, ICMP,    retries,   first results
                              HTTP, SMTP, ...    URLs       and changes

A check that many virtual servers share is probed once. Results go to the pool, which decides what they mean; nothing
here knows quorums, weights or the kernel's table.
"""

from keepvip.check.checkers import Checkers

__all__ = ["Checkers"]
