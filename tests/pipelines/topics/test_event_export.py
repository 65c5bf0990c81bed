"""An export of the topic of events; a failed export leaves no file."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from operators.errors import BrokerError
from operators.settings import Settings
from pipelines.topics import event_export
from tests.bad_records import good_event
from tests.builders import NOW_MS


class FakeTopicRange:
    starts, ends = {0: 5}, {0: 7}
    fails = False
    closed = False

    def __init__(self, *_: Any) -> None:
        pass

    def __iter__(self) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(key=b"u1", value=json.dumps(good_event()).encode(), timestamp=NOW_MS)
        if self.fails:
            raise BrokerError("the broker", "nothing", "wait")
        yield SimpleNamespace(key=b"u1", value=b"no event", timestamp=NOW_MS)

    def close(self) -> None:
        FakeTopicRange.closed = True


@pytest.fixture(autouse=True)
def topic_range(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_export, "TopicRange", FakeTopicRange)
    monkeypatch.setattr(FakeTopicRange, "closed", False)


def test_good_events_and_a_note_of_where_they_come_from(tmp_path: Path) -> None:
    export = event_export.export_events(Settings.model_construct(), tmp_path / "e.jsonl", None)
    assert (export.events, export.refused, export.offsets, FakeTopicRange.closed) == (1, 1, {"0": (5, 7)}, True)
    assert json.loads((tmp_path / "e.jsonl").read_text())["event_id"] == "e1"
    assert json.loads((tmp_path / "e.jsonl.origin.json").read_text())["offsets"] == {"0": [5, 7]}


def test_a_failed_export_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FakeTopicRange, "fails", True)
    with pytest.raises(BrokerError):
        event_export.export_events(Settings.model_construct(), tmp_path / "e.jsonl", None)
    assert FakeTopicRange.closed and not [*tmp_path.iterdir()], "it holds what shoppers did"
