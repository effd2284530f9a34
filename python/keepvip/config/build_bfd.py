"""`bfd_instance` and `track_bfd` become typed sessions and trackers (config-keywords.md 7.4, 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.diagnostic import ConfigTestClass, Diagnostics, Related
from keepvip.config.keywords.tracked import BFD_INSTANCE
from keepvip.config.model_bfd import BfdSession, BfdTrack
from keepvip.config.settings import Context, read_block
from keepvip.config.suggest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from keepvip.config.settings import Setting, Settings

__all__ = ["build_bfd_tracks", "build_sessions"]

SLOW_US = 10_000_000
"""Intervals above it deserve a question."""
IPV6_TTL = 64


def build_sessions(ctx: Context, blocks: Iterable[Setting]) -> tuple[BfdSession, ...]:
    """All sessions that could be set up; of two with the same name the first."""
    sessions: dict[str, tuple[BfdSession, Setting]] = {}
    for block in blocks:
        session = _session(ctx, block)
        if session is None:
            continue
        first = sessions.setdefault(session.name, (session, block))
        if first[1] is not block:
            ctx.diagnostics.error(
                "duplicate-name",
                f"there is a bfd_instance `{session.name}` already: this one is skipped",
                block.span,
                hint="give it another name",
                related=[Related("the first one is here", first[1].span)],
            )
    return tuple(session for session, _ in sessions.values())


def _session(ctx: Context, block: Setting) -> BfdSession | None:
    name = str(block.value)
    # The block as such was checked when the file was read.
    settings = read_block(Context(Diagnostics(), ctx.facts), block.node.children or (), BFD_INSTANCE)
    neighbour = _last(settings, "neighbor_ip", "neighbour_ip")
    if neighbour is None:
        return None
    source = settings.get("source_ip")
    family = neighbour.value.family
    if source is not None and source.value.family != family:
        ctx.diagnostics.error(
            "family-mismatch",
            f"source_ip of bfd_instance `{name}` is no IPv{family} address, as its peer is: the session is dropped",
            source.span,
            related=[Related("the peer is here", neighbour.span)],
        )
        return None
    for keyword in ("min_rx", "min_tx", "idle_tx"):
        setting = settings.get(keyword)
        if setting is not None and setting.value > SLOW_US:
            ctx.diagnostics.warning(
                "slow-bfd",
                f"{keyword} of bfd_instance `{name}` is {setting.value / 1_000_000:g} s: a failure is noticed late",
                setting.span,
                hint="the unit is milliseconds",
                kind=ConfigTestClass.NONE,
            )
    weight, reverse = settings.value("weight", (0, None))
    vrrp, checker = "vrrp" in settings, "checker" in settings
    ttl = _last(settings, "ttl", "hoplimit")
    return BfdSession(
        name=name,
        neighbour=neighbour.value.text,
        family=family,
        source=source.value.text if source is not None else None,
        min_rx_us=settings.value("min_rx", 10_000),
        min_tx_us=settings.value("min_tx", 10_000),
        idle_tx_us=settings.value("idle_tx", 1_000_000),
        multiplier=settings.value("multiplier", 5),
        passive="passive" in settings,
        ttl=ttl.value if ttl is not None else (IPV6_TTL if family == 6 else 255),
        max_hops=settings.value("max_hops", 0),
        multihop=settings.value("multihop", False),
        weight=weight,
        reverse=reverse == "reverse",
        vrrp=vrrp or not checker,
        checker=checker or not vrrp,
    )


def build_bfd_tracks(
    ctx: Context,
    sessions: Iterable[BfdSession],
    instances: Mapping[str, Settings],
    groups: Mapping[str, Settings],
) -> tuple[BfdTrack, ...]:
    """What instances and sync groups track, by their names. A name that no session has is an error."""
    known = {session.name: session for session in sessions}
    tracks: list[BfdTrack] = []
    for of_group, owners in ((False, instances), (True, groups)):
        for owner, settings in owners.items():
            setting = settings.get("track_bfd")
            for block in setting.all() if setting is not None else ():
                for node in block.node.children or ():
                    session = known.get(node.keyword)
                    if session is None:
                        ctx.diagnostics.error(
                            "unknown-tracker",
                            f"`{owner}` tracks BFD session `{node.keyword}`, but there is no such bfd_instance",
                            node.span,
                            hint=did_you_mean(node.keyword, known),
                        )
                        continue
                    weight, reverse = _weight(node.args, session)
                    tracks.append(
                        BfdTrack(owner=owner, of_group=of_group, session=session.name, weight=weight, reverse=reverse)
                    )
    return tuple(tracks)


def _weight(args: tuple[str, ...], session: BfdSession) -> tuple[int, bool]:
    """The words were checked against their declaration already; what is wrong among them counts as not written."""
    weight, reverse = session.weight, session.reverse
    if "weight" in args[:-1]:
        text = args[args.index("weight") + 1]
        weight = int(text) if text.lstrip("+-").isdigit() else weight
        reverse = "reverse" in args or (session.reverse and "noreverse" not in args)
    return max(-253, min(253, weight)), reverse


def _last(settings: Settings, *names: str) -> Setting | None:
    """The setting of two spellings that was written last."""
    found = [setting for setting in (settings.get(name) for name in names) if setting is not None]
    return max(found, key=lambda setting: (setting.node.line.number, setting.node.span.column), default=None)
