"""A shop's dirty catalogue straight on the topic: lists stay full, and what was refused is counted, alarmed and named."""

import json
import random
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from model_export.data.online_retail import catalogue
from operators.records.contracts import CATALOGUE, DEAD_LETTERS, HEADER_PREFIX, encode_record
from tests.bad_records import good_event
from tests.running_stack import Stack
from tests.stack.test_watching import Prometheus
from tests.stack.topics import eventually

UNREADABLE_EVERY = 100
SHOPPERS = 40


def dirty(number: int, item: str) -> bytes:
    """One in a hundred has a price that is none; a fifth is written as feeds write it; the rest is clean."""
    record: dict[str, Any] = {"item_id": item, "title": f"Item {number}", "price": 1.5 + number % 90, "currency": "GBP"}
    if number % UNREADABLE_EVERY == 7:
        return json.dumps(record | {"price": "cheap"}).encode()
    if number % 5:
        return json.dumps(record).encode()
    marked = b"\xef\xbb\xbf" + json.dumps(record).encode()
    numeric = {"item_id": int(item)} if item.isdigit() and str(int(item)) == item else {}
    texts = {"in_stock": "true", "category": "Home > Lamps", "available_from": "2020-01-01"}
    return [
        json.dumps(record | {"price": "12,50 €"}, ensure_ascii=False).encode(),
        json.dumps(record | {"title": None}).encode(),
        marked,
        json.dumps(record).encode() + b"\r\n",
        json.dumps(record | numeric).encode(),
        json.dumps(record | texts).encode(),
    ][number // 5 % 6]


@pytest.fixture
def items(stack: Stack) -> Iterator[list[str]]:
    """The demo's items. Afterwards the catalogue holds each as before or, if it did not hold it, as the demo sells it: a
    tombstone would delist it for the tests that follow."""
    before = {record.key: record.value for record in stack.topics.read(CATALOGUE)}
    clean = {item.item_id: encode_record(item) for item in catalogue()}
    yield list(clean)
    for item_id, record in clean.items():
        stack.topics.send(CATALOGUE, item_id, before.get(item_id.encode()) or record)
    stack.topics.producer.flush()


@pytest.mark.slow
def test_lists_stay_full_and_what_was_refused_is_counted_alarmed_and_named(
    stack: Stack, job: str, items: list[str], no_restart: None
) -> None:
    letters_start, prometheus = stack.topics.ends(DEAD_LETTERS), Prometheus(stack.settings)
    for number, item in enumerate(items):
        stack.topics.send(CATALOGUE, item, dirty(number, item))
    stack.topics.producer.flush()
    refused = {item for number, item in enumerate(items) if number % UNREADABLE_EVERY == 7}

    def letters() -> Any:
        found = [
            record.key.decode()
            for record in stack.topics.read(DEAD_LETTERS, letters_start)
            if dict(record.headers)[HEADER_PREFIX + "topic"] == CATALOGUE.encode()
        ]
        return found if len(found) >= len(refused) else None

    assert sorted(eventually(letters, 60)) == sorted(refused)

    chosen, now = random.Random(1), int(time.time() * 1000)
    with httpx.Client(base_url=stack.shop) as shop:
        for number in range(SHOPPERS):
            event = good_event(now, event_id="d", user_id=f"dirty-{number}", item_id=chosen.choice(items))
            assert shop.post("/v1/events", json=event).status_code == 202

        def sizes() -> Any:
            answers = [shop.get(f"/v1/users/dirty-{number}/recommendations") for number in range(SHOPPERS)]
            found = Counter((len(a.json()["items"]), a.json()["source"]) for a in answers if a.status_code == 200)
            return found if found == {(20, "model"): SHOPPERS} else None

        eventually(sizes, 60)

    said = stack.liveshelf("dead-letters", "list", "--topic", CATALOGUE, "--json").stdout
    assert "cheap" in said and CATALOGUE in said
    counted = 'liveshelf_catalogue_refused_total{reason="bad_amount"}'
    eventually(lambda: (prometheus.value(counted) or 0) >= len(refused), 60)
    # it fires when it has been so for a minute: that is Prometheus' own
    eventually(lambda: "CatalogueRefused" in prometheus.alerts("pending") | prometheus.alerts("firing"), 60)
