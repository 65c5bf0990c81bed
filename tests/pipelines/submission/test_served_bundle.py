"""The bundle that the running job serves, by the note in the job."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from operators.errors import BundleError, SettingsError
from operators.settings import Settings
from pipelines.job.engine import flink_options
from pipelines.submission.served_bundle import OPTION, find_bundle, served_bundle, with_note
from tests.builders import write_bundle


def settings(**flink: str) -> Settings:
    return Settings.of_dump(Settings.model_construct().model_dump() | {"flink": flink})


def job_of(settings_with_note: Settings) -> Any:
    """A cluster whose job was submitted with these settings, as Flink answers."""
    parameters = json.loads(flink_options(settings_with_note)[OPTION])
    return SimpleNamespace(get=lambda path: {"jid": "a", "execution-config": {"user-config": parameters}})


def test_a_submission_notes_its_bundle_in_the_job_and_a_backup_finds_it(tmp_path: Path) -> None:
    bundle, other = write_bundle(tmp_path / "bundle"), write_bundle(tmp_path / "other", items=9)
    served = served_bundle(job_of(with_note(settings(), bundle, bundle)), "a")
    assert served.name == "known 1"
    assert served.folder == bundle
    assert find_bundle(served, [tmp_path / "nothing", other, bundle]) == bundle


def test_the_configured_bundle_is_not_taken_for_the_one_that_serves(tmp_path: Path) -> None:
    bundle, other = write_bundle(tmp_path / "bundle"), write_bundle(tmp_path / "other", items=9)
    served = served_bundle(job_of(with_note(settings(), bundle, bundle)), "a")
    with pytest.raises(BundleError, match=r"known 1.*--bundle"):
        find_bundle(served, [other])
    (bundle / "manifest.json").write_text((other / "manifest.json").read_text())
    with pytest.raises(BundleError, match="on this disk"):
        find_bundle(served, [served.folder])


def test_a_job_that_does_not_say_is_an_error() -> None:
    cluster: Any = SimpleNamespace(get=lambda path: {"jid": "a", "execution-config": {"user-config": {}}})
    with pytest.raises(BundleError, match="liveshelf resume"):
        served_bundle(cluster, "a")


def test_the_shops_own_parameters_stay(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "a, 'b': c")
    settings_with_note = with_note(settings(**{OPTION: '{"mine": "1"}'}), bundle, bundle)
    assert json.loads(settings_with_note.flink[OPTION])["mine"] == "1"
    assert served_bundle(job_of(settings_with_note), "a").folder == bundle
    with pytest.raises(SettingsError, match="JSON"):
        with_note(settings(**{OPTION: "mine:1"}), bundle, bundle)
