"""The calibration of a bundle's click head: a logistic curve at the export, isotonic regression on the newest window after it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from model_export.bundles.bundle_folder import add_file
from model_export.data.dataset import Examples
from model_export.evaluation.click_calibration import cases_of, fitted, held_out
from model_export.evaluation.served import Served
from model_export.models.click_head import ClickHead
from operators.model.bundle_files import read_manifest
from operators.model.click_head import CALIBRATION
from operators.model.model_bundle import ModelBundle

FARTHEST, POINTS = 12.0, 241  # of the logistic curve


def uncalibrated(head: ClickHead) -> npt.NDArray[np.float32]:
    """float32 [2, n]: the probabilities as the head learned them."""
    logits = np.linspace(-FARTHEST, FARTHEST, POINTS)
    return np.stack((logits / float(head.sharpness.detach().exp()), 1 / (1 + np.exp(-logits)))).astype(np.float32)


class KeptPoints(NamedTuple):
    """A calibration that serves, float32 [2, n], and up to when it knows the questions, epoch ms."""

    points: npt.NDArray[np.float32]
    until_ms: int


@dataclass(frozen=True)
class Calibration:
    """What a click head is calibrated on: `questions` whose sessions have ended; `later`: all examples of their sessions;
    `kept`: the calibration that stays with too few questions. None: the curve that the head learned."""

    questions: Examples
    later: Examples
    kept: KeptPoints | None = None

    @staticmethod
    def points_of(bundle: ModelBundle) -> KeptPoints | None:
        """Those of a bundle that serves `p_click`."""
        if bundle.clicks is None:
            return None
        until_ms = bundle.manifest.get("metrics", {}).get("clicks", {}).get("until_ms", 0)
        return KeptPoints(bundle.clicks.calibration.astype(np.float32), int(until_ms))


def add_click_calibration(folder: Path, calibration: Calibration) -> None:
    """Calibrates the click head of the bundle in `folder`, if it has one. The manifest gets the measures as `metrics.clicks`."""
    bundle = ModelBundle.load(folder)
    if bundle.clicks is None:
        return
    questions, kept = calibration.questions, calibration.kept
    learned = np.load(folder / f"{CALIBRATION}.npy", allow_pickle=False)
    before, until_ms = (learned, 0) if kept is None else kept
    facts: dict[str, Any] = {"questions": len(questions), "calibrated": False, "until_ms": until_ms}
    points = before
    if len(questions):
        cases = cases_of(Served(bundle), questions, questions.features, calibration.later)
        if (own := fitted(*cases)) is not None:
            points = own
            facts |= {"calibrated": True, "until_ms": int(questions.time_ms.max())}
        facts |= {"questions": len(cases.logits)} | held_out(cases, before)
    np.save(folder / f"{CALIBRATION}.npy", points, allow_pickle=False)
    metrics: dict[str, Any] = read_manifest(folder).get("metrics", {})
    add_file(folder, f"{CALIBRATION}.npy", {"metrics": metrics | {"clicks": facts}})
