"""Lists on PyFlink in the style of its tutorials: process mode, one event a score, a mini-cluster.

A contestant of `liveshelf bench peers`, not part of Liveshelf.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pyflink.common import Configuration, Row, Types
from pyflink.datastream import KeyedProcessFunction, RuntimeContext, StreamExecutionEnvironment
from pyflink.datastream.state import ValueStateDescriptor
from pyflink.table import StreamTableEnvironment

from deploy.local.jars import CONNECTOR
from deploy.local.layout import Layout
from operators.settings import load_settings
from pipelines.reference_jobs.work import Contest, Work, read_contest

EVENTS = """CREATE TEMPORARY TABLE events (`key` STRING, `value` BYTES, `time` TIMESTAMP(3) METADATA FROM 'timestamp' VIRTUAL) WITH (
    'connector' = 'kafka', 'topic' = '{source}', 'properties.bootstrap.servers' = '{bootstrap}',
    'properties.group.id' = '{group}', 'scan.startup.mode' = 'earliest-offset',
    'key.format' = 'raw', 'key.fields' = 'key', 'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY')"""
LISTS = """CREATE TEMPORARY TABLE lists (`key` BYTES, `value` BYTES) WITH (
    'connector' = 'kafka', 'topic' = '{target}', 'properties.bootstrap.servers' = '{bootstrap}',
    'key.format' = 'raw', 'key.fields' = 'key', 'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY')"""
BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
LIST = Types.ROW_NAMED(["key", "value"], [BYTES, BYTES])


class Refresh(KeyedProcessFunction):  # type: ignore[misc]
    """Keeps a user's state and makes their lists."""

    def __init__(self, bundle: str) -> None:
        self._bundle = bundle

    def open(self, runtime_context: RuntimeContext) -> None:
        """Loads the model; runs in a Python process beside the JVM."""
        self._work = Work(Path(self._bundle))
        self._state = runtime_context.get_state(ValueStateDescriptor("user", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: Row, ctx: KeyedProcessFunction.Context) -> Iterator[Row]:
        """Applies one event; yields the user's new list."""
        broker_ms = int(value[2].timestamp() * 1000)
        state, request = self._work.apply(value[0], bytes(value[1]), broker_ms, self._state.value())
        self._state.update(state)
        if request is not None:
            yield from (Row(*record) for record in self._work.make([request]))


def configuration_of(jar: Path) -> Configuration:
    """Flink's and PyFlink's defaults, with Liveshelf's checkpoint interval."""
    configuration = Configuration()
    for name, value in {
        "parallelism.default": "1",
        "execution.checkpointing.interval": "5 s",
        "pipeline.jars": jar.as_uri(),
        "python.executable": sys.executable,
        "python.client.executable": sys.executable,
    }.items():
        configuration.set_string(name, value)
    return configuration


def run(contest: Contest, jar: Path) -> Any:
    """Runs the job until it is killed."""
    environment = StreamExecutionEnvironment.get_execution_environment(configuration_of(jar))
    tables = StreamTableEnvironment.create(environment)
    names = {name: getattr(contest, name) for name in ("source", "target", "bootstrap", "group")}
    for ddl in (EVENTS, LISTS):
        tables.execute_sql(ddl.format(**names))
    events = tables.to_data_stream(tables.from_path("events"))
    lists = events.key_by(lambda event: event[0]).process(Refresh(contest.bundle), output_type=LIST)
    tables.create_temporary_view("refreshed", tables.from_data_stream(lists))
    return tables.execute_sql("INSERT INTO lists SELECT * FROM refreshed").wait()


if __name__ == "__main__":
    run(read_contest(sys.argv[1]), Layout.of(load_settings()).jars / CONNECTOR)
