"""Makes the kernel's table what it should be, by differences, and repairs what somebody else changed.

Blocking, on a thread of its own; see `kernel.py`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip import _ipvs_abi as abi
from keepvip.ipvs.kernel import error_text
from keepvip.ipvs.table import (
    Part,
    Service,
    describe_destination,
    describe_service,
    same_destination,
    same_service,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keepvip.config.model_service import ServiceKey
    from keepvip.ipvs.kernel import Kernel, Request

__all__ = ["Outcome", "Programmer"]

_VERBS = {
    abi.CMD_NEW_SERVICE: "add",
    abi.CMD_SET_SERVICE: "change",
    abi.CMD_DEL_SERVICE: "remove",
    abi.CMD_NEW_DEST: "add",
    abi.CMD_SET_DEST: "change",
    abi.CMD_DEL_DEST: "remove",
}


class Outcome(msgspec.Struct):
    """What came of one run."""

    requests: int = 0
    """Messages to the kernel that change something."""
    repairs: list[str] = []
    """What somebody else had changed, in words; now mended."""
    problems: dict[abi.ServiceKey, str] = {}
    """What the kernel refuses, by service."""


class Programmer:
    """Knows what the table should hold, and what it held when it was last looked at."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        self._parts: dict[ServiceKey, Part] = {}
        self._owners: dict[abi.ServiceKey, list[ServiceKey]] = {}
        """Virtual servers that share a service: two that use one group."""
        self._present: dict[abi.ServiceKey, Service] = {}
        """What the kernel holds of ours."""
        self._broken: set[abi.ServiceKey] = set()
        """Services that are not as they should be: the kernel refused something."""

    def apply(self, parts: Mapping[ServiceKey, Part | None]) -> Outcome:
        """Take over what virtual servers should have now (None: nothing any more) and carry out the differences."""
        touched: dict[abi.ServiceKey, None] = {}
        for owner, part in parts.items():
            before = self._parts.get(owner, {})
            for key in before:
                if part is None or key not in part:
                    self._owners[key].remove(owner)
                touched[key] = None
            if part is None:
                self._parts.pop(owner, None)
                continue
            self._parts[owner] = part
            for key in part:
                if key not in before:
                    self._owners.setdefault(key, []).append(owner)
                touched[key] = None
        return self._carry_out(touched)

    def adopt(self) -> int:
        """Look at what is there of ours already, from an earlier run; returns the number of services found.

        Call it when the parts are known and before anything is carried out: `expect` first.
        """
        found = 0
        for record in self.kernel.services():
            key: abi.ServiceKey = record[2:7]
            if key in self._owners:
                self._present[key] = self._read(record)
                found += 1
        return found

    def expect(self, parts: Mapping[ServiceKey, Part]) -> None:
        """Say what virtual servers should have, without carrying it out."""
        for owner, part in parts.items():
            self._parts[owner] = part
            for key in part:
                self._owners.setdefault(key, []).append(owner)

    def complete(self) -> Outcome:
        """Carry out everything that is not as it should be."""
        return self._carry_out(self._owners)

    def reconcile(self) -> Outcome:
        """Compare all of ours with what the kernel holds, mend what differs and tell what it was."""
        before, self._present = self._present, {}
        for record in self.kernel.services():
            key: abi.ServiceKey = record[2:7]
            if key in self._owners:
                self._present[key] = self._read(record)
        repairs = []
        for key, was in before.items():
            if key in self._owners and key not in self._broken:
                repairs += _differences(key, was, self._present.get(key))
        outcome = self._carry_out(self._owners)
        outcome.repairs = repairs
        return outcome

    def release(self, *, whole: bool) -> Outcome:
        """Remove all of ours. `whole`: service by service, which takes the destinations along."""
        outcome = Outcome()
        requests: list[Request] = []
        for key, service in self._present.items():
            if not whole:
                requests += [(abi.CMD_DEL_DEST, key, None, destination) for destination in service.destinations]
            requests.append((abi.CMD_DEL_SERVICE, key, None, None))
        self.kernel.change(requests)
        outcome.requests = len(requests)
        self._present.clear()
        self._owners.clear()
        self._parts.clear()
        return outcome

    def services(self) -> Mapping[abi.ServiceKey, Service]:
        """What the kernel holds of ours, as far as is known."""
        return self._present

    def _read(self, record: abi.ServiceRecord) -> Service:
        key: abi.ServiceKey = record[2:7]
        destinations = {found[2:5]: found[2:12] for found in self.kernel.destinations(key)}
        return Service(record[7:13], destinations)

    def _wanted(self, key: abi.ServiceKey) -> Service | None:
        owners = self._owners.get(key)
        if not owners:
            return None
        if len(owners) == 1:
            return self._parts[owners[0]][key]
        services = [self._parts[owner][key] for owner in owners]
        destinations: dict[abi.DestinationKey, abi.Destination] = {}
        for service in services:
            for at, destination in service.destinations.items():
                destinations.setdefault(at, destination)
        return Service(services[0].options, destinations)

    def _carry_out(self, keys: Iterable[abi.ServiceKey]) -> Outcome:
        outcome = Outcome()
        failed = self._attempt(list(keys), outcome)
        if failed:  # perhaps the table is not what we take it for: look, and try once more
            for key in failed:
                record = self.kernel.service(key)
                if record is None:
                    self._present.pop(key, None)
                else:
                    self._present[key] = self._read(record)
            outcome.problems = self._attempt(list(failed), outcome)
            for key in outcome.problems:
                record = self.kernel.service(key)
                if record is None:
                    self._present.pop(key, None)
                else:
                    self._present[key] = self._read(record)
        for key in [key for key, owners in self._owners.items() if not owners]:
            del self._owners[key]
        return outcome

    def _attempt(self, keys: list[abi.ServiceKey], outcome: Outcome) -> dict[abi.ServiceKey, str]:
        """Bring services to what they should be; returns those that the kernel refused, with the reason."""
        requests: list[Request] = []
        removals: list[Request] = []
        wanted: dict[abi.ServiceKey, Service | None] = {}
        for key in keys:
            want = wanted[key] = self._wanted(key)
            have = self._present.get(key)
            if want is None:
                if have is not None:
                    removals.append((abi.CMD_DEL_SERVICE, key, None, None))
                continue
            _steps(key, want, have, requests, removals)
        requests += removals  # last, so that there is no moment without a server
        errors = self.kernel.change(requests) if requests else {}
        outcome.requests += len(requests)
        failed: dict[abi.ServiceKey, str] = {}
        for at, number in errors.items():
            command, service, _, destination = requests[at]
            if service is None or service in failed:
                continue
            what = describe_service(service)
            if destination is not None:
                what = f"{describe_destination(destination)} of {what}"
            failed[service] = f"cannot {_VERBS[command]} {what}: {error_text(number)}"
        for key, want in wanted.items():
            if key in failed:
                self._broken.add(key)
                continue
            self._broken.discard(key)
            if want is None:
                self._present.pop(key, None)
            else:
                self._present[key] = want
        return failed


