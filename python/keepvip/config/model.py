"""The typed configuration: what a `keepalived.conf` means once everything has been read.

Every struct is frozen and holds final values: the defaults of `global_defs`, strict mode and the protocol version are
already applied, so a consumer never looks anything up a second time. Times are integers with their unit in the name.

Two configurations compare equal when they mean the same: where something was written takes no part in `==` or `hash`,
so moving a block to another line is not a change.
"""

from __future__ import annotations

import msgspec

from keepvip.config.model_address import VirtualAddress
from keepvip.config.model_auth import AuthHmac  # noqa: TC001
from keepvip.config.model_bfd import BfdSession, BfdTrack  # noqa: TC001
from keepvip.config.model_check import SslClient  # noqa: TC001
from keepvip.config.model_interface import InterfaceRule  # noqa: TC001
from keepvip.config.model_process import ProcessSettings
from keepvip.config.model_remote import DbusService, SnmpAgent  # noqa: TC001
from keepvip.config.model_route import Route, Rule, StaticAddress, TrackGroup  # noqa: TC001
from keepvip.config.model_script import Fifo, Script
from keepvip.config.model_service import Balancing, VirtualServer
from keepvip.config.model_track import TrackFile, TrackProcess  # noqa: TC001  (msgspec resolves annotations)
from keepvip.config.model_vmac import Vmac  # noqa: TC001  (msgspec resolves annotations at run time when it decodes)

__all__ = [
    "Authentication",
    "Config",
    "Fifo",
    "GarpConfig",
    "GlobalDefs",
    "InstanceKey",
    "NotifyScripts",
    "PacketFilter",
    "Script",
    "SyncGroup",
    "Track",
    "TrackScript",
    "Unicast",
    "UnicastPeer",
    "VirtualAddress",
    "VrrpInstance",
]

IPV4_GROUP = "224.0.0.18"
IPV6_GROUP = "ff02::12"
OWNER = 255
"""The priority of an address owner (RFC 9568 section 5.2.4)."""

InstanceKey = tuple[int, int, str, str]
"""(VRID, family, interface, destination): who an instance *is*, over reloads. The interface has its network namespace
in front, unless that is the daemon's, and is empty where there is none. The destination is the group, with the kind of
link that carries the addresses; for unicast it is the source address."""


