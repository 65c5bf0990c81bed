"""The job: events and erasures -> keyed state and scorer -> lists and dead letters. `liveshelf submit` runs it."""

import json
import sys
from pathlib import Path
from typing import Any

from pyflink.common import Configuration, Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.data_stream import (
    DataStream,
    KeyedStream,
    _create_j_data_stream_python_function_info,
)
from pyflink.fn_execution import flink_fn_execution_pb2
from pyflink.java_gateway import get_gateway
from pyflink.table import StreamTableEnvironment
from pyflink.util.java_utils import get_j_env_configuration

from operators.records.contracts import ERASURES, EVENTS
from operators.settings import JobSettings, Settings
from operators.time_units import DAY_MS
from pipelines.job.engine import STATE_UID, flink_options
from pipelines.job.java_names import known_names, refuse_mistyped
from pipelines.job.tables import (
    INPUT_FIELDS,
    dead_letters_ddl,
    dead_letters_insert,
    input_query,
    lists_ddl,
    lists_insert,
    source_ddl,
)

BRIDGE = Path(__file__).resolve().parent / "bridge" / "liveshelf-bridge.jar"
BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
RECORD = Types.ROW_NAMED(
    list(INPUT_FIELDS), [BYTES, BYTES, Types.STRING(), Types.INT(), Types.LONG(), Types.LONG(), Types.BOOLEAN()]
)
INPUT = Types.ROW_NAMED(["by", "record"], [Types.STRING(), RECORD])
OUTPUT = Types.ROW_NAMED(
    ["kind", "key", "value", "headers"], [Types.STRING(), BYTES, BYTES, Types.MAP(Types.STRING(), BYTES)]
)


class Shipped:
    """Runs `pipelines.job.refresh_function` from the code that this submission shipped.

    A TaskManager's interpreter outlives jobs and keeps the modules of the first one. This class is pickled by value
    (it lives in `__main__`), finds the newest shipped folder on the path and loads the kernel anew from there.
    """

    def __init__(self, settings: dict[str, Any], ship: str, python: str) -> None:
        self._settings = settings
        self._ship = ship
        self._python = python

    def open(self, subtask: int) -> None:
        import sys
        from importlib import import_module
        from pathlib import Path

        code = next(Path(entry) for entry in sys.path if (Path(entry) / self._ship).is_file())
        rooms = ("operators", "pipelines")
        for name in [n for n in sys.modules if n.split(".")[0] in rooms]:
            if not str(getattr(sys.modules[name], "__file__", "")).startswith(str(code)):
                del sys.modules[name]
        sys.path.insert(0, str(code))
        settings = import_module("operators.settings").Settings.of_dump(self._settings)
        self._inner = import_module("pipelines.job.refresh_function").RefreshFunction(settings, code, self._python)
        self._inner.open(subtask)
        self.on_batch = self._inner.on_batch
        self.wake_up_descriptor = self._inner.wake_up_descriptor

    def close(self) -> None:
        if inner := self.__dict__.pop("_inner", None):
            inner.close()


def build(settings: Settings, ship: str) -> Any:
    """The whole graph as one statement set, ready to execute."""
    configuration = Configuration()
    for name, value in flink_options(settings).items():
        configuration.set_string(name, value)
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    environment.add_jars(BRIDGE.as_uri())
    tables = StreamTableEnvironment.create(environment)
    refuse_mistyped(settings.kafka, known_names(get_gateway().jvm))

    tables.execute_sql(lists_ddl("lists", settings.kafka, settings.job))
    tables.execute_sql(dead_letters_ddl("dead_letters", settings.kafka, settings.job))

    def records_of(table: str, topic: str) -> DataStream:
        tables.execute_sql(source_ddl(table, topic, settings.kafka, settings.job))
        return tables.to_append_stream(tables.sql_query(input_query(table, settings.events)), INPUT)

    # a union of streams, not of queries: each source stays chained up to the key's exchange, one hop less
    records = records_of("events", EVENTS).union(records_of("erasures", ERASURES))
    users = key_by_first_field(records)
    shipped = Shipped(settings.shipped(), ship, settings.job.python)
    refreshed = batched(environment, users, shipped, settings.job).uid(STATE_UID).name("refresh")
    tables.create_temporary_view("refreshed", tables.from_data_stream(refreshed))

    sinks = tables.create_statement_set()
    sinks.add_insert_sql(lists_insert("lists", "refreshed"))
    sinks.add_insert_sql(dead_letters_insert("dead_letters", "refreshed"))
    return sinks


def batched(
    environment: StreamExecutionEnvironment, users: KeyedStream, function: Shipped, settings: JobSettings
) -> DataStream:
    """The operator of `BRIDGE`, which calls `function` once for a batch of records and timers."""
    jvm = get_gateway().jvm
    kind = flink_fn_execution_pb2.UserDefinedDataStreamFunction.KEYED_PROCESS
    output = OUTPUT.get_java_type_info()
    operator = jvm.org.liveshelf.bridge.BatchedOperator(
        get_j_env_configuration(environment._j_stream_execution_environment),
        _create_j_data_stream_python_function_info(function, kind),
        users._j_data_stream.getTransformation().getOutputType(),
        output,
        settings.batch_entries,
        settings.batch_linger_ms,
        round(settings.state_ttl_days * DAY_MS),
    )
    return DataStream(users._j_data_stream.transform("refresh", output, operator))


def key_by_first_field(records: DataStream) -> KeyedStream:
    """Keyed by Flink's own Java selector: a Python lambda would be a hidden hop (160 us a record against 20)."""
    selector = get_gateway().jvm.KeyByKeySelector()
    key_type = Types.ROW([Types.STRING()])
    keyed = records._j_data_stream.keyBy(selector, key_type.get_java_type_info())
    return KeyedStream(keyed, RECORD, records)


def main() -> None:
    """Arguments: a JSON file with the settings, and the name of the marker file of the shipped code."""
    settings_file, ship = sys.argv[1:3]
    settings = Settings.of_dump(json.loads(Path(settings_file).read_text()))
    result = build(settings, ship).execute()
    print(f"JobID {result.get_job_client().get_job_id()}")


if __name__ == "__main__":
    main()
