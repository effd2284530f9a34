"""Whose notification it is: one instance or sync group, with what it was told last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.model import NotifyScripts, Script, VrrpInstance
from keepvip.notify.fifo import group_line, instance_line
from keepvip.notify.mail_text import MailText, group_text, instance_text
from keepvip.notify.queue import Batch, Commands, Entry, ScriptQueue

if TYPE_CHECKING:
    from keepvip.config.model import GlobalDefs, InstanceKey, SyncGroup

__all__ = ["Owner"]


class Owner:
    """An instance or sync group. `queue` may be shared with a predecessor of the same name."""

    def __init__(self, config: VrrpInstance | SyncGroup, queue: ScriptQueue, commands: Commands) -> None:
        self.queue = queue
        self.gone = False
        """Its removal was reported."""
        self.told: str | None = None
        """The last state that was reported; None before the first."""
        self._mailed: str | None = None
        self.adopt(config, commands)
        self.priority = config.priority if isinstance(config, VrrpInstance) else 0
        """Effective priority; of a group always 0 (vrrp-behaviour.md 13.1)."""

    def adopt(self, config: VrrpInstance | SyncGroup, commands: Commands) -> None:
        """Takes over a new configuration, and perhaps a new name; what happened so far stays."""
        self._commands = commands
        self.name = config.name
        self.is_group = not isinstance(config, VrrpInstance)
        self.notify: NotifyScripts = config.notify
        self.smtp_alert = config.smtp_alert
        self.advert_int_us = config.advert_int_us if isinstance(config, VrrpInstance) else 0
        self.priority_changes = isinstance(config, VrrpInstance) and config.notify_priority_changes
        self.key: InstanceKey | None = config.key if isinstance(config, VrrpInstance) else None
        self.queue.name = ("VRRP group " if self.is_group else "") + config.name

    def batch(self, state: str) -> Batch:
        """Scripts for a state: the specific one, then the generic one (vrrp-behaviour.md 13.2)."""
        entries = []
        specific = self._specific(state)
        if specific is not None:
            entries.append(Entry(keyword=f"notify_{state.lower()}", script=specific))
        if self.notify.any is not None:
            kind = "GROUP" if self.is_group else "INSTANCE"
            arguments = (kind, self.name, state, str(self.priority))
            entries.append(Entry(keyword="notify", script=self.notify.any, arguments=arguments))
        return Batch(event=state, entries=tuple(entries), commands=self._commands, final=state == "STOP")

    def rx_lower_batch(self) -> Batch:
        """The script for an advert of lower priority that a master heard."""
        script = self.notify.rx_lower
        entries = () if script is None else (Entry(keyword="notify_master_rx_lower_pri", script=script),)
        return Batch(event="an advert of lower priority", entries=entries, commands=self._commands, mergeable=True)

    def line(self, state: str) -> bytes:
        """What the FIFOs get (vrrp-behaviour.md 15)."""
        return group_line(self.name, state) if self.is_group else instance_line(self.name, state, self.priority)

    def mail(self, state: str, defs: GlobalDefs, host: str) -> MailText | None:
        """The mail about a state, if one is wanted and it was not the last one that was sent."""
        if not self.smtp_alert or state == self._mailed or (state == "FAULT" and defs.no_email_faults):
            return None
        self._mailed = state
        text = group_text if self.is_group else instance_text
        return text(defs.router_id or host, self.name, state)

    def _specific(self, state: str) -> Script | None:
        notify = self.notify
        match state:
            case "MASTER":
                return notify.master
            case "BACKUP":
                return notify.backup
            case "FAULT":
                return notify.fault
            case "STOP":
                return notify.stop
            case "DELETED":
                return notify.deleted if isinstance(notify.deleted, Script) else None
            case _:
                raise ValueError(f"nobody is notified of {state}")
