"""`liveshelf train --follow`: which options it takes, and which bundle it calls the champion."""

from pathlib import Path

import pytest

from liveshelf.models.train import DataOptions, ModelOptions
from liveshelf.models.train_follow import ServingBundle, refuse_others
from operators.errors import SettingsError


def defaults(group: type) -> dict[str, object]:
    return {name: field.default.default for name, field in group.__dataclass_fields__.items()}


def test_options_of_a_single_training_are_refused() -> None:
    data, model = DataOptions(**defaults(DataOptions)), ModelOptions(**defaults(ModelOptions))
    refuse_others((data, model), out=None, json=None)
    with pytest.raises(SettingsError, match="--out"):
        refuse_others((data, model), out=Path("bundle"))
    with pytest.raises(SettingsError, match="--lora-rank"):
        refuse_others((data, ModelOptions(**defaults(ModelOptions) | {"lora_rank": 8})))


def test_the_champion_is_the_bundle_of_the_settings_until_one_is_promoted(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "bundles" / "second"
    for folder in (first, second):
        folder.mkdir(parents=True)
    serving = ServingBundle(tmp_path, first)
    assert serving.folder() == first
    serving.promote(second, "better")
    assert ServingBundle(tmp_path, first).folder() == second.resolve()
    serving.promote(first, "rolled back")
    assert serving.folder() == first.resolve()
