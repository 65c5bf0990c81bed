"""The lines on quality: no worse than the champion, and better than the popular list."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from model_export.evaluation.served import ranks_of_candidates
from model_export.gate.answers import LIST
from model_export.gate.bootstrap import interval
from model_export.gate.questions import Questions
from model_export.gate.report import RETRAIN, Line, judged
from model_export.measures.ranking_metrics import gains
from operators.model.model_bundle import ModelBundle

Ranks = npt.NDArray[np.int64]
NAMES = {"R@20": "hit@20", "MRR@20": "MRR@20", "NDCG@20": "NDCG@20"}
LONGER = "give a longer window of events: this one leaves both possible, a loss beyond the limit and none"


class AllowedLoss(NamedTuple):
    """How far below the champion's value an interval may reach: a `share` of that value, and `always` so much. A share of a
    champion that finds next to nothing is next to nothing. `proven`: whether the interval must lie above that; else it is
    enough that the value does, and that nothing proves the candidate worse."""

    share: float
    always: float
    proven: bool = True


def quality_lines(
    candidate: Ranks, champion: Ranks, questions: Questions, allowed: AllowedLoss, seed: int, before: str = ""
) -> list[Line]:
    """A line for each of hit@20, MRR@20 and NDCG@20: a test of non-inferiority.

    A line passes where the whole 95 % interval of candidate minus champion is above minus the allowed loss. All three must
    pass, so the chance to take a worse candidate is that of one test (intersection-union).

    Where `allowed.proven` is not asked for, a line also passes where the difference itself is above minus the allowed loss,
    and the interval reaches 0.
    """
    lines, ours, theirs = [], gains(candidate), gains(champion)
    for name, shown in NAMES.items():
        value, champion_value = float(ours[name].mean()), float(theirs[name].mean())
        low, high = interval(ours[name] - theirs[name], questions.user, seed)
        limit = -max(allowed.share * champion_value, allowed.always)
        passed, expected = low >= limit, f"the 95 % interval of {shown} minus"
        if not allowed.proven:
            passed = passed or (value - champion_value >= limit and high >= 0)
            expected = f"{expected} the champion's above {limit:.4f}, or one that reaches 0, and {shown} minus"
        lines.append(
            judged(
                before + shown,
                passed,
                f"{expected} the champion's {champion_value:.4f} above {limit:.4f}",
                f"{low:+.4f} to {high:+.4f} ({value:.4f})",
                RETRAIN if high < 0 else LONGER,
                value=value,
                champion=champion_value,
                limit=limit,
                interval=(low, high),
            )
        )
    return lines


def proven_better(lines: Sequence[Line]) -> bool:
    """Whether the interval of each of the `quality_lines` is above 0. Where the champion misses nothing, as hit@20 of a shop
    with twenty items, no loss is enough."""
    lows = [(line.champion, line.interval[0]) for line in lines if line.interval is not None]
    gained = [low > 0 for _, low in lows]
    return any(gained) and all(
        gain or (champion == 1 and low == 0) for gain, (champion, low) in zip(gained, lows, strict=True)
    )


def popularity_line(candidate: Ranks, bundle: ModelBundle, questions: Questions, seed: int, before: str = "") -> Line:
    """Whether the model finds more than a bundle's popular list, which shoppers get without a model.

    By MRR@20: the list of a small shop holds nearly all of its items, so that hit@20 tells it from no model.
    """
    popular = bundle.popular[:LIST]
    rows = np.broadcast_to(popular, (len(questions), len(popular)))
    falling = np.broadcast_to(-np.arange(len(popular), dtype=np.float32), rows.shape)
    popular_rank = ranks_of_candidates(falling, rows, questions.targets(bundle.vocabulary))
    ours, theirs = gains(candidate)["MRR@20"], gains(popular_rank)["MRR@20"]
    low, high = interval(ours - theirs, questions.user, seed)
    return judged(
        f"{before}popularity",
        low > 0,
        f"the 95 % interval of MRR@20 minus the popular list's {theirs.mean():.4f} above 0",
        f"{low:+.4f} to {high:+.4f} ({ours.mean():.4f})",
        "check that the window's events and the bundle are of one shop, and look at the training's log",
        value=float(ours.mean()),
        champion=float(theirs.mean()),
        limit=0,
        interval=(low, high),
    )
