"""A savepoint without the transactions of its sinks, for a broker that has never heard of them.

A running exactly-once job's savepoint names transactions that are to be committed when it is restored. Another broker
answers that it does not know them, and flink-connector-kafka takes that for a failure of the job. What they would have
committed is in the backup, or is made again from the events after the savepoint.
"""

from pathlib import Path
from typing import Any

from pyflink.java_gateway import get_gateway

from operators.errors import ClusterError
from pipelines.submission.savepoint_offsets import METADATA
from pipelines.submission.savepoint_operators import STATE_ID


def forget_transactions(savepoint: Path) -> None:
    """Rewrites the metadata so that it holds the users' state and the sources alone, which have a coordinator; what else
    a job of ours has are sinks and operators without state. Raises `ClusterError` where Flink cannot read it."""
    java = get_gateway().jvm
    io, checkpoint = java.java.io, java.org.apache.flink.runtime.checkpoint
    try:
        stream = io.DataInputStream(io.ByteArrayInputStream((savepoint / METADATA).read_bytes()))
        loader = java.java.lang.Thread.currentThread().getContextClassLoader()
        metadata = checkpoint.Checkpoints.loadCheckpointMetadata(stream, loader, str(savepoint))
        kept = java.java.util.ArrayList()
        for operator in metadata.getOperatorStates():
            if _outlives_broker(operator):
                kept.add(operator)
        properties = metadata.getCheckpointProperties()
        rewritten = checkpoint.metadata.CheckpointMetadata(
            metadata.getCheckpointId(), kept, metadata.getMasterStates(), properties
        )
        content = io.ByteArrayOutputStream()
        checkpoint.Checkpoints.storeCheckpointMetadata(rewritten, io.DataOutputStream(content))
    except Exception as error:  # Py4J's own, with Java's text
        raise ClusterError(
            f"a savepoint of this Flink in {savepoint}", str(error)[-300:], "restore another backup"
        ) from error
    (savepoint / METADATA).write_bytes(bytes(content.toByteArray()))


def _outlives_broker(operator: Any) -> bool:
    return operator.getOperatorID().toHexString() == STATE_ID or operator.getCoordinatorState() is not None
