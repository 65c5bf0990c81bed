"""Who waits for which user's list: from the table's thread to the event loop's subscribers."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator


class LiveLists:
    """Wakes the streams of a user when a list comes. A slow stream misses versions, never the newest."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop in which the streams run."""
        self._loop = loop

    def changed(self, user_id: str, value: bytes | None) -> None:
        """Called by the table's thread."""
        if self._loop is not None and user_id in self._waiting:
            self._loop.call_soon_threadsafe(self._wake, user_id)

    def _wake(self, user_id: str) -> None:
        for event in self._waiting.get(user_id, ()):
            event.set()

    async def changes(self, user_id: str) -> AsyncIterator[None]:
        """Once at the start, and then after each change."""
        event = asyncio.Event()
        event.set()
        self._waiting[user_id].add(event)
        try:
            while True:
                await event.wait()
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
