"""A trainer that is killed at any point goes on, and no weights learn an event twice.

The weights of these bundles are the list of the events that they have learned; all else is the trainer's own.
"""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from model_export.follow import follower as follower_file
from model_export.follow.candidate import RoundOptions
from model_export.follow.follower import Follower
from model_export.follow.history import History
from model_export.follow.learned import Learned, cut
from model_export.follow.window_files import GateVerdict
from operators.configuration.shop_settings import EventSettings
from operators.records.contracts import EVENTS
from tests.model_export.follow.shop import Death, FakeTopics, Killed, walks

LIMITS = EventSettings()


class ListingRound:
    """As `candidate.Round`, with the events' ids in place of weights."""

    def __init__(self, champion: Any, history: History, *_: Any) -> None:
        self._champion, self._events = champion, history.events()
        self._cut = cut(self._events, Learned(champion.manifest), history.offsets[EVENTS])
        self.new = [self._events[place].event.event_id for place in sorted(self._cut.new)]

    @property
    def lacks(self) -> str:
        return "" if self.new else "nothing is new"

    def make(self, folder: Path) -> Any:
        shutil.rmtree(folder, ignore_errors=True)
        part_folder = folder.with_name(".part")
        shutil.rmtree(part_folder, ignore_errors=True)
        part_folder.mkdir()
        offsets = {str(partition): offset for partition, offset in self._cut.trained_to.items()}
        version = f"{int(self._champion.manifest['version']) + 1:04}"
        manifest = {"version": version, "trained_on": {"to_ms": self._cut.newest_ms}, "trained_to": {EVENTS: offsets}}
        learned = json.loads((self._champion.folder / "learned.json").read_text())
        (part_folder / "manifest.json").write_text(json.dumps(manifest))
        (part_folder / "learned.json").write_text(json.dumps(learned + self.new))
        part_folder.rename(folder)
        return SimpleNamespace(folder=folder, manifest=manifest, windows=None)


def load(folder: Path) -> Any:
    return SimpleNamespace(folder=folder, manifest=json.loads((folder / "manifest.json").read_text()))


def gate(candidate: Path, champion: Path, windows: Any) -> GateVerdict:
    """Refuses every third one."""
    return GateVerdict(int(load(candidate).manifest["version"]) % 3 != 2, ["so it is"])


class Link:
    """A `Serving`: a link to the champion, moved in one step."""

    def __init__(self, work: Path) -> None:
        self._link, self._first = work / "champion", work / "first"

    def champion(self) -> Path:
        return self._link.resolve() if self._link.is_dir() else self._first

    def promote(self, folder: Path, reason: str) -> None:
        part_link = self._link.with_name("champion.part")
        part_link.unlink(missing_ok=True)
        part_link.symlink_to(folder)
        part_link.replace(self._link)

    def held(self, now_ms: int) -> str | None:
        return None

    def retire(self, folder: Path) -> None:
        assert folder.resolve() != self.champion()


class Trainer:
    """One process: it starts from what is on disk."""

    def __init__(self, work: Path, topics: FakeTopics, gate: Callable[..., GateVerdict]) -> None:
        self.history = History(work / "history", 100_000, LIMITS)
        self.serving = Link(work)
        self.follower = Follower(work / "bundles", self.history, topics, self.serving, gate, RoundOptions(LIMITS))

    def round(self) -> None:
        self.follower.read()
        self.follower.round("weights", 0)

    def learned(self) -> list[str]:
        return json.loads((self.serving.champion() / "learned.json").read_text())


def first_bundle(work: Path) -> None:
    (work / "first").mkdir(parents=True)
    (work / "first" / "manifest.json").write_text('{"version": "0001"}')
    (work / "first" / "learned.json").write_text("[]")


@pytest.fixture(autouse=True)
def rounds_that_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rounds list the events that they learn, instead of training."""
    monkeypatch.setattr(follower_file, "Round", ListingRound)
    monkeypatch.setattr(follower_file, "ModelBundle", SimpleNamespace(load=load))


def with_a_first_bundle(tmp_path: Path) -> tuple[FakeTopics, Trainer]:
    """A trainer with a gate that passes everything, and the topics that it follows."""
    first_bundle(tmp_path)
    topics = FakeTopics()
    return topics, Trainer(tmp_path, topics, lambda *_: GateVerdict(True, []))


@pytest.mark.parametrize("refuses", [False, True])
def test_killed_at_any_point_it_learns_each_event_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: bool
) -> None:
    judge = gate if refuses else lambda *_: GateVerdict(True, ["so it is"])
    kills = 0
    for kill_at in range(1, 200):
        work, topics, death = tmp_path / f"{kill_at}", FakeTopics(), Death(kill_at)
        first_bundle(work)
        with monkeypatch.context() as patched:
            patched.setattr(os, "fsync", lambda _: None)
            for name in ("replace", "rename", "symlink_to", "mkdir"):
                patched.setattr(Path, name, death.watches(getattr(Path, name)))
            killed = False
            for number in range(3):
                topics.send(*walks(5, first=5 * number))
                if not killed:
                    trainer = None
                    try:
                        trainer = Trainer(work, topics, judge)
                        trainer.round()
                    except Killed:
                        killed = True
                    if trainer is not None:
                        trainer.history.close()
        kills += killed
        trainer = Trainer(work, topics, judge)
        trainer.round()
        learned = trainer.learned()
        assert len(learned) == len(set(learned)), f"killed at call {kill_at}"
        to_learn = cut(trainer.history.events(), Learned({}), trainer.history.offsets[EVENTS])
        if not refuses:
            expected = {trainer.history.events()[place].event.event_id for place in to_learn.new}
            assert expected <= {*learned}, f"killed at call {kill_at}"
        assert [*(work / "bundles").glob("*.part")] == []
        trainer.history.close()
        if not killed:
            break
    assert not killed and kills > 20


@pytest.mark.parametrize("restored", [0, 3], ids=["a purge", "a restore"])
def test_after_the_topics_were_created_anew_new_events_are_learned_at_once(tmp_path: Path, restored: int) -> None:
    """`restored`: shoppers whose events are on the new topics too, at other offsets."""
    topics, trainer = with_a_first_bundle(tmp_path)
    topics.send(*walks(40))
    trainer.round()
    topics.create_anew()
    topics.send(*walks(10 + restored, first=40 - restored))
    trainer.round()
    learned = trainer.learned()
    assert len(learned) == len(set(learned)) and len(learned) > 40 * 8
    assert {one.event_id for one in walks(8, first=40)} <= {*learned}
    trainer.history.close()


def test_after_a_roll_back_the_older_bundle_learns_again_what_it_has_not(tmp_path: Path) -> None:
    topics, trainer = with_a_first_bundle(tmp_path)
    topics.send(*walks(5))
    trainer.round()
    before = trainer.serving.champion()
    topics.send(*walks(5, first=5))
    trainer.round()
    assert len(trainer.learned()) > 45
    trainer.serving.promote(before, "rolled back")
    trainer.round()
    learned = trainer.learned()
    assert len(learned) == len(set(learned)) > 45
    trainer.history.close()
