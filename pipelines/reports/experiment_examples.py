"""The final examples of one experiment, from `shop.examples.v1`."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Annotated, Any

import msgspec

from operators.configuration.kafka_settings import KafkaSettings
from operators.feedback.final_examples import final_examples
from operators.kafka_io.list_rows import UNDECODABLE
from operators.kafka_io.read_to_end import read_topic
from operators.records.contracts import EXAMPLES, Experiment, Label


class ReadExample(msgspec.Struct, kw_only=True, gc=False):
    """What a report needs of an `Example`: the state, most of its bytes, is not decoded."""

    example_id: str
    revision: Annotated[int, msgspec.Meta(ge=0)]
    user_id: str
    item_id: str
    shown_at: int | None
    label: Label
    experiment: Experiment | None
    propensity: float | None
    organic: bool


_decode = msgspec.json.Decoder(ReadExample).decode


@dataclass
class ExperimentExamples:
    """`final`: the valid example of each id, by `shown_at`. `left_out`: reason -> examples (`organic`, `other_experiment`), and
    records that are no example (`unreadable`)."""

    final: list[ReadExample] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    records: int = 0


def read_experiment(kafka: KafkaSettings, name: str, since_ms: int) -> ExperimentExamples:
    """The examples of an experiment whose records are from `since_ms` (epoch ms) on, as far as they are committed.

    Holds about 500 bytes an example of the experiment. Raises `BrokerError`.
    """
    return examples_of(read_topic(kafka, EXAMPLES, since_ms), name)


def examples_of(records: Iterable[Any], name: str) -> ExperimentExamples:
    """The examples of one experiment among the records of the topic."""
    examples, of_experiment = ExperimentExamples(), list[ReadExample]()
    for record in records:
        examples.records += 1
        try:
            example = _decode(record.value or b"")
        except UNDECODABLE:  # whoever may write to the topic may write anything
            examples.left_out["unreadable"] += 1
            continue
        if not example.organic and example.experiment is not None and example.experiment.name == name:
            of_experiment.append(example)
        elif example.revision == 0:  # each example has one, so each counts once
            examples.left_out["organic" if example.organic else "other_experiment"] += 1
    examples.final = sorted(final_examples(of_experiment).values(), key=lambda example: example.shown_at or 0)
    return examples
