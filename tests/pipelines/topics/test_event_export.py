"""The topic of events as a file, and nothing of it where reading fails."""

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


class Source:
    starts, ends = {0: 5}, {0: 7}
    breaks = False
    closed = False

    def __init__(self, *_: Any) -> None:
        pass

    def __iter__(self) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(key=b"u1", value=json.dumps(good_event()).encode(), timestamp=NOW_MS)
        if self.breaks:
            raise BrokerError("the broker", "nothing", "wait")
        yield SimpleNamespace(key=b"u1", value=b"no event", timestamp=NOW_MS)

    def close(self) -> None:
        Source.closed = True


@pytest.fixture(autouse=True)
def source(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_export, "TopicRange", Source)
    monkeypatch.setattr(Source, "closed", False)


def test_good_events_and_a_note_of_where_they_come_from(tmp_path: Path) -> None:
    found = event_export.export_events(Settings.model_construct(), tmp_path / "e.jsonl", None)
    assert (found.events, found.refused, found.offsets, Source.closed) == (1, 1, {"0": (5, 7)}, True)
    assert json.loads((tmp_path / "e.jsonl").read_text())["event_id"] == "e1"
    assert json.loads((tmp_path / "e.jsonl.origin.json").read_text())["offsets"] == {"0": [5, 7]}


def test_of_an_export_that_fails_nothing_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Source, "breaks", True)
    with pytest.raises(BrokerError):
        event_export.export_events(Settings.model_construct(), tmp_path / "e.jsonl", None)
    assert Source.closed and not [*tmp_path.iterdir()], "it holds what shoppers did"
