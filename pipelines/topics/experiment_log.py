"""The experiments on their topic, and what starting and stopping one makes of them."""

from collections.abc import Iterable, Mapping
from contextlib import closing
from typing import Any, NamedTuple

import msgspec

from operators.configuration.kafka_settings import KafkaSettings
from operators.configuration.shop_settings import ExperimentSettings
from operators.errors import LiveshelfError
from operators.experiments.assignment import plans_of, settled
from operators.experiments.effects import Effects
from operators.experiments.experiment_rows import ExperimentRecord, ExperimentRows
from operators.experiments.layers import Layers
from operators.experiments.plan import ExperimentPlan
from operators.kafka_io.kafka_clients import broker_errors, new_producer
from operators.kafka_io.read_to_end import read_topic
from operators.kafka_io.row_rules import Refused
from operators.records.contracts import EXPERIMENTS

Records = Mapping[str, ExperimentRecord]


class Change(NamedTuple):
    """When (epoch ms), by whom, and why."""

    at: int
    who: str
    why: str


def read_experiments(settings: KafkaSettings) -> dict[str, ExperimentRecord]:
    """Name -> its newest readable record, by the time of the start. Raises `BrokerError`."""
    return newest_of(read_topic(settings, EXPERIMENTS))


def newest_of(records: Iterable[Any]) -> dict[str, ExperimentRecord]:
    """As `read_experiments`, of the records of the topic."""
    rule, newest = ExperimentRows(), dict[str, ExperimentRecord]()
    for record in records:
        try:
            _, experiment = rule.take(None, record, 0)
        except Refused:  # the job counts them
            continue
        if experiment is not None:
            newest[experiment.plan.name] = experiment
    return dict(sorted(newest.items(), key=lambda item: (item[1].started_at, item[0])))


def write_experiment(settings: KafkaSettings, record: ExperimentRecord) -> None:
    """Publishes a record and waits for the broker. Raises `BrokerError`."""
    with broker_errors(settings), closing(new_producer(settings)) as producer:
        producer.send(EXPERIMENTS, key=record.plan.name.encode(), value=msgspec.json.encode(record)).get(30)


def started(plan: ExperimentPlan, records: Records, own: ExperimentSettings, change: Change) -> ExperimentRecord:
    """The record of a plan that starts now. `own`: `[experiment]`, which holds the default layer. Raises `SettingsError` for a
    name that was used, an effect that jobs do not carry, and a plan that cannot run beside those that run."""
    plan.refuse_effects_beyond(Effects._fields)
    Layers([plan], past_names=records.keys())
    Layers([*settled(plans_of(own), records.values()).plans, plan])  # raises where they cannot run together
    return ExperimentRecord(plan=plan, started_at=change.at, who=change.who, why=change.why)


def stopped(name: str, records: Records, change: Change) -> ExperimentRecord:
    """The record of an experiment that stops now. Raises `LiveshelfError` where it does not run."""
    record = records.get(name)
    if record is None or record.stopped_at is not None:
        running = [other for other, one in records.items() if one.stopped_at is None]
        raise LiveshelfError(
            f"a running experiment: {', '.join(running) or 'none runs'}",
            name if record is None else f"{name}, which has been stopped",
            "liveshelf experiments list",
        )
    return msgspec.structs.replace(record, stopped_at=change.at, who=change.who, why=change.why)
