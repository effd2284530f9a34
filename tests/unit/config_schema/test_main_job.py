"""The configuration of the main job gives exactly the model that it should."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from keepvip.config.diagnostic import Severity
from keepvip.config.facts import HostFacts, Interface, User
from keepvip.config.model import (
    Authentication,
    Config,
    GarpConfig,
    GlobalDefs,
    NotifyScripts,
    SyncGroup,
    VirtualAddress,
    VrrpInstance,
)

if TYPE_CHECKING:
    from .conftest import Compile

MASTER = """\
global_defs {
   notification_email {
       admin@example.com
   }
   notification_email_from noreply@example.com
   smtp_server 127.0.0.1
   smtp_connect_timeout 60
}
vrrp_sync_group VG1 {
   group {
      RH_EXT
      RH_INT
   }
}
vrrp_instance RH_EXT {
    state MASTER
    interface eth0
    virtual_router_id 50
    priority 100
    advert_int 1
    authentication {
        auth_type PASS
        auth_pass passw123
    }
    virtual_ipaddress {
    10.0.0.1
    }
}
vrrp_instance RH_INT {
   state MASTER
   interface eth1
   virtual_router_id 2
   priority 100
   advert_int 1
   authentication {
       auth_type PASS
       auth_pass passw123
   }
   virtual_ipaddress {
       192.168.1.1
   }
}
"""
BACKUP = MASTER.replace("state MASTER", "state BACKUP").replace("priority 100", "priority 99")
HOST = HostFacts(
    interfaces={"eth0": Interface("eth0"), "eth1": Interface("eth1"), "lo": Interface("lo", loopback=True)},
    addresses={},
    users={"root": User("root", 0, 0)},
    groups={"root": 0},
    files={},
    hostname="node1",
)


def instance(name: str, interface: str, vrid: int, address: str, *, master: bool) -> VrrpInstance:
    return VrrpInstance(
        name=name,
        interface=interface,
        family=4,
        version=2,
        vrid=vrid,
        priority=100 if master else 99,
        initial_master=master,
        advert_int_us=1_000_000,
        authentication=Authentication(kind="PASS", password=b"passw123"),
        mcast_dst="224.0.0.18",
        addresses=(VirtualAddress(address=address, prefix_len=32, family=4),),
        garp=GarpConfig(delay_s=5, repeat=5, refresh_s=0, refresh_repeat=1, lower_prio_delay_s=5, lower_prio_repeat=5),
        smtp_alert=True,
    )


def expected(*, master: bool) -> Config:
    return Config(
        global_defs=GlobalDefs(
            router_id="node1",
            emails=("admin@example.com",),
            email_from="noreply@example.com",
            smtp_host="127.0.0.1",
            smtp_port=25,
            smtp_helo_name="node1",
            smtp_connect_timeout_s=60,
        ),
        sync_groups=(SyncGroup(name="VG1", members=("RH_EXT", "RH_INT"), notify=NotifyScripts(), smtp_alert=True),),
        instances=(
            instance("RH_EXT", "eth0", 50, "10.0.0.1", master=master),
            instance("RH_INT", "eth1", 2, "192.168.1.1", master=master),
        ),
        files=("t.conf",),
    )


def test_master_node(compiled: Compile) -> None:
    result = compiled(MASTER, HOST)
    assert result.config is not None
    assert msgspec.structs.replace(result.config, files=("t.conf",)) == expected(master=True)
    assert result.clean
    assert [found.severity for found in result.diagnostics] == [Severity.NOTE]


def test_backup_node(compiled: Compile) -> None:
    result = compiled(BACKUP, HOST)
    assert result.config is not None
    assert msgspec.structs.replace(result.config, files=("t.conf",)) == expected(master=False)


def test_places_are_those_of_the_file(compiled: Compile) -> None:
    built = compiled(MASTER, HOST).built
    head = built.place("RH_EXT", "nopreempt")
    assert (head.number, head.column, head.length) == (15, 1, len("vrrp_instance RH_EXT"))
    priority = built.place("RH_EXT", "priority")
    assert (priority.number, priority.column, priority.length) == (19, 5, len("priority 100"))
    assert built.group_place("VG1").number == 9


def test_the_place_is_no_part_of_the_meaning(compiled: Compile) -> None:
    assert compiled(MASTER, HOST).config == compiled("# a line more\n\n" + MASTER, HOST).config


def test_the_model_can_be_shown_as_json_without_the_password(compiled: Compile) -> None:
    config = compiled(MASTER, HOST).config
    assert "passw123" not in repr(config)
