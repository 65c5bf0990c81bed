"""A small job in a JVM of its own: ids go the way that the refresh operator gives them, and come back as bytes.

Run by `test_ids_through_pemja.py` with a file of keys (base64, one a line) and one of users of records without key
(JSON, one a line); prints what each way gave.
"""

import json
import os
import sys
import time
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

from pyflink.common import Configuration, Row, Types
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.datastream.data_stream import DataStream
from pyflink.table import StreamTableEnvironment

from operators.configuration.shop_settings import EventSettings
from operators.records.event_decode import key_bytes
from operators.refresh.refresh_records import BatchActions, Output
from operators.settings import JobSettings
from operators.shopper.recent_states import RecentStates
from pipelines.job.batch_messages import Message
from pipelines.job.recommend import BRIDGE, BYTES, INPUT, batched, key_by_first_field
from pipelines.job.tables import input_query


class Echo:
    """As the job's own function: reads record and key, keeps the bytes in the key's state, and finds them by a timer."""

    def open(self, subtask: int) -> None:
        self._pipe, self._recent = os.pipe(), RecentStates(100, time.monotonic)

    def wake_up_descriptor(self) -> int:
        return self._pipe[0]

    def on_batch(self, message: bytes) -> bytes:
        batch, actions = Message(message, 0, self._recent), BatchActions()
        for user, state, record, _ in batch.turns:
            key = key_bytes(user)
            if record is None:
                assert state == marked(key)
                actions.outputs.append(Output("timer", key, b"True", {}))
            else:
                assert state is None, "two ids share a state"
                actions.states[user], actions.promises[user] = marked(key), 1
                actions.outputs.append(Output("record", key, str(record.keyed).encode(), {}))
        return batch.answer(actions)

    def close(self) -> None:
        os.close(self._pipe[1])


def marked(key: bytes) -> bytes:
    """A state begins with the number of its layout."""
    return b"\x02" + key


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
    environment.add_jars(BRIDGE.as_uri())
    echoed = batched(environment, key_by_first_field(records), Echo(), JobSettings())
    for way, user, keyed, _ in DataStream(echoed._j_data_stream).execute_and_collect():
        row = [way, b64encode(text_bytes(user)).decode(), text_bytes(keyed) == b"True"]
        print(json.dumps(row), flush=True)


def text_bytes(java: Any) -> bytes:
    """A byte array as PyFlink gives it: numbers from -128 on."""
    return bytes(byte % 256 for byte in java)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
