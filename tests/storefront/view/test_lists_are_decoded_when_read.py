"""The storefront keeps lists as bytes: it decodes one for a request, and for the streams of its user."""

import asyncio
import struct
import time
from collections import Counter
from pathlib import Path

import msgspec
import pytest

from operators.kafka_io.compacted_table import CompactedTable
from operators.kafka_io.list_rows import ListRows
from operators.records.contracts import ORDER_HEADER, RECOMMENDATIONS, RecommendationList
from operators.settings import StorefrontSettings
from operators.time_units import DAY_MS
from storefront.http.live import Expiry, LiveLists
from storefront.view.served_list import ListServer
from storefront.view.views import Views
from tests.operators.kafka_io.fake_topic import until
from tests.operators.kafka_io.test_list_outlines import Decodings
from tests.operators.kafka_io.test_list_rows import list_of
from tests.storefront.view.test_views import WORDS, Topics, refusal_count

BAD_ITEM = b'{"item_id":"i1","score":"high","rank":1,"reason":{"kind":"viewed"}}'


@pytest.fixture
def decodings(monkeypatch: pytest.MonkeyPatch) -> Decodings:
    return Decodings(monkeypatch)


def test_nothing_is_decoded_until_a_reader_asks(tmp_path: Path, decodings: Decodings) -> None:
    topics = Topics(tmp_path)
    for version in range(1, 6):
        for user in ("a", "b"):
            topics.put(user, version, with_header=True)
    views = topics.view()
    assert topics.reported[-2:] == [("a", 5), ("b", 5)]
    assert decodings.whole == 0
    answer = ListServer(views, None).list_of("a", 10)
    assert (answer.version, [item.item_id for item in answer.items]) == (5, WORDS.item_ids)
    assert decodings.whole == 1
    views.close()


def put_bad_items(topics: Topics, user: str, version: int) -> None:
    slate = msgspec.json.encode(list_of(1, version, user=user, expires_at=time.time_ns() // 1_000_000 + DAY_MS))
    value = slate.replace(b'"items":[', b'"items":[' + BAD_ITEM)
    topics.lists.append(user, value.decode(), (ORDER_HEADER, f"1.{version}".encode()))


def test_a_list_whose_items_cannot_be_decoded_is_counted_and_the_popular_list_is_served(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    topics = Topics(tmp_path)
    topics.put("u", 1, with_header=True)
    put_bad_items(topics, "u", 2)
    views = topics.view()
    assert refusal_count(topics.metrics, "unreadable") == 0, "nobody has asked yet"
    answer = ListServer(views, None).list_of("u", 10)
    assert (answer.known, answer.source, answer.recommendation_id) == (False, "popular", "popular")
    assert refusal_count(topics.metrics, "unreadable") == 1
    assert "$.items[0].score" in caplog.text
    topics.put("u", 3, with_header=True)
    until(lambda: ListServer(views, None).list_of("u", 10).version == 3)
    views.close()


def test_a_bad_list_under_a_header_leaves_the_good_one(tmp_path: Path) -> None:
    topics = Topics(tmp_path)
    topics.put("u", 1, with_header=True)
    for value in ('{"version": 2}', "rubbish", msgspec.json.encode(list_of(1, 2, user="another")).decode()):
        topics.lists.append("u", value, (ORDER_HEADER, b"1.2"))
    views = topics.view()
    assert getattr(views.list_of("u"), "version", None) == 1
    reasons = ("not_a_list", "not_its_key", "unreadable")
    assert [refusal_count(topics.metrics, reason) for reason in reasons] == [2, 1, 0]
    views.close()


def test_rows_of_an_older_storefront_are_served_after_an_upgrade(tmp_path: Path, decodings: Decodings) -> None:
    topics = Topics(tmp_path)
    topics.put("u", 5)
    older: CompactedTable[RecommendationList] = CompactedTable(
        RECOMMENDATIONS, tmp_path / "lists", topics.connect, ListRows(), reports_copy=False
    )
    assert older.open(5)
    older.close()
    topics.lists.log.clear()
    topics.put("u", 4, with_header=True)
    views, decodings.whole = topics.view(), 0
    assert getattr(views.list_of("u"), "version", None) == 5, "from the row on disk, and what is older is refused"
    assert (decodings.whole, refusal_count(topics.metrics, "older")) == (1, 1)
    views.close()


def test_the_form_of_a_row_is_that_of_older_releases(tmp_path: Path) -> None:
    """Another form needs another number of `table_origin.FORMAT`, so that a copy is read again from its topic."""
    topics = Topics(tmp_path)
    topics.put("u", 5, expires_at=9_000_000_000_000, with_header=True)
    views = topics.view()
    value = topics.lists.log[0].value
    assert value is not None
    assert views._lists.row("u") == struct.pack(">QQq", 1, 5, 9_000_000_000_000) + value
    views.close()


def test_a_list_is_decoded_for_an_open_stream_of_its_user_only(tmp_path: Path, decodings: Decodings) -> None:
    topics, live, counts = Topics(tmp_path), LiveLists(StorefrontSettings()), Counter[str]()
    topics.put("watched", 1, with_header=True)

    def on_list(user: str, _: object) -> None:
        counts[user] += 1
        live.changed(user)

    async def follow() -> list[int]:
        live.bind(asyncio.get_running_loop())
        views = Views(tmp_path, topics.connect, on_list, topics.shelf)
        server, versions = ListServer(views, None), list[int]()
        await asyncio.to_thread(views.open)
        await asyncio.to_thread(until, lambda: views.complete)
        changes = live.changes("watched", Expiry())
        for version in (2, 3):
            await anext(changes)
            versions.append(server.list_of("watched", 10).version)
            for user in ("watched", "other"):
                topics.put(user, version, with_header=True)
            await asyncio.to_thread(until, lambda expected=version: counts["other"] == expected - 1)
        async with asyncio.timeout(5):
            await anext(changes)
        versions.append(server.list_of("watched", 10).version)
        await changes.aclose()
        await asyncio.to_thread(views.close)
        return versions

    assert asyncio.run(follow()) == [1, 2, 3]
    assert (counts, decodings.whole) == ({"watched": 3, "other": 2}, 3)
