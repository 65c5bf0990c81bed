"""How many streams there may be, and that each is counted until it ends."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from operators.settings import StorefrontSettings
from storefront.http.live import Expiry, ListStream, LiveLists
from tests.storefront.conftest import RunningShop, Serve


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def open_stream(shop: RunningShop, user: str, address: str = "") -> tuple[Any, int, str]:
    headers = {"x-forwarded-for": address} if address else {}
    stack = contextlib.ExitStack()
    path = f"/v1/users/{user}/recommendations/stream"
    answer = stack.enter_context(shop.client.stream("GET", path, headers=headers))
    if answer.status_code == 200:
        lines = answer.iter_lines()
        next(lines)
        stack.callback(lambda: lines)  # given up, it would close the stream
        return stack, 200, ""
    text = answer.read().decode()
    stack.close()
    return stack, answer.status_code, text


def test_streams_are_limited_by_user_by_address_and_in_all(serve: Serve) -> None:
    limits = {"max_streams": 6, "max_streams_per_address": 4, "max_streams_per_user": 2}
    shop = serve(**limits, trusted_proxies=["127.0.0.1"])
    streams = [open_stream(shop, user, "203.0.113.1") for user in ("a", "a", "b", "c")]
    assert [code for _, code, _ in streams] == [200] * 4
    _, code, text = open_stream(shop, "a", "203.0.113.2")
    assert code == 429 and "of one user" in text
    _, code, text = open_stream(shop, "d", "203.0.113.1")
    assert code == 429 and "of one client address" in text
    streams += [open_stream(shop, user, "203.0.113.3") for user in ("e", "f")]
    _, code, text = open_stream(shop, "g", "203.0.113.4")
    assert code == 503 and "in all" in text
    assert shop.metric("streams") == 6
    streams[0][0].close()
    until(lambda: shop.metric("streams") == 5)
    reopened = open_stream(shop, "a", "203.0.113.1")
    assert reopened[1] == 200, "the place of one that ended is free"
    for stack, *_ in (*streams[1:], reopened):
        stack.close()
    until(lambda: shop.metric("streams") == 0)


def test_a_refusal_says_when_to_come_back(serve: Serve) -> None:
    answer = serve(max_streams_per_user=0).client.get("/v1/users/a/recommendations/stream")
    assert (answer.status_code, answer.json()["reason"], answer.headers["retry-after"]) == (
        429,
        "too_many_streams",
        "10",
    )


@pytest.mark.parametrize("end", ["an error", "a cancel", "a client that goes away"])
def test_whatever_ends_a_stream_it_is_counted_no_more(end: str) -> None:
    live, counts = LiveLists(StorefrontSettings()), list[int]()

    async def run() -> None:
        live.bind(asyncio.get_running_loop())

        async def send(message: dict[str, Any]) -> None:
            counts.append(live.streams)
            if end == "an error":
                raise RuntimeError("broken")

        async def receive() -> dict[str, Any]:
            await asyncio.sleep(0.05 if end == "a client that goes away" else 60)
            return {"type": "http.disconnect"}

        scope = {"type": "http", "method": "GET", "client": ("203.0.113.1", 1), "headers": []}
        stream = asyncio.create_task(ListStream(live, "a", lambda: ("{}", None))(scope, receive, send))
        await asyncio.sleep(0.02)
        if end == "a cancel":
            stream.cancel()
        with contextlib.suppress(RuntimeError, asyncio.CancelledError):
            await stream

    asyncio.run(run())
    assert counts and set(counts) == {1}
    assert live.streams == 0
    assert (live._of_user, live._of_address, live._wake_events) == ({}, {}, {}), "nothing of it is left"


def test_who_waits_hears_of_a_change_and_of_the_newest_only() -> None:
    live = LiveLists(StorefrontSettings())

    async def run() -> int:
        live.bind(asyncio.get_running_loop())
        change_count, changes = 0, live.changes("a", Expiry())
        await anext(changes)
        for _ in range(3):
            live.changed("a")
        live.changed("b")
        await asyncio.sleep(0.01)
        async with asyncio.timeout(1):
            await anext(changes)
            change_count += 1
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.05):
                await anext(changes)
                change_count += 1
        return change_count

    assert asyncio.run(run()) == 1
