"""The job: events and erasures -> keyed state and scorer -> lists and dead letters; where `feedback.enabled` is set
impressions and outcomes of lists -> feedback join -> examples, and where `demand.enabled` is set events -> counts of items.
`liveshelf submit` runs it."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pyflink.common import Configuration, Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.data_stream import _create_j_data_stream_python_function_info
from pyflink.fn_execution import flink_fn_execution_pb2
from pyflink.java_gateway import get_gateway
from pyflink.util.java_utils import get_j_env_configuration, to_jarray

from operators.demand.item_counts import HalfLives
from operators.feedback.join_limits import Windows
from operators.settings import Settings
from operators.time_units import DAY_MS
from pipelines.job import demand_messages, feedback_messages
from pipelines.job.connectors import (
    EXAMPLES_SINK,
    ITEMS_SINK,
    SINKS,
    SOURCE_TOPICS,
    Sink,
    SourceTopic,
    kafka_sink,
    kafka_source,
)
from pipelines.job.engine import DEMAND_UID, FEEDBACK_UID, STATE_UID, flink_options
from pipelines.job.java_names import known_names, refuse_mistyped

BRIDGE = Path(__file__).resolve().parent / "bridge" / "liveshelf-bridge.jar"
BYTES = Types.PRIMITIVE_ARRAY(Types.BYTE())
KEY = Types.ROW([Types.STRING()])
OUTPUT = Types.ROW_NAMED(
    ["kind", "key", "value", "headers"], [Types.STRING(), BYTES, BYTES, Types.MAP(Types.STRING(), BYTES)]
)
SOURCE_FIELDS = 6  # that `SourceRecords` packs: those of `batch_messages.Entry` from `value` on
# examples are in no hurry, and the join must not hold up lists for long
FEEDBACK_ENTRIES, FEEDBACK_LINGER_MS = 64, 50
DEMAND_ENTRIES, DEMAND_LINGER_MS = 256, 200  # a thread of its own, which takes the interpreter's lock seldom


class Batching(NamedTuple):
    """How a keyed operator gathers its batches, and keeps its states. Fields as in `BatchedOperator.java`."""

    name: str
    state_name: str
    entries: int
    linger_ms: int
    time_to_live_ms: int
    record_fields: int
    remembers: bool


class Shipped:
    """Runs a class of `pipelines.job` from the code that this submission shipped.

    A TaskManager's interpreter outlives jobs and keeps the modules of the first one. This class is pickled by value
    (it lives in `__main__`), finds the newest shipped folder on the path and loads the kernel anew from there.
    """

    def __init__(self, module: str, name: str, settings: dict[str, Any], ship: str, python: str) -> None:
        self._module, self._name = module, name
        self._settings = settings
        self._ship = ship
        self._python = python

    def open(self, subtask: int) -> None:
        import sys
        import threading
        from importlib import import_module
        from pathlib import Path

        # operators with threads of their own open at the same time, in one interpreter
        with sys.__dict__.setdefault("liveshelf_opening", threading.Lock()):
            code = next(Path(entry) for entry in sys.path if (Path(entry) / self._ship).is_file())
            rooms = ("operators", "pipelines")
            for name in [n for n in [*sys.modules] if n.split(".")[0] in rooms]:
                if not str(getattr(sys.modules[name], "__file__", "")).startswith(str(code)):
                    del sys.modules[name]
            sys.path.insert(0, str(code))
            settings = import_module("operators.settings").Settings.of_dump(self._settings)
            function = getattr(import_module(f"pipelines.job.{self._module}"), self._name)
        self._inner = function(settings, code, self._python)
        self._inner.open(subtask)
        self.on_batch = self._inner.on_batch
        self.wake_up_descriptor = self._inner.wake_up_descriptor

    def close(self) -> None:
        if inner := self.__dict__.pop("_inner", None):
            inner.close()


def build(settings: Settings, ship: str) -> StreamExecutionEnvironment:
    """The whole graph, ready to execute. All of it is Java but `Shipped`."""
    configuration = Configuration()
    for name, value in flink_options(settings).items():
        configuration.set_string(name, value)
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    environment.add_jars(BRIDGE.as_uri())
    refuse_mistyped(settings.kafka, known_names(get_gateway().jvm))
    records = keyed([source_stream(environment, source, settings) for source in SOURCE_TOPICS])
    job = (settings.shipped(), ship, settings.job.python)
    refresh = Shipped("refresh_function", "RefreshFunction", *job)
    outputs = batched(environment, records, refresh, refresh_batching(settings)).uid(STATE_UID)
    for sink in SINKS:
        write(outputs, sink, settings)
    if settings.feedback.enabled:
        join = Shipped("feedback_function", "FeedbackFunction", *job)
        entries = keyed_as_it_is(entries_of(outputs, "feedback"))
        examples = batched(environment, entries, join, feedback_batching(settings)).uid(FEEDBACK_UID)
        write(examples, EXAMPLES_SINK, settings)
    if settings.demand.enabled:
        demand = Shipped("demand_function", "DemandFunction", *job)
        entries = keyed([entries_of(outputs, "demand")])
        items = batched(environment, entries, demand, demand_batching(settings)).uid(DEMAND_UID)
        write(items, ITEMS_SINK, settings)
    return environment


def refresh_batching(settings: Settings) -> Batching:
    """Of the operator that refreshes lists."""
    job = settings.job
    time_to_live_ms = round(job.state_ttl_days * DAY_MS)
    return Batching("refresh", "user", job.batch_entries, job.batch_linger_ms, time_to_live_ms, SOURCE_FIELDS, True)


def feedback_batching(settings: Settings) -> Batching:
    """Of the feedback join."""
    time_to_live_ms = Windows.of(settings.feedback, settings.lists.ttl_hours).time_to_live_ms
    return Batching(
        "feedback", "feedback", FEEDBACK_ENTRIES, FEEDBACK_LINGER_MS, time_to_live_ms, feedback_messages.FIELDS, False
    )


def demand_batching(settings: Settings) -> Batching:
    """Of the demand operator."""
    time_to_live_ms = HalfLives.of(settings.demand).time_to_live_ms
    return Batching(
        "demand", "demand", DEMAND_ENTRIES, DEMAND_LINGER_MS, time_to_live_ms, demand_messages.FIELDS, False
    )


def entries_of(outputs: Any, kind: str) -> Any:
    """What the refresh operator tells an operator behind it, as a Java stream: its outputs of that kind."""
    jvm, pair = get_gateway().jvm, Types.TUPLE([BYTES, BYTES]).get_java_type_info()
    entries = outputs.flatMap(jvm.org.liveshelf.bridge.EntriesOf(kind), pair)
    return entries.uid(f"{kind}-entries").name(f"{kind} entries")


def keyed_as_it_is(entries: Any) -> Any:
    """A Java stream whose entries each belong to a user of the subtask that makes them, as a keyed stream: nothing crosses
    the network, and both operators run in one thread."""
    jvm = get_gateway().jvm
    utils = jvm.org.apache.flink.streaming.api.datastream.DataStreamUtils
    return utils.reinterpretAsKeyedStream(entries, jvm.org.liveshelf.bridge.UserKey(), KEY.get_java_type_info())


def source_stream(environment: StreamExecutionEnvironment, source: SourceTopic, settings: Settings) -> Any:
    """The records of a topic as a Java stream."""
    jvm = get_gateway().jvm
    no_watermarks = jvm.org.apache.flink.api.common.eventtime.WatermarkStrategy.noWatermarks()
    stream = environment._j_stream_execution_environment.fromSource(
        kafka_source(jvm, source, settings), no_watermarks, source.name
    )
    return stream.uid(source.name).setUidHash(source.former_id)


def write(outputs: Any, sink: Sink, settings: Settings) -> None:
    """Has a sink write its kinds of a Java stream of outputs."""
    jvm = get_gateway().jvm
    if not sink.former_writer_id:
        outputs.sinkTo(kafka_sink(jvm, sink, settings)).uid(sink.name).name(sink.name)
        return
    former_ids = jvm.org.apache.flink.streaming.api.datastream.CustomSinkOperatorUidHashes.builder()
    former_ids.setWriterUidHash(sink.former_writer_id).setCommitterUidHash(sink.former_committer_id)
    outputs.sinkTo(kafka_sink(jvm, sink, settings), former_ids.build()).uid(sink.name).name(sink.name)


def keyed(streams: Sequence[Any]) -> Any:
    """Java streams united and keyed by their first field, the id of a user or item. The key's type is part of the state's
    identity."""
    jvm = get_gateway().jvm
    first, *others = streams
    united = first.union(to_jarray(jvm.org.apache.flink.streaming.api.datastream.DataStream, others))
    return united.keyBy(jvm.org.liveshelf.bridge.UserKey(), KEY.get_java_type_info())


def batched(environment: StreamExecutionEnvironment, users: Any, function: Shipped, batching: Batching) -> Any:
    """An operator of `BRIDGE`, which calls `function` once for a batch of records and timers; `users`: a KeyedStream of
    Java."""
    kind = flink_fn_execution_pb2.UserDefinedDataStreamFunction.KEYED_PROCESS
    output, (name, *options) = OUTPUT.get_java_type_info(), batching
    operator = get_gateway().jvm.org.liveshelf.bridge.BatchedOperator(
        get_j_env_configuration(environment._j_stream_execution_environment),
        _create_j_data_stream_python_function_info(function, kind),
        output,
        *options,
    )
    return users.transform(name, output, operator)


def main() -> None:
    """Arguments: a JSON file with the settings, and the name of the marker file of the shipped code."""
    settings_file, ship = sys.argv[1:3]
    settings = Settings.of_dump(json.loads(Path(settings_file).read_text()))
    client = build(settings, ship).execute_async(settings.job.name)
    print(f"JobID {client.get_job_id()}")


if __name__ == "__main__":
    main()
