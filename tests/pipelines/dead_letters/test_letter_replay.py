"""Dead letters put back: filtered, repaired, checked, each once."""

import json
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kafka.errors import KafkaError, KafkaTimeoutError, ProducerFencedError

from operators.configuration.shop_settings import EventSettings
from operators.errors import BadRecord, BrokerError
from operators.records.contracts import ERASURES, EVENTS, RECEIPTS, ReplayReceipt, encode_record
from operators.records.dead_letter import Letter, id_text
from operators.records.event_decode import EventDecoder
from operators.records.record_repairs import ALL, Repairs
from operators.settings import KafkaSettings
from operators.time_units import DAY_MS
from pipelines.dead_letters import replay_ledger
from pipelines.dead_letters.dead_letters import Choice, letters_of_file, write_letters
from pipelines.dead_letters.letter_replay import BATCH, Judge, Outgoing, Replay, replay
from pipelines.dead_letters.replay_ledger import KafkaLedger, Memory, read_memory
from tests.bad_records import bad_events, good_event
from tests.builders import NOW_MS


def letter(number: int, value: bytes | None, key: bytes | None = b"u1", topic: str = EVENTS, **fields: Any) -> Letter:
    values = {"at_ms": NOW_MS, "reason": "not_json", "message": ""} | fields
    return Letter(id=number, topic=topic, partition=0, offset=number, key=key, value=value, **values)


def event(number: int, **fields: Any) -> bytes:
    return json.dumps(good_event(event_id=f"e{number}") | fields).encode()


class Ledger(Memory):
    """Keeps batches; `fails_at`: number of the batch that the broker refuses."""

    def __init__(self, *earlier: int, fails_at: int = -1) -> None:
        super().__init__(array("Q", earlier))
        self.batches: list[list[Outgoing]] = []
        self._fails_at = fails_at

    def put_back(self, batch: list[Outgoing]) -> None:
        if len(self.batches) == self._fails_at:
            raise BrokerError("a broker", "none", "wait")
        self.batches.append(list(batch))
        super().put_back(batch)

    @property
    def sent(self) -> list[Outgoing]:
        return [record for batch in self.batches for record in batch]


def run(
    letters: list[Letter], ledger: Ledger, *fixes: str, choice: Choice = Choice(), now_ms: int = NOW_MS, **options: Any
) -> Replay:
    result = options.pop("result", None) or Replay()
    judge = Judge(EventSettings(), Repairs(frozenset(fixes)))
    replay(letters, choice.takes, judge, ledger, lambda: now_ms, result=result, **options)
    return result


def test_a_thousand_letters_are_put_back_once() -> None:
    letters = [letter(number, event(number, item_id=f" i{number}\x01"), reason="bad_id") for number in range(1000)]
    ledger = Ledger()
    first_run = run(letters + letters[:10], ledger, "blanks")
    assert (first_run.read, first_run.chosen, first_run.put_back, first_run.done_before) == (1010, 1010, 1000, 10), (
        "a job may write one twice"
    )
    assert first_run.repaired == {"blanks": 1000} and not first_run.refused
    assert [len(batch) for batch in ledger.batches] == [BATCH, BATCH]
    second_run = run(letters, ledger, "blanks")
    assert (second_run.put_back, second_run.done_before) == (0, 1000)
    assert len(ledger.sent) == 1000


def test_the_next_run_continues_after_a_failed_one() -> None:
    letters = [letter(number, event(number)) for number in range(2 * BATCH + 1)]
    ledger, result = Ledger(fails_at=1), Replay()
    with pytest.raises(BrokerError):
        run(letters, ledger, result=result)
    assert result.put_back == BATCH, "what stands there was committed"
    ledger._fails_at = -1
    second_run = run(letters, ledger)
    assert (second_run.done_before, second_run.put_back) == (BATCH, BATCH + 1)
    assert sorted(record.letter for record in ledger.sent) == list(range(2 * BATCH + 1))


def test_a_record_that_the_job_accepts_goes_back_unchanged_whatever_the_fixes() -> None:
    value = event(1, item_id=" i1 ", extra=1)
    ledger = Ledger()
    result = run([letter(1, value, key=None, reason="internal_error")], ledger, *ALL)
    assert (ledger.sent[0].value, ledger.sent[0].key) == (value, b"u1")
    assert not result.repaired


