"""The JSON dump, with the keys and types of keepalived's (vrrp-behaviour.md 14)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from keepvip.config.model import Script
from keepvip.config.route_text import route_text, rule_text
from keepvip.observe.dump_track import process_entries
from keepvip.observe.dump_words import address_text, number, script_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepvip.config.model import Config, NotifyScripts, VrrpInstance
    from keepvip.event import InstanceStatus
    from keepvip.observe.dump_track import ProcessView

__all__ = ["STATS", "json_text"]

STATS = (
    "advert_rcvd",
    "advert_sent",
    "become_master",
    "release_master",
    "packet_len_err",
    "advert_interval_err",
    "ip_ttl_err",
    "invalid_type_rcvd",
    "addr_list_err",
    "invalid_authtype",
    "authtype_mismatch",
    "auth_failure",
    "auth_ext_missing",
    "auth_ext_malformed",
    "auth_ext_unknown_key",
    "auth_ext_invalid_hmac",
    "auth_ext_stale",
    "auth_ext_replay",
    "pri_zero_rcvd",
    "pri_zero_sent",
)
_SCRIPTS = (
    ("script_backup", "backup"),
    ("script_master", "master"),
    ("script_fault", "fault"),
    ("script_stop", "stop"),
    ("script_deleted", "deleted"),
    ("script", "any"),
    ("script_master_rx_lower_pri", "rx_lower"),
)
_AUTH_TYPES = {"PASS": 1, "AH": 2}
_MASKED = "********"


def json_text(
    config: Config, instances: Sequence[InstanceStatus], *, version: int, processes: Sequence[ProcessView] = ()
) -> str:
    """The dump in layout 1 (an array of instances) or 2 (an object that holds it, and the tracked processes)."""
    known = {instance.name: instance for instance in config.instances}
    routers = [
        {"data": _data(known[status.name], status), "stats": {key: status.stats.get(key, 0) for key in STATS}}
        for status in instances
        if status.name in known
    ]
    document: object = routers if version == 1 else {"vrrp": routers, "track_process": process_entries(processes)}
    return msgspec.json.encode(document).decode()


def _data(instance: VrrpInstance, status: InstanceStatus) -> dict[str, Any]:
    garp = instance.garp
    data: dict[str, Any] = {
        "iname": instance.name,
        "dont_track_primary": int(instance.dont_track_primary),
        "skip_check_adv_addr": int(instance.skip_check_adv_addr),
        "strict_mode": int(instance.strict),
        "vmac_ifname": status.vmac or "",
        "ifp_ifname": status.vmac or instance.interface or "",
        "master_priority": status.master_priority or 0,
        "last_transition": status.last_transition_ns // 1000 / 1_000_000,
        "garp_delay": garp.delay_s,
        "garp_refresh": garp.refresh_s,
        "garp_rep": garp.repeat,
        "garp_refresh_rep": garp.refresh_repeat,
        "garp_lower_prio_delay": garp.lower_prio_delay_s,
        "garp_lower_prio_rep": garp.lower_prio_repeat,
        "lower_prio_no_advert": int(instance.lower_prio_no_advert),
        "higher_prio_send_advert": int(instance.higher_prio_send_advert),
        "vrid": instance.vrid,
        "base_priority": status.base_priority,
        "effective_priority": status.priority,
        "vipset": status.addresses_installed,
        "promote_secondaries": instance.promote_secondaries,
        "adver_int": number(instance.advert_int_us),
        "master_adver_int": number(status.master_advert_int_us),
        "accept": int(instance.accept),
        "nopreempt": instance.nopreempt,
        "preempt_delay": number(instance.preempt_delay_us),
        "state": int(status.state),
        "wantstate": int(status.state),
        "version": instance.version,
        "smtp_alert": instance.smtp_alert,
        "notify_deleted": bool(instance.notify.deleted),
        **_scripts(instance.notify),
    }
    for key, addresses in (("vips", instance.addresses), ("evips", instance.excluded)):
        if addresses:
            data[key] = [
                address_text(one, instance, status.links, installed=status.addresses_installed) for one in addresses
            ]
    if instance.routes:
        data["vroutes"] = [route_text(route) for route in instance.routes]
    if instance.rules:
        data["vrules"] = [rule_text(rule) for rule in instance.rules]
    for key, kind in (("track_ifp", "interface"), ("track_script", "script"), ("track_process", "process")):
        names = [track.name for track in instance.tracks if track.kind == kind and not track.implied]
        if names:
            data[key] = names
    data["auth_type"] = 0 if instance.authentication is None else _AUTH_TYPES[instance.authentication.kind]
    if instance.authentication is not None:
        data["auth_data"] = _MASKED
    return data


def _scripts(notify: NotifyScripts) -> dict[str, str]:
    scripts = {key: getattr(notify, field) for key, field in _SCRIPTS}
    return {key: script_text(script) for key, script in scripts.items() if isinstance(script, Script)}
