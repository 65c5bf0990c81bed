"""The orders of the UCI "Online Retail" data as canonical events and catalogue records.

Each order line is an `add_to_cart`, a cancelled one a `remove_from_cart`, and an order ends with a `purchase`.
Customers are users; an order without a customer is a guest's session. Times have a resolution of a minute, so the lines
of an order are spread over its minute, in the order of their entry.
Source and licence: datasets/online_retail/README.md.
"""

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import msgspec
import pyarrow.parquet as pq

from operators.records.contracts import MAX_BASKET, CatalogueItem, Event, encode_record

ORDERS = Path(__file__).resolve().parents[2] / "datasets" / "online_retail" / "orders.parquet"
LAST_MONTH = 1320796800000  # 2011-11-09T00:00:00Z: the training ends and the replay starts here
CURRENCY = "GBP"


class OrderLine(msgspec.Struct):
    """One row of orders.parquet."""

    invoice: str
    item_id: str
    quantity: int
    time_ms: int
    price: float
    customer: int  # 0: none


def order_lines(file: Path = ORDERS) -> Iterator[OrderLine]:
    """All order lines by time and entry."""
    table = pq.read_table(file).select(OrderLine.__struct_fields__)
    for batch in table.to_batches(max_chunksize=20_000):
        for values in zip(*(column.to_pylist() for column in batch.columns), strict=True):
            yield OrderLine(*values)


def events(start_ms: int = 0, end_ms: int = 1 << 62, file: Path = ORDERS) -> Iterator[Event]:
    """Events with start_ms <= order time < end_ms, in time order."""
    in_range = (line for line in order_lines(file) if start_ms <= line.time_ms < end_ms)
    # orders of one minute interleave
    for _, minute in groupby(in_range, key=lambda line: line.time_ms):
        orders = [list(lines) for _, lines in groupby(minute, key=lambda line: line.invoice)]
        yield from sorted((e for lines in orders for e in _order_events(lines)), key=lambda event: event.event_time)


def _order_events(lines: list[OrderLine]) -> Iterator[Event]:
    first, step_ms = lines[0], 60_000 // (len(lines) + 2)
    user = f"c{first.customer}" if first.customer else f"guest-{first.invoice}"
    bought = []
    for number, line in enumerate(lines):
        bought += [line.item_id] if line.quantity > 0 else []
        yield Event(
            event_id=f"{first.invoice}-{number}",
            event_type="add_to_cart" if line.quantity > 0 else "remove_from_cart",
            event_time=first.time_ms + number * step_ms,
            user_id=user,
            item_id=line.item_id,
            session_id=first.invoice,
            price=round(line.price, 2),
            currency=CURRENCY,
            quantity=abs(line.quantity),
        )
    for number in range(0, len(bought), MAX_BASKET):
        yield Event(
            event_id=f"{first.invoice}-order-{number}",
            event_type="purchase",
            event_time=first.time_ms + (len(lines) + 1) * step_ms,
            user_id=user,
            items=bought[number : number + MAX_BASKET],
            session_id=first.invoice,
            currency=CURRENCY,
        )


def catalogue(file: Path = ORDERS) -> Iterator[CatalogueItem]:
    """One record an item, with its title and last price."""
    table = pq.read_table(file.with_name("catalogue.parquet"))
    for item_id, title, price in zip(*(column.to_pylist() for column in table.columns), strict=True):
        yield CatalogueItem(item_id=item_id, title=title, price=price, currency=CURRENCY)


def main(folder: Path) -> None:
    """Writes orders.jsonl and catalogue.jsonl, a shop's input files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, records in (("orders", events()), ("catalogue", catalogue())):
        with (folder / f"{name}.jsonl").open("wb") as file:
            file.writelines(encode_record(record) + b"\n" for record in records)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