def test_what_would_be_refused_again_is_not_sent_but_counted_with_its_reason() -> None:
    bad = bad_events()
    ledger = Ledger()
    result = run([letter(n, value, key.encode()) for n, (_, key, value, _) in enumerate(bad)], ledger)
    assert ledger.sent == [] and result.refused.total() == len(bad)
    assert all(result.refused[reason] for _, _, _, reason in bad)
    assert result.refused_letters[0] == (f"{EVENTS}-0-0", "null_value", "a null value")


def test_the_job_accepts_what_is_put_back() -> None:
    """Each kind of bad record, with all repairs."""
    letters = [letter(n, value, key.encode()) for n, (_, key, value, _) in enumerate(bad_events())]
    ledger, later = Ledger(), NOW_MS + 60_000
    result = run(letters, ledger, *ALL, now_ms=later)
    decoder = EventDecoder(EventSettings())
    for record in ledger.sent:
        decoded = decoder.decode((record.key or b"").decode(), record.value, later)
        assert int(decoded.event_time) <= NOW_MS
    assert result.put_back == len(ledger.sent) > 15
    assert result.put_back + result.refused.total() == len(letters)
    assert all(result.repaired[fix] for fix in ("blanks", "event-id", "key", "time", "last-key", "nan", "latin1"))


def test_an_event_that_became_too_old_since_says_so_and_a_fix_gives_it_the_letters_time() -> None:
    now_ms, ledger = NOW_MS + 4 * DAY_MS, Ledger()
    letters = [letter(1, event(1, event_time=NOW_MS - 4 * DAY_MS), reason="internal_error")]
    assert run(letters, ledger, now_ms=now_ms).refused == {"event_time_too_old": 1}
    assert run(letters, ledger, "time", now_ms=now_ms).put_back == 1
    assert json.loads(ledger.sent[0].value)["event_time"] == NOW_MS


def test_a_letter_that_is_too_old_itself_is_not_made_younger() -> None:
    result = run([letter(1, event(1))], Ledger(), "time", now_ms=NOW_MS + 8 * DAY_MS)
    assert result.refused == {"event_time_too_old": 1}, "its user may have been erased in the meantime"


def test_an_event_that_was_stamped_ahead_is_not_later_than_its_letter() -> None:
    ledger = Ledger()
    run([letter(1, event(1, event_time=NOW_MS + DAY_MS))], ledger, now_ms=NOW_MS + 3 * DAY_MS)
    assert json.loads(ledger.sent[0].value)["event_time"] == NOW_MS, "an erasure since must reach it"


def test_an_erasure_goes_back_to_its_topic() -> None:
    ledger = Ledger()
    choice = Choice(topics=frozenset((ERASURES,)))
    letters = [letter(1, b'{"user_id":" u1"}', topic=ERASURES), letter(2, event(2))]
    letters.append(letter(3, b'{"user_id":"u1"}', b"u2", topic=ERASURES))
    result = run(letters, ledger, "blanks", choice=choice)
    assert [(record.topic, json.loads(record.value)) for record in ledger.sent] == [(ERASURES, {"user_id": "u1"})]
    assert (result.read, result.chosen, result.refused) == (3, 2, {"key_mismatch": 1})


def test_letters_are_chosen_by_reason_topic_and_time_and_no_more_than_the_limit() -> None:
    letters = [letter(n, event(n), at_ms=NOW_MS + n, reason="internal_error" if n % 2 else "bad_id") for n in range(10)]
    ledger = Ledger()
    choice = Choice(frozenset(("internal_error",)), frozenset((EVENTS,)), NOW_MS + 2, NOW_MS + 9)
    assert run(letters, ledger, choice=choice, limit=2).put_back == 2
    assert [record.letter for record in ledger.sent] == [3, 5]
    assert run(letters, ledger, choice=choice).done_before == 2
    assert [record.letter for record in ledger.sent] == [3, 5, 7]


def test_a_file_that_was_repaired_by_hand_counts_as_the_letters_that_it_came_from(tmp_path: Path) -> None:
    file, ledger = tmp_path / "letters.jsonl", Ledger()
    letters = [letter(number, b"view,u1,i1") for number in range(3)]
    assert write_letters(letters, Choice().takes, file, 2) == 2
    lines = [json.loads(line) | {"value": good_event(event_id="mine", item_id="i7")} for line in file.open()]
    file.write_text("".join(json.dumps(line) + "\n\n" for line in [*lines, lines[0]]))
    result = run([*letters_of_file(file)], ledger)
    assert (result.put_back, result.done_before, result.refused) == (2, 1, {})
    assert run(letters, ledger).done_before == 2, "the topic has them still"


