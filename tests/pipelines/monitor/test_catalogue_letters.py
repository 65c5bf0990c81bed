"""Dead letters of the catalogue: one for each record, also after a restart."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from operators.errors import BadRecord
from operators.records.contracts import DEAD_LETTERS, HEADER_PREFIX
from operators.settings import KafkaSettings
from pipelines.monitor import catalogue_letters
from pipelines.monitor.catalogue_letters import CatalogueLetters

BAD = BadRecord("bad_amount", "a price", "'1,234'")


@dataclass
class Record:
    offset: int
    partition: int = 0
    key: bytes = b"i1"
    value: bytes = b'{"item_id":"i1","price":"1,234"}'


class Producer:
    """Keeps letters; `failing`: each send fails."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, bytes, bytes, dict[str, bytes]]] = []
        self.failing = False

    def send(self, topic: str, key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> "Producer":
        self.sent.append((topic, key, value, dict(headers)))
        return self

    def add_errback(self, errback: Any) -> None:
        if self.failing:
            errback(OSError("refused"))

    def flush(self, timeout: float) -> None:
        pass

    def close(self, timeout: float) -> None:
        pass


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> Producer:
    fake_producer = Producer()
    monkeypatch.setattr(catalogue_letters, "new_producer", lambda *_, **__: fake_producer)
    return fake_producer


def letters(folder: Path, refused: Counter[str], end: int) -> CatalogueLetters:
    result = CatalogueLetters(KafkaSettings(), folder, refused)
    result.begin({0: end})
    return result


def test_a_letter_holds_the_record_and_where_it_was(producer: Producer, tmp_path: Path) -> None:
    refused = Counter[str]()
    letters(tmp_path, refused, 5).take(Record(3), BAD)
    (letter,) = producer.sent
    assert letter[:3] == (DEAD_LETTERS, Record.key, Record.value)
    headers = {name.removeprefix(HEADER_PREFIX): value.decode() for name, value in letter[3].items()}
    assert (headers["topic"], headers["partition"], headers["offset"]) == ("shop.catalogue.v1", "0", "3")
    assert headers["exception.class.name"] == "bad_amount" and "1,234" in headers["exception.message"]
    assert refused == {"bad_amount": 1}


def test_a_record_that_no_letter_can_hold_is_cut(producer: Producer, tmp_path: Path) -> None:
    letters(tmp_path, Counter(), 5).take(Record(3, value=b"x" * 5_000_000), BAD)
    assert 0 < len(producer.sent[0][2]) < 2_000_000


def test_a_start_again_writes_no_letter_twice(producer: Producer, tmp_path: Path) -> None:
    refused = Counter[str]()
    first = letters(tmp_path / "new", refused, 5)
    first.take(Record(3), BAD)
    first.commit({0: 5})
    second = letters(tmp_path / "new", refused, 6)
    for offset in (3, 5):
        second.take(Record(offset), BAD)
    assert [letter[3][f"{HEADER_PREFIX}offset"] for letter in producer.sent] == [b"3", b"5"]
    assert refused == {"bad_amount": 2}


def test_what_was_not_written_is_said_once_and_written_at_the_next_start(
    producer: Producer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    producer.failing = True
    first = letters(tmp_path, Counter(), 5)
    first.take(Record(3), BAD)
    first.commit({0: 5})
    first.take(Record(5), BAD)
    first.commit({0: 6})
    assert caplog.text.count("are not written, until the next start") == 1
    producer.sent.clear()
    producer.failing = False
    letters(tmp_path, Counter(), 6).take(Record(3), BAD)
    assert len(producer.sent) == 1


@pytest.mark.parametrize("note", ['{"0": 9}', "{", "[]", '{"a": 1}'])
def test_a_note_of_another_topic_or_none_does_not_count(producer: Producer, tmp_path: Path, note: str) -> None:
    (tmp_path / catalogue_letters.NOTE).write_text(note)
    letters(tmp_path, Counter(), 5).take(Record(3), BAD)
    assert len(producer.sent) == 1
