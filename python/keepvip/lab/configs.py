"""Writes small ``keepalived.conf`` texts for nodes of the lab."""

from collections.abc import Sequence


def block(head: str, *lines: str) -> str:
    """``head { lines }``, each line indented; a line may itself be a block."""
    body = "".join(f"    {line}\n" for text in lines for line in text.splitlines())
    return f"{head} {{\n{body}}}\n"


def instance(
    name: str = "VI_1",
    *,
    interface: str = "eth0",
    vrid: int = 51,
    priority: int = 100,
    addresses: Sequence[str] = ("10.0.0.1",),
    state: str = "BACKUP",
    version: int = 2,
    interval_s: float = 1.0,
    password: str | None = None,
    extra: Sequence[str] = (),
) -> str:
    """A ``vrrp_instance``; ``extra`` holds further lines of it."""
    return block(
        f"vrrp_instance {name}",
        f"state {state}",
        f"interface {interface}",
        f"virtual_router_id {vrid}",
        f"priority {priority}",
        f"advert_int {interval_s:g}",
        *([f"version {version}"] if version != 2 else []),
        *([block("authentication", "auth_type PASS", f"auth_pass {password}")] if password else []),
        block("virtual_ipaddress", *addresses),
        *extra,
    )


def sync_group(name: str, *members: str, extra: Sequence[str] = ()) -> str:
    """A ``vrrp_sync_group``."""
    return block(f"vrrp_sync_group {name}", block("group", *members), *extra)


def global_defs(*lines: str) -> str:
    """A ``global_defs`` block."""
    return block("global_defs", *lines)


def mail_settings(recipient: str = "admin@example.com", *, extra: Sequence[str] = ()) -> str:
    """A ``global_defs`` block that sends mail to the node's own port 25."""
    return global_defs(
        block("notification_email", recipient),
        "notification_email_from noreply@example.com",
        "smtp_server 127.0.0.1",
        "smtp_connect_timeout 5",
        *extra,
    )


def down_interval_s(priority: int, *, version: int = 2, interval_s: float = 1.0, adverts: int = 3) -> float:
    """The master down interval of a backup, seconds (RFC 3768 section 6.1, RFC 9568 section 6.1)."""
    return adverts * interval_s + skew_s(priority, version=version, interval_s=interval_s)


def skew_s(priority: int, *, version: int = 2, interval_s: float = 1.0) -> float:
    """The skew of a backup, seconds: v2 by the second, v3 by the advertisement interval."""
    return (256 - priority) / 256 * (interval_s if version == 3 else 1.0)
