"""The scripts of notifications, each of them looked at once per load (`keepvip.script.security`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.model import Script
from keepvip.script.command import Command  # noqa: TC001  (part of a Struct)
from keepvip.script.host import RealHost
from keepvip.script.security import Finding, vet_script

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keepvip.config.model import Config, NotifyScripts, SyncGroup, VrrpInstance
    from keepvip.script.host import ScriptHost

__all__ = ["SECURITY_VIOLATION", "Report", "scripts_of", "vet_config"]

SECURITY_VIOLATION = "script-security-off"
"""Code of the finding that there is at most one of per process (keepalived's exit status 6)."""
_FIELDS = {
    "master": "notify_master",
    "backup": "notify_backup",
    "fault": "notify_fault",
    "stop": "notify_stop",
    "any": "notify",
    "deleted": "notify_deleted",
    "rx_lower": "notify_master_rx_lower_pri",
}


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of all scripts of a configuration."""

    commands: dict[Script, Command | None]
    findings: tuple[Finding, ...]


def scripts_of(config: Config) -> Iterator[tuple[str, Script]]:
    """All scripts, each with a name for messages: `notify_master of VI_1`."""
    owners: list[VrrpInstance | SyncGroup] = [*config.instances, *config.sync_groups]
    for owner in owners:
        for keyword, script in owner_scripts(owner.notify):
            yield f"{keyword} of {owner.name}", script
    defs = config.global_defs
    for service in config.virtual_servers:
        for keyword, wanted in (("quorum_up", service.quorum_up), ("quorum_down", service.quorum_down)):
            if wanted is not None:
                yield f"{keyword} of {service.name}", wanted
        for server in service.real_servers:
            for keyword, wanted in (("notify_up", server.notify_up), ("notify_down", server.notify_down)):
                if wanted is not None:
                    yield f"{keyword} of {server.name} of {service.name}", wanted
    for keyword, fifo in (
        ("notify_fifo_script", defs.notify_fifo),
        ("vrrp_notify_fifo_script", defs.vrrp_notify_fifo),
        ("lvs_notify_fifo_script", config.balancing.notify_fifo),
    ):
        if fifo is not None and fifo.script is not None:
            yield keyword, fifo.script


def owner_scripts(notify: NotifyScripts) -> Iterator[tuple[str, Script]]:
    """Keyword and script of each script of one instance or group."""
    for field, keyword in _FIELDS.items():
        script = getattr(notify, field)
        if isinstance(script, Script):
            yield keyword, script


def vet_config(config: Config, host: ScriptHost | None = None) -> Report:
    """Looks at every script of a configuration. Never raises for what a file or user is like."""
    host = host or RealHost()
    commands: dict[Script, Command | None] = {}
    findings: list[Finding] = []
    for label, script in scripts_of(config):
        if script in commands:
            continue
        vetted = vet_script(script, label, config.global_defs, host)
        commands[script] = vetted.command
        findings.extend(vetted.findings)
    tracked = any(script.opens is None for script in config.track_scripts)
    if (commands or tracked) and not config.global_defs.enable_script_security:
        findings.append(
            Finding(
                code=SECURITY_VIOLATION,
                message="SECURITY VIOLATION: scripts are run, but enable_script_security is not set, so a script that"
                " runs as root is run even if others than root can change it",
                security=True,
            )
        )
    return Report(commands=commands, findings=tuple(findings))
