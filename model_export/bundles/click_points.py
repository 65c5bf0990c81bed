"""The calibration of a bundle's click head: a logistic curve at the export, isotonic regression on the newest window after it."""

from pathlib import Path
from typing import Any

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


def add_click_calibration(folder: Path, questions: Examples, later: Examples) -> None:
    """Calibrates the click head of the bundle in `folder`, if it has one, on `questions` whom the training did not see.

    `later`: all examples of their sessions. The manifest gets the measures as `metrics.clicks`. With too few questions the
    curve of the export stays.
    """
    bundle = ModelBundle.load(folder)
    if bundle.clicks is None:
        return
    cases = cases_of(Served(bundle), questions, questions.features, later)
    before, points = np.load(folder / f"{CALIBRATION}.npy", allow_pickle=False), fitted(*cases)
    if points is not None:
        np.save(folder / f"{CALIBRATION}.npy", points, allow_pickle=False)
    metrics: dict[str, Any] = read_manifest(folder).get("metrics", {})
    facts = {"questions": len(cases.logits), "until_ms": int(questions.time_ms.max()), "calibrated": points is not None}
    add_file(folder, f"{CALIBRATION}.npy", {"metrics": metrics | {"clicks": facts | held_out(cases, before)}})
