"""The state dump for people, in the order and with the words of keepalived's (vrrp-behaviour.md 14).

What keepalived tells about its own insides (descriptors, socket pools, its processes) has no counterpart here.
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from keepvip.config.facts import HostFacts
from keepvip.config.model import Script
from keepvip.config.route_text import route_text, rule_text
from keepvip.event import State
from keepvip.observe.dump_track import track_sections, tracks_of
from keepvip.observe.dump_words import address_text, script_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from keepvip.config.model import Config, Fifo, NotifyScripts, SyncGroup, VrrpInstance
    from keepvip.event import EngineSnapshot, InstanceStatus, TrackedStatus
    from keepvip.observe.dump_track import ProcessView

__all__ = ["data_text"]

_SCRIPTS = (
    ("Backup state transition script", "backup"),
    ("Master state transition script", "master"),
    ("Fault state transition script", "fault"),
    ("Stop state transition script", "stop"),
    ("Deleted state transition script", "deleted"),
    ("Generic state transition script", "any"),
    ("Master rx lower priority script", "rx_lower"),
)


_AUTH_TYPES = {"PASS": "SIMPLE_PASSWORD", "AH": "IPSEC_AH"}


def globals_text(config: Config) -> str:
    """The global definitions alone."""
    return "".join(f"{line}\n" for line in ("------< Global definitions >------", *_globals(config)))


def data_text(
    config: Config,
    snapshot: EngineSnapshot,
    tracked: Sequence[TrackedStatus] = (),
    processes: Sequence[ProcessView] = (),
) -> str:
    """The whole dump. Passwords are not in it."""
    states = {status.name: status for status in snapshot.instances}
    lines = ["------< Global definitions >------", *_globals(config), *_statics(config)]
    lines.append("------< VRRP Topology >------")
    for instance in config.instances:
        if instance.name in states:
            lines += _instance(instance, states[instance.name], snapshot.mono_us)
    if config.sync_groups:
        lines.append("------< VRRP Sync groups >------")
        for group in config.sync_groups:
            lines += _group(group, [states[name].state for name in group.members if name in states])
    lines += track_sections(config, tracked, processes)
    lines += _interfaces()
    return "".join(f"{line}\n" for line in lines)


def _globals(config: Config) -> Iterator[str]:
    defs = config.global_defs
    yield f" Network namespace = {config.net_namespace or '(default)'}"
    if config.instance_name is not None:
        yield f" Instance name = {config.instance_name}"
    yield f" Router ID = {defs.router_id}"
    if defs.smtp_host is not None:
        yield f" Smtp server = {defs.smtp_host}"
        yield f" Smtp server port = {defs.smtp_port}"
        yield f" Smtp HELO name = {defs.smtp_helo_name}"
        yield f" Smtp server connection timeout = {defs.smtp_connect_timeout_s}"
        yield f" Email notification from = {defs.email_from}"
        if defs.emails:
            yield " Email notification to:"
            yield from (f"   {address}" for address in defs.emails)
    process = defs.process
    if process.process_name is not None:
        yield f" Parent process name = {process.process_name}"
    if process.vrrp_process_name is not None:
        yield f" VRRP process name = {process.vrrp_process_name}"
    if process.config_save_dir is not None:
        yield f" Config save dir = {process.config_save_dir}"
    if process.reload_check_config:
        yield f" Test config before reload, log to {process.reload_check_log or '/dev/null'}"
    else:
        yield " No test config before reload"
    if process.reload_time_file is not None:
        yield f" Reload time file = {process.reload_time_file}{' (repeat)' if process.reload_repeat else ''}"
    if process.reload_file is not None:
        yield f" Reload_file = {process.reload_file or '(default)'}"
    yield f" Dynamic interfaces = {_truth(value=defs.dynamic_interfaces)}"
    yield from _fifo("Global", defs.notify_fifo)
    yield from _fifo("VRRP", defs.vrrp_notify_fifo)
    yield f" FIFO write vrrp states on reload = {_truth(value=defs.fifo_states_on_reload)}"
    yield f" Script security {'enabled' if defs.enable_script_security else 'disabled'}"
    yield f" Default script user = {':'.join(filter(None, (defs.script_user, defs.script_group))) or '(own)'}"
    yield f" umask = 0{0o177 if defs.umask is None else defs.umask:o}"


def _statics(config: Config) -> Iterator[str]:
    if config.static_addresses:
        yield "------< Static Addresses >------"
        for item in config.static_addresses:
            yield f"     {address_text(item.address, None, {}, installed=True, track_group=item.track_group)}"
    if config.static_routes:
        yield "------< Static Routes >------"
        yield from (f"     {route_text(route)}" for route in config.static_routes)
    if config.static_rules:
        yield "------< Static Rules >------"
        yield from (f"     {rule_text(rule)}" for rule in config.static_rules)
    if config.track_groups:
        yield "------< Static Track groups >------"
        for followers in config.track_groups:
            yield f" Static Track Group = {followers.name}"
            yield "   VRRP member instances :"
            yield from (f"     {member}" for member in followers.members)


def _fifo(title: str, fifo: Fifo | None) -> Iterator[str]:
    if fifo is None:
        return
    owner = ":".join(filter(None, (fifo.user, fifo.group)))
    yield f" {title} notify fifo = {fifo.path}" + (f", user {owner}" if owner else "")
    if fifo.script is not None:
        yield f" {title} notify fifo script = {script_text(fifo.script)} '{fifo.path}'"


def _instance(instance: VrrpInstance, status: InstanceStatus, now_us: int) -> Iterator[str]:
    garp = instance.garp
    yield f" VRRP Instance = {instance.name}"
    yield f"   VRRP Version = {instance.version}"
    if status.group is not None:
        yield f"   Sync group = {status.group}"
    if instance.family == 6:
        yield "   Using Native IPv6"
    yield f"   State = {status.state.name}"
    if instance.unicast is None:
        yield "   Flags: none"
    else:
        yield "   Flags:"
        yield "     Using unicast"
    yield f"   Wantstate = {status.state.name}"
    yield "   Number of config faults = 0"
    yield f"   Number of interface and track script faults = {len(status.faults)}"
    for fault in status.faults:
        yield f"   Fault = {fault}"
    yield f"   Last transition = {_moment(status.last_transition_ns)}"
    if status.next_deadline_us is None:
        yield "   Read timeout = DISABLED"
    else:
        yield f"   Read timeout = {_moment(time.time_ns() + (status.next_deadline_us - now_us) * 1000)}"
    yield f"   Master down timer = {_master_down_us(instance, status)} usecs"
    if status.state is State.BACKUP and status.master is not None:
        yield f"   Master router = {status.master}"
        yield f"   Master priority = {status.master_priority}"
    if instance.interface is not None:
        yield f"   Interface = {status.vmac or instance.interface}" + _carrier(instance, status)
    if instance.net_namespace is not None:
        yield f"   Network namespace = {instance.net_namespace}"
    if instance.strict:
        yield "   Enforcing strict VRRP compliance"
    if instance.source is not None:
        yield f"   Using src_ip = {instance.source}"
    if instance.unicast is None:
        yield f"   Multicast address {instance.mcast_dst}"
    yield f"   Gratuitous ARP delay = {garp.delay_s}"
    yield f"   Gratuitous ARP repeat = {garp.repeat}"
    yield f"   Gratuitous ARP refresh = {garp.refresh_s}"
    yield f"   Gratuitous ARP refresh repeat = {garp.refresh_repeat}"
    yield f"   Gratuitous ARP lower priority delay = {garp.lower_prio_delay_s}"
    yield f"   Gratuitous ARP lower priority repeat = {garp.lower_prio_repeat}"
    yield f"   Down timer adverts = {instance.down_timer_adverts}"
    yield f"   Send advert after receive lower priority advert = {_truth(value=not instance.lower_prio_no_advert)}"
    yield f"   Send advert after receive higher priority advert = {_truth(value=instance.higher_prio_send_advert)}"
    yield f"   Virtual Router ID = {instance.vrid}"
    yield f"   Priority = {status.base_priority}"
    yield f"   Effective priority = {status.priority}"
    yield f"   Total priority = {status.priority}"
    if instance.version == 2:
        yield f"   Advert interval = {instance.advert_int_us // 1_000_000} sec"
    else:
        yield f"   Advert interval = {instance.advert_int_us / 1000:g} milli-sec"
    yield f"   Accept = {'enabled' if instance.accept else 'disabled'}"
    yield f"   Preempt = {'disabled' if instance.nopreempt else 'enabled'}"
    if instance.preempt_delay_us:
        yield f"   Preempt delay = {instance.preempt_delay_us / 1_000_000:g} secs"
    yield f"   Promote_secondaries = {'enabled' if instance.promote_secondaries else 'disabled'}"
    if instance.version == 2:
        auth = instance.authentication
        yield f"   Authentication type = {_AUTH_TYPES[auth.kind] if auth is not None else 'none'}"
    if instance.auth_hmac is not None:
        hmac = instance.auth_hmac
        yield f"   Authentication extension = HMAC-SHA256, mode {hmac.mode}, active key {hmac.active_key}"
        yield f"     Keys = {' '.join(str(key.number) for key in hmac.keys)}"
        yield f"     Anti-replay = {'monotonic' if hmac.monotonic else f'time, window {hmac.time_window_s} secs'}"
    for title, addresses in ((f"Virtual IP ({len(instance.addresses)}):", instance.addresses),
                             ("Virtual IP Excluded :", instance.excluded)):  # fmt: skip
        if addresses:
            yield f"   {title}"
            for address in addresses:
                yield f"     {address_text(address, instance, status.links, installed=status.addresses_installed)}"
    if instance.routes:
        yield "   Virtual Routes :"
        yield from (f"     {route_text(route)}" for route in instance.routes)
    if instance.rules:
        yield "   Virtual Rules :"
        yield from (f"     {rule_text(rule)}" for rule in instance.rules)
    unicast = instance.unicast
    if unicast is not None:
        yield f"   Unicast TTL = {255 if unicast.ttl is None else unicast.ttl}"
        yield f"   Check unicast src : {'yes' if unicast.check_source else 'no'}"
        yield "   Unicast Peer :"
        yield from (f"     {peer.address} min_ttl {peer.min_ttl} max_ttl {peer.max_ttl}" for peer in unicast.peers)
        yield f"   Unicast checksum compatibility = {'yes' if unicast.old_checksum == 'always' else 'no'}"
    yield from tracks_of(instance)
    yield from _notifications(instance.notify, smtp_alert=instance.smtp_alert)
    yield f"   Notify priority changes = {_truth(value=instance.notify_priority_changes)}"


def _carrier(instance: VrrpInstance, status: InstanceStatus) -> str:
    if instance.vmac is None:
        return ""
    where = ", xmit base i/f" if instance.vmac_xmit_base else ""
    return f", {'vmac' if instance.vmac.kind == 'macvlan' else 'ipvlan'} on {instance.interface}{where}"


def _group(group: SyncGroup, states: Sequence[State]) -> Iterator[str]:
    if State.FAULT in states:
        state = State.FAULT
    elif states and all(one is State.MASTER for one in states):
        state = State.MASTER
    else:
        state = State.INIT if State.INIT in states else State.BACKUP
    yield f" VRRP Sync Group = {group.name}, {state.name}"
    yield f"   Num member fault {states.count(State.FAULT)}, num member init {states.count(State.INIT)}"
    yield "   VRRP member instances :"
    for name in group.members:
        yield f"     {name}"
    yield from _notifications(group.notify, smtp_alert=group.smtp_alert, deleted=False)


def _notifications(notify: NotifyScripts, *, smtp_alert: bool, deleted: bool = True) -> Iterator[str]:
    yield f"   Using smtp notification = {'yes' if smtp_alert else 'no'}"
    if deleted:
        yield f"   Notify deleted = {'Deleted' if notify.deleted else 'Fault'}"
    for title, field in _SCRIPTS:
        script = getattr(notify, field)
        if isinstance(script, Script):
            yield f"   {title} = {script_text(script)}" + (f", user {script.user}" if script.user else "")


def _master_down_us(instance: VrrpInstance, status: InstanceStatus) -> int:
    """vrrp-behaviour.md 1.2."""
    interval_us = status.master_advert_int_us if instance.version == 3 else instance.advert_int_us
    skew_us = (256 - status.priority) * (interval_us if instance.version == 3 else 1_000_000) // 256
    return instance.down_timer_adverts * interval_us + skew_us


def _interfaces() -> Iterator[str]:
    """Interfaces of this network namespace as they are now."""
    facts = HostFacts()
    yield "------< Interfaces >------"
    for index, name in socket.if_nameindex():
        interface = facts.interface(name)
        addresses = facts.addresses.get(name, ())
        yield f" Name = {name}"
        yield f"   index = {index}"
        for family in (4, 6):
            found = next((one.address for one in addresses if one.family == family), "(none)")
            yield f"   IPv{family} address = {found}"
        if interface is not None:
            yield f"   MTU = {interface.mtu}"


def _moment(at_ns: int) -> str:
    """`1795380101.151051 (Sun Nov 22 20:41:41.151051 2026)`."""
    seconds, micros = at_ns // 1_000_000_000, at_ns // 1000 % 1_000_000
    local = time.localtime(seconds)
    shown = f"{time.strftime('%a %b %e %H:%M:%S', local)}.{micros:06} {local.tm_year}"
    return f"{seconds}.{micros:06} ({shown})"


def _truth(*, value: bool) -> str:
    return "true" if value else "false"
