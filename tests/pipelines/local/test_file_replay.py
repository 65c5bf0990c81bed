"""Replay of files: its counts, and a refusal that ends it."""

import json
from pathlib import Path
from typing import Any

import pytest
from kafka.errors import TopicAuthorizationFailedError

from operators.errors import BrokerError
from operators.records.contracts import CATALOGUE, EVENTS
from operators.settings import Settings, StackSettings
from pipelines.local import file_replay
from pipelines.local.file_replay import FileReplay, replay_files
from pipelines.topics.replayer import ReplayRate
from tests.bad_records import good_event


class Producer:
    """Records topics; each event fails with `failure`, if set."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.topics: list[str] = []
        self.failure, self.closed = failure, False

    def send(self, topic: str, key: bytes, value: bytes) -> "Producer":
        self.topics.append(topic)
        return self

    def add_errback(self, failed: Any) -> None:
        if self.failure is not None:
            failed(self.failure)

    def get(self, _: float) -> None: ...

    def flush(self) -> None: ...

    def close(self, timeout: float) -> None:
        self.closed = True


def run_replay(monkeypatch: pytest.MonkeyPatch, folder: Path, producer: Producer, **options: Any) -> FileReplay:
    monkeypatch.setattr(file_replay, "new_producer", lambda settings: producer)
    lines = [json.dumps(good_event(event_id=f"e{n}")) for n in range(3)]
    (folder / "events.jsonl").write_text("\n".join([*lines, "{}"]))
    (folder / "catalogue.jsonl").write_text('{"item_id": "i1"}\n{"item_id": ""}\n')
    arguments: dict[str, Any] = {"limit": None, "keep_times": False} | options
    catalogue_counts: list[int] = []
    result = replay_files(
        Settings(stack=StackSettings(data_dir=str(folder))),
        folder / "events.jsonl",
        folder / "catalogue.jsonl",
        ReplayRate(),
        on_catalogue=catalogue_counts.append,
        on_progress=lambda progress: None,
        **arguments,
    )
    assert catalogue_counts == [1]
    return result


def test_the_catalogue_goes_first_and_bad_lines_are_counted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    producer = Producer()
    result = run_replay(monkeypatch, tmp_path, producer)
    assert producer.topics == [CATALOGUE, EVENTS, EVENTS, EVENTS] and producer.closed
    assert (result.progress.sent, result.progress.failed, result.events.bad.total()) == (3, 0, 1)
    assert len(result.left_out) == 2
    assert result.known_already is None, "no job of this machine says"
    assert run_replay(monkeypatch, tmp_path, Producer(), limit=2).progress.sent == 2


def test_a_broker_that_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    producer = Producer(TopicAuthorizationFailedError("no"))
    with pytest.raises(BrokerError, match="right"):
        run_replay(monkeypatch, tmp_path, producer)
    assert producer.topics.count(EVENTS) == 1 and producer.closed
