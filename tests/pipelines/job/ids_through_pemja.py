"""A small job in a JVM of its own: ids go the way that the refresh operator gives them, and come back as bytes.

Run by `test_ids_through_pemja.py` with a file of keys (base64, one a line) and one of users of records without key
(JSON, one a line); prints what each way gave.
"""

import json
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from pyflink.common import Configuration, Row, Types
from pyflink.datastream import KeyedProcessFunction, StreamExecutionEnvironment
from pyflink.datastream.state import ValueStateDescriptor
from pyflink.table import StreamTableEnvironment

from operators.configuration.shop_settings import EventSettings
from operators.records.event_decode import key_bytes
from pipelines.job.recommend import BYTES, INPUT, key_by_first_field
from pipelines.job.refresh_function import user_of
from pipelines.job.tables import input_query


class Echo(KeyedProcessFunction):  # type: ignore[misc]
    """As the refresh operator: reads record and key, keeps the bytes in the key's state, and finds them by a timer."""

    def open(self, runtime_context: Any) -> None:
        self._state = runtime_context.get_state(ValueStateDescriptor("seen", Types.PICKLED_BYTE_ARRAY()))

    def process_element(self, value: Any, ctx: Any) -> Any:
        assert key_bytes(user_of(ctx.get_current_key())) == value[0]
        assert self._state.value() is None, "two ids share a state"
        self._state.update(value[0])
        ctx.timer_service().register_processing_time_timer(ctx.timer_service().current_processing_time() + 1)
        return [Row("record", value[0], value[6])]

    def on_timer(self, timestamp: int, ctx: Any) -> Any:
        user = key_bytes(user_of(ctx.get_current_key()))
        assert self._state.value() == user
        return [Row("timer", user, True)]


def main(keys: Path, users: Path) -> None:
    ids, bodies = [b64decode(line) for line in keys.read_text().split()], users.read_text().splitlines()
    rows = [Row(one, b"{}") for one in ids]
    rows += [Row(None, json.dumps({"user_id": user}).encode()) for user in map(json.loads, bodies)]
    configuration = Configuration()
    configuration.set_string("python.execution-mode", "thread")
    configuration.set_string("parallelism.default", "1")
    environment = StreamExecutionEnvironment.get_execution_environment(configuration)
    tables = StreamTableEnvironment.create(environment)
    given = environment.from_collection(rows, Types.ROW_NAMED(["key", "value"], [BYTES, BYTES]))
    tables.create_temporary_view("given", tables.from_data_stream(given))
    tables.create_temporary_view(
        "events",
        tables.sql_query(
            "SELECT `key`, `value`, 'topic' AS `topic`, 1 AS `partition`, CAST(2 AS BIGINT) AS `offset`, "
            "TO_TIMESTAMP_LTZ(1760000000000, 3) AS `broker_time` FROM given"
        ),
    )
    records = tables.to_append_stream(tables.sql_query(input_query("events", EventSettings())), INPUT)
    echoed = key_by_first_field(records).process(
        Echo(), Types.ROW_NAMED(["way", "id", "keyed"], [Types.STRING(), BYTES, Types.BOOLEAN()])
    )
    for way, one, keyed in echoed.execute_and_collect():
        print(json.dumps([way, b64encode(bytes(byte % 256 for byte in one)).decode(), keyed]), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
