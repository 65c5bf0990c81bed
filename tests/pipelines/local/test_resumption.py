"""The job goes on from the newest state that can be read, and says which could not be."""

from pathlib import Path

import pytest

from operators.errors import ClusterError
from operators.settings import Settings
from pipelines.local import resumption

UNREADABLE = {"chk-9", "chk-8"}


@pytest.fixture(autouse=True)
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """What each submission started from."""
    calls: list[str | None] = []

    def submit(settings: Settings, bundle: Path | None, *, savepoint: str | None = None) -> str:
        calls.append(savepoint)
        if savepoint in UNREADABLE:
            raise ClusterError("a checkpoint", f"{savepoint} is broken", "go back")
        return "job"

    monkeypatch.setattr(resumption, "submit_locally", submit)
    return calls


def newest_first(monkeypatch: pytest.MonkeyPatch, *checkpoints: str) -> None:
    monkeypatch.setattr(resumption, "_newest_first", lambda _: list(checkpoints))


def test_it_goes_back_and_says_what_could_not_be_read(
    monkeypatch: pytest.MonkeyPatch, submitted: list[str | None]
) -> None:
    newest_first(monkeypatch, "chk-9", "chk-8", "chk-7", "chk-6")
    refused: list[str] = []
    assert resumption.resume_or_submit(Settings(), lambda path, _: refused.append(path)) == "job"
    assert refused == ["chk-9", "chk-8"] and submitted == ["chk-9", "chk-8", "chk-7"]


def test_without_a_state_it_is_submitted_for_the_first_time(
    monkeypatch: pytest.MonkeyPatch, submitted: list[str | None]
) -> None:
    newest_first(monkeypatch)
    assert resumption.resume_or_submit(Settings(), lambda *_: None) == "job"
    assert submitted == [None]


def test_where_none_can_be_read_the_last_reason_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    newest_first(monkeypatch, "chk-9", "chk-8")
    with pytest.raises(ClusterError, match="chk-8 is broken"):
        resumption.resume(Settings(), None, None, lambda *_: None)
