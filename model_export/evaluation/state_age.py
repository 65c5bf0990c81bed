"""What freshness is worth: the same model with the newest part of each history held back."""

import numpy as np

from model_export.data.dataset import Examples
from model_export.evaluation.served import Served
from model_export.measures.ranking_metrics import percent, summary
from operators.shopper.features import Features

AGES = {"0 s": 0, "1 min": 60, "10 min": 600, "1 h": 3600, "24 h": 86_400}


def aged(asked: Examples, age_s: int, window: int) -> Features:
    """The features of each question as they were `age_s` seconds before it; 0: as they are. At most `window` steps.

    `asked` should hold longer windows than `window`: what is held back makes room for older steps.
    """
    f = asked.features
    places = np.arange(f.items.shape[1])
    known = places < f.length[:, None]
    if age_s:
        known &= f.seconds.astype(np.int64) <= asked.time_ms[:, None] // 1000 - age_s
    length = known.sum(axis=1)
    first = np.maximum(length - window, 0)
    order = np.argsort(~known, axis=1, kind="stable")  # the known ones first, in their order
    wanted = np.minimum(first[:, None] + np.arange(window), f.items.shape[1] - 1)
    kept = np.minimum(length, window).astype(np.int32)
    padding = np.arange(window) >= kept[:, None]
    taken = np.take_along_axis(order, wanted, axis=1)
    items, kinds, seconds = (np.take_along_axis(a, taken, axis=1) for a in (f.items, f.kinds, f.seconds))
    items[padding] = 0
    kinds[padding] = 0
    return Features(items, kinds, kept, seconds)


def state_age_curve(served: Served, asked: Examples) -> dict[str, dict[str, float]]:
    """Age -> metrics in %, and `empty`: the share of questions whose history is gone (they get the popular list)."""
    curve = {}
    for name, age_s in AGES.items():
        stale = aged(asked, age_s, served.bundle.window)
        found = percent(summary(served.ranks(stale, asked.target)))
        curve[name] = found | {"empty": round(100 * float((stale.length == 0).mean()), 2)}
    return curve
