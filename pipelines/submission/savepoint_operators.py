"""Operators in a savepoint, and those that the job no longer has."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlparse

from operators.settings import Settings
from pipelines.submission.savepoint_offsets import METADATA

STATE_ID = "94b14e0e3b0f2e2b1d630f80f5db9290"  # Flink's hash of `engine.STATE_UID`


class OptionalOperator(NamedTuple):
    """An operator that a job may lack. `setting`: the one that switches it on; `loss`: what is lost without it; `ids`: of the
    operator (Flink's hash of its uid in `engine`), and of writer and committer of its sink."""

    setting: str
    loss: str
    ids: tuple[str, ...]


FEEDBACK = OptionalOperator(
    "feedback.enabled",
    "the lists that wait for clicks make no examples any more",
    ("b46f9b36e85bcec0aa45db5a00015510", "42b54dc28a387e10940ce7562a5b326a", "914cabf2d82ae07826413ba956106cd6"),
)
DEMAND = OptionalOperator(
    "demand.enabled",
    "the counts of items begin anew",
    ("1b4c0b8109f69ac5ff8227dc899862d3", "5e901bad06de33650356e111b35f6881", "dcecab628e6db7e6e386f03be0f0c795"),
)
KEYED_STATES = (STATE_ID, FEEDBACK.ids[0], DEMAND.ids[0])  # of users and items
# The sink of dead letters before it also wrote receipts; its state is only names of transactions.
RETIRED = ("fc47bede9d1c0688ddb112823aebe901",)


def leaves_state(savepoint: str, settings: Settings) -> bool:
    """Whether a savepoint on this machine holds the users' state, and state of an operator that the job does not have: a
    retired one, or one that is switched off.

    Only then may Flink ignore state that it cannot map. A savepoint of another execution mode has no users' state for
    this job: Flink would start with empty state, without an error.
    """
    content = _metadata(savepoint)
    left = [*RETIRED, *(operator_id for operator in _switched_off(settings) for operator_id in operator.ids)]
    return _holds(content, STATE_ID) and any(_holds(content, operator_id) for operator_id in left)


def lost_operators(savepoint: str, settings: Settings) -> list[OptionalOperator]:
    """The operators whose state a savepoint on this machine holds and that are switched off."""
    content = _metadata(savepoint)
    return [operator for operator in _switched_off(settings) if _holds(content, operator.ids[0])]


def _switched_off(settings: Settings) -> Iterator[OptionalOperator]:
    if not settings.feedback.enabled:
        yield FEEDBACK
    if not settings.demand.enabled:
        yield DEMAND


def _metadata(savepoint: str) -> bytes:
    try:
        return (Path(urlparse(savepoint).path) / METADATA).read_bytes()
    except OSError:  # not on this machine: Flink itself checks it
        return b""


def _holds(metadata: bytes, operator_id: str) -> bool:
    return bytes.fromhex(operator_id) in metadata
