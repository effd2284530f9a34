"""Adverts behind an IP Authentication Header (vrrp-behaviour.md 5), checked and forged with the standard library."""

import pytest

from keepvip.admin.client import AdminClient
from keepvip.lab import Advert, Daemon, Keepalived, Pair
from keepvip.lab.ah import behind_ah, sequence_of, verifies
from keepvip.lab.configs import block, instance
from keepvip.lab.forge import ForgedAdvert, Forger
from keepvip.lab.measure import gaps_s
from keepvip.lab.waiting import wait_until

pytestmark = pytest.mark.root

SECRET = b"secret"
AUTH = block("authentication", "auth_type AH", "auth_pass secret")
FORGED = ForgedAdvert(source="10.0.0.100", auth_type=2)


def by_unicast(peer: str, priority: int) -> str:
    return instance(priority=priority, extra=[AUTH, block("unicast_peer", peer)])


def stats(daemon: Daemon) -> dict[str, int]:
    """Its counters."""
    socket = daemon.node.run_directory / "keepvip" / "keepvip.sock"
    found: dict[str, int] = AdminClient(str(socket)).get("/v1/status")["instances"][0]["stats"]
    return found


@pytest.mark.parametrize("other", ["keepvip", "keepalived"])
def test_unicast_with_numbers_that_grow_over_a_change_of_masters_and_a_reload(
    pair: Pair, kind: type[Daemon], other: str
) -> None:
    a = kind(pair.a, by_unicast("10.0.0.12", 150))
    b = (kind if other == "keepvip" else Keepalived)(pair.b, by_unicast("10.0.0.11", 100))
    b.start()
    pair.wait_master(pair.b)
    a.start()
    first = pair.wait_master(pair.a)
    pair.wait_released(pair.b)
    a.reload(by_unicast("10.0.0.12", 140))
    pair.tap.wait_advert("a", 51, timeout_s=3, since_ns=first.at_ns, wanted=lambda sent: sent.priority == 140)
    adverts = pair.tap.adverts()
    assert all(verifies(sent, SECRET) and not sent.errors and sent.auth_type == 2 for sent in adverts)
    numbers = [sequence_of(sent) for sent in adverts]
    assert numbers == sorted(set(numbers)), "one after the other, whoever sends"


@pytest.mark.ours("keepalived restarts the timer of a master for whatever comes")
def test_forged_ones_move_nothing(pair: Pair, kind: type[Daemon], forger: Forger) -> None:
    a = kind(pair.a, instance(extra=[AUTH]))
    a.start()
    first = pair.wait_master(pair.a)
    frame = FORGED.frame(forger.mac)
    wrong = [
        frame,  # not behind the header at all
        ForgedAdvert(source="10.0.0.100", auth_type=1, password=SECRET).frame(forger.mac),
        behind_ah(frame, b"another", 900),
        behind_ah(frame, SECRET, 900, spi=bytes(4)),
        behind_ah(ForgedAdvert(source="10.0.0.100").frame(forger.mac), SECRET, 900),
    ]
    for one in wrong:
        forger.send_frame(one)
    own = pair.tap.adverts(node="a")[-1]
    forger.send_frame(behind_ah(frame, SECRET, sequence_of(own)))  # right, but not after the last one
    wait_until(lambda: stats(a)["auth_failure"] == 3, timeout_s=5, what="the last of them")
    assert stats(a)["authtype_mismatch"] == 3
    pair.tap.wait_count(Advert, lambda sent: sent.node == "a", 4, timeout_s=6, since_ns=first.at_ns)
    assert all(0.9 < gap < 1.1 for gap in gaps_s(pair.tap.adverts(node="a")))

    lower = ForgedAdvert(source="10.0.0.100", auth_type=2, priority=50)
    forger.send_frame(behind_ah(lower.frame(forger.mac), SECRET, 5000))
    answer = pair.tap.wait(
        Advert, lambda sent: sent.node == "a" and sequence_of(sent) > 5000, timeout_s=3, since_ns=first.at_ns
    )
    assert sequence_of(answer) == 5001
    forger.send_frame(behind_ah(frame, SECRET, 6000))
    pair.wait_released(pair.a)
