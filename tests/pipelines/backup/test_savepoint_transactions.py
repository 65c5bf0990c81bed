"""A savepoint without the transactions of its sinks, written and read by Flink itself."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
from pyflink.java_gateway import get_gateway

from operators.errors import ClusterError
from pipelines.backup.savepoint_transactions import forget_transactions
from pipelines.job.engine import DEMAND_UID, FEEDBACK_UID, STATE_UID
from pipelines.submission.savepoint_operators import DEMAND, FEEDBACK, KEYED_STATES, STATE_ID

SOURCE, COMMITTER = (hashlib.md5(name).hexdigest() for name in (b"a source", b"a committer"))


def metadata_of(operators: dict[str, bytes | None]) -> bytes:
    """Metadata of a savepoint; operator id -> state of its coordinator (a source), or None."""
    java = get_gateway().jvm
    checkpoint, io = java.org.apache.flink.runtime.checkpoint, java.java.io
    states = java.java.util.ArrayList()
    for number, (operator_id, coordinator) in enumerate(operators.items()):
        identity = java.org.apache.flink.runtime.jobgraph.OperatorID(bytearray.fromhex(operator_id))
        state = checkpoint.OperatorState(f"operator {number}", f"uid {number}", identity, 1, 128)
        if coordinator is not None:
            handle = java.org.apache.flink.runtime.state.memory.ByteStreamStateHandle("at", coordinator)
            state.setCoordinatorState(handle)
        states.add(state)
    properties = checkpoint.CheckpointProperties.forSavepoint(
        True, java.org.apache.flink.core.execution.SavepointFormatType.CANONICAL
    )
    metadata = checkpoint.metadata.CheckpointMetadata(7, states, java.java.util.ArrayList(), properties)
    content = io.ByteArrayOutputStream()
    checkpoint.Checkpoints.storeCheckpointMetadata(metadata, io.DataOutputStream(content))
    return bytes(content.toByteArray())


@pytest.mark.parametrize(
    ("uid", "operator_id"),
    [(STATE_UID, STATE_ID), (FEEDBACK_UID, FEEDBACK.ids[0]), (DEMAND_UID, DEMAND.ids[0])],
)
def test_the_ids_of_the_users_states_are_flinks_own(uid: str, operator_id: str) -> None:
    java: Any = get_gateway().jvm
    murmur = java.org.apache.flink.shaded.guava33.com.google.common.hash.Hashing.murmur3_128(0)
    hashed = murmur.newHasher().putString(uid, java.java.nio.charset.StandardCharsets.UTF_8).hash()
    assert hashed.toString() == operator_id


def test_the_users_state_and_the_sources_stay(tmp_path: Path) -> None:
    (tmp_path / "_metadata").write_bytes(
        metadata_of({COMMITTER: None, SOURCE: b"offsets"} | dict.fromkeys(KEYED_STATES))
    )
    forget_transactions(tmp_path)
    content, names = (tmp_path / "_metadata").read_bytes(), (COMMITTER, SOURCE, *KEYED_STATES)
    assert {name for name in names if bytes.fromhex(name) in content} == {SOURCE, *KEYED_STATES}
    assert b"offsets" in content


def test_what_flink_cannot_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "_metadata").write_bytes(b"half a file")
    with pytest.raises(ClusterError, match="a savepoint of this Flink"):
        forget_transactions(tmp_path)
