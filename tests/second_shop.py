"""A second shop's data as canonical events: JD.com micro-behaviour sessions where they are at hand.

The samples may not be shipped (research use; WSDM 2020, Gu et al., "Hierarchical User Profiling for E-commerce
Recommender Systems"). They are looked for in JD_MICRO_DIR, then in a folder beside the checkout. Elsewhere the first
weeks of the demo's orders stand in, so that the commands are always run.
"""

import gzip
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from model_export.data.online_retail import catalogue as gift_catalogue
from model_export.data.online_retail import events as gift_events
from operators.records.contracts import CatalogueItem, Event, encode_record
from tests.places import ROOT

FOLDER = Path(os.environ.get("JD_MICRO_DIR", ROOT.parent / "shared" / "data" / "events-jd-micro"))
FILE = FOLDER / "JD_Applicances_sample.short.txt.gz"
START_MS = 1_700_000_000_000
# 1-5: ways into a product page; 6-8: comments, specification, page bottom; 9: cart; 10: order
KINDS = {6: "click", 7: "click", 8: "click", 9: "add_to_cart", 10: "purchase"}


def write_second_shop(folder: Path) -> str:
    """Writes events.jsonl and catalogue.jsonl; returns the name of the data."""
    jd = FILE.is_file()
    events = sorted(_jd_events() if jd else islice(gift_events(), 20_000), key=lambda event: int(event.event_time))
    items = _jd_catalogue() if jd else gift_catalogue()
    (folder / "events.jsonl").write_bytes(b"".join(encode_record(event) + b"\n" for event in events))
    (folder / "catalogue.jsonl").write_bytes(b"".join(encode_record(item) + b"\n" for item in items))
    return "JD micro-behaviours" if jd else "the demo's orders"


def _rows() -> Iterator[tuple[int, int, list[str]]]:
    with gzip.open(FILE, "rt") as lines:
        for session, line in enumerate(lines):
            for number, cell in enumerate(line.split()):
                yield session, number, cell.split("+")


def _jd_events() -> Iterator[Event]:
    """One session a minute; inside a session the real intervals."""
    clock = START_MS
    for session, number, (sku, behaviour, _, interval, _) in _rows():
        clock = START_MS + session * 60_000 if number == 0 else clock
        yield Event(
            event_id=f"{session}-{number}",
            event_type=KINDS.get(int(behaviour), "view"),  # type: ignore[arg-type]
            event_time=clock,
            user_id=f"jd{session}",
            item_id=sku,
        )
        clock += int(interval) * 1000 if interval.isdigit() else 0


def _jd_catalogue() -> list[CatalogueItem]:
    categories = {sku: category for _, _, (sku, _, category, _, _) in _rows()}
    return [CatalogueItem(item_id=sku, category=category) for sku, category in categories.items()]
