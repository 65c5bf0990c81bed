"""`liveshelf submit` and `resume` say which bundle makes the lists, and what still uses another one."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from liveshelf.main import app
from operators.rollout.rollout import BundleRef, Rollout
from operators.settings import load_settings
from pipelines.local import local_submission, resumption
from pipelines.topics import rollout_topic

OTHERS = "the storefront takes popular and similar items"


@pytest.fixture(params=["submit", "resume"])
def verb(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The verb, without a cluster and a broker; no bundle is promoted."""
    resumed = SimpleNamespace(job_id="1", checkpoint="chk-1", _asdict=dict)
    monkeypatch.setattr(local_submission, "submit_locally", lambda *_, **__: "1")
    monkeypatch.setattr(resumption, "cancel_restarting_job", lambda settings: [])
    monkeypatch.setattr(resumption, "resume", lambda *_: resumed)
    monkeypatch.setattr(rollout_topic, "read_newest", lambda settings: None)
    return str(request.param)


def said(*words: str) -> str:
    result = CliRunner().invoke(app, [*words])
    assert result.exit_code == 0, result.output
    return " ".join(result.stderr.split())


def test_another_bundle_than_that_of_the_settings_is_to_be_promoted(verb: str, tmp_path: Path) -> None:
    mine = str(tmp_path / "mine")
    output = said(verb, "--bundle", mine)
    assert OTHERS in output and f"Next: `liveshelf models promote {mine}`" in output
    assert load_settings().bundle.path in output


def test_the_bundle_of_the_settings_needs_no_remark(verb: str) -> None:
    settings = load_settings()
    assert OTHERS not in said(verb)
    assert OTHERS not in said(verb, "--bundle", str(settings.resolve(settings.bundle.path)))


def test_a_promoted_bundle_makes_the_lists(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    champion = BundleRef(name="small", version="2", sum="0" * 64, address="store/0")
    rollout = Rollout(revision=1, champion=champion, changed_at=1, changed_by="me", why="newer")
    monkeypatch.setattr(rollout_topic, "read_newest", lambda settings: rollout)
    output = said(verb, "--bundle", str(tmp_path / "mine"))
    assert f"{champion.label} makes the lists" in output and OTHERS not in output