def test_a_failed_export_leaves_no_file(tmp_path: Path) -> None:
    def fails() -> Iterator[Letter]:
        yield letter(1, b"view,u1,i1")
        raise BrokerError("the broker", "nothing", "wait")

    with pytest.raises(BrokerError):
        write_letters(fails(), Choice().takes, tmp_path / "letters.jsonl", None)
    assert not [*tmp_path.iterdir()], "it holds what shoppers did"


class Producer:
    """Records calls; `refuses`: the error of each further record."""

    def __init__(self) -> None:
        self.acts: list[Any] = []
        self.refuses: Exception | None = None

    def __call__(self, settings: KafkaSettings, **options: Any) -> "Producer":
        self.options = options
        return self

    def __getattr__(self, name: str) -> Any:
        return lambda **_: self.acts.append(name)

    def send(self, topic: str, key: bytes | None, value: bytes) -> Any:
        self.acts.append((topic, key, value))
        return self

    def get(self, seconds: float) -> None:
        assert seconds > 0
        if self.refuses is not None:
            raise self.refuses


@pytest.fixture
def producer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Producer]:
    fake_producer = Producer()
    monkeypatch.setattr(replay_ledger, "new_producer", fake_producer)
    monkeypatch.setattr(replay_ledger, "read_memory", lambda settings: Memory(array("Q", [5])))
    return fake_producer


FENCED_IN_TEXT = KafkaError(f"in an error state: {ProducerFencedError()}")
RECORDS = [Outgoing(2**64 - 1, EVENTS, b"u1", b"{}"), Outgoing(7, EVENTS, b"u2", b"{}")]


def test_records_and_receipt_are_one_transaction(producer: Producer) -> None:
    ledger = KafkaLedger(KafkaSettings())
    ledger.put_back(RECORDS)
    begin, *records, (topic, key, value), commit = producer.acts[1:]
    assert (producer.acts[0], begin, commit) == ("init_transactions", "begin_transaction", "commit_transaction")
    assert records == [(EVENTS, b"u1", b"{}"), (EVENTS, b"u2", b"{}")]
    assert (topic, key) == (RECEIPTS, ledger.replay_id.encode())
    assert json.loads(value)["letters"] == ["f" * 16, "0" * 15 + "7"]
    assert [ledger.knows(letter) for letter in (5, 6, 7, 2**64 - 1)] == [True, False, True, True]


@pytest.mark.parametrize(
    "error", [ProducerFencedError(), FENCED_IN_TEXT, KafkaTimeoutError("15 s"), KeyboardInterrupt()]
)
def test_a_transaction_that_fails_is_given_up_and_nothing_is_remembered(producer: Producer, error: Any) -> None:
    ledger = KafkaLedger(KafkaSettings())
    producer.refuses = error
    with pytest.raises(BrokerError if isinstance(error, Exception) else KeyboardInterrupt) as raised:
        ledger.put_back(RECORDS)
    assert producer.acts[-1] == "abort_transaction" and "commit_transaction" not in producer.acts
    assert not ledger.knows(7)
    assert ("only replay" in str(raised.value)) == (error is FENCED_IN_TEXT or isinstance(error, ProducerFencedError))


def test_the_memory_is_read_from_all_receipts_when_none_of_them_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    acts: list[Any] = []
    receipts = [ReplayReceipt(replay_id=f"r{n}", done_at=n, letters=[id_text(n), id_text(2**63 + n)]) for n in (9, 3)]
    values = [
        *map(encode_record, receipts),
        b'{"erasure_id":"e","found":true}',
        b"",
        None,
        b'{"replay_id":"r","done_at":1,"letters":["-000000000000001"]}',
    ]

    class Reader:
        def __init__(self, settings: KafkaSettings) -> None:
            pass

        def wait_until_committed(self, topics: Any) -> None:
            acts.append(topics)

        def records(self, topic: str, start: Any) -> Any:
            acts.append(topic)
            return [SimpleNamespace(value=value) for value in values]

        def close(self) -> None:
            acts.append("closed")

    monkeypatch.setattr(replay_ledger, "TopicReader", Reader)
    memory = read_memory(KafkaSettings())
    assert [n for n in range(12) if memory.knows(n)] == [3, 9]
    assert memory.knows(2**63 + 3)
    assert acts == [(RECEIPTS,), RECEIPTS, "closed"]


def test_the_judge_says_what_the_job_would_say_of_the_repaired_record() -> None:
    judge = Judge(EventSettings(), Repairs(frozenset(("key",))))
    with pytest.raises(BadRecord) as raised:
        judge.judge(letter(1, event(1, event_type="teleport"), b"u2"), NOW_MS)
    assert raised.value.reason == "unknown_event_type"
