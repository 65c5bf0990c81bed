"""The proxy between real sockets."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from benchmarks.faults.tcp_proxy import Link, TcpProxy, Traffic


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def proxy() -> Iterator[tuple[TcpProxy, int]]:
    """Before a server that echoes."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            threading.Thread(target=echo, args=(connection,), daemon=True).start()

    def echo(connection: socket.socket) -> None:
        with connection:
            while piece := connection.recv(65_536):
                connection.sendall(piece)

    threading.Thread(target=serve, daemon=True).start()
    port = free_port()
    tcp_proxy = TcpProxy(port, server.getsockname()[1])
    yield tcp_proxy, port
    tcp_proxy.close()
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def ask(connection: socket.socket, content: bytes) -> float:
    """Sends, reads all of it back; returns the seconds."""
    started_s, answer = time.monotonic(), b""
    connection.sendall(content)
    while len(answer) < len(content):
        answer += connection.recv(65_536)
    assert answer == content
    return time.monotonic() - started_s


def test_a_healthy_link_carries_everything_at_once(proxy: tuple[TcpProxy, int]) -> None:
    with socket.create_connection(("127.0.0.1", proxy[1]), 5) as connection:
        assert ask(connection, b"hello" * 1000) < 0.5


def test_a_slow_link_delays_each_way(proxy: tuple[TcpProxy, int]) -> None:
    with socket.create_connection(("127.0.0.1", proxy[1]), 5) as connection:
        ask(connection, b"x")
        assert proxy[0].traffic == Traffic()
        proxy[0].link = Link(delay_s=0.1)
        assert 0.2 <= ask(connection, b"x") < 0.6
        assert proxy[0].traffic.slowed_bytes == 2 and 0.09 < proxy[0].traffic.longest_delay_s < 0.3


def test_a_narrow_link_takes_its_time(proxy: tuple[TcpProxy, int]) -> None:
    with socket.create_connection(("127.0.0.1", proxy[1]), 10) as connection:
        proxy[0].link = Link(bytes_per_s=200_000)
        assert ask(connection, b"x" * 100_000) >= 0.5


def test_a_cut_link_is_silent_and_carries_on_when_it_is_healed(proxy: tuple[TcpProxy, int]) -> None:
    with socket.create_connection(("127.0.0.1", proxy[1]), 0.5) as connection:
        ask(connection, b"x")
        proxy[0].link = Link(cut=True)
        connection.sendall(b"late")
        with pytest.raises(TimeoutError):
            connection.recv(10)
        with socket.create_connection(("127.0.0.1", proxy[1]), 0.5) as late, pytest.raises(TimeoutError):
            late.recv(10)
        assert (proxy[0].traffic.held_bytes, proxy[0].traffic.connections) == (4, 1)
        proxy[0].heal()
        connection.settimeout(5)
        assert connection.recv(10) == b"late"
