"""keepvip and Debian's keepalived as unicast peers of each other, in both roles."""

import ipaddress
import time

import pytest

from keepvip.lab import Daemon, Keepalived, Keepvip, Pair
from keepvip.lab.configs import block, down_interval_s, instance, skew_s
from keepvip.lab.measure import measure_takeover

pytestmark = [pytest.mark.root, pytest.mark.interop]

LATE_S = 0.3
MASTER, BACKUP = 100, 99
FAST = {"version": 3, "interval_s": 0.2}
VARIANTS: dict[str, dict[str, object]] = {
    "v2": {"version": 2, "interval_s": 1.0},
    "v2 PASS": {"version": 2, "interval_s": 1.0, "password": "passw123"},
    "v3": FAST,
    "v3 checked": FAST,
    "v3 old checksum": FAST,
    "v3 IPv6": {**FAST, "addresses": ["fe80::51", "fd00::51"]},
}
ROLES = [pytest.param(Keepvip, Keepalived, id="keepvip-master"), pytest.param(Keepalived, Keepvip, id="keepvip-backup")]


def config(variant: str, own: str, peer: str, priority: int) -> str:
    extra = [f"unicast_src_ip {own}"]
    if variant == "v3 checked":
        peer += " min_ttl 255 max_ttl 255"
    elif variant == "v3 old checksum" and priority == MASTER:
        extra.append("old_unicast_checksum")  # and the backup finds that out
    extra.append(block("unicast_peer", peer))
    return instance(priority=priority, extra=extra, **VARIANTS[variant])  # type: ignore[arg-type]


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("master_kind", "backup_kind"), ROLES)
def test_takeover_and_return(pair: Pair, master_kind: type[Daemon], backup_kind: type[Daemon], variant: str) -> None:
    for kind in (master_kind, backup_kind):
        if complaint := kind.missing():
            pytest.skip(complaint)
    family, vip = (6, "fd00::51") if "IPv6" in variant else (4, "10.0.0.1")
    host_a, host_b = ("fd00::11", "fd00::12") if family == 6 else ("10.0.0.11", "10.0.0.12")
    a = master_kind(pair.a, config(variant, host_a, host_b, MASTER))
    b = backup_kind(pair.b, config(variant, host_b, host_a, BACKUP))
    a.start()
    elected = pair.wait_master(pair.a, address=vip, family=family)
    assert (elected.source, elected.destination) == (host_a, host_b)
    b.start()
    version, interval_s = (VARIANTS[variant][key] for key in ("version", "interval_s"))
    assert isinstance(version, int)
    assert isinstance(interval_s, float)
    down_s = down_interval_s(BACKUP, version=version, interval_s=interval_s)
    pair.tap.silence("b", during_s=1.5 * down_s)

    watch = pair.b.watch_addresses()
    killed_ns = a.crash()
    takeover = measure_takeover(
        pair.tap, watch, old="a", new="b", vrid=51, family=family, address=vip, since_ns=killed_ns, timeout_s=8
    )
    assert down_s - 0.005 <= takeover.advert_s <= down_s + LATE_S

    a.start()
    back = pair.wait_master(pair.a, address=vip, family=family, since_ns=takeover.first_advert_ns)
    pair.wait_released(pair.b, vip)
    pair.tap.wait_advert("a", 51, family=family, timeout_s=5, since_ns=back.at_ns + 1)

    watch = pair.b.watch_addresses()
    since_ns = time.time_ns()
    assert a.stop() == 0
    takeover = measure_takeover(
        pair.tap, watch, old="a", new="b", vrid=51, family=family, address=vip, since_ns=since_ns, timeout_s=8
    )
    skew = skew_s(BACKUP, version=version, interval_s=interval_s)
    assert skew - 0.005 <= takeover.advert_s <= skew + LATE_S
    assert not [sent for sent in pair.tap.adverts() if ipaddress.ip_address(sent.destination).is_multicast]
    if variant != "v3 old checksum":
        assert all(advert.errors == () for advert in pair.tap.adverts())
