"""Checks a shop's file of catalogue records, alone and beside a file of events."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from operators.configuration.shop_settings import EventSettings
from operators.records.contracts import CatalogueItem
from operators.records.field_names import fields_with_values
from operators.records.record_file import RecordFile, catalogue_file

EXPECTED_SHARE = 0.5  # share of the events' items that the catalogue should hold
EXAMPLES = 3


@dataclass
class CatalogueFileReport:
    """Counts of a file of catalogue records."""

    file: RecordFile[CatalogueItem]
    items: set[str] = field(default_factory=set)
    repeated: int = 0
    without_title: int = 0
    without_price: int = 0
    out_of_stock: int = 0
    unknown_fields: Counter[str] = field(default_factory=Counter)

    def take(self, item: CatalogueItem) -> None:
        """Counts a record."""
        self.repeated += item.item_id in self.items
        self.items.add(item.item_id)
        self.without_title += not item.title
        self.without_price += item.price is None
        self.out_of_stock += not item.in_stock


def report(file: Path, limits: EventSettings) -> CatalogueFileReport:
    """Reads the whole file. Raises `EventsFileError` if the file is not JSON lines."""
    records = catalogue_file(file, limits)
    file_report = CatalogueFileReport(records)
    for item in records:
        file_report.take(item)
        fields = CatalogueItem.__struct_fields__
        file_report.unknown_fields.update(name for name in fields_with_values(records.line) if name not in fields)
    return file_report


def apart(of_events: Collection[str], of_catalogue: Collection[str]) -> str:
    """How the two name items differently, with examples of both; empty where most of the events' items are there."""
    held = set(of_catalogue)
    missing = [item for item in of_events if item not in held]
    if len(missing) <= (1 - EXPECTED_SHARE) * len(of_events):
        return ""
    unused = [item for item in of_catalogue if item not in set(of_events)]
    return (
        f"{len(missing)} of the {len(of_events)} items of the events are not in the catalogue:"
        f" {_examples(missing)} in the events, {_examples(unused) or 'nothing else'} in the catalogue"
    )


def _examples(ids: list[str]) -> str:
    return ", ".join(map(repr, sorted(ids)[:EXAMPLES]))
