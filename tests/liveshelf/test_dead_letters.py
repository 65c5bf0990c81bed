"""`liveshelf dead-letters` from its words to its exit code."""

import json
import time
from array import array
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from liveshelf import main
from operators.errors import BrokerError
from operators.records.contracts import EVENTS
from operators.records.dead_letter import Letter
from pipelines.dead_letters import dead_letters, replay_run
from pipelines.dead_letters.letter_replay import Outgoing
from pipelines.dead_letters.replay_ledger import Memory
from tests.bad_records import good_event
from tests.builders import NOW_MS

LETTERS = [
    Letter(
        n,
        EVENTS,
        0,
        n,
        NOW_MS,
        "unknown_event_type",
        "",
        b"u1",
        json.dumps(good_event(NOW_MS, event_type=kind)).encode(),
    )
    for n, kind in enumerate(("product_view", "product_view", "teleport"))
]


class Ledger(Memory):
    """The one of this test; `breaks`: the broker goes away after the first batch."""

    replay_id, breaks = "replay-1", False

    def put_back(self, batch: list[Outgoing]) -> None:
        super().put_back(batch)
        if self.breaks:
            raise BrokerError("a broker", "none", "wait")

    def close(self) -> None:
        pass


@pytest.fixture
def acts(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What goes into the audit log."""
    ledger, noted = Ledger(array("Q")), list[Any]()
    for module in (dead_letters, replay_run):
        monkeypatch.setattr(module, "read_letters", lambda settings, since_ms: iter(LETTERS))
    monkeypatch.setattr(replay_run, "KafkaLedger", lambda settings: ledger)
    monkeypatch.setattr(replay_run, "read_memory", lambda settings: Memory(array("Q")))
    monkeypatch.setattr(replay_run, "record_act", lambda settings, verb, **details: noted.append((verb, details)))
    monkeypatch.setattr(time, "time_ns", lambda: NOW_MS * 1_000_000)
    return noted


def run(*words: str) -> Result:
    return CliRunner().invoke(main.app, ["dead-letters", *words])


def test_a_renamed_event_type_is_put_back_and_the_rest_named(acts: list[Any]) -> None:
    words = ("replay", "--event-type", "product_view=view", "--json")
    dry = run(*words, "--dry-run")
    assert (dry.exit_code, acts) == (1, [])
    report = json.loads(dry.stdout)
    counts = {name: report[name] for name in ("read", "chosen", "put_back", "done_before", "repaired", "refused_again")}
    assert counts == {
        "read": 3,
        "chosen": 3,
        "put_back": 2,
        "done_before": 0,
        "repaired": {"type": 2},
        "refused_again": {"unknown_event_type": 1},
    }
    assert report["refused_letters"] == [[f"{EVENTS}-0-2", "unknown_event_type", "'teleport'"]]
    assert json.loads(run(*words).stdout)["put_back"] == 2
    verb, details = acts.pop()
    assert (verb, details["replay_id"], details["put_back"]) == ("dead-letters replay", "replay-1", 2)
    second_report = json.loads(run(*words).stdout)
    assert (second_report["put_back"], second_report["done_before"], acts) == (0, 2, [])
    assert run(*words, "--reason", "not_json").exit_code == 0, "none of them fits"


def test_letters_repaired_by_hand_in_a_file(acts: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    assert json.loads(run("export", "--out", str(file), "--limit", "2", "--json").stdout)["letters"] == 2
    file.write_text(file.read_text().replace("product_view", "view"))
    result = run("replay", "--from", str(file))
    assert (result.exit_code, acts[0][1]["put_back"]) == (0, 2)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("replay", "--fix", "blank"), "blanks"),
        (("replay", "--fix", "all,day-first,month-first"), "came both"),
        (("replay", "--reason", "bad"), "internal_error"),
        (("replay", "--topic", "shop.catalogue.v1"), "publish the product again"),
        (("replay", "--topic", "x"), EVENTS),
        (("replay", "--rename", "a"), "OLD=NEW"),
        (("list", "--since", "yesterday"), "45m"),
        (("export", "--out", "x", "--until", "1w"), "45m"),
    ],
)
def test_words_that_mean_nothing_are_refused(acts: list[Any], words: tuple[str, ...], expected: str) -> None:
    result = run(*words)
    assert result.exit_code == 2
    assert expected in " ".join(result.stderr.replace("│", " ").split()), result.stderr


def test_an_export_replaces_nothing_for_it_may_have_been_repaired_by_hand(acts: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    assert run("export", "--out", str(file), "--limit", "1").exit_code == 0
    before = file.read_text()
    assert "would be gone" in str(run("export", "--out", str(file)).exception)
    assert file.read_text() == before


def test_a_file_that_is_not_there(acts: list[Any]) -> None:
    assert "no file none.jsonl" in str(run("replay", "--from", "none.jsonl").exception)


def test_every_fix_is_explained(acts: list[Any]) -> None:
    assert run("fixes").exit_code == 0
