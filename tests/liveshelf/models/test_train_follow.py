"""`liveshelf train --follow`: which options it takes, and which bundle it calls the champion."""

import json
from pathlib import Path
from typing import Any

import pytest

from liveshelf.models import train_follow
from liveshelf.models.rollout import store_of
from liveshelf.models.train import DataOptions, ModelOptions
from liveshelf.models.train_follow import RolloutChampion, refuse_others
from operators.errors import RolloutError, SettingsError
from operators.model.bundle_files import manifest_sum
from operators.rollout.bundle_store import put
from operators.rollout.rollout import Change, Rollout, promoted, rolled_back, shadowed, split
from operators.settings import Settings
from tests.builders import write_bundle


def defaults(group: type) -> dict[str, object]:
    return {name: field.default.default for name, field in group.__dataclass_fields__.items()}


def test_options_of_a_single_training_are_refused() -> None:
    data, model = DataOptions(**defaults(DataOptions)), ModelOptions(**defaults(ModelOptions))
    refuse_others((data, model), out=None, json=None)
    with pytest.raises(SettingsError, match="--out"):
        refuse_others((data, model), out=Path("bundle"))
    with pytest.raises(SettingsError, match="--lora-rank"):
        refuse_others((data, ModelOptions(**defaults(ModelOptions) | {"lora_rank": 8})))


@pytest.fixture
def rollouts(monkeypatch: pytest.MonkeyPatch, acts: list[tuple[str, dict[str, str]]]) -> list[Rollout]:
    """The records of the rollout; the last one holds."""
    records: list[Rollout] = []

    def change(settings: Settings, verb: Any, why: str, by: str) -> tuple[Rollout | None, Rollout]:
        before = records[-1] if records else None
        records.append(verb(before, Change(1, by, why)))
        return before, records[-1]

    monkeypatch.setattr(train_follow, "read_newest", lambda _: records[-1] if records else None)
    monkeypatch.setattr(train_follow, "change_rollout", change)
    monkeypatch.setattr(train_follow, "record_act", lambda settings, verb, **what: acts.append((verb, what)))
    return records


@pytest.fixture
def acts() -> list[tuple[str, dict[str, str]]]:
    """What went into the audit log."""
    return []


def shop(tmp_path: Path) -> tuple[Settings, RolloutChampion]:
    dump = Settings.model_construct().model_dump()
    dump["stack"]["data_dir"], dump["bundle"]["path"] = str(tmp_path / "data"), str(tmp_path / "first")
    settings = Settings.of_dump(dump)
    return settings, RolloutChampion(settings, tmp_path / "copies")


def test_the_champion_is_the_bundle_of_the_settings_until_one_is_promoted(
    tmp_path: Path, rollouts: list[Rollout], acts: list[tuple[str, dict[str, str]]]
) -> None:
    _, serving = shop(tmp_path)
    assert serving.champion() == tmp_path / "first"
    second = write_bundle(tmp_path / "second", items=9)
    serving.promote(second, "better")
    assert rollouts[-1].changed_by == "liveshelf train --follow" and rollouts[-1].why == "better"
    assert manifest_sum(serving.champion()) == manifest_sum(second)
    ((verb, what),) = acts
    assert verb == "models promote"
    assert what == {
        "by": "liveshelf train --follow",
        "bundle": f"known 1 {manifest_sum(second)}",
        "champion": "known 1",
        "before": "the submitted bundle",
        "why": "better",
    }


def test_a_champion_that_somebody_else_promoted_meanwhile_stays(tmp_path: Path, rollouts: list[Rollout]) -> None:
    settings, serving = shop(tmp_path)
    serving.champion()
    theirs = put(write_bundle(tmp_path / "theirs", items=9), store_of(settings))
    rollouts.append(promoted(None, theirs, Change(1, "somebody", "theirs")))
    with pytest.raises(RolloutError, match="promoted meanwhile"):
        serving.promote(write_bundle(tmp_path / "ours", items=7), "better")
    assert [rollout.champion for rollout in rollouts] == [theirs]


def test_old_bundles_leave_the_store_unless_they_serve(tmp_path: Path, rollouts: list[Rollout]) -> None:
    settings, serving = shop(tmp_path)
    folders = [write_bundle(tmp_path / f"{items}", items=items) for items in range(5, 11)]
    for number, folder in enumerate(folders):  # each training gives its bundle a version of its own
        manifest = json.loads((folder / "manifest.json").read_text()) | {"version": f"v{number}"}
        (folder / "manifest.json").write_text(json.dumps(manifest))
    for folder in folders[:4]:
        serving.champion()
        serving.promote(folder, "newer")
    challenger, shadow = (put(folder, store_of(settings)) for folder in folders[4:])
    rollouts.append(split(rollouts[-1], challenger, 0.1, Change(1, "somebody", "theirs")))
    rollouts.append(shadowed(rollouts[-1], shadow, 0.1, Change(1, "somebody", "theirs")))
    for folder in folders:
        serving.retire(folder)
    left = {entry.name for entry in Path(store_of(settings)).iterdir()}
    assert left == {manifest_sum(folder) for folder in folders[2:]}, "previous, champion, challenger and shadow"


def test_a_rollback_of_the_champion_does_not_need_the_store(tmp_path: Path, rollouts: list[Rollout]) -> None:
    settings, serving = shop(tmp_path)
    first, second = write_bundle(tmp_path / "second", items=9), write_bundle(tmp_path / "third", items=7)
    manifest = json.loads((second / "manifest.json").read_text()) | {"version": "2"}
    (second / "manifest.json").write_text(json.dumps(manifest))
    for folder in (first, second):
        serving.champion()
        serving.promote(folder, "newer")
        serving.champion()
    Path(store_of(settings)).rename(tmp_path / "away")
    back = rolled_back(rollouts[-1], Change(1, "somebody", "worse"))
    assert back is not None
    rollouts.append(back)
    assert manifest_sum(serving.champion()) == manifest_sum(first)
