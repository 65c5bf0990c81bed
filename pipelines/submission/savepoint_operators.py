"""Operators whose state a savepoint holds, and which of them a job of today does without."""

from pathlib import Path
from urllib.parse import urlparse

from pipelines.submission.savepoint_offsets import METADATA

STATE_ID = "94b14e0e3b0f2e2b1d630f80f5db9290"  # what Flink makes of `engine.STATE_UID`
# the writer of dead letters before receipts shared its sink: it holds nothing but the names of transactions
RETIRED = ("fc47bede9d1c0688ddb112823aebe901",)


def holds_retired(savepoint: str) -> bool:
    """Whether a savepoint on this machine has the users' state, and beside it state of an operator that is no more.

    Then alone may Flink be told to leave out what it cannot map: a savepoint of another execution mode has no users'
    state for this job, and would be restored to nothing without an error.
    """
    try:
        content = (Path(urlparse(savepoint).path) / METADATA).read_bytes()
    except OSError:  # it lies elsewhere: Flink refuses it, and says why
        return False
    return bytes.fromhex(STATE_ID) in content and any(bytes.fromhex(one) in content for one in RETIRED)
