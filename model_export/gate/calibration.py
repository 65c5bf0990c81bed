"""The line on calibration: whether the served click probabilities are the shares that come true."""

from pathlib import Path

from model_export.data.dataset import examples, read_events
from model_export.data.learnable import learnable
from model_export.evaluation.served import Served
from model_export.gate.report import Line, judged
from model_export.measures.training_log import Log
from operators.configuration.shop_settings import EventSettings, GateLimits

TRAIN = "train on newer events: the calibration is fitted on the newest (docs/train.md)"


def calibration_line(
    served: Served, events: Path, from_ms: int, limits: GateLimits, event_limits: EventSettings, log: Log
) -> Line:
    """Compares `p_click` with what the shoppers of the window did (epoch ms, from `from_ms` on). Passes where the bundle serves
    none. Needs the extra `train` where it does."""
    expected = f"p_click within {limits.max_calibration_error:g} of the shares that come true"
    if served.bundle.clicks is None:
        return judged("calibration", True, expected, "p_click is not served", TRAIN)
    from model_export.evaluation.click_calibration import clicks_of_bundle

    bundle, (known, _) = served.bundle, learnable(read_events(events, log, event_limits))
    later = examples(known, bundle.vocabulary, event_limits, bundle.window, bundle.hop)
    questions = later.where(later.time_ms >= from_ms)
    error = clicks_of_bundle(served, questions, questions.features, later)["clicks"].get("ECE")
    if error is None:
        return judged(
            "calibration", False, expected, "no list whose outcome is known", "give a longer window of events"
        )
    came = f"an expected calibration error of {error:.3f}"
    limit = limits.max_calibration_error
    return judged("calibration", error <= limit, expected, came, TRAIN, value=error, limit=limit)
