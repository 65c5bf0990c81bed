"""A TCP proxy that can cut, slow or throttle a link: the network between the job and the broker."""

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass

CHUNK = 64 * 1024


@dataclass
class Link:
    """What the network does now, each way."""

    cut: bool = False  # nothing passes, nothing is refused: a black hole
    delay_s: float = 0.0
    bytes_per_s: float = 0.0  # 0: no limit


@dataclass
class Traffic:
    """What a link that is not perfect did to the bytes that came."""

    held: int = 0  # bytes that waited at a cut,
    connections: int = 0  # and new connections
    slowed: int = 0  # bytes that a delay or a limit made late
    longest_s: float = 0.0  # that one of them waited


class TcpProxy:
    """Forwards `port` of 127.0.0.1 to `upstream` in a thread of its own; `link` may be changed at any time."""

    def __init__(self, port: int, upstream: int) -> None:
        self.link = Link()
        self.traffic = Traffic()
        self._port = port
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._free_at = {"up": 0.0, "down": 0.0}  # each direction is one wire, whatever the number of connections
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="tcp-proxy", daemon=True)
        self._thread.start()
        if not ready.wait(5):
            raise OSError(f"the proxy cannot listen on port {port}")

    def heal(self) -> None:
        """A perfect network again."""
        self.link = Link()

    def close(self) -> None:
        """Ends the proxy and every connection through it."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", self._port))
        ready.set()
        self._loop.run_forever()
        server.close()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.traffic.connections += self.link.cut
        while self.link.cut:
            await asyncio.sleep(0.1)
        try:
            upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._upstream)
        except OSError:
            writer.close()
            return
        await asyncio.gather(
            self._pump(reader, upstream_writer, "up"),
            self._pump(upstream_reader, writer, "down"),
            return_exceptions=True,
        )

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: str) -> None:
        """Carries bytes; what was read is written in order, `delay_s` after it came."""
        carried: asyncio.Queue[tuple[float, float, bytes]] = asyncio.Queue(maxsize=256)  # came, is due
        deliver = asyncio.create_task(self._deliver(carried, writer))
        with contextlib.suppress(OSError):
            while piece := await reader.read(CHUNK):
                now = time.monotonic()
                due_s = now + self.link.delay_s
                self.traffic.held += len(piece) if self.link.cut else 0
                if self.link.bytes_per_s:
                    self._free_at[way] = max(self._free_at[way], now) + len(piece) / self.link.bytes_per_s
                    due_s = max(due_s, self._free_at[way] + self.link.delay_s)
                await carried.put((now, due_s, piece))
        await carried.put((0.0, 0.0, b""))
        await deliver

    async def _deliver(
        self, carried: "asyncio.Queue[tuple[float, float, bytes]]", writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(OSError):
            while True:
                read_s, due_s, piece = await carried.get()
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                while self.link.cut:
                    await asyncio.sleep(0.05)
                if not piece:
                    break
                if due_s > read_s:
                    self.traffic.slowed += len(piece)
                    self.traffic.longest_s = max(self.traffic.longest_s, time.monotonic() - read_s)
                writer.write(piece)
                await writer.drain()
        writer.close()
