"""Everything that asks the kernel, in one place and on one thread at a time: the event loop never waits for it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import msgspec

from keepvip.ipvs import sync
from keepvip.ipvs.kernel import Kernel, KernelError
from keepvip.ipvs.programmer import Outcome, Programmer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from keepvip import _ipvs_abi as abi
    from keepvip.config.model_service import ServiceKey, SyncDaemon
    from keepvip.ipvs.table import Part

__all__ = ["Order", "Report", "Worker"]


class Order(msgspec.Struct, kw_only=True):
    """What the kernel should be made to be. What is not mentioned stays."""

    parts: dict[ServiceKey, Part | None] = {}
    """Virtual servers that changed; None: gone."""
    timeouts: tuple[int, int, int] = (0, 0, 0)
    """TCP, TCP after FIN, UDP in seconds; 0 = as the kernel had it."""
    sync_daemon: SyncDaemon | None = None
    sync_roles: tuple[int, ...] = ()
    flush: bool = False
    """Empty the table first, once."""
    reconcile: bool = False
    """Look at the whole table."""


class Report(msgspec.Struct, kw_only=True):
    """What came of an order."""

    outcome: Outcome
    adopted: int = 0
    """Services that were there from an earlier run."""
    errors: tuple[str, ...] = ()
    opened: bool = False
    """The kernel answers for the first time."""


class Worker:
    """Methods block; the lock keeps callers on different threads apart."""

    def __init__(self, make_kernel: Callable[[], Kernel] = Kernel) -> None:
        self._make_kernel = make_kernel
        self._lock = threading.Lock()
        self._programmer: Programmer | None = None
        self._parts: dict[ServiceKey, Part] = {}
        """What all virtual servers should have."""
        self._timeouts_before: tuple[int, int, int] | None = None
        self._timeouts = (0, 0, 0)
        self._syncs = False

    def carry_out(self, order: Order) -> Report:
        """Does what is ordered, and catches up on what could not be done before. Never raises for the kernel."""
        with self._lock:
            for key, part in order.parts.items():
                if part is None:
                    self._parts.pop(key, None)
                else:
                    self._parts[key] = part
            try:
                return self._carry_out(order)
            except KernelError as error:
                self._close()
                return Report(outcome=Outcome(), errors=(error.strerror or str(error),))

    def _carry_out(self, order: Order) -> Report:
        programmer = self._programmer
        adopted = 0
        if programmer is None:
            programmer = Programmer(self._make_kernel())
            self._programmer = programmer
            if order.flush:
                programmer.kernel.flush()
            self._set_timeouts(programmer.kernel, order.timeouts)
            programmer.expect(self._parts)
            adopted = programmer.adopt()
            outcome = programmer.complete()
            opened = True
        else:
            opened = False
            self._set_timeouts(programmer.kernel, order.timeouts)
            outcome = programmer.apply(order.parts)
            if order.reconcile:
                found = programmer.reconcile()
                found.requests += outcome.requests
                outcome = found
        errors = list(outcome.problems.values())
        if order.sync_daemon is not None or self._syncs:
            complaint = sync.become(programmer.kernel, order.sync_daemon, order.sync_roles)
            self._syncs = order.sync_daemon is not None
            if complaint:
                errors.append(complaint)
        return Report(outcome=outcome, adopted=adopted, errors=tuple(errors), opened=opened)

    def _set_timeouts(self, kernel: Kernel, wanted: tuple[int, int, int]) -> None:
        if wanted == self._timeouts:
            return
        if self._timeouts_before is None:
            self._timeouts_before = kernel.timeouts()
        before = self._timeouts_before
        tcp, fin, udp = (want or was for want, was in zip(wanted, before, strict=True))
        kernel.set_timeouts(tcp, fin, udp)
        self._timeouts = wanted

    def statistics(self) -> Mapping[abi.ServiceKey, tuple[abi.ServiceRecord, list[abi.DestinationRecord]]]:
        """Our services with their counters, as they are now; empty without a kernel."""
        with self._lock:
            programmer = self._programmer
            if programmer is None:
                return {}
            ours = programmer.services()
            try:
                return {
                    record[2:7]: (record, programmer.kernel.destinations(record[2:7]))
                    for record in programmer.kernel.services()
                    if record[2:7] in ours
                }
            except KernelError:
                self._close()
                return {}

    def finish(self, *, remove: bool, flush: str) -> str:
        """The end: services gone (unless they shall stay), sync daemons stopped, time-outs put back.

        `flush`: `all`, `services` or nothing. Returns what went wrong, or nothing.
        """
        with self._lock:
            programmer = self._programmer
            if programmer is None:
                return ""
            kernel = programmer.kernel
            try:
                if remove and flush == "all":
                    kernel.flush()
                elif remove:
                    programmer.release(whole=flush == "services")
                if self._syncs:
                    sync.become(kernel, None, ())
                if self._timeouts_before is not None and any(self._timeouts):
                    kernel.set_timeouts(*self._timeouts_before)
            except KernelError as error:
                return error.strerror or str(error)
            finally:
                self._close()
            return ""

    def _close(self) -> None:
        """The next order begins with a new socket, and looks at everything."""
        if self._programmer is not None:
            self._programmer.kernel.close()
        self._programmer = None
