"""Operators in a savepoint, and those that the job no longer has."""

from pathlib import Path
from urllib.parse import urlparse

from pipelines.submission.savepoint_offsets import METADATA

STATE_ID = "94b14e0e3b0f2e2b1d630f80f5db9290"  # Flink's hash of `engine.STATE_UID`
FEEDBACK_STATE_ID = "b46f9b36e85bcec0aa45db5a00015510"  # and of `engine.FEEDBACK_UID`
# the feedback join, and writer and committer of its sink: a job without `feedback.enabled` has none of them
FEEDBACK_IDS = (FEEDBACK_STATE_ID, "42b54dc28a387e10940ce7562a5b326a", "914cabf2d82ae07826413ba956106cd6")
# The sink of dead letters before it also wrote receipts; its state is only names of transactions.
RETIRED = ("fc47bede9d1c0688ddb112823aebe901",)


def leaves_state(savepoint: str, *, feedback: bool) -> bool:
    """Whether a savepoint on this machine holds the users' state, and state of an operator that the job does not have: a
    retired one or, without `feedback`, the feedback join.

    Only then may Flink ignore state that it cannot map. A savepoint of another execution mode has no users' state for
    this job: Flink would start with empty state, without an error.
    """
    content = _metadata(savepoint)
    left = RETIRED if feedback else (*RETIRED, *FEEDBACK_IDS)
    return _holds(content, STATE_ID) and any(_holds(content, operator_id) for operator_id in left)


def holds_feedback(savepoint: str) -> bool:
    """Whether a savepoint on this machine holds the state of a feedback join."""
    return _holds(_metadata(savepoint), FEEDBACK_STATE_ID)


def _metadata(savepoint: str) -> bytes:
    try:
        return (Path(urlparse(savepoint).path) / METADATA).read_bytes()
    except OSError:  # not on this machine: Flink itself checks it
        return b""


def _holds(metadata: bytes, operator_id: str) -> bool:
    return bytes.fromhex(operator_id) in metadata
