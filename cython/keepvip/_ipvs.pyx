# cython: boundscheck=False, wraparound=False, initializedcheck=False
"""IPVS netlink messages to plain tuples and back, compiled.

A poll of the statistics of thousands of real servers decodes one message per server: this is where Python code would
hold up the event loop. The readable form with all explanations is the twin keepvip._ipvs_py; tuples, bytes and error
texts are the same. The shapes of the tuples are in keepvip._ipvs_abi.

No byte is read without a check against the end of its enclosing attribute: `advance` is the only place
that moves a pointer.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memchr, memcpy, memset

from keepvip._ipvs_numbers cimport *

include "_ipvs_decode.pxi"
include "_ipvs_encode.pxi"
