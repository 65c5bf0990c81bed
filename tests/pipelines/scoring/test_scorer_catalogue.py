"""What the scorer process knows of the catalogue."""

import os
import signal
import tracemalloc
from pathlib import Path

import msgspec
import numpy as np
import pytest

from operators.kafka_io.catalogue_rows import GONE
from operators.records.contracts import CatalogueItem
from pipelines.scoring.process import ScorerLost, ScorerProcess
from pipelines.scoring.wire import chunks
from tests.builders import write_bundle, write_manifest
from tests.pipelines.scoring.scorer_requests import Start, Table, ask, asked, eight_items, items_of, pid_of


def change(process: ScorerProcess, rows: Table, key: str, item: CatalogueItem | None) -> None:
    """As the table does: its row first, then who follows it."""
    if item is None or item is GONE:
        rows.pop(key, None)
    else:
        rows[key] = msgspec.json.encode(item)
    process.catalogue.changed(key, item)


def test_the_catalogues_changes_reach_it_and_all_rows_the_next_one(start: Start, bundle: Path) -> None:
    process, rows = start(bundle), eight_items(without=3)
    process.ready()
    process.catalogue.attach(rows)
    (made,) = ask(process, asked("u1"))
    assert "i3" not in items_of(made), "what the table held before"
    change(process, rows, "i4", None)
    change(process, rows, "i5", CatalogueItem(item_id="i5", in_stock=False))
    change(process, rows, "i5", CatalogueItem(item_id="i5", in_stock=True))
    (made,) = ask(process, asked("u1"))
    assert {"i3", "i4"}.isdisjoint(items_of(made)) and "i5" in items_of(made)
    assert rows.read == 1
    os.kill(pid_of(process), signal.SIGKILL)
    with pytest.raises(ScorerLost, match=r"died .*; its exit code is -9"):
        ask(process, asked("u1"))
    change(process, rows, "i6", None)
    (again,) = ask(process, asked("u1"))
    assert {"i3", "i4", "i6"}.isdisjoint(items_of(again))
    assert rows.read == 2


def test_a_tombstone_is_known_to_the_process_that_starts_after_it(start: Start, bundle: Path) -> None:
    """The catalogue holds too few items to decide: its tombstones alone say what may not be listed."""
    process = start(bundle)
    process.ready()
    change(process, rows := Table(), "i3", None)
    process.catalogue.attach(rows)
    assert "i3" not in items_of(ask(process, asked("u1"))[0]), "while the table was read"
    os.kill(pid_of(process), signal.SIGKILL)
    with pytest.raises(ScorerLost):
        ask(process, asked("u1"))
    assert "i3" not in items_of(ask(process, asked("u1"))[0])
    change(process, rows, "i3", GONE)
    assert "i3" in items_of(ask(process, asked("u1"))[0]), "the topic was made anew: nothing is known of it"


@pytest.mark.parametrize("state", ["serves and nobody asks", "lost", "refused"])
def test_a_live_catalogue_takes_no_memory_while_nobody_asks(
    start: Start, bundle: Path, tmp_path: Path, state: str
) -> None:
    """20,000 updates of known items and as many of items that no model knows."""
    if state == "refused":
        bundle = write_bundle(tmp_path / "wrong")
        np.save(bundle / "golden_scores.npy", np.load(bundle / "golden_scores.npy") + 0.5)
        write_manifest(bundle)
    process, rows = start(bundle), eight_items()
    assert bool(process.ready().refused) == (state == "refused")
    process.catalogue.attach(rows)
    if state == "lost":
        os.kill(pid_of(process), signal.SIGKILL)
        with pytest.raises(ScorerLost):
            ask(process, asked("u1"))
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for n in range(20_000):
        process.catalogue.changed(f"i{n % 8 + 1}", CatalogueItem(item_id=f"i{n % 8 + 1}"))
        process.catalogue.changed(f"new-{n}", None)
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 10_000
    assert len(process.catalogue._changes) <= len(rows)


def test_records_of_a_megabyte_each_go_in_messages_of_a_few() -> None:
    records = [(f"i{n}", b"x" * 2**20) for n in range(10)] + [("gone", None)] + [("small", b"{}")] * 6_000
    sizes = [(len(chunk), sum(len(value or b"") for _, value in chunk)) for chunk in chunks(iter(records))]
    assert sizes == [(4, 4 * 2**20), (4, 4 * 2**20), (5_000, 2 * 2**20 + 2 * 4_997), (1_003, 2 * 1_003)]
    assert not list(chunks([]))
