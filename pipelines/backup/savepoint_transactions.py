"""Removes the sinks' transactions from a savepoint, for a restore on another broker.

The savepoint of an exactly-once job names transactions that the restored job must commit. Another broker does not know
them, and flink-connector-kafka then fails the job. Nothing is lost: the backup holds the lists of these transactions, or
the job makes them again from the events after the savepoint.
"""

from pathlib import Path
from typing import Any

from pyflink.java_gateway import get_gateway

from operators.errors import ClusterError
from pipelines.submission.savepoint_offsets import METADATA
from pipelines.submission.savepoint_operators import KEYED_STATES


def forget_transactions(savepoint: Path) -> None:
    """Rewrites the metadata with two kinds of operators only: those with the states of users and items, and the sources.

    Sources are the operators with a coordinator. The job's other operators are sinks, or have no state.
    Raises `ClusterError` if Flink cannot read the savepoint.
    """
    java = get_gateway().jvm
    io, checkpoint = java.java.io, java.org.apache.flink.runtime.checkpoint
    try:
        stream = io.DataInputStream(io.ByteArrayInputStream((savepoint / METADATA).read_bytes()))
        loader = java.java.lang.Thread.currentThread().getContextClassLoader()
        metadata = checkpoint.Checkpoints.loadCheckpointMetadata(stream, loader, str(savepoint))
        states = java.java.util.ArrayList()
        for operator in metadata.getOperatorStates():
            if _is_needed(operator):
                states.add(operator)
        properties = metadata.getCheckpointProperties()
        rewritten = checkpoint.metadata.CheckpointMetadata(
            metadata.getCheckpointId(), states, metadata.getMasterStates(), properties
        )
        content = io.ByteArrayOutputStream()
        checkpoint.Checkpoints.storeCheckpointMetadata(rewritten, io.DataOutputStream(content))
    except Exception as error:  # Py4J's error, with Java's text
        raise ClusterError(
            f"a savepoint of this Flink in {savepoint}", str(error)[-300:], "restore another backup"
        ) from error
    (savepoint / METADATA).write_bytes(bytes(content.toByteArray()))


def _is_needed(operator: Any) -> bool:
    return operator.getOperatorID().toHexString() in KEYED_STATES or operator.getCoordinatorState() is not None
