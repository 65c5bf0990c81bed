"""When a stream hears."""

import asyncio
import time

from operators.settings import StorefrontSettings
from storefront.http.live import Expiry, LiveLists


def wake_times(expires_in_s: float | None, changes_at_s: tuple[float, ...], seconds: float) -> list[float]:
    """When a stream woke, in seconds since it began, to a tenth."""

    async def follow() -> list[float]:
        live, moments, started_s = LiveLists(StorefrontSettings()), [], time.monotonic()
        live.bind(asyncio.get_running_loop())
        for delay_s in changes_at_s:
            asyncio.get_running_loop().call_later(delay_s, live.changed, "u")
            asyncio.get_running_loop().call_later(delay_s, live.changed, "another")

        async def listen() -> None:
            expiry = Expiry()
            async for _ in live.changes("u", expiry):
                moments.append(round(time.monotonic() - started_s, 1))
                first = len(moments) == 1 and expires_in_s is not None
                expiry.at_ms = int(time.time() * 1000 + expires_in_s * 1000) if first else None

        task = asyncio.create_task(listen())
        await asyncio.sleep(seconds)
        assert set(live._wake_events) == {"u"}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert not live._wake_events, "nobody is left"
        return moments

    return asyncio.run(follow())


def test_a_stream_hears_at_once_and_of_its_users_changes() -> None:
    assert wake_times(None, (0.2, 0.6), 1.0) == [0.0, 0.2, 0.6]


def test_a_stream_hears_once_that_its_list_has_expired() -> None:
    assert wake_times(0.3, (), 0.9) == [0.0, 0.3]


def test_a_list_that_expires_in_an_age_wakes_nobody_before() -> None:
    assert wake_times(1e12, (0.2,), 0.5) == [0.0, 0.2]
