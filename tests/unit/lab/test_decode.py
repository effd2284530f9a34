"""The lab's own decoder, against captured frames. tests/interop holds it against Wireshark."""

import struct

import msgspec
import pytest

from keepvip.lab.decode import Advert, Arp, NeighbourAdvert, Packet, decode, internet_checksum
from keepvip.lab.forge import ForgedAdvert

# Sent by Debian's keepalived 2.2.7 and captured on a bridge.
MAC = "ce:6e:bc:98:5a:7a"
V2_PASS = bytes.fromhex(
    "01005e000012ce6ebc985a7a080045c0002800010000ff70d0870a00000be00000122132ff01010147900a0000017061737377313233"
)
V3_IPV4 = bytes.fromhex(
    "01005e000012ce6ebc985a7a080045c0002400010000ff70d08b0a00000be00000123133fe020014d2120a0000020a000003"
)
V3_IPV6 = bytes.fromhex(
    "333300000012ce6ebc985a7a86dd6c0c8255002870fffe80000000000000cc6ebcfffe985a7aff020000000000000000000000000012"
    "3133fe020014f3e1fe800000000000000000000000000051fd000000000000000000000000000051"
)
GARP = bytes.fromhex("ffffffffffffce6ebc985a7a08060001080006040001ce6ebc985a7a0a000001ffffffffffff0a000001")
NEIGHBOUR_ADVERT = bytes.fromhex(
    "333300000001ce6ebc985a7a86dd6000000000203afffd000000000000000000000000000051ff020000000000000000000000000001"
    "8800767a20000000fd0000000000000000000000000000510201ce6ebc985a7a"
)


def read(data: bytes) -> Packet:
    return decode(data, at_ns=1, node="a", interface="eth0", lan="ext")


def advert(data: bytes) -> Advert:
    packet = read(data)
    assert isinstance(packet, Advert)
    return packet


def test_v2_with_password() -> None:
    seen = advert(V2_PASS)
    assert (seen.version, seen.vrid, seen.priority, seen.addresses) == (2, 50, 255, ("10.0.0.1",))
    assert (seen.auth_type, seen.auth_data, seen.interval_ms) == (1, b"passw123", 1000)
    assert (seen.source, seen.destination, seen.ttl, seen.tos, seen.ip_id) == ("10.0.0.11", "224.0.0.18", 255, 0xC0, 1)
    assert (seen.source_mac, seen.destination_mac) == (MAC, "01:00:5e:00:00:12")
    assert seen.errors == ()


def test_v3_ipv4() -> None:
    seen = advert(V3_IPV4)
    assert (seen.version, seen.family, seen.vrid, seen.priority, seen.interval_ms) == (3, 4, 51, 254, 200)
    assert seen.addresses == ("10.0.0.2", "10.0.0.3")
    assert seen.errors == ()


def test_v3_ipv6() -> None:
    seen = advert(V3_IPV6)
    assert (seen.version, seen.family, seen.vrid, seen.priority, seen.interval_ms) == (3, 6, 51, 254, 200)
    assert seen.addresses == ("fe80::51", "fd00::51")
    assert (seen.source, seen.destination) == ("fe80::cc6e:bcff:fe98:5a7a", "ff02::12")
    assert (seen.ttl, seen.tos) == (255, 0xC0)
    assert seen.errors == ()


def test_gratuitous_arp() -> None:
    seen = read(GARP)
    assert isinstance(seen, Arp)
    assert seen.gratuitous
    assert (seen.operation, seen.sender, seen.sender_mac, seen.target_mac) == (1, "10.0.0.1", MAC, "ff:ff:ff:ff:ff:ff")


def test_neighbour_advert() -> None:
    seen = read(NEIGHBOUR_ADVERT)
    assert isinstance(seen, NeighbourAdvert)
    assert (seen.target, seen.target_mac, seen.destination) == ("fd00::51", MAC, "ff02::1")
    assert (seen.router, seen.solicited, seen.override, seen.hop_limit) == (False, False, True, 255)
    assert seen.checksum_ok


@pytest.mark.parametrize("data", [V2_PASS, V3_IPV4, V3_IPV6], ids=["v2", "v3-ipv4", "v3-ipv6"])
def test_every_flipped_bit_of_the_message_is_noticed(data: bytes) -> None:
    """The checksum covers the whole message (and in v3 the addresses of the IP header)."""
    start = 14 + (20 if data[12:14] == b"\x08\x00" else 40)
    for position in range(start, len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            assert advert(bytes(changed)).errors, f"byte {position} bit {bit}"


@pytest.mark.parametrize("data", [V2_PASS, V3_IPV4, V3_IPV6, GARP, NEIGHBOUR_ADVERT])
def test_truncation_never_raises(data: bytes) -> None:
    for length in range(len(data)):
        read(data[:length])


def test_ip_header_checksum_is_checked() -> None:
    changed = bytearray(V2_PASS)
    changed[14 + 10] ^= 1
    assert "IPv4 header checksum" in advert(bytes(changed)).errors


GOOD = ForgedAdvert(source="10.0.0.100", vrid=7, priority=9, addresses=("10.0.0.1", "10.0.0.2"))


@pytest.mark.parametrize(
    ("forged", "error"),
    [
        (GOOD, None),
        (msgspec.structs.replace(GOOD, auth_type=1, password=b"secret"), None),
        (msgspec.structs.replace(GOOD, version=3, interval=100), None),
        (msgspec.structs.replace(GOOD, checksum_error=1), "VRRP checksum"),
        (msgspec.structs.replace(GOOD, version=3, checksum_error=1), "VRRP checksum"),
        (msgspec.structs.replace(GOOD, kind=2), "type 2"),
        (msgspec.structs.replace(GOOD, count=9), "9 addresses in 24 bytes"),
        (msgspec.structs.replace(GOOD, version=4), "version 4"),
        (msgspec.structs.replace(GOOD, version=3, count=1), "4 bytes after the addresses"),
    ],
)
def test_forged_adverts_are_seen_for_what_they_are(forged: ForgedAdvert, error: str | None) -> None:
    seen = advert(forged.frame(MAC))
    if error is None:
        assert seen.errors == ()
        assert (seen.vrid, seen.priority, seen.addresses) == (7, 9, ("10.0.0.1", "10.0.0.2"))
    else:
        assert error in seen.errors


def test_internet_checksum_of_rfc_1071() -> None:
    """The example of RFC 1071 section 3: the sum is ddf2."""
    assert internet_checksum(bytes.fromhex("0001f203f4f5f6f7")) == 0xFFFF ^ 0xDDF2
    assert internet_checksum(b"\xff") == internet_checksum(b"\xff\x00")
    assert internet_checksum(struct.pack("!H", 0xFFFF)) == 0
