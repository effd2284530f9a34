"""What `global_defs` passes on to every instance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from keepvip.config.build_balancing import ServiceDefaults
from keepvip.config.build_script import ScriptDefaults
from keepvip.config.model import IPV4_GROUP, IPV6_GROUP, GarpConfig

if TYPE_CHECKING:
    from keepvip.config.settings import Settings

__all__ = ["InstanceDefaults", "extra_interfaces"]


class InstanceDefaults(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What `global_defs` says for all instances. Known before the first instance is read, wherever it stands."""

    version: int = 2
    strict: bool = False
    skip_check_adv_addr: bool = False
    lower_prio_no_advert: bool = False
    higher_prio_send_advert: bool = False
    owner_ignore_adverts: bool = False
    checksum_as_v2: bool = False
    check_unicast_src: bool = False
    down_timer_adverts: int = 3
    notify_priority_changes: bool = False
    smtp_alert: bool = False
    group4: str = IPV4_GROUP
    group6: str = IPV6_GROUP
    garp: GarpConfig = GarpConfig()
    vmac_prefix: str = "vrrp"
    vmac_addr_prefix: str = "vrrp"
    scripts: ScriptDefaults = ScriptDefaults()
    services: ServiceDefaults = ServiceDefaults()
    static_interface: str | None = None
    """Of static addresses that name none; None = eth0."""
    iproute_usr_dir: str | None = None
    iproute_etc_dir: str | None = None


def extra_interfaces(settings: Settings, name: str, older_name: str) -> dict[str, Any]:
    """The fields of `GarpConfig` that `garp_extra_if` sets, under either of its names."""
    setting = settings.get(name) or settings.get(older_name)
    if setting is None:
        return {}
    everywhere, seconds = setting.value
    return {"extra_s": seconds, "extra_all": everywhere is not None}
