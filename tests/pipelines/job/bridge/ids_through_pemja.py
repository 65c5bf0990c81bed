"""A small job in a JVM of its own: ids go the way that the refresh operator gives them, and come back as bytes.

Run by `test_ids_through_pemja.py` with a file of keys (base64, one a line) and one of users of records without key
(JSON, one a line); prints what each way gave.
"""

import json
import sys
from base64 import b64decode, b64encode
from pathlib import Path

from operators.records.event_decode import key_bytes
from operators.refresh.refresh_records import BatchActions, Output
from pipelines.job.batch_messages import Message
from tests.pipelines.job.bridge.batch_function import BatchFunction
from tests.pipelines.job.bridge.small_job import outputs_of


class Echo(BatchFunction):
    """As the job's own function: reads record and key, keeps the bytes in the key's state, and finds them by a timer."""

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


def marked(key: bytes) -> bytes:
    """A state begins with the number of its layout."""
    return b"\x02" + key


def main(keys: Path, users: Path) -> None:
    ids, bodies = [b64decode(line) for line in keys.read_text().split()], users.read_text().splitlines()
    records = [(one, b"{}") for one in ids]
    records += [(None, json.dumps({"user_id": user}).encode()) for user in map(json.loads, bodies)]
    for way, user, keyed in outputs_of(Echo(), records):
        row = [way, b64encode(user).decode(), keyed == b"True"]
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
