"""Examples as the statistics read them."""

from dataclasses import dataclass
from itertools import count

from operators.experiments.plan import Arm, ExperimentPlan
from operators.records.contracts import Experiment

HALVES = ExperimentPlan(name="ranker", arms=(Arm(name="control", share=0.5), Arm(name="treatment", share=0.5)))
_numbers = count()


@dataclass(frozen=True)
class Shown:
    example_id: str
    user_id: str
    item_id: str
    shown_at: int | None
    label: str
    experiment: Experiment | None
    propensity: float | None = None
    organic: bool = False
    p_click: float | None = None


def shown(
    user_id: str,
    label: str = "none",
    arm: str | None = "control",
    *,
    experiment: str = "ranker",
    shown_at: int | None = 1,
    organic: bool = False,
    propensity: float | None = None,
    p_click: float | None = None,
) -> Shown:
    named = None if arm is None else Experiment(experiment, arm)
    return Shown(f"x{next(_numbers)}", user_id, "i1", shown_at, label, named, propensity, organic, p_click)


def shown_in(arm: str, users: int, items: int, clicks: int, label: str = "click") -> list[Shown]:
    """Of each user `items` shown items, of which every second user has `clicks` more outcomes, for some variance."""
    return [
        shown(f"{arm}{user}", label if item < clicks + user % 2 else "none", arm)
        for user in range(users)
        for item in range(items)
    ]
