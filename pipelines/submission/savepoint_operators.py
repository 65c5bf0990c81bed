"""Operators in a savepoint, and those that the job no longer has."""

from pathlib import Path
from urllib.parse import urlparse

from pipelines.submission.savepoint_offsets import METADATA

STATE_ID = "94b14e0e3b0f2e2b1d630f80f5db9290"  # Flink's hash of `engine.STATE_UID`
# The sink of dead letters before it also wrote receipts; its state is only names of transactions.
RETIRED = ("fc47bede9d1c0688ddb112823aebe901",)


def holds_retired(savepoint: str) -> bool:
    """Whether a savepoint on this machine holds the users' state and the state of a retired operator.

    Only then may Flink ignore state that it cannot map. A savepoint of another execution mode has no users' state for
    this job: Flink would start with empty state, without an error.
    """
    try:
        content = (Path(urlparse(savepoint).path) / METADATA).read_bytes()
    except OSError:  # not on this machine: Flink itself checks it
        return False
    return bytes.fromhex(STATE_ID) in content and any(bytes.fromhex(operator_id) in content for operator_id in RETIRED)
