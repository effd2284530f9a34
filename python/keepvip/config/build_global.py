"""`global_defs`: the daemon's own settings, and the defaults of all instances.

All `global_defs` blocks of the file are read before the first instance, wherever they stand, at start and on reload
alike. keepalived does so at start only: on reload a block behind the instances no longer supplies their defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.build_balancing import build_balancing
from keepvip.config.build_defaults import InstanceDefaults, extra_interfaces
from keepvip.config.build_fifo import build_fifos
from keepvip.config.build_process import build_process_settings
from keepvip.config.build_script import DEFAULT_USER, ScriptDefaults, build_script, known_group, known_user, split_group
from keepvip.config.diagnostic import ConfigTestClass
from keepvip.config.keywords.global_defs import GLOBAL_DEFS
from keepvip.config.model import IPV4_GROUP, IPV6_GROUP, GarpConfig, GlobalDefs, PacketFilter
from keepvip.config.model_remote import DbusService, SnmpAgent
from keepvip.config.settings import Settings, read_block
from keepvip.config.values import Address, is_multicast

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepvip.config.model import Script
    from keepvip.config.settings import Context
    from keepvip.config.tree import Node

__all__ = ["build_global"]

_RFC5322_SPECIALS = frozenset('()<>[]:;@\\,."')


def build_global(
    ctx: Context, nodes: Sequence[Node], *, mail_unspoken: bool = False
) -> tuple[GlobalDefs, InstanceDefaults]:
    """All statements of all `global_defs` blocks, in order.

    `mail_unspoken`: no `smtp_alert` keyword stands anywhere in the file. Then a server and recipients are taken for the
    wish to get mail (docs/decisions/0006-mail-without-smtp-alert.md).
    """
    settings = read_block(ctx, nodes, GLOBAL_DEFS)
    scripts, script_user, script_group = _script_defaults(ctx, settings)
    hostname = ctx.facts.hostname if ctx.facts is not None else ""
    server: tuple[str | None, int | None] = settings.value("smtp_server", (None, None))
    dynamic = settings.get("dynamic_interfaces")
    notify_fifo, vrrp_notify_fifo = build_fifos(ctx, settings, scripts)
    defs = GlobalDefs(
        router_id=settings.value("router_id", hostname),
        emails=_emails(settings),
        email_from=_sender(ctx, settings, hostname),
        smtp_host=server[0],
        smtp_port=server[1] or 25,
        smtp_helo_name=settings.value("smtp_helo_name", hostname),
        smtp_connect_timeout_s=settings.value("smtp_connect_timeout", 30),
        no_email_faults="no_email_faults" in settings,
        script_user=script_user,
        script_group=script_group,
        enable_script_security="enable_script_security" in settings,
        set_supplementary_groups=settings.value("set_supplementary_groups", False),
        use_symlink_paths=settings.value("use_symlink_paths", False),
        dynamic_interfaces=dynamic is not None,
        startup_delay_us=settings.value("vrrp_startup_delay", 0),
        delay_after_boot_us=settings.value("vrrp_delay_after_boot", 0),
        log_unknown_vrids="log_unknown_vrids" in settings,
        disable_local_igmp="disable_local_igmp" in settings,
        packet_filter=_packet_filter(ctx, settings),
        snmp=_snmp(settings),
        dbus=_dbus(settings),
        vrrp_rt_priority=settings.value("vrrp_rt_priority", None),
        vrrp_cpu_affinity=tuple(sorted(set(settings.value("vrrp_cpu_affinity", ())))),
        process_monitor_rcv_bufs=settings.value("process_monitor_rcv_bufs", 0) or None,
        process_monitor_rcv_bufs_force=settings.value("process_monitor_rcv_bufs_force", False),
        process=build_process_settings(ctx, settings),
        umask=_umask(settings),
        notify_fifo=notify_fifo,
        vrrp_notify_fifo=vrrp_notify_fifo,
        fifo_states_on_reload="fifo_write_vrrp_states_on_reload" in settings,
        state_dump_file=settings.value("state_dump_file", None),
        stats_dump_file=settings.value("stats_dump_file", None),
        json_dump_file=settings.value("json_dump_file", None),
        data_use_instance=settings.value("data_use_instance", False),
        json_version=settings.value("json_version", 1),
        startup_script=_script(ctx, settings, "startup_script", scripts),
        startup_script_timeout_s=settings.value("startup_script_timeout", 10),
        shutdown_script=_script(ctx, settings, "shutdown_script", scripts),
        shutdown_script_timeout_s=settings.value("shutdown_script_timeout", 10),
    )
    ctx.dynamic_interfaces = defs.dynamic_interfaces
    if dynamic is not None and dynamic.value is not None:
        ctx.diagnostics.warning(
            "not-supported-yet",
            "`allow_if_changes` is known but not supported yet and ignored: two instances that could share a VRID"
            " after a macvlan moved are refused at once",
            dynamic.node.arg_span(0),
            kind=ConfigTestClass.NONE,
        )
    mail = settings.value("smtp_alert", mail_unspoken and bool(defs.smtp_host and defs.emails))
    defaults = InstanceDefaults(
        version=settings.value("vrrp_version", 2),
        strict=settings.value("vrrp_strict", False),
        skip_check_adv_addr=settings.value("vrrp_skip_check_adv_addr", False),
        lower_prio_no_advert=settings.value("vrrp_lower_prio_no_advert", False),
        higher_prio_send_advert=settings.value("vrrp_higher_prio_send_advert", False),
        owner_ignore_adverts=settings.value("vrrp_owner_ignore_adverts", False),
        checksum_as_v2="v3_checksum_as_v2" in settings,
        check_unicast_src="vrrp_check_unicast_src" in settings,
        down_timer_adverts=settings.value("vrrp_down_timer_adverts", 3),
        notify_priority_changes=settings.value("vrrp_notify_priority_changes", False),
        smtp_alert=settings.value("smtp_alert_vrrp", mail),
        group4=_group(ctx, settings, "vrrp_mcast_group4", 4, IPV4_GROUP),
        group6=_group(ctx, settings, "vrrp_mcast_group6", 6, IPV6_GROUP),
        garp=_garp(nodes, settings),
        vmac_prefix=settings.value("vmac_prefix", "vrrp"),
        vmac_addr_prefix=settings.value("vmac_addr_prefix", settings.value("vmac_prefix", "vrrp")),
        scripts=scripts,
        services=build_balancing(ctx, settings, scripts),
        static_interface=settings.value("default_interface", None),
        iproute_usr_dir=settings.value("iproute_usr_dir", None),
        iproute_etc_dir=settings.value("iproute_etc_dir", None),
    )
    return defs, defaults


def _snmp(settings: Settings) -> SnmpAgent | None:
    wanted = {"enable_traps", "enable_snmp_vrrp", "enable_snmp_rfc", "enable_snmp_rfcv2", "enable_snmp_rfcv3"}
    if not any(name in settings for name in (*wanted, "enable_snmp_checker")):
        return None
    service_us = settings.value("snmp_vs_stats_update_interval", 5_000_000)
    return SnmpAgent(
        socket=settings.value("snmp_socket", None),
        traps="enable_traps" in settings,
        vrrp="enable_snmp_vrrp" in settings,
        rfc2787="enable_snmp_rfc" in settings or "enable_snmp_rfcv2" in settings,
        rfc6527="enable_snmp_rfc" in settings or "enable_snmp_rfcv3" in settings,
        checker="enable_snmp_checker" in settings,
        service_interval_us=service_us,
        server_interval_us=settings.value("snmp_rs_stats_update_interval", service_us),
    )


def _dbus(settings: Settings) -> DbusService | None:
    if "enable_dbus" not in settings:
        return None
    default = DbusService()
    return DbusService(
        bus_name=settings.value("dbus_service_name", default.bus_name),
        no_interface_name=settings.value("dbus_no_interface_name", default.no_interface_name),
    )


def _packet_filter(ctx: Context, settings: Settings) -> PacketFilter:
    default = PacketFilter()
    iptables = settings.get("vrrp_iptables")
    if iptables is not None:
        ctx.diagnostics.warning(
            "nftables-instead",
            "keepvip's packet filter is nftables: the iptables chains are left alone",
            iptables.span,
            hint="write nftables, or leave it out: the filter is made when an instance needs it",
            kind=ConfigTestClass.NONE,
        )
    table = settings.get("nftables")
    return PacketFilter(
        table=(table.value if table is not None else None) or default.table,
        priority=settings.value("nftables_priority", default.priority),
        counters="nftables_counters" in settings,
        by_index="nftables_ifindex" in settings,
    )


def _script(ctx: Context, settings: Settings, name: str, defaults: ScriptDefaults) -> Script | None:
    setting = settings.get(name)
    return None if setting is None else build_script(ctx, setting, defaults)


def _umask(settings: Settings) -> int | None:
    """The names of a mask may be words of their own, with blanks around the bars between them."""
    setting = settings.get("umask")
    if setting is None:
        return None
    mask = 0
    for bits in setting.value:
        mask |= bits
    return mask


def _emails(settings: Settings) -> tuple[str, ...]:
    setting = settings.get("notification_email")
    if setting is None:
        return ()
    return tuple(node.keyword for block in setting.all() for node in block.node.children or ())


def _sender(ctx: Context, settings: Settings, hostname: str) -> str:
    setting = settings.get("notification_email_from")
    if setting is None:
        if ctx.facts is None or "smtp_server" not in settings:
            return ""
        return f"{ctx.facts.own_user}@{hostname}"
    return quote_display_name(str(setting.value))


def quote_display_name(sender: str) -> str:
    """`Name <user@host>` with the name in quotes if it has characters that mail headers give a meaning (RFC 5322)."""
    name, bracket, address = sender.partition("<")
    display = name.strip()
    if not bracket or not display or display.startswith('"') or not _RFC5322_SPECIALS.intersection(display):
        return sender
    escaped = display.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" <{address}'


def _script_defaults(ctx: Context, settings: Settings) -> tuple[ScriptDefaults, str | None, str | None]:
    """Who runs scripts that name nobody: script_user, else keepalived_script, else the daemon's own user."""
    supplementary = settings.value("set_supplementary_groups", False)
    setting = settings.get("script_user")
    if setting is None:
        if ctx.facts is not None and ctx.facts.user(DEFAULT_USER) is not None:
            return ScriptDefaults(user=DEFAULT_USER, supplementary_groups=supplementary), DEFAULT_USER, None
        disabled = ""
        if ctx.facts is not None and "enable_script_security" in settings:
            disabled = f"script security is on, there is no user `{DEFAULT_USER}`, and no other is named"
        return ScriptDefaults(supplementary_groups=supplementary, disabled=disabled), None, None
    user, group_word = setting.value
    group, own = (None, False) if group_word is None else split_group(group_word)
    sound = known_user(ctx, user, setting.node.arg_span(0))
    if group is not None:
        sound = known_group(ctx, group, setting.node.arg_span(1)) and sound
    return (
        ScriptDefaults(
            user=user,
            group=group,
            supplementary_groups=supplementary or own,
            disabled="" if sound else "the script_user of global_defs does not exist",
        ),
        user,
        group,
    )


