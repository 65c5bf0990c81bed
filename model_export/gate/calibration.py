"""The line on calibration: whether the served click probabilities are the shares that come true."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from model_export.data.dataset import examples, read_events
from model_export.data.learnable import learnable
from model_export.evaluation.served import Served
from model_export.gate.report import Line, judged
from model_export.measures.training_log import Log
from operators.configuration.shop_settings import EventSettings, GateLimits
from operators.records.contracts import Event

TRAIN = "train on newer events: the calibration is fitted on the newest (docs/train.md)"


def calibration_line(
    served: Served,
    champion: Served | None,
    events: Path,
    from_ms: int,
    limits: GateLimits,
    event_limits: EventSettings,
    log: Log,
) -> Line:
    """Compares `p_click` with what the shoppers of the window did (epoch ms, from `from_ms` on). Passes where the bundle serves
    none. Needs the extra `train` where it does.

    Questions on which the calibration was fitted are left out, unless too few others are there. A champion that is farther
    from the truth on the same questions is the limit.
    """
    limit = limits.max_calibration_error
    expected = f"p_click within {limit:g} of the shares that come true, or no farther than the champion's"
    if served.bundle.clicks is None:
        return judged("calibration", True, expected, "p_click is not served", TRAIN)
    known, _ = learnable(read_events(events, log, event_limits))
    fitted_until_ms = served.bundle.manifest.get("metrics", {}).get("clicks", {}).get("until_ms", 0)
    for start_ms in (max(from_ms, fitted_until_ms + 1), from_ms):
        if (error := _error(served, known, start_ms, event_limits)) is not None:
            break
    else:
        came = "too few lists whose outcome is known"
        if same := _same_calibration(served, champion):
            came += ", and the calibration is the champion's"
        return judged("calibration", same, expected, came, "give a longer window of events")
    theirs = None
    if error > limit and champion is not None and champion.bundle.clicks is not None:
        theirs = _error(champion, known, start_ms, event_limits)
    came, limit = f"an expected calibration error of {error:.3f}", max(limit, theirs or 0.0)
    return judged("calibration", error <= limit, expected, came, TRAIN, value=error, champion=theirs, limit=limit)


def _error(served: Served, known: Sequence[Event], from_ms: int, limits: EventSettings) -> float | None:
    """The expected calibration error on questions from `from_ms` on; None where too few lists have a known outcome: those
    whose session may go on after the last event have none."""
    from model_export.evaluation.click_calibration import FEWEST_QUESTIONS, clicks_of_bundle

    bundle, closed_ms = served.bundle, int(known[-1].event_time) - limits.session_gap_ms
    later = examples(known, bundle.vocabulary, limits, bundle.window, bundle.hop)
    questions = later.where((later.time_ms >= from_ms) & (later.time_ms <= closed_ms))
    if len(questions) < FEWEST_QUESTIONS:
        return None
    error: float | None = clicks_of_bundle(served, questions, questions.features, later)["clicks"].get("ECE")
    return error


def _same_calibration(served: Served, champion: Served | None) -> bool:
    if served.bundle.clicks is None or champion is None or champion.bundle.clicks is None:
        return False
    return bool(np.array_equal(served.bundle.clicks.calibration, champion.bundle.clicks.calibration))
