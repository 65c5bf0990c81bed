"""Outcomes of shown items by arm and user, counted from examples."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from operators.errors import LiveshelfError
from operators.experiments.calibration import Reliability, reliability
from operators.experiments.plan import ExperimentPlan
from operators.experiments.statistics.moments import Floats
from operators.records.contracts import Experiment

LABELS = ("none", "click", "add_to_cart", "purchase")  # of an example, from the least to the best outcome


class ShownItem(Protocol):
    """What the statistics read of an example: one item that was shown, and its best outcome."""

    @property
    def example_id(self) -> str:
        """One shown item; the same in all its revisions."""

    @property
    def user_id(self) -> str:
        """The unit of all statistics."""

    @property
    def item_id(self) -> str:
        """The item."""

    @property
    def shown_at(self) -> int | None:
        """Epoch ms; None where no impression arrived."""

    @property
    def label(self) -> str:
        """One of `LABELS`."""

    @property
    def experiment(self) -> Experiment | None:
        """The experiment and arm of the list."""

    @property
    def propensity(self) -> float | None:
        """The probability with which the item was shown at its place; None where it was not drawn."""

    @property
    def p_click(self) -> float | None:
        """The served click probability; None where the list had none."""

    @property
    def organic(self) -> bool:
        """Whether no list was involved."""


@dataclass
class UserOutcomes:
    """Of one user: shown items by best outcome, in the order of `LABELS`."""

    arm: str
    by_label: list[int] = field(default_factory=lambda: [0] * len(LABELS))
    predicted: list[tuple[float, bool]] = field(
        default_factory=list
    )  # p_click and whether the item was clicked, or better


@dataclass(frozen=True)
class ArmCounts:
    """Of one arm. A shown item counts once, by its best outcome: an item in the cart is no click."""

    users: int
    impressions: int
    clicks: int
    carts: int
    purchases: int


@dataclass(frozen=True)
class Sample:
    """The users of one arm: for each its shown items and conversions, [users]."""

    user_ids: tuple[str, ...]
    shown: Floats
    converted: Floats


class Outcomes:
    """Counts final examples of one experiment. Not thread-safe.

    Left out, with a reason in `left_out`: `organic`; `no_impression` (an outcome of an item that nobody saw to be shown:
    only positive ones are known); `other_experiment`; `unknown_arm`; `several_arms` (users whose examples have more than
    one arm).
    """

    def __init__(self, plan: ExperimentPlan) -> None:
        self.plan = plan
        self._users: dict[str, UserOutcomes] = {}
        self._several = Counter[str]()  # user -> examples
        self._left_out = Counter[str]()
        self._ids = set[str]()

    def add_all(self, examples: Iterable[ShownItem]) -> "Outcomes":
        """Adds examples and returns itself. Raises `LiveshelfError` as `add` does."""
        for example in examples:
            self.add(example)
        return self

    def add(self, example: ShownItem) -> None:
        """Raises `LiveshelfError` for an id that came before, and for an unknown label."""
        if example.example_id in self._ids:
            raise LiveshelfError(
                "final examples, each id once", f"{example.example_id} twice", "keep the highest revision of each id"
            )
        self._ids.add(example.example_id)
        if example.label not in LABELS:
            raise LiveshelfError(f"a label of {', '.join(LABELS)}", example.label, "read shop.examples.v1")
        experiment = example.experiment
        if (reason := self._reason_to_leave_out(example)) or experiment is None:
            self._left_out[reason] += 1
        elif example.user_id in self._several:
            self._several[example.user_id] += 1
        else:
            self._count(example, experiment.arm)

    def _reason_to_leave_out(self, example: ShownItem) -> str:
        if example.organic:
            return "organic"
        if example.experiment is None or example.experiment.name != self.plan.name:
            return "other_experiment"
        if example.experiment.arm not in self.plan.shares:
            return "unknown_arm"
        return "no_impression" if example.shown_at is None else ""

    def _count(self, example: ShownItem, arm: str) -> None:
        user = self._users.get(example.user_id)
        if user is None:
            user = self._users[example.user_id] = UserOutcomes(arm)
        elif user.arm != arm:
            del self._users[example.user_id]
            self._several[example.user_id] = sum(user.by_label) + 1
            return
        user.by_label[LABELS.index(example.label)] += 1
        if example.p_click is not None:
            user.predicted.append((example.p_click, example.label != LABELS[0]))

    @property
    def left_out(self) -> dict[str, int]:
        """Reason -> examples that no count holds."""
        several = sum(self._several.values())
        return dict(self._left_out) | ({"several_arms": several} if several else {})

    def counts(self) -> dict[str, ArmCounts]:
        """Arm -> counts, in the plan's order."""
        users = Counter(user.arm for user in self._users.values())
        labels = {arm: np.zeros(len(LABELS), dtype=int) for arm in self.plan.shares}
        for user in self._users.values():
            labels[user.arm] += user.by_label
        return {
            arm: ArmCounts(
                users=users[arm],
                impressions=int(n.sum()),
                clicks=int(n[1]),
                carts=int(n[2]),
                purchases=int(n[3]),
            )
            for arm, n in labels.items()
        }

    def reliabilities(self) -> dict[str, Reliability | None]:
        """Arm -> whether the served click probabilities came true; None for an arm whose lists had none."""
        cases: dict[str, list[tuple[float, bool]]] = {arm: [] for arm in self.plan.shares}
        for user in self._users.values():
            cases[user.arm] += user.predicted
        return {arm: reliability(*np.array(of_arm, dtype=np.float64).reshape(-1, 2).T) for arm, of_arm in cases.items()}

    def samples(self) -> dict[str, Sample]:
        """Arm -> its users. A conversion is an outcome as good as the plan's metric, or better."""
        least = LABELS.index(self.plan.metric)
        rows: dict[str, list[tuple[str, int, int]]] = {arm: [] for arm in self.plan.shares}
        for user_id, user in self._users.items():
            rows[user.arm].append((user_id, sum(user.by_label), sum(user.by_label[least:])))
        return {
            arm: Sample(
                tuple(user_id for user_id, _, _ in of_arm),
                np.array([shown for _, shown, _ in of_arm], dtype=np.float64),
                np.array([converted for _, _, converted in of_arm], dtype=np.float64),
            )
            for arm, of_arm in rows.items()
        }
