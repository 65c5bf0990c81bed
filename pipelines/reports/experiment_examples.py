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
from operators.records.contracts import EXAMPLES, Experiment, Label, Source


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
    p_click: float | None = None
    source: Source | None
    organic: bool
    experiments: tuple[Experiment, ...] | msgspec.UnsetType = msgspec.UNSET

    def is_of(self, name: str) -> bool:
        """Whether the list was in the experiment of that name; from then on `experiment` is that one."""
        all_of_list = self.experiments or (() if self.experiment is None else (self.experiment,))
        self.experiment = next((one for one in all_of_list if one.name == name), self.experiment)
        return self.experiment is not None and self.experiment.name == name


_decode = msgspec.json.Decoder(ReadExample).decode


@dataclass
class ExperimentExamples:
    """`final`: the valid example of each id, by `shown_at`. `left_out`: reason -> examples, and records that are no example
    (`unreadable`); docs/experiments.md has the reasons."""

    final: list[ReadExample] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    records: int = 0


def read_example(value: bytes | None) -> ReadExample | None:
    """The example; None for bytes that are none: whoever may write to the topic may write anything."""
    try:
        return _decode(value or b"")
    except UNDECODABLE:
        return None


def read_experiment(kafka: KafkaSettings, name: str, since_ms: int) -> ExperimentExamples:
    """The examples of an experiment whose records are from `since_ms` (epoch ms) on, as far as they are committed.

    Holds about 500 bytes an example of the experiment. Raises `BrokerError`.
    """
    return examples_of(read_topic(kafka, EXAMPLES, since_ms), name, since_ms)


def examples_of(records: Iterable[Any], name: str, since_ms: int = 0) -> ExperimentExamples:
    """The examples of one experiment among the records of the topic from `since_ms` on.

    Of items that were shown before, only those with a later outcome have a record here: they would be conversions without
    the items that nobody wanted. So they are left out.
    """
    examples, of_experiment = ExperimentExamples(), list[ReadExample]()
    for record in records:
        examples.records += 1
        example = read_example(record.value)
        if example is None:
            examples.left_out["unreadable"] += 1
        elif not example.organic and example.is_of(name):
            of_experiment.append(example)
        elif example.revision == 0:  # each example has one, so each counts once
            examples.left_out["organic" if example.organic else "other_experiment"] += 1
    for example in final_examples(of_experiment).values():
        if example.source is None:
            examples.left_out["not_on_list"] += 1
        elif example.shown_at is not None and example.shown_at < since_ms:
            examples.left_out["shown_before"] += 1
        else:
            examples.final.append(example)
    examples.final.sort(key=lambda example: example.shown_at or 0)
    return examples
