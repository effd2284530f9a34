"""What `global_defs` says about load balancing (config-keywords.md 2.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.build_fifo import build_service_fifo
from keepvip.config.build_script import ScriptDefaults
from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.model_service import Balancing, ServiceMarks, SyncDaemon
from keepvip.config.source import Span  # noqa: TC001  (msgspec resolves annotations at run time)
from keepvip.config.suggest import did_you_mean
from keepvip.config.values import Address, is_multicast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from keepvip.config.model import VrrpInstance
    from keepvip.config.model_service import VirtualServer
    from keepvip.config.settings import Context, Settings

__all__ = ["ServiceDefaults", "build_balancing", "follow_instance"]


class ServiceDefaults(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What `global_defs` says for all virtual servers."""

    balancing: Balancing = Balancing()
    smtp_alert: bool | None = None
    """`smtp_alert_checker`, else `smtp_alert`; None: neither is there."""
    log_all_failures: bool = False
    scripts: ScriptDefaults = ScriptDefaults()
    sync_place: Span | None = None
    """Where `lvs_sync_daemon` was written."""
    track_files: dict[str, tuple[int, bool]] = {}
    """Every usable `track_file`, with its own weight and whether that is reversed."""


def build_balancing(ctx: Context, settings: Settings, scripts: ScriptDefaults) -> ServiceDefaults:
    """`settings`: all of `global_defs`."""
    timeouts = settings["lvs_timeouts"].value if "lvs_timeouts" in settings else {}
    flush = settings.get("lvs_flush_on_stop")
    balancing = Balancing(
        flush_at_start="lvs_flush" in settings,
        flush_at_stop="" if flush is None else "services" if flush.value == "VS" else "all",
        tcp_timeout_s=timeouts.get("tcp", (0, 0))[0],
        tcp_fin_timeout_s=timeouts.get("tcpfin", (0, 0))[0],
        udp_timeout_s=timeouts.get("udp", (0, 0))[0],
        sync_daemon=_sync_daemon(ctx, settings),
        notify_fifo=build_service_fifo(ctx, settings, scripts),
        init_notifies=settings.value("rs_init_notifies", False),
        checker_emails=not settings.value("no_checker_emails", False),
        marks=_marks(settings),
    )
    alert: bool | None = settings.value("smtp_alert", None)
    return ServiceDefaults(
        balancing=balancing,
        smtp_alert=settings.value("smtp_alert_checker", alert),
        log_all_failures=settings.value("checker_log_all_failures", False),
        scripts=scripts,
        sync_place=settings["lvs_sync_daemon"].span if "lvs_sync_daemon" in settings else None,
    )


def _marks(settings: Settings) -> ServiceMarks | None:
    setting = settings.get("nftables_ipvs")
    if setting is None:
        return None
    default = ServiceMarks()
    return ServiceMarks(
        table=setting.value or default.table,
        priority=settings.value("nftables_ipvs_priority", default.priority),
        start=settings.value("nftables_ipvs_start_fwmark", default.start),
    )


def _sync_daemon(ctx: Context, settings: Settings) -> SyncDaemon | None:
    setting = settings.get("lvs_sync_daemon")
    if setting is None:
        return None
    interface, instance, sync_id = setting.value
    if sync_id is not None:
        ctx.diagnostics.warning(
            "number-without-id",
            f"`lvs_sync_daemon`: a number without `id` before it is an old form; {sync_id} is used",
            setting.node.arg_span(2),
            hint=f"write `lvs_sync_daemon {interface} inst {instance} id {sync_id}`",
            kind=ConfigTestClass.GENERAL,
        )
    options = setting.options
    group = options.get("group")
    if isinstance(group, Address) and not (is_multicast(group) or group.text.startswith("ff")):
        ctx.diagnostics.error(
            "invalid-value",
            f"`lvs_sync_daemon`: the group {group.text} is no multicast address and is ignored",
            setting.span,
            expected="224.0.0.0/4 or ff00::/8",
        )
        group = None
    if not ctx.interface_exists(interface):
        ctx.diagnostics.warning(
            "unknown-interface",
            f"`lvs_sync_daemon` names `{interface}`, but there is no such interface:"
            " connections are synchronised once there is",
            setting.node.arg_span(0),
            hint=ctx.interface_hint(interface),
        )
    sync_id = options.get("id", sync_id)
    return SyncDaemon(
        interface=interface,
        instance=options.get("inst", instance),
        sync_id=-1 if sync_id is None else sync_id,
        max_len=options.get("maxlen", 0),
        port=options.get("port", 0),
        ttl=options.get("ttl", 0),
        group=group.text if isinstance(group, Address) else "",
    )


def follow_instance(
    ctx: Context,
    defaults: ServiceDefaults,
    instances: Mapping[str, VrrpInstance],
    services: Sequence[VirtualServer],
    settings: Mapping[str, Settings],
) -> Balancing:
    """The same with a sync daemon that can run: its instance exists, its number is known. `settings`: of instances."""
    balancing, place = defaults.balancing, defaults.sync_place
    daemon = balancing.sync_daemon
    for name in instances:
        old = settings[name].get("lvs_sync_daemon_interface")
        if old is None:
            continue
        ctx.diagnostics.warning(
            "old-sync-daemon",
            "`lvs_sync_daemon_interface` is the old way to run the sync daemon with an instance",
            old.span,
            hint=f"write `lvs_sync_daemon {old.value} inst {name}` into global_defs",
            kind=ConfigTestClass.DEPRECATED,
        )
        if daemon is not None:
            ctx.diagnostics.warning(
                "duplicate",
                "there is a sync daemon already: this line is ignored",
                old.span,
                related=[Related("the first one is here", place)] if place is not None else (),
            )
            continue
        daemon, place = SyncDaemon(interface=old.value, instance=name, sync_id=-1), old.span
    if daemon is None:
        return balancing
    instance = instances.get(daemon.instance) if daemon.instance is not None else None
    if daemon.instance is not None and instance is None:
        ctx.diagnostics.error(
            "unknown-instance",
            f"`lvs_sync_daemon` follows `{daemon.instance}`, but there is no such vrrp_instance that runs:"
            " connections are not synchronised",
            place,
            hint=did_you_mean(daemon.instance, instances),
            kind=ConfigTestClass.NONE,
        )
        return msgspec.structs.replace(balancing, sync_daemon=None)
    mixed = next((service for service in services if _mixes(service)), None)
    if mixed is not None:
        ctx.diagnostics.error(
            "sync-and-mixed",
            f"`lvs_sync_daemon` cannot run: the kernel does not synchronise connections while a service such as"
            f" {mixed.name} has servers of another address family",
            place,
            hint="give that service servers of its own family, or remove lvs_sync_daemon",
            kind=ConfigTestClass.NONE,
        )
        return msgspec.structs.replace(balancing, sync_daemon=None)
    if daemon.sync_id < 0:
        sync_id = instance.vrid if instance is not None else 0
        daemon = msgspec.structs.replace(daemon, sync_id=sync_id)
    return msgspec.structs.replace(balancing, sync_daemon=daemon)


def _mixes(service: VirtualServer) -> bool:
    servers = (*service.real_servers, *((service.sorry,) if service.sorry is not None else ()))
    families = {entry.family for entry in service.entries}
    return any({server.family} != families for server in servers)
