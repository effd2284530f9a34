"""Arguments that many keywords share."""

from __future__ import annotations

from keepvip.config.keyword import Arg

BOOL = Arg("bool", "BOOL", optional=True)
"""A flag that may be given a value; without one it means true."""
NAME = Arg("word", "NAME")
STRING = Arg("word", "TEXT")
PATH = Arg("word", "PATH")
IFNAME = Arg("interface", "INTERFACE")
ADDRESS = Arg("address", "ADDRESS")
PORT = Arg("port", "PORT", low=1, high=65535, strict=True)
OPTIONAL_PORT = Arg("port", "PORT", low=0, high=65535, strict=True, optional=True)
"""Port where 0 means: none given."""
SCRIPT = Arg("script", "COMMAND")
COMMAND = Arg("command", "COMMAND")
USER = Arg("user", "USER")
GROUP = Arg("group", "GROUP", optional=True)

SECONDS_0 = Arg("seconds", "SECONDS", low=0, unit="seconds")
SECONDS_1 = Arg("seconds", "SECONDS", low=1, unit="seconds")
"""Any time above zero."""
WHOLE_SECONDS = Arg("int", "SECONDS", low=0, high=4_294_967, unit="seconds")
COUNT_0 = Arg("int", "COUNT", low=0, high=2_147_483_647)
COUNT_1 = Arg("int", "COUNT", low=1, high=2_147_483_647)
U32 = Arg("int", "NUMBER", low=0, high=4_294_967_295)
BYTES = Arg("int", "BYTES", low=0, high=4_294_967_295, unit="bytes")

WEIGHT_253 = Arg("int", "WEIGHT", low=-253, high=253, strict=True)
WEIGHT_254 = Arg("int", "WEIGHT", low=-254, high=254, strict=True)
REVERSE = Arg("choice", "reverse", choices=("reverse",), optional=True)
REVERSE_OR_NOT = Arg("choice", "reverse", choices=("reverse", "noreverse"), optional=True)

GARP_SECONDS = Arg("int", "SECONDS", low=0, high=4_294, unit="seconds")
SECONDS_U32 = Arg("int", "SECONDS", low=0, high=4_294_967_295, unit="seconds")
REPEAT = Arg("int", "COUNT", low=1, high=4_294_967_295, clamp_low=True)
GAP = Arg("seconds", "SECONDS", low=1, high=4_294_967_295, unit="seconds")
"""Smallest gap between two announcements."""
GROUP_GAP = Arg("seconds", "SECONDS", low=0, high=2_147_483_647, unit="seconds")
"""The same in a garp_group."""
ALL = Arg("choice", "all", choices=("all",), optional=True)
