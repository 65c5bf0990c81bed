"""A TCP proxy that can cut, slow or throttle a link: the network between the job and the broker."""

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass

CHUNK = 64 * 1024


@dataclass
class Link:
    """The state of the network, in both directions."""

    cut: bool = False  # no byte passes, and no connection is refused
    delay_s: float = 0.0
    bytes_per_s: float = 0.0  # 0: no limit


@dataclass
class Traffic:
    """The effects of a cut or slow link."""

    held_bytes: int = 0  # that waited at a cut
    connections: int = 0  # new ones that waited at a cut
    slowed_bytes: int = 0  # that came late because of a delay or a limit
    longest_delay_s: float = 0.0


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
        """Restores a perfect network."""
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

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: str) -> None:
        """Carries bytes in order, each `delay_s` after it arrived."""
        queue: asyncio.Queue[tuple[float, float, bytes]] = asyncio.Queue(maxsize=256)  # came, is due
        deliver = asyncio.create_task(self._deliver(queue, writer))
        with contextlib.suppress(OSError):
            while chunk := await reader.read(CHUNK):
                now = time.monotonic()
                due_s = now + self.link.delay_s
                self.traffic.held_bytes += len(chunk) if self.link.cut else 0
                if self.link.bytes_per_s:
                    self._free_at[direction] = max(self._free_at[direction], now) + len(chunk) / self.link.bytes_per_s
                    due_s = max(due_s, self._free_at[direction] + self.link.delay_s)
                await queue.put((now, due_s, chunk))
        await queue.put((0.0, 0.0, b""))
        await deliver

    async def _deliver(self, queue: "asyncio.Queue[tuple[float, float, bytes]]", writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while True:
                read_s, due_s, chunk = await queue.get()
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                while self.link.cut:
                    await asyncio.sleep(0.05)
                if not chunk:
                    break
                if due_s > read_s:
                    self.traffic.slowed_bytes += len(chunk)
                    self.traffic.longest_delay_s = max(self.traffic.longest_delay_s, time.monotonic() - read_s)
                writer.write(chunk)
                await writer.drain()
        writer.close()
