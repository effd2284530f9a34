"""`global_defs` as a whole."""

from __future__ import annotations

from keepvip.config.keyword import Block, table
from keepvip.config.keywords.global_identity import IDENTITY
from keepvip.config.keywords.global_process import FILES, PROCESS
from keepvip.config.keywords.global_services import DBUS, FIFOS, LVS, SNMP
from keepvip.config.keywords.global_vrrp import PACKET_FILTER, VRRP

GLOBAL_DEFS = Block(
    "global_defs",
    "keywords",
    table(*IDENTITY, *VRRP, *PACKET_FILTER, *LVS, *FIFOS, *SNMP, *DBUS, *PROCESS, *FILES),
)
