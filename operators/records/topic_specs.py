"""Key, clean-up policy and limits of each topic. `liveshelf topics create` creates them."""

from dataclasses import dataclass, field

from operators.records import contracts
from operators.records.dead_letter import LARGEST
from operators.time_units import DAY_MS

# only a user's newest list matters; a short log lets a new reader catch up quickly
COMPACT = {
    "cleanup.policy": "compact",
    "min.cleanable.dirty.ratio": "0.1",
    "segment.ms": "600000",
    "segment.bytes": str(64 * 1024 * 1024),
    "max.compaction.lag.ms": str(DAY_MS),
    "delete.retention.ms": str(7 * DAY_MS),
}
# the broker's clock decides the age of an event and what an erasure covers, so that a replay decides the same
BROKERS_TIME = {"message.timestamp.type": "LogAppendTime"}
# the broker unpacks what arrives compressed, and refuses a batch that is then larger than `max.message.bytes`: a small one
# could unpack to gigabytes in a reader's memory. Clients fill a batch by its compressed size, so the limit leaves room
UNPACKED = {"compression.type": "uncompressed", "max.message.bytes": str(4 * 2**20)}
ORIGINALS = {"max.message.bytes": str(LARGEST)}


def _compact_for(days: int) -> dict[str, str]:
    """Keeps the newest record of each key for `days`; a key that is not renewed expires without a tombstone."""
    return COMPACT | {"cleanup.policy": "compact,delete", "retention.ms": str(days * DAY_MS)}


def _delete_after(days: int) -> dict[str, str]:
    return {"cleanup.policy": "delete", "retention.ms": str(days * DAY_MS)}


@dataclass(frozen=True)
class TopicSpec:
    """One topic. `key` says what its records are keyed by."""

    name: str
    key: str
    config: dict[str, str] = field(default_factory=dict)


JOB_INPUTS = (contracts.EVENTS, contracts.ERASURES)
JOB_OUTPUTS = (contracts.RECOMMENDATIONS, contracts.DEAD_LETTERS, contracts.RECEIPTS)  # of every job
TOPICS = (
    TopicSpec(contracts.EVENTS, "user_id", _delete_after(7) | BROKERS_TIME | UNPACKED),
    TopicSpec(contracts.CATALOGUE, "item_id", COMPACT | UNPACKED),
    # longer than any list may be shown (`lists.ttl_hours`)
    TopicSpec(contracts.RECOMMENDATIONS, "user_id", _compact_for(31)),
    TopicSpec(contracts.DEAD_LETTERS, "the original key", _delete_after(14) | ORIGINALS),
    # longer than the events: a job that reads them again must read the erasure too
    TopicSpec(contracts.ERASURES, "user_id", _compact_for(31) | BROKERS_TIME | UNPACKED),
    TopicSpec(contracts.RECEIPTS, "erasure_id or replay_id", _delete_after(365)),
    TopicSpec(contracts.EXAMPLES, "user_id", _delete_after(30)),
    # an item that nobody asks for any more expires
    TopicSpec(contracts.ITEMS, "item_id", _compact_for(31)),
    TopicSpec(contracts.MODELS, "the job's name", COMPACT),
    # a name stays for good: it cannot be used again
    TopicSpec(contracts.EXPERIMENTS, "the experiment's name", COMPACT),
    TopicSpec(contracts.AUDIT, "audit", {"cleanup.policy": "delete", "retention.ms": "-1"}),
)


def job_outputs(*, feedback: bool, demand: bool) -> tuple[str, ...]:
    """The topics that the job writes; `feedback`, `demand`: whether it has these operators (`feedback.enabled`,
    `demand.enabled`)."""
    optional = ((feedback, contracts.EXAMPLES), (demand, contracts.ITEMS))
    return (*JOB_OUTPUTS, *(topic for enabled, topic in optional if enabled))
