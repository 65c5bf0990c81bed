"""What it costs the storefront to take a list into its table: `python -m benchmarks.measuring.list_table`.

In one process, without a broker: CPU us a record, of all threads (RocksDB's too), lists decoded whole on arrival and lists
whose items stay JSON, in turns.
"""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from operators.kafka_io.compacted_table import CompactedTable
from operators.kafka_io.list_outlines import OutlineRows
from operators.kafka_io.list_rows import ListRows, OrderedRows
from operators.records.contracts import (
    ORDER_HEADER,
    RECOMMENDATIONS,
    ListItem,
    Model,
    Reason,
    RecommendationList,
    encode_record,
)
from operators.time_units import DAY_MS
from storefront.watching.metrics import StoreMetrics

RECORDS, USERS, ITEMS, ROUNDS = 20_000, 4_000, 20, 7
BATCH = 36  # records a poll: 9,000 lists/s and a pause of 4 ms


class ListRecord(NamedTuple):
    """The fields of kafka-python's record that the table reads."""

    offset: int
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


def list_records(count: int = RECORDS) -> list[ListRecord]:
    """Records of `ITEMS` items each, with the header of their order."""
    epoch, now_ms = 1_764_000_000, time.time_ns() // 1_000_000
    records = []
    for version in range(count):
        user = f"user-{version % USERS}"
        slate = RecommendationList(
            recommendation_id=f"{user}-{version}",
            user_id=user,
            epoch=epoch,
            version=version,
            event_time=now_ms,
            event_id=f"event-{version}",
            generated_at=now_ms,
            model=Model("small", "2026-11-28"),
            source="model",
            items=[
                ListItem(
                    f"item-{(version + 7 * rank) % 5000}", 9.1234 - rank / 10, rank, Reason("viewed", f"item-{rank}")
                )
                for rank in range(1, ITEMS + 1)
            ],
            expires_at=now_ms + 7 * DAY_MS,
        )
        header = (ORDER_HEADER, f"{epoch}.{version}".encode())
        records.append(ListRecord(version, user.encode(), encode_record(slate), [header]))
    return records


def cpu_us(rule: OrderedRows[Any], records: Sequence[ListRecord], batch: int = BATCH) -> float:
    """CPU us a record of a new table with this rule, with the storefront's metrics."""
    metrics = StoreMetrics()
    with tempfile.TemporaryDirectory() as folder:
        table: CompactedTable[Any] = CompactedTable(
            RECOMMENDATIONS, Path(folder), _no_broker, rule, on_change=lambda _, newest: metrics.on_list(newest)
        )
        started = time.process_time()
        for first in range(0, len(records), batch):
            table._write(0, list(records[first : first + batch]))
        seconds = time.process_time() - started
        assert not table.refused, table.refused
        table.close()
    return seconds / len(records) * 1e6


def _no_broker() -> Any:
    raise NotImplementedError


def main() -> None:
    """Prints each round and the best of each rule."""
    records, rules = list_records(), {"whole": ListRows(), "items stay JSON": OutlineRows()}
    rounds = [{name: cpu_us(rule, records) for name, rule in rules.items()} for _ in range(ROUNDS)]
    for one in rounds:
        print({name: round(us, 1) for name, us in one.items()})
    print("best", {name: round(min(one[name] for one in rounds), 1) for name in rules})


if __name__ == "__main__":
    main()
