"""The rollout of a job's models on `shop.models.v1`: read and changed by the verbs and the guard."""

import getpass
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from operators.errors import RolloutError
from operators.kafka_io.read_to_end import read_topic
from operators.records.contracts import MODELS, encode_record
from operators.rollout.rollout import Change, Rollout
from operators.rollout.rollout_rows import read_rollout, row_after
from operators.settings import Settings
from pipelines.topics.sole_writer import write_alone


def read_newest(settings: Settings) -> Rollout | None:
    """The rollout that the operators follow. None: the submitted bundle serves. Raises `BrokerError`."""
    return newest_of(read_topic(settings.kafka, MODELS), settings.job.name)


def taken_back_ms(settings: Settings) -> int | None:
    """Since when an older bundle serves because a newer one was taken back, epoch ms: by a rollback, or by the end of the
    rollout, after which the submitted bundle serves. None: the champion was promoted, or nothing was ever. Raises
    `BrokerError`."""
    return taken_back_of(read_topic(settings.kafka, MODELS), settings.job.name)


def taken_back_of(records: Iterable[Any], job: str) -> int | None:
    """As `taken_back_ms`, of the records of the topic."""
    row: bytes | None = None
    ended_ms: int | None = None
    for record in records:
        if record.key == job.encode():
            row, ended_ms = row_after(row, record), record.timestamp if record.value is None else ended_ms
    rollout = None if row is None else read_rollout(row)
    return ended_ms if rollout is None else rollout.rolled_back_at


def newest_of(records: Iterable[Any], job: str) -> Rollout | None:
    """As `read_newest`, of the records of the topic."""
    row: bytes | None = None
    for record in records:
        if record.key == job.encode():
            row = row_after(row, record)
    return None if row is None else read_rollout(row)


def change_rollout(
    settings: Settings,
    verb: Callable[[Rollout | None, Change], Rollout | None],
    why: str,
    by: str | None = None,
) -> tuple[Rollout | None, Rollout | None]:
    """Publishes what `verb` makes of the rollout; returns the rollout before and after. `by`: who changes it, None: this user.
    Raises `RolloutError` of the verb and where another change came meanwhile, `BrokerError`."""
    change = Change(time.time_ns() // 1_000_000, by or f"{getpass.getuser()}@{socket.gethostname()}", why)
    job = settings.job.name
    tried: list[tuple[Rollout | None, Rollout | None]] = []

    def changed() -> tuple[tuple[Rollout | None, Rollout | None], bytes | None]:
        newest = read_newest(settings)
        if not tried:
            tried.append((newest, verb(newest, change)))
        elif newest not in tried[0]:  # `after`: the first try was committed, though the broker's answer was lost
            raise _changed_meanwhile(newest)
        after = tried[0][1]
        return tried[0], None if after is None else encode_record(after)

    return write_alone(settings.kafka, writer_of(job), MODELS, job.encode(), changed)


def _changed_meanwhile(newest: Rollout | None) -> RolloutError:
    """The verb is not tried again: a rollback after another one would bring back what that one took away."""
    came = "its end" if newest is None else f"revision {newest.revision} by {newest.changed_by}: {newest.why}"
    return RolloutError(
        "no other change of the rollout at the same time",
        came,
        "look at liveshelf models list, then run the verb again if it is still wanted",
        retriable=True,
    )


def writer_of(job: str) -> str:
    """The transactional id of all who change the rollout of a job."""
    return f"liveshelf-models-{job}"
