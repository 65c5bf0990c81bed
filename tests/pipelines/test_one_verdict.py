"""Job, storefront, `validate`, `train` and `replay` judge the same records alike, with the same reasons."""

import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from model_export.data.dataset import read_events
from model_export.data.splits import read_catalogue
from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord
from operators.kafka_io.catalogue_rows import CatalogueRows
from operators.kafka_io.row_rules import Refused
from operators.quality import catalogue_file_report, event_file_report
from operators.quality.expectations import Expectations
from operators.records.contracts import CATALOGUE_REASONS
from operators.records.event_decode import EventDecoder
from operators.records.record_file import catalogue_file, event_file
from operators.settings import Settings
from pipelines.topics.replayer import ReplayRate, publish_catalogue, replay
from storefront.events.event_producer import BadEvent, EventProducer
from storefront.http.batches import Entry
from tests.bad_records import bad_events, good_event

NOW_MS = int(time.time() * 1000)
ODD: list[dict[str, Any]] = [
    {"item_id": 456}, {"item_id": "i1 "}, {"price": "12,50 €"}, {"event_time": NOW_MS // 1000}, {"quantity": "2"},
    {"event_type": "purchase", "price": -2.0}, {"event_type": "purchase", "items": [{"id": 1}, {"id": "2"}]},
    {"event_type": "impression"}, {"event_type": "consent", "context": {"personalisation": "no"}},
]  # fmt: skip
# by hand: they are not of one line, or of a key that a file does not have
NOT_IN_FILES = ("null value", "empty", "blank", "key and body differ")


def events() -> dict[str, bytes]:
    """Event id -> 200 records, good, odd and bad ones. The bad ones have no id, or all the same."""
    rng, records = random.Random(25), dict[str, bytes]()
    bad = [value for name, _, value, _ in bad_events(NOW_MS) if name not in NOT_IN_FILES and value]
    for number, value in enumerate(bad):
        records[f"bad{number}"] = value.replace(b'"e1"', b'"bad%d"' % number)
    while len(records) < 200:
        name = f"e{len(records)}"
        fields = rng.choice(ODD) if rng.random() < 0.5 else {}
        records[name] = json.dumps(
            good_event(NOW_MS, **({"event_id": name, "user_id": f"u{len(records) % 20}"} | fields))
        ).encode()
    return records


@dataclass
class Verdicts:
    """Ids of accepted records, and the reasons of refused ones."""

    good: set[str] = field(default_factory=set)
    reasons: Counter[str] = field(default_factory=Counter)


class Producer:
    """Records what is sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, topic: str, key: bytes, value: bytes) -> "Producer":
        self.sent.append(json.loads(value))
        return self

    def add_errback(self, _: object) -> None:
        pass

    def get(self, _: float) -> None:
        pass

    def flush(self) -> None:
        pass


def test_five_readers_of_events(tmp_path: Path) -> None:
    records, file = events(), tmp_path / "events.jsonl"
    file.write_bytes(b"\n".join(records.values()))
    job, shop, validated, trained, replayed = (Verdicts() for _ in range(5))
    decoder = EventDecoder(EventSettings())
    storefront = EventProducer(Settings.model_construct())
    for name, value in records.items():
        try:
            decoder.decode("", value, int(time.time() * 1000))
            job.good.add(name)
        except BadRecord as bad:
            job.reasons[bad.reason] += 1
        try:
            storefront._checked([Entry(value)])
            shop.good.add(name)
        except BadEvent as error:
            shop.reasons[error.reason] += 1

    report = event_file_report.report(file, EventSettings())
    validated.reasons = report.file.bad
    lines_again = event_file(file, EventSettings())
    validated.good = {event.event_id for event in lines_again}

    log_lines: list[str] = []
    trained.good = {event.event_id for event in read_events(file, log_lines.append)}
    trained.reasons = reasons_in(log_lines[0])

    producer, event_lines = Producer(), event_file(file, EventSettings())
    replay(event_lines, ReplayRate(), producer, keep_times=True)
    replayed.good, replayed.reasons = {body["event_id"] for body in producer.sent}, event_lines.bad

    assert job == shop == validated == trained == replayed
    assert len(job.good) + job.reasons.total() == len(records) == 200
    assert len(job.reasons) > 12
    after = EventDecoder(EventSettings())
    for body in producer.sent:
        after.decode("", json.dumps(body).encode(), int(time.time() * 1000))
    assert not after.repaired, "what replay publishes needs no mending"


def reasons_in(left_out: str) -> Counter[str]:
    """The reasons in the line that `train` logs."""
    reasons = left_out.split(" are left out: ")[1].split(";")[0]
    return Counter({name: int(count) for name, count in (pair.split(" ") for pair in reasons.split(", "))})


@dataclass
class Record:
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]] = field(default_factory=list)


def items() -> list[tuple[str, bytes]]:
    """200 catalogue records with their keys."""
    rng = random.Random(26)
    kinds: list[dict[str, Any]] = [
        {}, {"price": "12,50 €"}, {"title": None}, {"in_stock": "yes"}, {"category": "A > B"}, {"category": ["A"]},
        {"available_from": "2026-01-01"}, {"tags": "a,b"}, {"currency": "Taler"},
        {"price": "1,234"}, {"price": -1}, {"in_stock": "perhaps"}, {"available_until": "01/12/2010"}, {"title": [1]},
    ]  # fmt: skip
    records = [("x", b'{"title":"no id"}'), ("x", b"{"), ("x", b'{"item_id":"\xff"}')]
    while len(records) < 200:
        key = f"{1000 + len(records)}"
        item_id: Any = int(key) if rng.random() < 0.2 else key
        records.append((key, json.dumps({"item_id": item_id, "title": "T", "price": 1.0} | rng.choice(kinds)).encode()))
    return records


def test_five_readers_of_the_catalogue(tmp_path: Path) -> None:
    records, file = items(), tmp_path / "catalogue.jsonl"
    file.write_bytes(b"\r\n".join(value for _, value in records))
    tables, monitor, validated, trained, replayed = (Verdicts() for _ in range(5))
    rule, expectations = (
        CatalogueRows(EventSettings().placeholders),
        Expectations(EventSettings()),
    )  # job, scorer and storefront have the rule's rows
    for key, value in records:
        try:
            rule.take(None, Record(key.encode(), value), NOW_MS)
            tables.good.add(key)
        except Refused as refused:
            tables.reasons[refused.reason] += 1
        expectations.catalogue(key, value)
        if expectations.refused is None:
            monitor.good.add(key)
        else:
            monitor.reasons[expectations.refused.reason] += 1

    report = catalogue_file_report.report(file, EventSettings())
    validated.good, validated.reasons = report.items, report.file.bad

    log_lines: list[str] = []
    trained.good = {item.item_id for item in read_catalogue(file, log_lines.append)}
    trained.reasons = reasons_in(log_lines[0])

    producer, item_lines = Producer(), catalogue_file(file, EventSettings())
    publish_catalogue(item_lines, producer)
    replayed.good, replayed.reasons = {body["item_id"] for body in producer.sent}, item_lines.bad

    assert tables == monitor == validated == trained == replayed
    assert len(tables.good) + tables.reasons.total() == len(records) == 200
    assert set(tables.reasons) <= set(CATALOGUE_REASONS) and len(tables.reasons) >= 6
