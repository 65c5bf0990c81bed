"""Server-sent events: passes list changes from the table's thread to the open streams of the event loop."""

import asyncio
import contextlib
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

from sse_starlette import EventSourceResponse
from starlette.types import Receive, Scope, Send

from operators.settings import StorefrontSettings
from storefront.http.answers import refusal
from storefront.http.guard import client_of

PING_S = 15
RETRY_S = 10.0  # a client that was refused should ask again after so long


@dataclass
class Expiry:
    """When the list that a stream sent last expires, epoch ms; None: never."""

    at_ms: int | None = None

    def wait_s(self) -> float | None:
        """Seconds until the list expires."""
        return None if self.at_ms is None else max(0.0, self.at_ms / 1000 - time.time())


class LiveLists:
    """Wakes the streams of a user when a list comes. A slow stream misses versions, never the newest."""

    def __init__(self, limits: StorefrontSettings) -> None:
        self.limits = limits
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake_events: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._of_address, self._of_user = Counter[str](), Counter[str]()

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """Sets the event loop in which the streams run."""
        self._loop = loop

    def changed(self, user_id: str) -> None:
        """Wakes the streams of this user. The table's thread calls it."""
        if self._loop is not None and user_id in self._wake_events:
            self._loop.call_soon_threadsafe(self._wake, user_id)

    def _wake(self, user_id: str) -> None:
        for event in self._wake_events.get(user_id, ()):
            event.set()

    async def changes(self, user_id: str, expiry: Expiry) -> AsyncIterator[None]:
        """Yields at the start, after each change of the user's list, and when the sent list expires."""
        event = asyncio.Event()
        event.set()
        self._wake_events[user_id].add(event)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(expiry.wait_s()):
                        await event.wait()
                if event.is_set() or expiry.wait_s() == 0:
                    event.clear()
                    yield
        finally:
            self._wake_events[user_id].discard(event)
            if not self._wake_events[user_id]:
                del self._wake_events[user_id]

    def full(self, user_id: str, address: str) -> str | None:
        """The limit that one more stream would exceed ("in all", "of one client address", "of one user"), or None."""
        if self.streams >= self.limits.max_streams:
            return "in all"
        if self._of_address[address] >= self.limits.max_streams_per_address:
            return "of one client address"
        return "of one user" if self._of_user[user_id] >= self.limits.max_streams_per_user else None

    def count(self, user_id: str, address: str, change: int) -> None:
        """Counts a stream that begins (`change` 1) or ends (-1)."""
        for counter, key in ((self._of_address, address), (self._of_user, user_id)):
            counter[key] += change
            if not counter[key]:
                del counter[key]

    @property
    def streams(self) -> int:
        """Open streams."""
        return self._of_user.total()


class ListStream(EventSourceResponse):
    """The stream of one user's lists. It counts against the limits while it is open, and is refused above them."""

    def __init__(self, live: LiveLists, user_id: str, read_list: Callable[[], tuple[str, int | None]]) -> None:
        """`read_list` returns the data of one `list` event and when that list expires (epoch ms)."""
        self._live, self._user_id = live, user_id

        async def events() -> AsyncIterator[dict[str, str]]:
            expiry = Expiry()
            async for _ in live.changes(user_id, expiry):
                data, expiry.at_ms = read_list()
                yield {"event": "list", "data": data}

        super().__init__(events(), ping=PING_S, send_timeout=live.limits.send_timeout_s)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As Starlette's; counts the stream here, where `finally` is sure to run."""
        address = client_of(scope)
        if (exceeded := self._live.full(self._user_id, address)) is not None:
            status, text = (503, "on another machine") if exceeded == "in all" else (429, "when one of them is closed")
            error = f"expected fewer open streams {exceeded}; came one more. Next: open it {text}."
            await refusal(status, "too_many_streams", error, wait_s=RETRY_S)(scope, receive, send)
            return
        self._live.count(self._user_id, address, 1)
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._live.count(self._user_id, address, -1)
