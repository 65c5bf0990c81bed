"""The state-age curve: metrics of the same model when the newest part of each history is withheld."""

import numpy as np

from model_export.data.dataset import Examples
from model_export.evaluation.served import Served
from model_export.measures.ranking_metrics import percent, summary
from operators.shopper.features import Features, window_starts

AGES = {"0 s": 0, "1 min": 60, "10 min": 600, "1 h": 3600, "24 h": 86_400}


def aged(questions: Examples, age_s: int, window: int, hop: int = 1) -> Features:
    """The features of each question `age_s` seconds before it (0: unchanged), at most `window` steps (`window_starts`).

    `questions` should hold longer windows than `window`, because withheld steps make room for older ones.
    """
    f = questions.features
    positions = np.arange(f.items.shape[1])
    in_state = positions < f.length[:, None]
    if age_s:
        in_state &= f.seconds.astype(np.int64) <= questions.time_ms[:, None] // 1000 - age_s
    length = in_state.sum(axis=1)
    taken = f.steps - (f.length - length)
    lengths = np.minimum(length, taken - window_starts(taken, window, hop)).astype(np.int32)
    first = length - lengths
    order = np.argsort(~in_state, axis=1, kind="stable")  # steps in the state first, in their order
    offsets = np.minimum(first[:, None] + np.arange(window), f.items.shape[1] - 1)
    padding = np.arange(window) >= lengths[:, None]
    steps = np.take_along_axis(order, offsets, axis=1)
    items, kinds, seconds = (np.take_along_axis(a, steps, axis=1) for a in (f.items, f.kinds, f.seconds))
    items[padding] = 0
    kinds[padding] = 0
    return Features(items, kinds, lengths, seconds, taken)


def state_age_curve(served: Served, questions: Examples) -> dict[str, dict[str, float]]:
    """Age -> metrics in %, and `empty`: the share of questions without any history left (they get the popular list)."""
    curve = {}
    for name, age_s in AGES.items():
        aged_features = aged(questions, age_s, served.bundle.window, served.bundle.hop)
        metrics = percent(summary(served.ranks(aged_features, questions.target)))
        curve[name] = metrics | {"empty": round(100 * float((aged_features.length == 0).mean()), 2)}
    return curve
