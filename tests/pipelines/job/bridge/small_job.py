"""A small job in a JVM of its own: records go the way that the refresh operator gives them, through the real bridge."""

from collections.abc import Iterator, Sequence
from typing import Any

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.data_stream import DataStream
from pyflink.java_gateway import get_gateway

from deploy.local.jars import CONNECTOR
from deploy.local.layout import Layout
from operators.settings import JobSettings, Settings, load_settings
from pipelines.job.recommend import BRIDGE, batched, keyed, refresh_batching
from tests.pipelines.job.bridge.source_records import read_records


def outputs_of(
    function: Any, records: Sequence[tuple[bytes | None, bytes]], batch: int = JobSettings().batch_entries
) -> Iterator[tuple[str, bytes, bytes]]:
    """Kind, key and value of the outputs of `function` for records (key, value), in batches of at most `batch` entries."""
    configuration = Configuration()
    configuration.set_string("python.execution-mode", "thread")
    configuration.set_string("parallelism.default", "1")
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    environment.add_jars(BRIDGE.as_uri(), (Layout.of(load_settings()).jars / CONNECTOR).as_uri())
    source, read = read_records(get_gateway().jvm, 16_384, records)
    given = environment._j_stream_execution_environment.fromCollection(read, source.getProducedType())
    for kind, key, value, _ in DataStream(
        batched(environment, keyed([given]), function, refresh_batching(Settings())._replace(entries=batch))
    ).execute_and_collect():
        yield kind, _bytes(key), _bytes(value)


def _bytes(java: Any) -> bytes:
    """A byte array as PyFlink gives it: numbers from -128 on."""
    return bytes(byte % 256 for byte in java)
