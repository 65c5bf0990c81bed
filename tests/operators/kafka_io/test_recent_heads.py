import random
from pathlib import Path

import pytest

from operators.kafka_io import table_rows
from operators.kafka_io.compacted_table import CompactedTable
from operators.kafka_io.table_rows import RecentHeads, TableRows
from tests.operators.kafka_io.fake_topic import Topic, opened, until
from tests.operators.kafka_io.test_compacted_table import Rising


def test_the_older_generation_is_dropped_when_the_younger_is_full() -> None:
    heads = RecentHeads(2)
    for number in range(5):
        heads.put_all({b"k%d" % number: b"h"})
    assert [heads.get(b"k%d" % number) for number in range(5)] == [None, None, b"h", b"h", b"h"]
    heads.put_all({b"k4": b"newer"})
    heads.forget([b"k2", b"k9"])
    assert (heads.get(b"k2"), heads.get(b"k4")) == (None, b"newer")


def test_a_row_that_was_written_recently_is_not_read_from_disk(tmp_path: Path) -> None:
    rows = TableRows(tmp_path, lambda row: row[:1])
    rows.begin("a topic", 0)
    rows.write({b"a": b"the row", b"b": b"row"}, 0, 1)
    assert (rows.get(b"a"), rows.replaced(b"a")) == (b"the row", b"t")
    rows.write({b"b": None}, 0, 2)
    assert rows.replaced(b"b") is None
    rows.close()
    again = TableRows(tmp_path, lambda row: row[:1])
    assert again.replaced(b"a") == b"the row"
    again.close()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("heads", [1, 3, 100])
def test_the_table_is_the_same_with_any_number_of_heads(
    heads: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_rows, "HEADS", heads)
    topic, rng, rows = Topic(), random.Random(heads), dict[str, bytes]()
    topic.most = 7
    table: CompactedTable[bytes] = opened(tmp_path, topic, Rising())
    for number in range(400):
        key = rng.choice("abcdef")
        value = None if rng.random() < 0.2 else f"{rng.randrange(10**6):06}"
        topic.append(key, value)
        if value is None:
            rows.pop(key, None)
        elif value.encode() >= rows.get(key, b""):
            rows[key] = value.encode()
        if number % 100 == 50:  # the topic is made anew: what was there before does not count
            until(lambda: table._rows.offsets().get(0) == topic.end)
            topic.id, topic.log, topic.end, rows = f"topic {number}", [], 0, {}
            until(lambda number=number: table._rows.origin is not None and table._rows.origin.topic_id == topic.id)
        if number % 10 == 9:
            until(lambda rows=rows: dict(table.rows()) == rows)
    table.close()
