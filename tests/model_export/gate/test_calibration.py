"""The gate's line on click probabilities."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from model_export.evaluation import click_calibration
from model_export.evaluation.served import Served
from model_export.gate.calibration import calibration_line
from operators.configuration.shop_settings import EventSettings, GateLimits
from operators.model.model_bundle import ModelBundle
from tests.builders import NOW_MS

SHORT_SESSIONS = EventSettings(session_gap_minutes=1)


@pytest.mark.parametrize("error", [0.04, 0.06, None])
def test_a_click_probability_is_compared_with_what_shoppers_did(
    champion: Path, walks: Path, monkeypatch: pytest.MonkeyPatch, error: float | None
) -> None:
    judgement = {} if error is None else {"ECE": error}
    monkeypatch.setattr(click_calibration, "clicks_of_bundle", lambda *_: {"clicks": judgement})
    line = calibration_line(clicking(champion), None, walks, 0, GateLimits(), SHORT_SESSIONS, print)
    assert (line.passed, line.value) == (error == 0.04, error)


def clicking(bundle: Path, calibration: float = 0.0, until_ms: int = 0) -> Served:
    """The bundle with a click head."""
    served = Served(ModelBundle.load(bundle))
    object.__setattr__(served.bundle, "clicks", SimpleNamespace(calibration=np.full((2, 2), calibration)))
    served.bundle.manifest["metrics"] = {"clicks": {"until_ms": until_ms}}
    return served


@pytest.mark.parametrize(("theirs", "passed"), [(0.3, True), (0.1, False)])
def test_p_click_may_be_as_far_from_the_truth_as_the_champions(
    champion: Path, walks: Path, monkeypatch: pytest.MonkeyPatch, theirs: float, passed: bool
) -> None:
    ours, others = clicking(champion), clicking(champion)
    errors = {id(ours): 0.2, id(others): theirs}
    monkeypatch.setattr(
        click_calibration, "clicks_of_bundle", lambda served, *_: {"clicks": {"ECE": errors[id(served)]}}
    )
    line = calibration_line(ours, others, walks, 0, GateLimits(), SHORT_SESSIONS, print)
    assert (line.passed, line.value, line.champion) == (passed, 0.2, theirs)


def test_p_click_is_judged_on_closed_sessions_that_it_was_not_fitted_on(
    champion: Path, walks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = list[tuple[int, int]]()

    def clicks(served: Served, questions: Any, *_: Any) -> Any:
        asked.append((int(questions.time_ms.min()), int(questions.time_ms.max())))
        return {"clicks": {"ECE": 0.0}}

    monkeypatch.setattr(click_calibration, "clicks_of_bundle", clicks)
    for until_ms in (NOW_MS + 400_000, NOW_MS + 650_000):
        calibration_line(
            clicking(champion, until_ms=until_ms), None, walks, NOW_MS + 300_000, GateLimits(), SHORT_SESSIONS, print
        )
    closed_ms = NOW_MS + 719_000 - 60_000
    assert asked == [(NOW_MS + 401_000, closed_ms), (NOW_MS + 300_000, closed_ms)], "few others: the fitted ones too"


@pytest.mark.parametrize(("calibration", "passed"), [(0.0, True), (0.5, False)])
def test_without_a_known_outcome_the_champions_calibration_stays(
    champion: Path, walks: Path, calibration: float, passed: bool
) -> None:
    """The sessions of twelve minutes may all go on."""
    line = calibration_line(
        clicking(champion, calibration), clicking(champion), walks, 0, GateLimits(), EventSettings(), print
    )
    assert line.passed is passed and "too few lists whose outcome is known" in line.why
