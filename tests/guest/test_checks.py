"""Every kind of health check against servers that go bad and good again: the kernel's table is the witness.

keepalived 2.2.7 runs through the same steps with the same file and has to end in the same tables.
"""

import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from keepvip.lab import Keepalived, Keepvipd, Lab
from keepvip.lab.daemons import Daemon
from keepvip.lab.node import Node

from . import checked
from .balanced import wait

GOOD = {"tcp": "", "http": "200", "dns": "0", "mail": "220 hello", "udp": "pong", "weight": "12", "load": "0"}
BAD = {"http": "503", "dns": "2", "mail": "554 no", "udp": "what", "weight": "1", "load": "1"}

CHECKS = {
    "TCP_CHECK": f"connect_ip 127.0.0.1\nconnect_port {checked.TCP}",
    "HTTP_GET": f"connect_ip 127.0.0.1\nconnect_port {checked.HTTP}\nurl {{\npath /one\n}}",
    "SSL_GET": f"connect_ip 127.0.0.1\nconnect_port {checked.TLS}\nurl {{\npath /one\nstatus_code 200\n}}",
    "SMTP_CHECK": f"connect_ip 127.0.0.1\nconnect_port {checked.SMTP}\nretry 0",
    "DNS_CHECK": f"connect_ip 127.0.0.1\nconnect_port {checked.DNS}\ntype A\nname a.example",
    "UDP_CHECK": f"connect_ip 127.0.0.1\nconnect_port {checked.UDP}\npayload 01\nrequire_reply 706fxxx7",
    "MISC_CHECK": 'misc_path "/run/weight.sh"\nmisc_dynamic',
    "FILE_CHECK": "track_file load\nweight 0",
}


def configuration() -> str:
    servers = "".join(
        f"real_server 10.9.0.{number} 80 {{\nweight 3\n{kind} {{\n{body}\n}}\n}}\n"
        for number, (kind, body) in enumerate(CHECKS.items(), 1)
    )
    return f"""
    global_defs {{
      script_user root
    }}
    track_file load {{
      file /run/load
      init_file
    }}
    virtual_server 10.0.0.100 80 {{
      delay_loop 1
      delay_before_retry 1
      retry 1
      warmup 0
      connect_timeout 1
      protocol TCP
      lb_algo rr
      lb_kind NAT
      {servers}
    }}
    """


@pytest.fixture
def node() -> Iterator[Node]:
    with Lab() as lab:
        found = lab.node("director")
        folder = found.run_directory
        (folder / "weight.sh").write_text("#!/bin/sh\nexit $(cat /run/weight)\n")
        (folder / "weight.sh").chmod(0o755)
        certificate = trustme.CA().issue_cert("server.example")
        certificate.private_key_and_cert_chain_pem.write_to_path(folder / "server.pem")
        say(folder, GOOD)
        found.start([sys.executable, checked.__file__, str(folder)], log="servers")

        def answers() -> bool:
            with found.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
                return probe.connect_ex(("127.0.0.1", checked.SMTP)) == 0

        wait(answers, "the servers answer")
        yield found


def say(folder: Path, facts: dict[str, str]) -> None:
    for name, text in facts.items():
        (folder / name).write_text(f"{text}\n")


def servers(node: Node) -> dict[str, int]:
    """Kind of check to weight in the kernel, for those that are in the table."""
    found = {}
    for line in node.network.run("ipvsadm", "-Sn").splitlines():
        words = line.split()
        if words[0] == "-a":
            number = int(words[4].split(":")[0].rpartition(".")[2])
            found[list(CHECKS)[number - 1]] = int(words[-1])
    return found


@pytest.mark.parametrize("kind", [Keepvipd, Keepalived], ids=lambda kind: kind.kind)
def test_down_and_up_with_every_check(node: Node, kind: type[Daemon]) -> None:
    folder = node.run_directory
    daemon = kind(node, configuration(), options=["-C"])
    daemon.start()
    up = dict.fromkeys(CHECKS, 3) | {"MISC_CHECK": 10}
    wait(lambda: servers(node) == up, "all are up, with the weight of the script")
    (folder / "tcp").unlink()
    say(folder, BAD)
    wait(lambda: servers(node) == {}, "all are down")
    say(folder, GOOD | {"weight": "0"})
    wait(lambda: servers(node) == dict.fromkeys(CHECKS, 3), "all are up again")
    daemon.stop()


def requests_until(node: Node, condition: str, count: int) -> list[str]:
    """The pages asked for from now on."""
    log = node.run_directory / "requests"
    before = len(log.read_text().splitlines()) if log.exists() else 0
    wait(lambda: log.exists() and len(log.read_text().splitlines()) >= before + count, condition)
    return log.read_text().splitlines()[before : before + count]


@pytest.mark.parametrize("kind", [Keepvipd, Keepalived], ids=lambda kind: kind.kind)
def test_pages_one_after_the_other(node: Node, kind: type[Daemon]) -> None:
    """A failed page is polled alone; when it passes, all have to pass, it too."""
    folder = node.run_directory
    urls = "".join(f"url {{\npath /{name}\n}}\n" for name in ("a", "b", "c"))
    text = f"""
    virtual_server 10.0.0.100 80 {{
      delay_loop 1
      warmup 0
      protocol TCP
      lb_algo rr
      lb_kind NAT
      real_server 10.9.0.1 80 {{
        HTTP_GET {{
          connect_ip 127.0.0.1
          connect_port {checked.HTTP}
          delay_before_retry 1
          retry 0
          {urls}
        }}
      }}
    }}
    """
    say(folder, {"b": "500"})
    daemon = kind(node, text, options=["-C"])
    daemon.start()
    assert requests_until(node, "b fails", 4) == ["/a", "/b", "/b", "/b"]
    assert servers(node) == {}
    say(folder, {"b": "200"})
    found = [*requests_until(node, "all pages", 5)]
    while found[:2] == ["/b", "/b"]:
        found = [*found[1:], *requests_until(node, "all pages", 1)]
    assert found[:4] == ["/b", "/a", "/b", "/c"]
    wait(lambda: servers(node) == {"TCP_CHECK": 1}, "it is up")
    daemon.stop()


def test_the_rhythm_of_retries(node: Node) -> None:
    """`retry 2`: three failures in a row; the pause between them, and the period, are those of the file."""
    text = f"""
    virtual_server 10.0.0.100 80 {{
      protocol TCP
      real_server 10.9.0.1 80 {{
        TCP_CHECK {{
          connect_ip 127.0.0.1
          connect_port {checked.TCP}
          delay_loop 2
          retry 2
          delay_before_retry 0.5
          warmup 0
        }}
      }}
    }}
    """
    daemon = Keepvipd(node, text, options=["-C"])
    daemon.start()
    wait(lambda: servers(node) == {"TCP_CHECK": 1}, "it is up")
    time.sleep(2)  # one check has passed for sure, so that retries count
    (node.run_directory / "tcp").unlink()
    gone_s = time.monotonic()
    wait(lambda: servers(node) == {}, "it is down")
    # The next check is up to 2 s away, and two pauses follow.
    assert 0.9 < time.monotonic() - gone_s < 4.5
    assert daemon.stop() == 0
