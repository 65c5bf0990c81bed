"""A small gate: a candidate must be no worse than the champion on the newest window, and on an old one.

NDCG@20 with all items ranked, as both bundles are served. An item that a bundle does not know counts as a miss.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_export.data.dataset import examples
from model_export.data.splits import drawn_questions
from model_export.evaluation.served import Served
from model_export.follow.candidate import GateWindows
from model_export.measures.ranking_metrics import summary
from operators.configuration.shop_settings import EventSettings
from operators.errors import EventsFileError
from operators.model.model_bundle import ModelBundle

QUESTIONS = 2000  # at most, of each window
SEED = 7
MARGIN = 0.02  # share of the champion's NDCG@20 that a candidate may lose


@dataclass(frozen=True)
class WindowsVerdict:
    """A `Verdict`."""

    passed: bool
    lines: list[str]


class WindowsGate:
    """A `Gate` with the limits of the events."""

    def __init__(self, limits: EventSettings, margin: float = MARGIN) -> None:
        self._limits, self._margin = limits, margin

    def __call__(self, candidate: Path, champion: Path, windows: GateWindows) -> WindowsVerdict:
        """Passes if neither window lost more than the margin."""
        bundles = [ModelBundle.load(folder) for folder in (candidate, champion)]
        passed, lines = True, list[str]()
        end_ms = int(windows.events[-1].event_time) + 1
        for name, span_ms in (("newest", (windows.newest_ms, end_ms)), ("old", windows.old_ms)):
            sums, counts = zip(*(self._ndcg(bundle, windows, span_ms) for bundle in bundles), strict=True)
            asked = max(*counts, 1)
            own, other = (total / asked for total in sums)
            is_worse = own < other * (1 - self._margin)
            passed = passed and not is_worse
            line = f"NDCG@20 of the {name} window {own:.4f}, champion {other:.4f}, {asked} questions"
            lines.insert(0 if is_worse else len(lines), line)
        return WindowsVerdict(passed, lines)

    def _ndcg(self, bundle: ModelBundle, windows: GateWindows, span_ms: tuple[int, int]) -> tuple[float, int]:
        """(the sum of NDCG@20, the number of questions) in the window."""
        until = [event for event in windows.events if int(event.event_time) < span_ms[1]]
        try:
            asked = examples(until, bundle.vocabulary, self._limits, bundle.window, bundle.hop)
        except EventsFileError:
            return 0.0, 0
        questions = drawn_questions(asked.where(asked.time_ms >= span_ms[0]), QUESTIONS, SEED)
        if not len(questions):
            return 0.0, 0
        ranks = Served(bundle).ranks(questions.features, questions.target)
        return float(summary(np.asarray(ranks))["NDCG@20"]) * len(questions), len(questions)
