"""The local tables of a TaskManager: copies of compacted topics that the refresh operator follows."""

import logging
import os
import time
from pathlib import Path
from typing import TypeVar

from operators.configuration.private_folder import user_folder
from operators.demand.item_demand_rows import ItemDemandRows
from operators.kafka_io.catalogue_rows import CATALOGUE_BUFFER_MB, CatalogueRows
from operators.kafka_io.compacted_table import CompactedTable, OnChange
from operators.kafka_io.row_rules import RowRule
from operators.kafka_io.table_consumer import kafka_consumer
from operators.records.contracts import CATALOGUE, ITEMS, CatalogueItem
from operators.records.item_demand import ItemDemand
from operators.settings import Settings

log = logging.getLogger(__name__)
CATALOGUE_SECONDS = 20  # to catch up with the topic at the start
DEMAND_BUFFER_MB = 4

T = TypeVar("T")


def tables_root(settings: Settings) -> Path:
    """The folder of a TaskManager's local tables. Raises `SettingsError` where another user prepared it."""
    named = settings.job.tables_dir
    return Path(named) if named else user_folder("tables", "job.tables_dir")


def open_catalogue(
    settings: Settings, subtask: int, on_change: OnChange[CatalogueItem]
) -> CompactedTable[CatalogueItem]:
    """The catalogue topic as a local table."""
    rule = CatalogueRows(settings.events.placeholders)
    table = _table(settings, f"{subtask}", CATALOGUE, rule, on_change, CATALOGUE_BUFFER_MB)
    if not table.open(CATALOGUE_SECONDS):
        log.warning("the catalogue topic did not answer within %s s; the last local copy serves", CATALOGUE_SECONDS)
    return table


def open_demand(settings: Settings, subtask: int, on_change: OnChange[ItemDemand]) -> CompactedTable[ItemDemand]:
    """The topic of demand as a local table. Nobody waits until it has caught up."""
    table = _table(settings, f"{subtask}-items", ITEMS, ItemDemandRows(), on_change, DEMAND_BUFFER_MB)
    table.open(0)
    return table


def _table(
    settings: Settings, name: str, topic: str, rule: RowRule[T], on_change: OnChange[T], write_buffer_mb: int
) -> CompactedTable[T]:
    """A table that is not open yet; where another process has its folder, in another folder."""
    root = tables_root(settings) / f"{settings.job.name}-{name}"
    options = settings.kafka.consumer_options()
    for folder in (root, root.with_name(f"{root.name}-{os.getpid()}-{time.monotonic_ns()}")):
        try:
            return CompactedTable(
                topic,
                folder,
                lambda: kafka_consumer(options),
                rule,
                on_change=on_change,
                write_buffer_mb=write_buffer_mb,
            )
        except Exception as error:  # rocksdict raises its own class when the lock is held
            log.warning("table %s: %s", folder, error)
    raise OSError(f"no folder for a local table below {root}")