class GarpConfig(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Schedule of gratuitous ARP and unsolicited neighbour advertisements (vrrp-behaviour.md 2)."""

    delay_s: int = 5
    """Second batch, so long after becoming master; 0 = no second batch."""
    repeat: int = 5
    refresh_s: int = 0
    """Period of further batches while master; 0 = none."""
    refresh_repeat: int = 1
    lower_prio_delay_s: int = 5
    lower_prio_repeat: int = 5
    """Batch after an advert of lower priority was received; 0 = none."""
    garp_interval_us: int = 0
    """Smallest gap between two gratuitous ARPs on one interface."""
    gna_interval_us: int = 0
    extra_s: int = 0
    """Period of one announcement on every macvlan that adverts do not leave by; 0 = none."""
    extra_all: bool = False
    """On every other interface too."""


class Authentication(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """VRRPv2 authentication."""

    kind: str
    """`PASS`, or `AH`: an IP Authentication Header with HMAC-MD5."""
    password: bytes
    """Exactly 8 bytes, zero padded."""

    def __repr__(self) -> str:
        return f"Authentication(kind={self.kind!r}, password=<hidden>)"


class PacketFilter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How the traffic of addresses that are held but not accepted is dropped (vrrp-behaviour.md 12)."""

    table: str = "keepalived"
    """Name of the nftables tables of families `ip` and `ip6`."""
    priority: int = -1
    """Of the base chains."""
    counters: bool = False
    by_index: bool = False
    """Sets hold indices of interfaces instead of names."""


class UnicastPeer(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Another node that adverts are sent to."""

    address: str
    """Canonical text form."""
    min_ttl: int = 0
    max_ttl: int = 255
    """What the TTL of its adverts may be, where sources are checked."""


class Unicast(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Adverts go to peers instead of a group (config-keywords.md 7.3)."""

    peers: tuple[UnicastPeer, ...]
    """Empty: FAULT (`unicast_fault_no_peer`); without that keyword such an instance is a multicast one."""
    ttl: int | None = None
    """None = 255; for IPv6 the kernel's default."""
    check_source: bool = False
    """Adverts of others than the peers, or with another TTL than the peer may have, are dropped."""
    old_checksum: str = "detect"
    """VRRPv3 over IPv4 as keepalived 1.3.6 made it: `always`, `never`, or `detect` from what the peers send."""


class NotifyScripts(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Scripts of an instance or sync group, one per kind of event (vrrp-behaviour.md 13.1)."""

    master: Script | None = None
    backup: Script | None = None
    fault: Script | None = None
    stop: Script | None = None
    any: Script | None = None
    """`notify`: run on every change, with type, name, state and priority as further arguments."""
    deleted: Script | bool = False
    """`notify_deleted`: a script, or True: removal by reload is reported as DELETED; False: it is reported as FAULT."""
    rx_lower: Script | None = None
    """`notify_master_rx_lower_pri`."""

    @property
    def wanted(self) -> bool:
        """Whether there is any script at all."""
        return any(getattr(self, field) for field in self.__struct_fields__)


class Track(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that an instance depends on (vrrp-behaviour.md 9)."""

    kind: str
    """`interface` or `script`."""
    name: str
    """Of the interface, or of the block that defines the thing."""
    weight: int = 0
    """Added to the priority while good (positive) or bad (negative); 0: FAULT while bad."""
    reverse: bool = False
    implied: bool = False
    """Not listed by anybody: a route or rule goes over it."""


class TrackScript(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A `vrrp_script` that some instance tracks."""

    name: str
    script: Script
    opens: str | None = None
    """Not a command: the path of a file that can be opened while all is well (`script "</path"`)."""
    interval_us: int = 1_000_000
    """From one start to the next."""
    timeout_us: int = 1_000_000
    rise: int = 1
    """Successes in a row that make it good."""
    fall: int = 1
    init_fail: bool = False
    """Bad until the first `rise` successes; otherwise nothing is known before the first result."""
    weight: int = 0
    """For instances that give none: what counts is in their `Track`."""
    reverse: bool = False


class VrrpInstance(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One virtual router, as the engine runs it."""

    name: str
    interface: str | None
    """None: unicast that leaves by the way that the routes say; every address then has an interface of its own."""
    vmac: Vmac | None = None
    """The link on top of `interface` that carries the addresses without a `dev`."""
    vmac_xmit_base: bool = False
    """Adverts are sent and received on `interface` all the same."""
    address_vmacs: tuple[Vmac, ...] = ()
    """Links of single addresses, those with `use_vmac`; one for each parent and MAC."""
    vrf: str | None = None
    """Without an interface: the VRF device whose routes the adverts follow."""
    net_namespace: str | None = None
    """Where its interfaces are; None: in the network namespace of the daemon."""
    family: int
    """4 or 6: the family of the adverts."""
    version: int
    vrid: int
    priority: int = 100
    """Base priority, 1..255."""
    initial_master: bool = False
    """`state MASTER`, or priority 255: the first wait is short (vrrp-behaviour.md 1.1)."""
    advert_int_us: int = 1_000_000
    nopreempt: bool = False
    preempt_delay_us: int = 0
    down_timer_adverts: int = 3
    strict: bool = False
    skip_check_adv_addr: bool = False
    lower_prio_no_advert: bool = False
    higher_prio_send_advert: bool = False
    owner_ignore_adverts: bool = False
    checksum_as_v2: bool = False
    timer_expired_backup: int | None = None
    """Priority assumed for the peer; None = off."""
    accept: bool = True
    authentication: Authentication | None = None
    auth_hmac: AuthHmac | None = None
    source: str | None = None
    """`mcast_src_ip` or `unicast_src_ip`; None = the primary address of the interface."""
    track_source: bool = False
    """FAULT while `source` is not on the interface."""
    mcast_dst: str = IPV4_GROUP
    unicast: Unicast | None = None
    twin: int = 0
    """Number among the unicast instances that only their peers tell apart (vrrp-behaviour.md 7), mostly 0."""
    dont_track_primary: bool = False
    promote_secondaries: bool = False
    addresses: tuple[VirtualAddress, ...] = ()
    """Advertised, in the order of the packet."""
    excluded: tuple[VirtualAddress, ...] = ()
    """Installed with the others, not advertised."""
    routes: tuple[Route, ...] = ()
    """There while it is MASTER."""
    rules: tuple[Rule, ...] = ()
    tracks: tuple[Track, ...] = ()
    """What it depends on, its sync group's trackers included."""
    garp: GarpConfig = GarpConfig()
    notify: NotifyScripts = NotifyScripts()
    smtp_alert: bool = False
    notify_priority_changes: bool = False

    @property
    def guarded(self) -> bool:
        """Whether the traffic of its addresses is dropped; an owner's never is."""
        return not self.accept and self.priority != OWNER

    @property
    def own_links(self) -> tuple[Vmac, ...]:
        """Links that are made for it."""
        return ((self.vmac,) if self.vmac is not None else ()) + self.address_vmacs

    def link_of(self, address: VirtualAddress) -> Vmac | None:
        """The link of our own that an address is on; None: it is on its `dev`, or on the interface."""
        if address.dev is None:
            return self.vmac
        if not address.use_vmac:
            return None
        on_parent = [vmac for vmac in self.address_vmacs if vmac.parent == address.dev]
        return next((vmac for vmac in on_parent if vmac.family == address.family), on_parent[0] if on_parent else None)

    @property
    def key(self) -> InstanceKey:
        """Identity over a reload: not the name (vrrp-behaviour.md 16)."""
        where = self.interface or ""
        if self.net_namespace is not None:
            where = f"{self.net_namespace}/{where}"  # no name of an interface has a slash
        if self.unicast is None:
            carrier = f" {self.vmac.kind}" if self.vmac is not None else ""
            return (self.vrid, self.family, where, self.mcast_dst + carrier)
        twin = f" {self.twin}" if self.twin else ""
        return (self.vrid, self.family, where, f"unicast {self.source or ''}{twin}")


class SyncGroup(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Instances that move together."""

    name: str
    members: tuple[str, ...]
    """Names of existing instances, each in one group only, in the order written."""
    notify: NotifyScripts = NotifyScripts()
    smtp_alert: bool = False
    sync_group_tracking_weight: bool = False
    """Members keep the weights of their own trackers (vrrp-behaviour.md 9)."""


class GlobalDefs(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What concerns the daemon as a whole. Defaults of instances are not here: they are in the instances."""

    router_id: str = ""
    """Name in mail subjects; the host name unless set (empty only when nothing is known about the host)."""
    emails: tuple[str, ...] = ()
    email_from: str = ""
    """Sender, quoted as RFC 5322 wants it; USER@HOST unless set."""
    smtp_host: str | None = None
    """IP address or name; None = no mail is sent."""
    smtp_port: int = 25
    smtp_helo_name: str = ""
    smtp_connect_timeout_s: int = 30
    no_email_faults: bool = False
    script_user: str | None = None
    """None = the daemon's own user."""
    script_group: str | None = None
    enable_script_security: bool = False
    set_supplementary_groups: bool = False
    use_symlink_paths: bool = False
    dynamic_interfaces: bool = False
    startup_delay_us: int = 0
    """Nobody leaves BACKUP and received adverts are dropped for so long after the start."""
    delay_after_boot_us: int = 0
    """The same, counted from the boot of the host; the later end of the two counts."""
    log_unknown_vrids: bool = False
    disable_local_igmp: bool = False
    """No IGMP reports for link-local groups while the daemon runs; a reload cannot change it."""
    packet_filter: PacketFilter = PacketFilter()
    snmp: SnmpAgent | None = None
    dbus: DbusService | None = None
    vrrp_rt_priority: int | None = None
    """SCHED_RR priority of the engine, 1..99; None = the engine's own default."""
    vrrp_cpu_affinity: tuple[int, ...] = ()
    """CPUs that the engine may use; empty = all."""
    process_monitor_rcv_bufs: int | None = None
    """Octets of the receive buffer of the process event connector; None = the system's default."""
    process_monitor_rcv_bufs_force: bool = False
    """It may exceed the limit of the system."""
    process: ProcessSettings = ProcessSettings()
    umask: int | None = None
    """File mode mask for scripts; None = that of the daemon."""
    notify_fifo: Fifo | None = None
    """Events of virtual routers, and of virtual servers once there are any."""
    vrrp_notify_fifo: Fifo | None = None
    """Events of virtual routers only."""
    fifo_states_on_reload: bool = False
    """After a reload the FIFOs get the state of every instance and group."""
    state_dump_file: str | None = None
    """Where a signal has the state dumped; relative to /tmp or $TMPDIR, and a folder if it ends in `/`."""
    stats_dump_file: str | None = None
    json_dump_file: str | None = None
    data_use_instance: bool = False
    """Namespace and instance name become part of the name of the state dump."""
    json_version: int = 1
    startup_script: Script | None = None
    """Run to its end before anything else starts."""
    startup_script_timeout_s: int = 10
    shutdown_script: Script | None = None
    """Run after everything else has ended."""
    shutdown_script_timeout_s: int = 10


class Config(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A whole configuration."""

    global_defs: GlobalDefs = GlobalDefs()
    sync_groups: tuple[SyncGroup, ...] = ()
    instances: tuple[VrrpInstance, ...] = ()
    track_scripts: tuple[TrackScript, ...] = ()
    """Those that some instance tracks."""
    track_files: tuple[TrackFile, ...] = ()
    """Those that some instance or checker follows."""
    track_processes: tuple[TrackProcess, ...] = ()
    """Those that some instance tracks."""
    virtual_servers: tuple[VirtualServer, ...] = ()
    balancing: Balancing = Balancing()
    ssl: SslClient | None = None
    """What SSL_GET presents to servers."""
    bfd_sessions: tuple[BfdSession, ...] = ()
    bfd_tracks: tuple[BfdTrack, ...] = ()
    static_addresses: tuple[StaticAddress, ...] = ()
    """There while the daemon runs, as are the next two."""
    static_routes: tuple[Route, ...] = ()
    static_rules: tuple[Rule, ...] = ()
    track_groups: tuple[TrackGroup, ...] = ()
    interfaces: tuple[InterfaceRule, ...] = ()
    """Those of which something is said as such: delays, paces, polling."""
    files: tuple[str, ...] = ()
    """Every file that was read, in order; the first is the configuration file itself."""
    net_namespace: str | None = None
    instance_name: str | None = None
    """`instance NAME`: part of pid file names, log tag and dump files, so that several daemons can run."""
    use_pid_dir: bool = False

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The network namespaces that instances are in, that of the daemon apart."""
        return tuple(dict.fromkeys(one.net_namespace for one in self.instances if one.net_namespace is not None))
