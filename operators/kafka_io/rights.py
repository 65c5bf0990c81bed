"""The rights of each part on the broker. `liveshelf up --secure` grants them, and docs/security.md lists them."""

from dataclasses import dataclass
from typing import Literal

from operators.records.contracts import (
    CATALOGUE,
    DEAD_LETTERS,
    ERASURES,
    EVENTS,
    EXAMPLES,
    EXPERIMENTS,
    ITEMS,
    MODELS,
    RECEIPTS,
    RECOMMENDATIONS,
)

Operation = Literal["READ", "WRITE", "DESCRIBE_CONFIGS"]


@dataclass(frozen=True)
class Right:
    """One operation on one resource; Kafka adds the right to see it. `prefixed`: `name` is a prefix."""

    operation: Operation
    kind: Literal["TOPIC", "GROUP", "TRANSACTIONAL_ID"]
    name: str
    prefixed: bool = False


def rights(job: str) -> dict[str, tuple[Right, ...]]:
    """Part -> its rights. `job`: the job's name, which is its consumer group and begins its transactional ids. The job writes
    examples only where `feedback.enabled` is set, and uses the topic of items where `demand.enabled` is set."""
    rollout_writer = Right("WRITE", "TRANSACTIONAL_ID", f"liveshelf-models-{job}")
    return {
        "job": (
            *_topics("READ", EVENTS, ERASURES, CATALOGUE, ITEMS, MODELS, EXPERIMENTS),
            *_topics("WRITE", RECOMMENDATIONS, DEAD_LETTERS, RECEIPTS, EXAMPLES, ITEMS),
            *_topics("DESCRIBE_CONFIGS", CATALOGUE, ITEMS, MODELS, EXPERIMENTS),  # how long they keep tombstones
            Right("READ", "GROUP", job),
            Right("WRITE", "TRANSACTIONAL_ID", f"{job}-", prefixed=True),
        ),
        "storefront": (
            *_topics("READ", RECOMMENDATIONS, CATALOGUE, ITEMS, MODELS),
            *_topics("DESCRIBE_CONFIGS", RECOMMENDATIONS, CATALOGUE, ITEMS, MODELS),
            *_topics("WRITE", EVENTS),
        ),
        "monitor": (
            *_topics("READ", EVENTS, RECOMMENDATIONS, CATALOGUE, EXAMPLES, MODELS),
            # dead letters for catalogue records: only the monitor reads each of them once. The guard takes back a bundle
            *_topics("WRITE", DEAD_LETTERS, MODELS),
            rollout_writer,
        ),
        "shop": _topics("WRITE", EVENTS, CATALOGUE, ERASURES),
        "trainer": (
            *_topics("READ", EVENTS, CATALOGUE, EXAMPLES, ERASURES, MODELS),
            *_topics("WRITE", MODELS),
            rollout_writer,
            Right("READ", "GROUP", f"{job}-trainer"),
        ),
    }


def _topics(operation: Operation, *names: str) -> tuple[Right, ...]:
    return tuple(Right(operation, "TOPIC", name) for name in names)
