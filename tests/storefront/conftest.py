"""A storefront as it is served, on a port of its own, without a broker: what it publishes is kept in a list."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from operators.errors import BrokerError
from operators.kafka_io import event_publisher
from operators.records.contracts import EVENTS
from operators.settings import KafkaSettings, Settings, StackSettings, StorefrontSettings
from storefront import services
from storefront.__main__ import server

SECONDS = 20.0


class FakeProducer:
    """Of kafka-python's producer what the storefront uses."""

    sent: list[tuple[bytes, bytes]]

    def __init__(self, settings: KafkaSettings, **_: Any) -> None: ...

    def send(self, topic: str, key: bytes, value: bytes) -> "FakeProducer":
        assert topic == EVENTS
        self.sent.append((key, value))
        return self

    def get(self, timeout: float) -> None: ...

    def close(self, timeout: float) -> None: ...


class RunningShop:
    """The storefront in a thread."""

    def __init__(self, settings: Settings, sent: list[tuple[bytes, bytes]]) -> None:
        self.sent = sent
        self._server = server(settings)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        while not self._server.started:
            assert self._thread.is_alive()
            self._thread.join(0.02)
        self.port = int(self._server.servers[0].sockets[0].getsockname()[1])
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=SECONDS)

    @property
    def connections(self) -> int:
        return len(self._server.server_state.connections)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), SECONDS)

    def raw(self, request: bytes) -> bytes:
        """All that comes back until the shop closes the connection; empty where it does so without a word."""
        with self.connect() as endpoint:
            endpoint.sendall(request)
            return read_all(endpoint)

    def get(self, target: str, *headers: str) -> tuple[int, bytes]:
        """Status and body of a path as it is: a client would write it another way."""
        lines = [f"GET {target} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
        head, _, body = self.raw("\r\n".join(lines).encode()).partition(b"\r\n\r\n")
        return int(head.split()[1]), body

    def first_list(self, target: str) -> str:
        """The data of the first event of a stream."""
        with self.connect() as endpoint:
            endpoint.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            received = b""
            while b"\ndata: " not in received or not received.endswith(b"\r\n"):
                data = endpoint.recv(65_536)
                assert data, received
                received += data
        return received.partition(b"\ndata: ")[2].partition(b"\r\n")[0].decode()

    def metric(self, name: str, **labels: str) -> float:
        label_text = ",".join(f'{key}="{value}"' for key, value in labels.items())
        line = f"liveshelf_storefront_{name}{{{label_text}}} " if label_text else f"liveshelf_storefront_{name} "
        samples = (text for text in self.client.get("/metrics").text.splitlines() if text.startswith(line))
        return float(next(samples, "x 0").rpartition(" ")[2])

    def stop(self) -> None:
        self.client.close()
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


def read_all(endpoint: socket.socket) -> bytes:
    """Until the other side closes; a reset is a close as well."""
    received = b""
    try:
        while data := endpoint.recv(65_536):
            received += data
    except ConnectionResetError:
        pass
    return received


def no_broker(options: dict[str, Any]) -> Any:
    raise BrokerError("a broker", "none", "nothing: it is a test")


Serve = Callable[..., RunningShop]


@pytest.fixture
def serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Starts a storefront with these settings of `[storefront]`."""
    shops: list[RunningShop] = []
    sent: list[tuple[bytes, bytes]] = []
    monkeypatch.setattr(services, "kafka_consumer", no_broker)
    monkeypatch.setattr(event_publisher, "new_producer", type("Producer", (FakeProducer,), {"sent": sent}))

    def start(**options: Any) -> RunningShop:
        settings = Settings(
            kafka=KafkaSettings(bootstrap="127.0.0.1:1"),
            stack=StackSettings(data_dir=str(tmp_path / f"data{len(shops)}")),
            storefront=StorefrontSettings(port=0, **options),
        )
        shops.append(RunningShop(settings, sent))
        return shops[-1]

    yield start
    for shop in shops:
        shop.stop()


@pytest.fixture
def shop(serve: Serve) -> RunningShop:
    """With the default settings."""
    return serve()
