"""The probe engine on real sockets of the loopback interface."""

from __future__ import annotations

import errno
import select
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from keepvip import _probe
from keepvip._probe import Probes
from keepvip.check.address import pack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from keepvip._probe import Ask, Result


def ask(
    token: int,
    kind: int,
    target: bytes,
    timeout_ms: int = 2000,
    *,
    source: bytes = b"",
    device: bytes = b"",
    payload: bytes = b"",
    want: int = 0,
    sequence: int = 0,
    fd: int = -1,
) -> Ask:
    return (token, kind, target, timeout_ms * 1000, source, 0, device, payload, want, sequence, fd)


@pytest.fixture
def probes() -> Iterator[Probes]:
    engine = Probes()
    yield engine
    engine.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        yield sock


def finish(engine: Probes, count: int, limit_s: float = 10) -> list[Result]:
    """All results, waiting on the descriptor alone."""
    found: list[Result] = []
    until = time.monotonic() + limit_s
    while len(found) < count:
        readable, _, _ = select.select([engine.fileno()], [], [], max(0, until - time.monotonic()))
        assert readable, f"only {len(found)} of {count} results came"
        found += engine.collect()
    return found


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def where(sock: socket.socket) -> bytes:
    host, port = sock.getsockname()[:2]
    return pack(host, port)


def test_connected(probes: Probes, listener: socket.socket) -> None:
    probes.start([ask(7, _probe.TCP, where(listener))])
    assert probes.pending == 1
    (result,) = finish(probes, 1)
    assert result[:3] == (7, _probe.CONNECTED, 0)
    assert result[3] < 1_000_000
    assert probes.pending == 0
    peer, _ = listener.accept()
    with peer:
        peer.settimeout(5)
        assert peer.recv(1) == b""  # closed in the proper way, not reset


def test_refused_at_once_and_by_ipv6(probes: Probes) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))  # nobody listens
        probes.start([ask(1, _probe.TCP, where(sock))])
        assert finish(probes, 1)[0][:3] == (1, _probe.FAILED, errno.ECONNREFUSED)
    with socket.socket(socket.AF_INET6) as sock6:
        sock6.bind(("::1", 0))
        probes.start([ask(2, _probe.TCP, where(sock6))])
        assert finish(probes, 1)[0][:3] == (2, _probe.FAILED, errno.ECONNREFUSED)