def _group(ctx: Context, settings: Settings, name: str, family: int, default: str) -> str:
    setting = settings.get(name)
    if setting is None or not isinstance(setting.value, Address):
        return default
    address = setting.value
    multicast = is_multicast(address) if family == 4 else address.text.startswith("ff")
    if address.family != family or not multicast:
        ctx.diagnostics.error(
            "invalid-value",
            f"`{name}`: `{address.text}` is not an IPv{family} multicast address and is ignored",
            setting.span,
            expected="224.0.0.0/4" if family == 4 else "ff02::/16",
        )
        return default
    if family == 6 and not is_multicast(address):
        ctx.diagnostics.warning(
            "not-link-local",
            f"`{name}`: `{address.text}` is not of link-local scope, so routers might forward the adverts",
            setting.span,
            expected="ff02::/16",
            kind=ConfigTestClass.GENERAL,
        )
    return address.text


_GARP_DEFAULT = GarpConfig()
_MIN_GARP = {
    "vrrp_garp_master_delay": 0,
    "vrrp_garp_master_repeat": 1,
    "vrrp_garp_master_refresh": 0,
    "vrrp_garp_master_refresh_repeat": 1,
}


def _garp(nodes: Sequence[Node], settings: Settings) -> GarpConfig:
    default = {
        "vrrp_garp_master_delay": _GARP_DEFAULT.delay_s,
        "vrrp_garp_master_repeat": _GARP_DEFAULT.repeat,
        "vrrp_garp_master_refresh": _GARP_DEFAULT.refresh_s,
        "vrrp_garp_master_refresh_repeat": _GARP_DEFAULT.refresh_repeat,
    }
    value = {name: settings.value(name, default[name]) for name in default}
    minimum = settings.get("vrrp_min_garp")
    if minimum is not None and minimum.value is not False:
        here = _position(nodes, minimum.node)
        for name, least in _MIN_GARP.items():
            # A setting that comes later wins; one that comes earlier wins unless it says just the default.
            setting = settings.get(name)
            if setting is None or (value[name] == default[name] and _position(nodes, setting.node) < here):
                value[name] = least
    delay, repeat = value["vrrp_garp_master_delay"], value["vrrp_garp_master_repeat"]
    return GarpConfig(
        delay_s=delay,
        repeat=repeat,
        refresh_s=value["vrrp_garp_master_refresh"],
        refresh_repeat=value["vrrp_garp_master_refresh_repeat"],
        lower_prio_delay_s=settings.value("vrrp_garp_lower_prio_delay", delay),
        lower_prio_repeat=settings.value("vrrp_garp_lower_prio_repeat", repeat),
        garp_interval_us=settings.value("vrrp_garp_interval", 0),
        gna_interval_us=settings.value("vrrp_gna_interval", 0),
        **extra_interfaces(settings, "vrrp_garp_extra_if", "vrrp_vmac_garp_intvl"),
    )


def _position(nodes: Sequence[Node], node: Node) -> int:
    return next(index for index, candidate in enumerate(nodes) if candidate is node)
