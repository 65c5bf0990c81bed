"""Who waits for which user's list: from the table's thread to the event loop's subscribers."""

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass


@dataclass
class Expiry:
    """When what a stream showed last expires, epoch ms; None: never."""

    at_ms: int | None = None

    def wait_s(self) -> float | None:
        """Seconds until then."""
        return None if self.at_ms is None else max(0.0, self.at_ms / 1000 - time.time())


class LiveLists:
    """Wakes the streams of a user when a list comes. A slow stream misses versions, never the newest."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop in which the streams run."""
        self._loop = loop

    def changed(self, user_id: str) -> None:
        """Called by the table's thread."""
        if self._loop is not None and user_id in self._waiting:
            self._loop.call_soon_threadsafe(self._wake, user_id)

    def _wake(self, user_id: str) -> None:
        for event in self._waiting.get(user_id, ()):
            event.set()

    async def changes(self, user_id: str, expiry: Expiry) -> AsyncIterator[None]:
        """Once at the start, and then after each change, and when what was shown expires."""
        event = asyncio.Event()
        event.set()
        self._waiting[user_id].add(event)
        try:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(expiry.wait_s()):
                        await event.wait()
                if event.is_set() or expiry.wait_s() == 0:
                    event.clear()
                    yield
        finally:
            self._waiting[user_id].discard(event)
            if not self._waiting[user_id]:
                del self._waiting[user_id]

    @property
    def streams(self) -> int:
        """Open streams."""
        return sum(map(len, self._waiting.values()))
