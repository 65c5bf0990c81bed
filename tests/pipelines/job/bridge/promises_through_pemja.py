"""A small job whose function sets promises, moves them and keeps them; prints whose promise fired. Run by
`test_promises_through_pemja.py`."""

import time

from operators.records.event_decode import key_bytes
from operators.refresh.refresh_records import BatchActions, Output
from pipelines.job.batch_messages import Message
from tests.pipelines.job.bridge.batch_function import BatchFunction
from tests.pipelines.job.bridge.small_job import outputs_of

PAUSE_S = 0.1


class Promising(BatchFunction):
    """Does what the value of a record says; `pause` lets time pass, for the timers to fire before the next record."""

    def on_batch(self, message: bytes) -> bytes:
        batch, actions = Message(message, 0, self._recent), BatchActions()
        for user, _, record, _ in batch.turns:
            if record is None:
                actions.outputs.append(Output("fired", key_bytes(user), b"", {}))
            elif record.value == b"pause":
                time.sleep(PAUSE_S)
            elif record.value == b"keep":
                actions.keep(user)
            else:
                assert record.value is not None
                actions.kept.pop(user, None)
                actions.promises[user] = int(record.value)
        return batch.answer(actions)


def main() -> None:
    records = [
        (b"once", b"200"),
        (b"moved", b"200"),
        (b"kept", b"200"),
        (b"again", b"200"),
        (b"\xff kept", b"200"),
        (b"nobody", b"pause"),
        (b"moved", b"700"),
        (b"kept", b"keep"),
        (b"again", b"keep"),
        (b"\xff kept", b"keep"),
        (b"nobody", b"pause"),
        (b"again", b"300"),
        *[(b"nobody", b"pause")] * 14,
    ]
    for kind, user, _ in outputs_of(Promising(), records, batch=1):
        print(f"{kind}: {user!r}", flush=True)


if __name__ == "__main__":
    main()
