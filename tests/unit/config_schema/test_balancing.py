"""What `global_defs`, the root and instances say about load balancing as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepvip.config.model_service import ServiceMarks

from .test_instance import codes, file

if TYPE_CHECKING:
    from keepvip.config.model_service import Balancing

    from .conftest import Compile


def balancing(compiled: Compile, text: str) -> tuple[Balancing, list[str]]:
    result = compiled(text)
    assert result.config is not None
    return result.config.balancing, codes(result)


def test_the_old_way_to_a_sync_daemon(compiled: Compile) -> None:
    found, said = balancing(compiled, file("lvs_sync_daemon_interface eth0"))
    assert found.sync_daemon is not None
    assert (found.sync_daemon.interface, found.sync_daemon.instance, found.sync_daemon.sync_id) == ("eth0", "a", 5)
    assert said == ["old-sync-daemon"]


def test_one_sync_daemon_is_enough(compiled: Compile) -> None:
    text = file("lvs_sync_daemon_interface eth0", defs="lvs_sync_daemon eth0 id 9")
    found, said = balancing(compiled, text)
    assert found.sync_daemon is not None
    assert (found.sync_daemon.instance, found.sync_daemon.sync_id) == (None, 9)
    assert sorted(said) == ["duplicate", "old-sync-daemon"]


def test_what_is_only_read_so_far(compiled: Compile) -> None:
    defs = "nftables_ipvs\nnftables_ipvs_priority 7\nnftables_ipvs_start_fwmark 50"
    found, said = balancing(compiled, "net_namespace_ipvs blue\n" + file("", defs=defs))
    assert found.namespace == "blue"
    assert found.marks == ServiceMarks(priority=7, start=50)
    assert set(said) == {"not-supported-yet"}
    assert balancing(compiled, file(""))[0].marks is None
