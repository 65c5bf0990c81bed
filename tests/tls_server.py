"""A port that speaks TLS with a given certificate and then hangs up, or speaks nothing; it counts who connects."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from deploy.local.kafka.certificates import Authority

FAULTS = ("expired", "wrong CA", "wrong name", "no TLS")


@dataclass
class Port:
    """Its address, and how many connections came."""

    address: str
    connections: int = 0


@contextlib.contextmanager
def faulty_port(fault: str, authority: Authority, folder: Path) -> Iterator[Port]:
    """One of `FAULTS`; `authority` is the one that the client trusts."""
    issuer = Authority.new("another") if fault == "wrong CA" else authority
    hosts = ["kafka.example"] if fault == "wrong name" else ["127.0.0.1"]
    pem = folder / "server.pem"
    pem.write_bytes(issuer.issue("server", hosts, timedelta(days=-1 if fault == "expired" else 1)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = Port(f"127.0.0.1:{listening.getsockname()[1]}")

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                port.connections += 1
                connection.settimeout(2)
                with connection, contextlib.suppress(OSError):
                    if fault == "no TLS":
                        connection.recv(1000)
                    else:
                        context.wrap_socket(connection, server_side=True).recv(1000)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield port
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)
