"""Real servers and the sorry server of a virtual server (config-keywords.md 14 and 15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.build_balancing import ServiceDefaults  # noqa: TC001  (msgspec resolves annotations at run time)
from keepvip.config.build_check import Inherited, build_checkers
from keepvip.config.build_script import build_script
from keepvip.config.diagnostic import ConfigTestClass, Related
from keepvip.config.keywords.virtual_server import REAL_SERVER
from keepvip.config.model_service import Forwarding, RealServer, SorryServer
from keepvip.config.settings import Settings, read_block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepvip.config.settings import Context, Setting
    from keepvip.config.tree import Node
    from keepvip.config.values import Address

__all__ = ["ServiceFrame", "build_servers", "build_sorry"]

_DELAY_LOOP_US = 60_000_000


class ServiceFrame:
    """What the servers need to know about their virtual server."""

    __slots__ = ("defaults", "forwarding", "kind", "marks", "method", "name", "port", "protocol", "settings")

    def __init__(
        self,
        ctx: Context,
        *,
        name: str,
        kind: str,
        protocol: str,
        port: int,
        marks: bool,
        settings: Settings,
        nodes: Sequence[Node],
        defaults: ServiceDefaults,
    ) -> None:
        self.name = name
        self.kind = kind
        """`address`, `fwmark` or `group`."""
        self.protocol = protocol
        self.port = port
        """0 for marks and groups."""
        self.marks = marks
        """There are no addresses, only marks."""
        self.settings = settings
        self.defaults = defaults
        self.method = _last(nodes, settings, ("lb_kind", "lvs_method"))
        self.forwarding = Forwarding() if self.method is None else build_forwarding(ctx, self.method)


def build_servers(ctx: Context, frame: ServiceFrame) -> tuple[RealServer, ...]:
    """All real servers of the block, in the order of the file."""
    setting = frame.settings.get("real_server")
    blocks = setting.all() if setting is not None else []
    said = any(child.keyword == "lvs_method" for block in blocks for child in block.node.children or ())
    if frame.method is None and blocks and not said:
        ctx.diagnostics.warning(
            "no-method",
            f"virtual_server {frame.name} names no forwarding method: it is NAT",
            blocks[0].span,
            hint="write `lb_kind NAT`, `lb_kind DR` or `lb_kind TUN`",
            kind=ConfigTestClass.GENERAL,
        )
    found: dict[tuple[str, int], RealServer] = {}
    places: dict[tuple[str, int], Setting] = {}
    for block in blocks:
        server = _server(ctx, frame, block)
        if server.key in found:
            ctx.diagnostics.error(
                "duplicate-server",
                f"real_server {server.name} of {frame.name} is there already: this one is dropped",
                block.span,
                related=[Related("the first one is here", places[server.key].span)],
            )
            continue
        found[server.key] = server
        places[server.key] = block
    return tuple(found.values())


def _server(ctx: Context, frame: ServiceFrame, block: Setting) -> RealServer:
    service = frame.settings
    settings = read_block(ctx, block.node.children or (), REAL_SERVER)
    address: Address = block.value[0]
    method = settings.get("lvs_method")
    forwarding = frame.forwarding if method is None else build_forwarding(ctx, method)
    port = _port(ctx, frame, forwarding, block, block.value[1] or 0, "real_server")
    name = f"[{address.text}]:{frame.protocol}:{port}"
    alert = frame.defaults.smtp_alert
    defaults = frame.defaults.scripts
    inherited = Inherited(
        address=address.text,
        port=port,
        family=address.family,
        alpha=settings.value("alpha", "alpha" in service),
        retry=settings.value("retry", service.value("retry", None)),
        delay_before_retry_us=settings.value("delay_before_retry", service.value("delay_before_retry", None)),
        warmup_us=settings.value("warmup", service.value("warmup", None)),
        connect_timeout_us=settings.value("connect_timeout", service.value("connect_timeout", None)),
        delay_loop_us=settings.value("delay_loop", service.value("delay_loop", _DELAY_LOOP_US)),
        service_delay_loop_us=service.value("delay_loop", _DELAY_LOOP_US),
        virtualhost=settings.value("virtualhost", service.value("virtualhost", None)),
        service_virtualhost=service.value("virtualhost", None),
        log_all_failures=frame.defaults.log_all_failures,
        track_files=frame.defaults.track_files,
        scripts=defaults,
        service=frame.name,
        server=name,
    )
    up, down = settings.get("notify_up"), settings.get("notify_down")
    return RealServer(
        address=address.text,
        port=port,
        family=address.family,
        weight=settings.value("weight", service.value("weight", 1)),
        forwarding=forwarding,
        upper_threshold=settings.value("uthreshold", 0),
        lower_threshold=settings.value("lthreshold", 0),
        inhibit_on_failure=settings.value("inhibit_on_failure", "inhibit_on_failure" in service),
        notify_up=build_script(ctx, up, defaults) if up is not None else None,
        notify_down=build_script(ctx, down, defaults) if down is not None else None,
        smtp_alert=settings.value("smtp_alert", True if alert is None else alert),
        virtualhost=inherited.virtualhost,
        snmp_name=settings.value("snmp_name", None),
        checkers=build_checkers(ctx, settings, inherited),
        name=name,
    )


def build_sorry(ctx: Context, frame: ServiceFrame, family: int, servers: Sequence[RealServer]) -> SorryServer | None:
    """The sorry server, if there is one that can be used. `family` of the service: 0 = it mixes them."""
    setting = frame.settings.get("sorry_server")
    if setting is None:
        for name in ("sorry_server_inhibit", "sorry_server_lvs_method"):
            if name in frame.settings:
                ctx.diagnostics.error(
                    "no-sorry-server",
                    f"`{name}` belongs to a sorry server, and {frame.name} has none: it is ignored",
                    frame.settings[name].span,
                )
        return None
    address: Address = setting.value[0]
    method = frame.settings.get("sorry_server_lvs_method")
    forwarding = frame.forwarding if method is None else build_forwarding(ctx, method)
    port = _port(ctx, frame, forwarding, setting, setting.value[1] or 0, "sorry_server")
    if family and address.family != family and forwarding.method != "TUN":
        ctx.diagnostics.error(
            "mixed-families",
            f"the sorry server of {frame.name} has another address family, which only tunnels bridge: it is dropped",
            setting.span,
            hint="write `sorry_server_lvs_method TUN`",
        )
        return None
    inhibit = "sorry_server_inhibit" in frame.settings
    same = next((server for server in servers if server.key == (address.text, port)), None)
    return SorryServer(
        address=address.text,
        port=port,
        family=address.family,
        forwarding=forwarding if same is None else same.forwarding,
        inhibit=inhibit if same is None else same.inhibit_on_failure,
        name=f"[{address.text}]:{frame.protocol}:{port}",
    )


def _port(ctx: Context, frame: ServiceFrame, forwarding: Forwarding, block: Setting, port: int, what: str) -> int:
    """The port of a server, put right where the forwarding method cannot change it."""
    if forwarding.method == "NAT":
        return port or frame.port
    if frame.marks:
        if port:
            _adjusted(ctx, block, f"{what}: {forwarding.method} cannot change the port of a mark: none is used")
        return 0
    if frame.kind == "group":
        if port:
            _adjusted(
                ctx,
                block,
                f"{what}: {forwarding.method} cannot change the port: those of the group are used",
            )
        return port
    if port and port != frame.port:
        _adjusted(
            ctx, block, f"{what}: {forwarding.method} cannot change the port: {frame.port} of the service is used"
        )
    return frame.port


def _adjusted(ctx: Context, block: Setting, message: str) -> None:
    ctx.diagnostics.warning("adjusted-value", message, block.span, kind=ConfigTestClass.GENERAL)


def build_forwarding(ctx: Context, setting: Setting) -> Forwarding:
    """A forwarding method; tunnel options that do not belong to it are reported and left out."""
    method: str = setting.value
    options = setting.options
    if method != "TUN":
        if options:
            _wrong(ctx, setting, f"`{method}` has no options: they are ignored")
        return Forwarding(method=method)
    tunnel: str = options.get("type", "ipip")
    port: int = options.get("port", 0)
    checksum = next((name for name in options if name in {"nocsum", "csum", "remcsum"}), "nocsum")
    if tunnel == "gue" and not port:
        _wrong(ctx, setting, "a gue tunnel needs a port: an ipip tunnel is used")
        return Forwarding(method=method)
    if tunnel != "gue" and port:
        _wrong(ctx, setting, f"`port` is for gue tunnels, not for {tunnel}: it is ignored")
        port = 0
    if (tunnel == "ipip" and checksum != "nocsum") or (tunnel == "gre" and checksum == "remcsum"):
        _wrong(ctx, setting, f"`{checksum}` is not possible with {tunnel}: it is ignored")
        checksum = "nocsum"
    return Forwarding(method=method, tunnel=tunnel, tunnel_port=port, checksum=checksum)


def _wrong(ctx: Context, setting: Setting, message: str) -> None:
    ctx.diagnostics.error("wrong-tunnel", message, setting.span, expected="TUN [type ipip|gue port PORT|gre] [csum]")


def _last(nodes: Sequence[Node], settings: Settings, names: tuple[str, ...]) -> Setting | None:
    """Of keywords that mean the same the one that was written last."""
    found = [setting for name in names if (setting := settings.get(name)) is not None]
    order = {id(node): place for place, node in enumerate(nodes)}
    return max(found, key=lambda setting: order.get(id(setting.node), -1), default=None)
