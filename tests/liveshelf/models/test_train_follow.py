"""`liveshelf train --follow`: which options it takes, and which bundle it calls the champion."""

import json
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from liveshelf import main
from liveshelf.models import train, train_follow
from liveshelf.models.rollout import store_of
from liveshelf.models.train_follow import RolloutChampion, refuse_unsigned
from operators.configuration.model_settings import BundleSettings
from operators.errors import BundleError, RolloutError, SettingsError
from operators.model.bundle_files import manifest_sum
from operators.model.bundle_signature import new_key
from operators.rollout.bundle_store import put
from operators.rollout.rollout import Change, Rollout, promoted, rolled_back, shadowed, split
from operators.settings import Settings
from operators.time_units import HOUR_MS
from pipelines.submission.served_bundle import ServedBundle
from tests.builders import write_bundle


def followed(words: list[str], monkeypatch: pytest.MonkeyPatch) -> Result:
    """`liveshelf train --follow` with more options."""
    monkeypatch.setattr(train, "need", lambda *_: None)
    monkeypatch.setattr(train, "follow_topics", lambda _: None)
    return CliRunner().invoke(main.app, ["train", "--follow", *words])


def test_every_other_option_is_refused_also_with_its_default_value(monkeypatch: pytest.MonkeyPatch) -> None:
    assert followed([], monkeypatch).exit_code == 0
    verb: Any = get_command(main.app)
    options = [option for option in verb.commands["train"].params if option.name not in ("follow", "help")]
    assert len(options) > 20
    for option in options:
        value = str(option.default or (0.5 if option.name == "dropout" else 7))
        values = [] if option.is_flag else [option.default.value if isinstance(option.default, Enum) else value]
        result = followed([option.opts[0], *values], monkeypatch)
        assert isinstance(result.exception, SettingsError) and result.exception.came == option.opts[0], option.name


def test_a_trainer_that_must_sign_and_cannot_does_not_start(tmp_path: Path) -> None:
    file, other = tmp_path / "key.pem", tmp_path / "other.pem"
    public_key, _ = new_key(file), new_key(other)
    signing = {"require_signature": True, "public_keys": [public_key]}
    refuse_unsigned(BundleSettings())
    refuse_unsigned(BundleSettings(**signing, signing_key_file=str(file)))
    with pytest.raises(SettingsError, match="came none"):
        refuse_unsigned(BundleSettings(**signing))
    with pytest.raises(SettingsError, match="one with the public key"):
        refuse_unsigned(BundleSettings(**signing, signing_key_file=str(other)))
    with pytest.raises(SettingsError, match="signing_key_file"):
        refuse_unsigned(BundleSettings(signing_key_file=str(tmp_path / "none.pem")))


def test_an_unsigned_bundle_of_the_settings_is_not_trained_on(tmp_path: Path, rollouts: list[Rollout]) -> None:
    """The trainer would sign what it makes from it."""
    key = new_key(tmp_path / "key.pem")
    settings, _ = shop(tmp_path)
    bundle = settings.bundle.model_copy(update={"require_signature": True, "public_keys": [key]})
    serving = RolloutChampion(settings.model_copy(update={"bundle": bundle}), tmp_path / "copies")
    with pytest.raises(BundleError, match="signed with a key"):
        serving.champion()


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
    monkeypatch.setattr(train_follow, "submitted_bundle", lambda _: None)
    monkeypatch.setattr(train_follow, "taken_back_ms", lambda _: records[-1].rolled_back_at if records else None)
    return records


@pytest.fixture
def acts() -> list[tuple[str, dict[str, str]]]:
    """What went into the audit log."""
    return []


def shop(tmp_path: Path) -> tuple[Settings, RolloutChampion]:
    dump = Settings.model_construct().model_dump()
    dump["stack"]["data_dir"], dump["bundle"]["path"] = str(tmp_path / "data"), str(tmp_path / "first")
    settings = Settings.of_dump(dump)
    write_bundle(tmp_path / "first", items=4)
    return settings, RolloutChampion(settings, tmp_path / "copies")


def trained(folder: Path, items: int) -> Path:
    """A bundle with a version of its own, as each training gives it."""
    manifest = json.loads((write_bundle(folder, items=items) / "manifest.json").read_text()) | {"version": f"v{items}"}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


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


def test_it_does_not_go_on_from_a_bundle_that_the_job_does_not_serve(
    tmp_path: Path, rollouts: list[Rollout], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `liveshelf submit --bundle`: bundle.path names another one."""
    _, serving = shop(tmp_path)
    job = ServedBundle(manifest_sum(trained(tmp_path / "mine", 9)), "known v9", tmp_path / "mine")
    monkeypatch.setattr(train_follow, "submitted_bundle", lambda _: job)
    with pytest.raises(BundleError, match=r"known v9.*liveshelf models promote"):
        serving.champion()
    monkeypatch.setattr(train_follow, "submitted_bundle", lambda _: job._replace(sum=manifest_sum(tmp_path / "first")))
    assert serving.champion() == tmp_path / "first"


def test_a_champion_that_somebody_else_promoted_meanwhile_stays(tmp_path: Path, rollouts: list[Rollout]) -> None:
    settings, serving = shop(tmp_path)
    serving.champion()
    theirs = put(write_bundle(tmp_path / "theirs", items=9), store_of(settings))
    rollouts.append(promoted(None, theirs, Change(1, "somebody", "theirs")))
    with pytest.raises(RolloutError, match="promoted meanwhile"):
        serving.promote(write_bundle(tmp_path / "ours", items=7), "better")
    assert [rollout.champion for rollout in rollouts] == [theirs]


def test_after_a_rollback_promotions_are_held_for_a_day_or_until_somebody_promotes(
    tmp_path: Path, rollouts: list[Rollout]
) -> None:
    settings, serving = shop(tmp_path)
    assert serving.held(0) is None
    for items in (5, 6):
        serving.champion()
        serving.promote(trained(tmp_path / f"{items}", items), "better")
    assert serving.held(10**9) is None
    back = rolled_back(rollouts[-1], Change(HOUR_MS, "guard", "empty lists"))
    assert back is not None
    rollouts.append(back)
    held = serving.held(24 * HOUR_MS)
    assert held is not None and held.startswith("held after a rollback")
    assert serving.held(25 * HOUR_MS) is None, "trainer.hold_after_rollback_hours"
    theirs = put(trained(tmp_path / "theirs", 9), store_of(settings))
    rollouts.append(promoted(back, theirs, Change(2, "somebody", "theirs")))
    assert serving.held(2 * HOUR_MS) is None


def test_old_bundles_leave_the_store_unless_they_serve(tmp_path: Path, rollouts: list[Rollout]) -> None:
    settings, serving = shop(tmp_path)
    folders = [trained(tmp_path / f"{items}", items) for items in range(5, 11)]
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
    first, second = trained(tmp_path / "second", 9), trained(tmp_path / "third", 7)
    for folder in (first, second):
        serving.champion()
        serving.promote(folder, "newer")
        serving.champion()
    Path(store_of(settings)).rename(tmp_path / "away")
    back = rolled_back(rollouts[-1], Change(1, "somebody", "worse"))
    assert back is not None
    rollouts.append(back)
    assert manifest_sum(serving.champion()) == manifest_sum(first)