def _steps(
    key: abi.ServiceKey, want: Service, have: Service | None, requests: list[Request], removals: list[Request]
) -> None:
    if have is None:
        requests.append((abi.CMD_NEW_SERVICE, key, want.options, None))
        requests += [(abi.CMD_NEW_DEST, key, None, destination) for destination in want.destinations.values()]
        return
    if want is have:
        return
    if not same_service(want.options, have.options):
        requests.append((abi.CMD_SET_SERVICE, key, want.options, None))
    for at, destination in want.destinations.items():
        found = have.destinations.get(at)
        if found is None:
            requests.append((abi.CMD_NEW_DEST, key, None, destination))
        elif not same_destination(destination, found):
            requests.append((abi.CMD_SET_DEST, key, None, destination))
    removals += [(abi.CMD_DEL_DEST, key, None, at) for at in have.destinations if at not in want.destinations]


def _differences(key: abi.ServiceKey, was: Service, now: Service | None) -> list[str]:
    """What somebody else did to a service, in words."""
    name = describe_service(key)
    if now is None:
        return [f"{name} had been removed"]
    found = []
    if not same_service(was.options, now.options):
        found.append(f"{name} had been changed")
    for at, destination in was.destinations.items():
        other = now.destinations.get(at)
        if other is None:
            found.append(f"{describe_destination(at)} of {name} had been removed")
        elif not same_destination(destination, other):
            found.append(f"{describe_destination(at)} of {name} had been changed")
    found += [
        f"{describe_destination(at)} of {name} had been added" for at in now.destinations if at not in was.destinations
    ]
    return found
