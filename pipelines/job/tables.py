"""The local tables of a TaskManager: copies of compacted topics that the refresh operator follows."""

import logging
import os
import time
from collections import Counter
from pathlib import Path
from typing import TypeVar

from operators.configuration.private_folder import private_folder, user_folder
from operators.demand.item_demand_rows import ItemDemandRows
from operators.experiments.assignment import Experiments
from operators.experiments.experiment_rows import ExperimentRecord, ExperimentRows
from operators.kafka_io.catalogue_rows import CATALOGUE_BUFFER_MB, CatalogueRows
from operators.kafka_io.compacted_table import CompactedTable
from operators.kafka_io.row_rules import RowRule
from operators.kafka_io.table_consumer import kafka_consumer
from operators.records.contracts import CATALOGUE, EXPERIMENTS, ITEMS, MODELS, CatalogueItem
from operators.records.item_demand import ItemDemand
from operators.rollout.rollout import Rollout
from operators.rollout.rollout_rows import RolloutRows
from operators.settings import Settings

log = logging.getLogger(__name__)
CATALOGUE_SECONDS = 20  # to catch up with the topic at the start
EXPERIMENTS_SECONDS = 5
SMALL_BUFFER_MB = 4

T = TypeVar("T")


def tables_root(settings: Settings) -> Path:
    """The folder of a TaskManager's local tables. Raises `SettingsError` where another user prepared it."""
    named = settings.job.tables_dir
    return Path(named) if named else user_folder("tables", "job.tables_dir")


def bundles_folder(settings: Settings, subtask: int) -> Path:
    """The folder of an operator's copies of promoted bundles; no other user may write to it."""
    return private_folder(tables_root(settings) / f"{settings.job.name}-{subtask}-bundles", "job.tables_dir")


def catalogue_table(settings: Settings, subtask: int) -> CompactedTable[CatalogueItem]:
    """The catalogue topic as a local table, not open yet."""
    return _table(settings, f"{subtask}", CATALOGUE, CatalogueRows(settings.events.placeholders), CATALOGUE_BUFFER_MB)


def open_catalogue(table: CompactedTable[CatalogueItem]) -> None:
    """Waits until the table has caught up, `CATALOGUE_SECONDS` at most."""
    if not table.open(CATALOGUE_SECONDS):
        log.warning("the catalogue topic did not answer within %s s; the last local copy serves", CATALOGUE_SECONDS)


def demand_table(settings: Settings, subtask: int) -> CompactedTable[ItemDemand]:
    """The topic of demand as a local table, not open yet."""
    return _table(settings, f"{subtask}-items", ITEMS, ItemDemandRows(), SMALL_BUFFER_MB)


def rollout_table(settings: Settings, subtask: int) -> CompactedTable[Rollout]:
    """The topic of models as a local table, not open yet."""
    return _table(settings, f"{subtask}-models", MODELS, RolloutRows(), SMALL_BUFFER_MB)


def open_experiments(
    settings: Settings, subtask: int, experiments: Experiments, refused: Counter[str]
) -> CompactedTable[ExperimentRecord]:
    """The topic of experiments as a local table; `experiments` follows it, and `refused` counts records that are no plan.

    Waits until it has caught up: a list of the time before would be in no experiment.
    """
    table = _table(settings, f"{subtask}-experiments", EXPERIMENTS, ExperimentRows(), SMALL_BUFFER_MB, refused)
    table.listen(experiments.changed)
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
                refused=refused,
                write_buffer_mb=write_buffer_mb,
            )
        except Exception as error:  # rocksdict raises its own class when the lock is held
            log.warning("table %s: %s", folder, error)
    raise OSError(f"no folder for a local table below {root}")
