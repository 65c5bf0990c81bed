"""What each topic must be: key, clean-up policy and limits. Creation itself is `liveshelf topics create`."""

from dataclasses import dataclass, field

from operators import contracts

DAY_MS = 86_400_000
# a user's newest list counts; keep the log short so that a new reader is quick
COMPACT = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.1",
    "segment.ms": "600000",
    "segment.bytes": str(64 * 1024 * 1024),
    "max.compaction.lag.ms": str(DAY_MS),
    "delete.retention.ms": str(7 * DAY_MS),
}
ORIGINALS = {"max.message.bytes": str(2 * 1024 * 1024)}


def _delete_after(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS)}


@dataclass(frozen=True)
class TopicSpec:
    """One topic. `key` says what its records are keyed by."""

    name: str
    key: str
    config: dict[str, str] = field(default_factory=dict)


TOPICS = (
    # the broker's clock decides how old an event is: a replay then decides the same
    TopicSpec(contracts.EVENTS, "user_id", _delete_after(7) | {"message.timestamp.type": "LogAppendTime"}),
    TopicSpec(contracts.CATALOGUE, "item_id", COMPACT),
    TopicSpec(contracts.RECOMMENDATIONS, "user_id", COMPACT),
    TopicSpec(contracts.EXAMPLES, "user_id", _delete_after(30)),
    TopicSpec(contracts.DEAD_LETTERS, "the original key", _delete_after(14) | ORIGINALS),
    TopicSpec(contracts.MODELS, "model name", COMPACT),
    TopicSpec(contracts.ERASURES, "user_id", COMPACT),
    TopicSpec(contracts.RECEIPTS, "erasure_id", _delete_after(365)),
    TopicSpec(contracts.AUDIT, "audit", {"cleanup.policy": "delete", "retention.ms": "-1"}),
)
