"""The local tables of a TaskManager: copies of compacted topics that the refresh operator follows."""

import logging
import os
import time
from collections import Counter
from pathlib import Path
from typing import TypeVar

from operators.configuration.private_folder import user_folder
from operators.demand.item_demand_rows import ItemDemandRows
from operators.demand.live_orders import LiveOrders
from operators.experiments.assignment import Experiments
from operators.experiments.experiment_rows import ExperimentRecord, ExperimentRows
from operators.kafka_io.catalogue_rows import CATALOGUE_BUFFER_MB, CatalogueRows
from operators.kafka_io.compacted_table import CompactedTable, OnChange
from operators.kafka_io.row_rules import RowRule
from operators.kafka_io.table_consumer import kafka_consumer
from operators.records.contracts import CATALOGUE, EXPERIMENTS, ITEMS, CatalogueItem
from operators.records.item_demand import ItemDemand
from operators.settings import Settings

log = logging.getLogger(__name__)
CATALOGUE_SECONDS = 20  # to catch up with the topic at the start
EXPERIMENTS_SECONDS = 5
DEMAND_BUFFER_MB = 4
EXPERIMENTS_BUFFER_MB = 1

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


def open_demand(settings: Settings, subtask: int, orders: LiveOrders) -> CompactedTable[ItemDemand]:
    """The topic of demand as a local table; `orders` follows it. Nobody waits until it has caught up."""
    table = _table(settings, f"{subtask}-items", ITEMS, ItemDemandRows(), orders.changed, DEMAND_BUFFER_MB)
    table.open(0)
    return table


def open_experiments(
    settings: Settings, subtask: int, experiments: Experiments, refused: Counter[str]
) -> CompactedTable[ExperimentRecord]:
    """The topic of experiments as a local table; `experiments` follows it, and `refused` counts records that are no plan.

    Waits until it has caught up: a list of the time before would be in no experiment.
    """
    name, rule, changed = f"{subtask}-experiments", ExperimentRows(), experiments.changed
    table = _table(settings, name, EXPERIMENTS, rule, changed, EXPERIMENTS_BUFFER_MB, refused)
    if not table.open(EXPERIMENTS_SECONDS):
        log.warning(
            "the topic of experiments did not answer within %s s; the last local copy serves", EXPERIMENTS_SECONDS
        )
    return table


def _table(
    settings: Settings,
    name: str,
    topic: str,
    rule: RowRule[T],
    on_change: OnChange[T],
    write_buffer_mb: int,
    refused: Counter[str] | None = None,
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
                refused=refused,
                write_buffer_mb=write_buffer_mb,
            )
        except Exception as error:  # rocksdict raises its own class when the lock is held
            log.warning("table %s: %s", folder, error)
    raise OSError(f"no folder for a local table below {root}")
