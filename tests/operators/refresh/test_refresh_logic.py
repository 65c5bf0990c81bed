"""The operator's decisions with the real batcher on the test's thread and the known bundle."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from operators.configuration.shop_settings import EventSettings, ListSettings
from operators.lists.catalogue import Catalogue
from operators.lists.encoded_list import Encoded
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import EVENTS, Event
from operators.records.event_decode import EventDecoder
from operators.refresh.batch_scorer import LocalScorer
from operators.refresh.downstream import Downstream
from operators.refresh.exactly_once import Transactions
from operators.refresh.feedback_outputs import FeedbackOutputs
from operators.refresh.micro_batcher import MicroBatcher
from operators.refresh.refresh_logic import RefreshLogic
from operators.refresh.refresh_records import InputRecord, Output, Turn
from operators.settings import ScorerSettings
from tests.bad_records import good_event
from tests.builders import NOW_MS, write_bundle


class Sensors:
    def __init__(self) -> None:
        self.records: list[str] = []
        self.fallbacks: list[str] = []
        self.versions: list[int] = []
        self.own_errors: list[str] = []
        self.rewritten = 0

    def on_record(self, outcome: str) -> None:
        self.records.append(outcome)

    def on_dead_letter(self, reason: str) -> None:
        self.records.append(reason)

    def on_event(self, event: Event, version: int) -> None:
        self.versions.append(version)

    def on_lists(self, lists: Sequence[tuple[Encoded, Request]], emitted_s: float) -> None:
        self.records += [made.source for made, _ in lists]

    def on_fallback(self, cause: str) -> None:
        self.fallbacks.append(cause)

    def on_rewritten(self) -> None:
        self.rewritten += 1

    def on_own_error(self, where: str) -> None:
        self.own_errors.append(where)


class Operator:
    """RefreshLogic with the state and the promises that Flink would keep."""

    def __init__(
        self, folder: Path, transactions: Transactions | None = None, feedback: FeedbackOutputs | None = None
    ) -> None:
        self.transactions, self.feedback = transactions, feedback
        self.settings = ScorerSettings(provider="cpu", deadline_ms=500, max_waiting=2)
        bundle = ModelBundle.load(folder)
        scorer, catalogue = Scorer(bundle, self.settings), Catalogue(bundle.vocabulary, 0.5)
        self.lists = ListMaker(
            bundle, scorer, catalogue, ListSettings(size=3), lambda: NOW_MS, with_facts=feedback is not None
        )
        self.seconds = 0.0
        self.broker_ms = NOW_MS
        self.state: dict[str, bytes] = {}
        self.promises: dict[str, int] = {}
        self.restart()

    def restart(self) -> None:
        """What a new process has: the state and the promises of the checkpoint, nothing else."""
        self.sensors = Sensors()
        self.scorer = LocalScorer(lambda asked: self.lists.make_encoded(asked, with_digest=True))
        self.batcher: MicroBatcher[Request, Encoded] = MicroBatcher(
            self.scorer,
            max_batch=8,
            max_waiting=self.settings.max_waiting,
            deadline_s=0.5,
            clock=lambda: self.seconds,
        )
        decoder, events = EventDecoder(EventSettings()), EventSettings()
        self.logic = RefreshLogic(
            decoder,
            self.batcher,
            self.lists,
            events,
            self.settings,
            lambda: NOW_MS / 1000,
            self.sensors,
            with_digest=True,
            transactions=self.transactions,
            downstream=Downstream(self.feedback),
        )

    def read(self, user: str, value: bytes | None, topic: str = EVENTS) -> list[Output]:
        record = InputRecord(user, value, topic, 1, 42, self.broker_ms, True)
        return self.turns(Turn(user, self.state.get(user), record))

    def event(self, user: str = "u1", number: int = 0, **fields) -> list[Output]:
        body = good_event(event_id=f"e{number}", user_id=user, **fields)
        return self.read(user, json.dumps(body).encode())

    def fire(self, user: str = "u1", late_ms: int = 0) -> list[Output]:
        del self.promises[user]
        return self.turns(Turn(user, self.state.get(user), None, late_ms))

    def turns(self, *turns: Turn) -> list[Output]:
        """One batch, and another one of the turns that are wanted then."""
        actions = self.logic.on_batch(turns)
        self.state |= actions.states
        self.promises = {user: ms for user, ms in self.promises.items() if user not in actions.kept} | actions.promises
        if actions.wanted:
            return actions.outputs + self.turns(*(Turn(u, self.state.get(u), None, None) for u in actions.wanted))
        return actions.outputs


@pytest.fixture
def job(tmp_path: Path) -> Operator:
    return Operator(write_bundle(tmp_path))


def lists(outputs: list[Output]) -> list[tuple[str, int, str]]:
    """(user, version, source) of the lists among the outputs."""
    made = [json.loads(output.value) for output in outputs if output.kind == "list" and output.value]
    return [(one["user_id"], one["version"], one["source"]) for one in made]


def test_an_event_sets_a_promise_and_the_promise_brings_the_list(job: Operator) -> None:
    assert job.event() == []
    assert job.promises == {"u1": job.settings.deadline_ms}
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 1, "model")]
    assert job.promises == {}


def test_a_ready_list_leaves_with_the_next_record_of_anyone(job: Operator) -> None:
    job.event("u1")
    job.batcher.run_once()
    assert lists(job.event("u2")) == [("u1", 1, "model")]


def test_one_promise_serves_many_events_of_a_user(job: Operator) -> None:
    job.event(number=0)
    job.promises.clear()
    job.event(number=1)
    assert job.promises == {}
    job.batcher.run_once()
    assert lists(job.read("anyone", None)) == [("u1", 2, "model")]


def test_a_promise_that_fires_too_early_is_set_again(job: Operator) -> None:
    job.event()
    assert job.fire() == []
    assert "u1" in job.promises


def test_after_a_crash_the_restored_promise_scores_the_user_again(job: Operator) -> None:
    job.event()
    job.restart()
    assert job.fire() == []
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 1, "model")]
    assert job.promises == {}


def test_past_the_deadline_the_fallback_goes_out_and_the_model_is_asked_again_later(job: Operator) -> None:
    job.event()
    job.seconds = 0.6
    assert lists(job.fire()) == [("u1", 1, "neighbours")]
    assert job.sensors.fallbacks == ["deadline"]
    assert job.promises == {"u1": job.settings.retry_after_ms}
    job.fire()
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 1, "model")]
    assert job.promises == {}


def test_an_event_during_a_retry_has_a_deadline_of_its_own(job: Operator) -> None:
    job.event()
    job.seconds = 0.6
    job.fire()
    assert job.promises == {"u1": job.settings.retry_after_ms}
    job.event(number=1)
    assert job.promises == {"u1": job.settings.deadline_ms}
    job.seconds = 1.2
    assert lists(job.fire()) == [("u1", 2, "neighbours")]
    assert job.promises == {"u1": job.settings.retry_after_ms}, "no promise is ever lost"
    job.fire()
    job.batcher.run_once()
    assert lists(job.fire()) == [("u1", 2, "model")]
    assert job.promises == {}


def test_a_late_answer_never_follows_the_fallback(job: Operator) -> None:
    job.event()
    job.seconds = 0.6
    job.fire()
    assert job.batcher.run_once() == 0
    assert lists(job.read("anyone", None)) == []


def test_a_user_the_model_fails_on_gets_the_fallback_alone(tmp_path: Path) -> None:
    job = Operator(write_bundle(tmp_path, nan_for=5))
    job.event("good", item_id="i4")
    job.event("bad", item_id="i5")
    job.batcher.run_once()
    assert sorted(lists(job.read("anyone", None))) == [("bad", 1, "neighbours"), ("good", 1, "model")]
    assert job.sensors.fallbacks == ["failed"]


def test_a_refused_request_falls_back_at_once(job: Operator) -> None:
    job.batcher.close()
    assert lists(job.event()) == [("u1", 1, "neighbours")]
    assert job.sensors.fallbacks == ["refused"]


def test_a_bad_record_is_a_dead_letter_with_its_bytes_and_changes_nothing(job: Operator) -> None:
    job.event()
    before = dict(job.state)
    (letter,) = [output for output in job.read("u1", b"not json") if output.kind == "dead"]
    assert (letter.key, letter.value) == (b"u1", b"not json")
    assert letter.headers is not None
    assert letter.headers["__connect.errors.exception.class.name"] == b"not_json"
    assert letter.headers["__connect.errors.topic"] == EVENTS.encode()
    assert letter.headers["__connect.errors.offset"] == b"42"
    assert job.state == before


@pytest.mark.parametrize(("key", "value"), [(b"u1", b"x" * 5_000_000), (b"k" * 3_000_000, b"x" * 2_000_000)])
def test_a_record_that_no_letter_can_hold_is_cut(job: Operator, key: bytes, value: bytes) -> None:
    """Compressed it fits into the topic of events; its letter would be refused, and the job would fail for ever."""
    (letter,) = job.read(key.decode(), value)
    assert letter.kind == "dead" and letter.key is not None and letter.value is not None and letter.headers is not None
    assert key.startswith(letter.key) and value.startswith(letter.value)
    size = sum(map(len, (letter.key, letter.value, *map(str.encode, letter.headers), *letter.headers.values())))
    assert size < 2 * 1024 * 1024 - 1000
    assert f"of {len(key)} and {len(value)} bytes".encode() in letter.headers["__connect.errors.exception.message"]


def test_a_duplicate_refreshes_nothing(job: Operator) -> None:
    job.event()
    job.promises.clear()
    job.batcher.run_once()
    assert lists(job.event()) == [("u1", 1, "model")], "the list that was ready, and no other"
    assert job.batcher.run_once() == 0
    assert job.promises == {}
    assert job.sensors.records == ["applied", "model", "duplicate"]