def test_nobody_answers(probes: Probes) -> None:
    """A full queue of connections drops further ones: a server that does not answer."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(0)
        with socket.create_connection(sock.getsockname()):
            probes.start([ask(token, _probe.TCP, where(sock), 300) for token in range(4)])
            verdicts = [result[1] for result in finish(probes, 4)]
            assert verdicts.count(_probe.TIMED_OUT) >= 3


def test_what_this_host_cannot_do_is_no_failure(probes: Probes, listener: socket.socket) -> None:
    probes.start(
        [
            ask(1, _probe.TCP, where(listener), source=pack("192.0.2.77", 0)),
            ask(2, _probe.TCP, where(listener), device=b"nosuchif"),
        ]
    )
    results = {result[0]: result[1:3] for result in finish(probes, 2)}
    assert results[1] == (_probe.LOCAL, errno.EADDRNOTAVAIL)
    assert results[2][0] == _probe.LOCAL


def test_source_address_and_port(probes: Probes, listener: socket.socket) -> None:
    with socket.socket() as spare:
        spare.bind(("127.0.0.5", 0))
        port = spare.getsockname()[1]
    probes.start([ask(1, _probe.TCP, where(listener), source=pack("127.0.0.5", port))])
    assert finish(probes, 1)[0][1] == _probe.CONNECTED
    peer, address = listener.accept()
    peer.close()
    assert address == ("127.0.0.5", port)


def test_many_at_once_and_again(probes: Probes) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listener, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        good, bad = where(listener), where(closed)
        for turn in range(3):
            tokens = range(turn * 1000, turn * 1000 + 800)
            probes.start([ask(token, _probe.TCP, bad if token % 2 else good) for token in tokens])
            results = {result[0]: result[1] for result in finish(probes, 800)}
            assert sorted(results) == list(tokens)
            assert all((results[token] == _probe.CONNECTED) == (token % 2 == 0) for token in tokens)
            listener.setblocking(False)
            while True:
                try:
                    listener.accept()[0].close()
                except BlockingIOError:
                    break


def test_no_descriptor_stays_behind(listener: socket.socket) -> None:
    before = open_files()
    engine = Probes()
    engine.start([ask(token, _probe.TCP, where(listener)) for token in range(50)])
    finish(engine, 50)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        engine.start([ask(token, _probe.UDP, where(silent)) for token in range(50)])
        engine.close()
    assert open_files() == before
    assert engine.collect() == []
    with pytest.raises(ValueError, match="closed"):
        engine.fileno()


def test_udp_reply_refusal_and_silence(probes: Probes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        probes.start([ask(1, _probe.UDP, where(server), payload=b"ping", want=3)])
        data, peer = server.recvfrom(100)
        assert data == b"ping"
        server.sendto(b"answer", peer)
        token, verdict, _, _, size, reply = finish(probes, 1)[0]
        assert (token, verdict, size, reply) == (1, _probe.REPLIED, 6, b"ans")
        probes.start([ask(2, _probe.UDP, where(server), 200, payload=b"ping")])
        assert finish(probes, 1)[0][1] == _probe.TIMED_OUT
        gone = where(server)
    probes.start([ask(3, _probe.UDP, gone, payload=b"ping")])
    assert finish(probes, 1)[0][:3] == (3, _probe.FAILED, errno.ECONNREFUSED)


def test_dns_ignores_what_is_no_answer(probes: Probes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        probes.start([ask(1, _probe.DNS, where(server), payload=b"q" * 17, want=12, sequence=0x1234)])
        _, peer = server.recvfrom(100)
        for wrong in (b"", b"\x12\x34\x81", b"\x12\x35\x81" + bytes(9), b"\x12\x34\x01" + bytes(9)):
            server.sendto(wrong, peer)
        server.sendto(b"\x12\x34\x81\x83" + bytes(20), peer)
        _, verdict, _, _, size, reply = finish(probes, 1)[0]
        assert (verdict, size, reply) == (_probe.REPLIED, 24, b"\x12\x34\x81\x83" + bytes(8))


def test_a_reply_larger_than_anything_is_bounded(probes: Probes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        probes.start([ask(1, _probe.UDP, where(server), payload=b"x", want=10_000_000)])
        _, peer = server.recvfrom(100)
        server.sendto(b"y" * 60_000, peer)
        _, verdict, _, _, size, reply = finish(probes, 1)[0]
        assert (verdict, size) == (_probe.REPLIED, 60_000)
        assert reply == b"y" * 60_000


def test_ping_on_the_callers_socket(probes: Probes) -> None:
    try:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP)
    except PermissionError:
        pytest.skip("net.ipv4.ping_group_range does not let us")
    with sock:
        sock.setblocking(False)
        sock.connect(("127.0.0.1", 0))
        for sequence in (1, 2):
            echo = struct.pack("!BBHHH", 8, 0, 0, 0, sequence) + b"z" * 8
            probes.start([ask(1, _probe.PING, pack("127.0.0.1", 0), payload=echo, sequence=sequence, fd=sock.fileno())])
            assert finish(probes, 1)[0][1] == _probe.REPLIED
        assert sock.getsockname()  # it was left open


def test_cancel(probes: Probes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        probes.start([ask(1, _probe.UDP, where(server), 100), ask(2, _probe.UDP, where(server), 100)])
        assert probes.cancel(1)
        assert not probes.cancel(1)
        assert [result[0] for result in finish(probes, 1)] == [2]
        assert probes.pending == 0


@pytest.mark.parametrize(
    "bad",
    [
        ask(1, _probe.TCP, b"short"),
        ask(1, _probe.TCP, bytes(40)),
        ask(1, 9, bytes(16)),
        ask(1, _probe.PING, bytes(16)),
        ask(1, _probe.TCP, bytes(16), device=b"x" * 16),
    ],
)
def test_nonsense_starts_nothing(probes: Probes, listener: socket.socket, bad: Ask) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        probes.start([ask(2, _probe.TCP, where(listener)), bad])
    assert probes.pending == 0
