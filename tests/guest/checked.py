"""Servers of every kind on the loopback interface of a node, whose health is what files say.

Runs as a program inside the node: `python checked.py FOLDER`. The files, read at every request: `http` and `dns` hold
a status or response code, `mail` the first line, `udp` the answer (empty: none); while `tcp` is missing, the port
refuses.
Every HTTP request is appended to `requests`.
"""

import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

TCP, HTTP, TLS, SMTP, DNS, UDP = range(9001, 9007)
"""The ports."""


def listen(port: int, talk: Callable[[socket.socket], None]) -> None:
    with socket.create_server(("127.0.0.1", port), backlog=64) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=guarded, args=(talk, connection), daemon=True).start()


def guarded(talk: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with connection:
        try:
            connection.settimeout(10)
            talk(connection)
        except OSError:
            pass


def answer_udp(port: int, answer: Callable[[bytes], bytes]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", port))
        while True:
            data, peer = sock.recvfrom(2048)
            reply = answer(data)
            if reply:
                sock.sendto(reply, peer)


def main(folder: Path) -> None:
    def says(name: str) -> str:
        return (folder / name).read_text().strip()

    def http(connection: socket.socket) -> None:
        request = connection.recv(4096)
        path = request.split()[1].decode()
        with (folder / "requests").open("a") as log:
            log.write(f"{path}\n")
        status = says(path.strip("/")) if (folder / path.strip("/")).exists() else says("http")
        connection.sendall(f"HTTP/1.0 {status} X\r\n\r\nthe page of {path}\n".encode())

    def https(connection: socket.socket) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "server.pem")
        with context.wrap_socket(connection, server_side=True) as wrapped:
            http(wrapped)

    def smtp(connection: socket.socket) -> None:
        connection.sendall(says("mail").encode() + b"\r\n")
        for reply in (b"250 hello\r\n", b"221 bye\r\n"):
            connection.recv(512)
            connection.sendall(reply)

    def tcp() -> None:
        while True:
            if not (folder / "tcp").exists():
                time.sleep(0.05)
                continue
            with socket.create_server(("127.0.0.1", TCP), backlog=64) as listener:
                listener.settimeout(0.05)
                while (folder / "tcp").exists():
                    try:
                        listener.accept()[0].close()
                    except TimeoutError:
                        continue

    def dns(question: bytes) -> bytes:
        return question[:2] + bytes((0x81, 0x80 | int(says("dns")))) + question[4:]

    for target, arguments in (
        (tcp, ()),
        (listen, (HTTP, http)),
        (listen, (TLS, https)),
        (listen, (SMTP, smtp)),
        (answer_udp, (DNS, dns)),
        (answer_udp, (UDP, lambda _: says("udp").encode())),
    ):
        threading.Thread(target=target, args=arguments, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
