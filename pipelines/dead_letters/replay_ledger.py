"""Receipts of replayed dead letters: one transaction holds the records and their receipt."""

import contextlib
import threading
import time
from array import array
from bisect import bisect_left

import msgspec
from kafka.errors import InvalidProducerEpochError, KafkaError

from operators.errors import BrokerError
from operators.kafka_io.broker_errors import broker_error
from operators.kafka_io.kafka_clients import broker_errors, new_producer
from operators.records.contracts import RECEIPTS, ReplayReceipt, encode_record
from operators.records.dead_letter import id_of, id_text
from operators.settings import KafkaSettings
from pipelines.dead_letters.letter_replay import Outgoing
from pipelines.topics.topic_reader import TopicReader

TRANSACTIONAL_ID = "liveshelf-replay"
# A run that dies in a transaction blocks the readers of its partitions for this long, and for up to 10 s more until the
# broker checks for timeouts.
TRANSACTION_MS = 15_000
ABORT_SECONDS = 5.0
_decode = msgspec.json.Decoder(ReplayReceipt).decode


class Memory:
    """Ids of replayed letters: 8 bytes each for earlier runs, a set for this run."""

    def __init__(self, earlier: "array[int]") -> None:
        self._earlier = array("Q", sorted(earlier))
        self._new: set[int] = set()

    def knows(self, letter: int) -> bool:
        """Whether the letter was put back."""
        index = bisect_left(self._earlier, letter)
        return letter in self._new or (index < len(self._earlier) and self._earlier[index] == letter)

    def put_back(self, batch: list[Outgoing]) -> None:
        """Remembers the letters; sends nothing."""
        self._new.update(outgoing.letter for outgoing in batch)


def read_memory(settings: KafkaSettings) -> Memory:
    """Reads all receipts. Raises `BrokerError`.

    Waits for open transactions, which an exactly-once job has on this topic too: they hide the receipts after them.
    """
    earlier = array("Q")
    with contextlib.closing(TopicReader(settings)) as reader, broker_errors(settings):
        reader.wait_until_committed((RECEIPTS,))
        for record in reader.records(RECEIPTS, {}):
            with contextlib.suppress(msgspec.MsgspecError, ValueError):  # an erasure's receipt, which has no letters
                earlier.extend([*map(id_of, _decode(record.value or b"").letters)])
    return Memory(earlier)


class KafkaLedger:
    """A ledger on the broker, for one run at a time: a new run fences off the earlier one, then reads its receipts."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Raises `BrokerError`."""
        self._settings = settings
        self.replay_id = f"replay-{time.time_ns()}"
        self._producer = new_producer(
            settings,
            transactional_id=TRANSACTIONAL_ID,
            transaction_timeout_ms=TRANSACTION_MS,
            max_block_ms=10_000,
        )
        try:
            with broker_errors(settings):
                self._producer.init_transactions()
            self._memory = read_memory(settings)
        except BaseException:
            self.close()
            raise

    def knows(self, letter: int) -> bool:
        """As `letter_replay.Ledger`."""
        return self._memory.knows(letter)

    def put_back(self, batch: list[Outgoing]) -> None:
        """As `letter_replay.Ledger`."""
        try:
            self._producer.begin_transaction()
            self._send(batch)
            self._producer.commit_transaction()
        except BaseException as error:
            self._abort()
            if isinstance(error, KafkaError):
                raise self._refusal(error) from error
            raise
        self._memory.put_back(batch)

    def close(self) -> None:
        """Closes the producer."""
        self._producer.close(timeout=5)

    def _send(self, batch: list[Outgoing]) -> None:
        receipt = ReplayReceipt(
            replay_id=self.replay_id,
            done_at=time.time_ns() // 1_000_000,
            letters=[id_text(outgoing.letter) for outgoing in batch],
        )
        records = [(outgoing.topic, outgoing.key, outgoing.value) for outgoing in batch]
        records.append((RECEIPTS, self.replay_id.encode(), encode_record(receipt)))
        futures = [self._producer.send(topic, key=key, value=value) for topic, key, value in records]
        deadline = time.monotonic() + TRANSACTION_MS / 1000
        for future in futures:
            future.get(max(0.0, deadline - time.monotonic()))

    def _abort(self) -> None:
        """Aborts, so that readers go on at once. Waits at most `ABORT_SECONDS`: without a broker the abort never returns."""

        def abort() -> None:
            with contextlib.suppress(KafkaError):
                self._producer.abort_transaction()

        aborting = threading.Thread(target=abort, daemon=True)
        aborting.start()
        aborting.join(ABORT_SECONDS)

    def _refusal(self, error: KafkaError) -> BrokerError:
        # kafka-python may name the fencing only in the text of another error
        is_fenced = isinstance(error, InvalidProducerEpochError) or "fenced" in repr(error).lower()
        if not is_fenced:
            return broker_error(error, self._settings.client_options())
        return BrokerError(
            "to be the only replay",
            f"{type(error).__name__}: another one began, or the broker was silent for {TRANSACTION_MS // 1000} s",
            "wait for the other one and run this again: it goes on with what is left",
        )
