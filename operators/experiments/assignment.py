"""The experiments that a user is in: that of `[experiment]`, and those that run by the topic `shop.experiments.v1`."""

import logging
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec

from operators.configuration.shop_settings import ExperimentSettings
from operators.errors import SettingsError
from operators.experiments.draws import check_shares
from operators.experiments.effects import AS_SET, Effects, effects_of
from operators.experiments.experiment_rows import ExperimentRecord
from operators.experiments.layers import Layers, conflict_of
from operators.experiments.plan import ExperimentPlan, plan_of_shares
from operators.records.contracts import Experiment

log = logging.getLogger(__name__)
NO_ARM = "all"  # the label of users in no experiment
NO_EXPERIMENT = ""
NOT_CARRIED = "effect_not_carried"


class Assigned(NamedTuple):
    """Of one user. `experiments`: a list names the first one; empty: none. `effects`: on the user's lists."""

    experiments: tuple[Experiment, ...]
    effects: Effects


IN_NONE = Assigned((), AS_SET)


class Settled(NamedTuple):
    """Plans that run together, and `refused`: name -> (reason, error) of those that the others rule out."""

    plans: tuple[ExperimentPlan, ...]
    refused: dict[str, tuple[str, SettingsError]]


def settled(own: Sequence[ExperimentPlan], records: Iterable[ExperimentRecord]) -> Settled:
    """Which of the plans on the topic run beside `own`. Of two that cannot run together the one that started later is refused
    (of two of the same time the second by name), so every reader of the topic decides the same."""
    plans, refused = [*own], dict[str, tuple[str, SettingsError]]()
    running = (record for record in records if record.stopped_at is None)
    for record in sorted(running, key=lambda record: (record.started_at, record.plan.name)):
        if conflict := _uncarried(record.plan) or conflict_of([*plans, record.plan]):
            refused[record.plan.name] = conflict
        else:
            plans.append(record.plan)
    return Settled(tuple(plans), refused)


def _uncarried(plan: ExperimentPlan) -> tuple[str, SettingsError] | None:
    try:
        plan.refuse_effects_beyond(Effects._fields)
    except SettingsError as error:
        return NOT_CARRIED, error
    return None


def plans_of(settings: ExperimentSettings) -> tuple[ExperimentPlan, ...]:
    """The plan of `[experiment]`, if it names one: the whole default layer. Raises `SettingsError`."""
    if bool(settings.name) != bool(settings.arms):
        raise SettingsError(
            "experiment.name and experiment.arms, both or none",
            f"name {settings.name!r} and arms {settings.arms}",
            "correct liveshelf.toml",
        )
    if not settings.arms:
        return ()
    check_shares(settings.arms, "experiment.arms", "correct liveshelf.toml")
    return (plan_of_shares(settings.name, settings.arms),)


class Experiments:
    """The running experiments. `changed` and `run` belong to one thread, the rest to any."""

    def __init__(self, settings: ExperimentSettings) -> None:
        """Raises `SettingsError` as `plans_of`."""
        self._own, self._hold_out = plans_of(settings), settings.hold_out
        self._records: dict[str, ExperimentRecord] = {}
        self.refused: dict[str, str] = {}  # name -> reason, of plans on the topic that do not run
        self.run(self._own)

    @property
    def plans(self) -> tuple[ExperimentPlan, ...]:
        """What runs; the same object until that changes."""
        return self._plans

    def changed(self, key: str, record: ExperimentRecord | None) -> None:
        """Applies a record of the topic; None: it left the topic."""
        if record is None:
            self._records.pop(key, None)
        else:
            self._records[key] = record
        plans, refused = settled(self._own, self._records.values())
        for name, (reason, error) in refused.items():
            if self.refused.get(name) != reason:
                log.warning("the experiment %s does not run: %s", name, error)
        self.refused = {name: reason for name, (reason, _) in refused.items()}
        self.run(plans)

    def run(self, plans: Sequence[ExperimentPlan]) -> None:
        """These run from now on: plans of `settled`."""
        # a list in several experiments names the first: one whose arms differ in lists, else the first by name
        in_order = sorted(plans, key=lambda plan: (not any(arm.effects for arm in plan.arms), plan.name))
        layers = Layers(in_order, hold_out=self._hold_out)
        self._plans, self._layers = tuple(plans), layers if plans else None

    def assigned(self, user_id: str) -> Assigned:
        """The user's experiments, and what they change."""
        if self._layers is None:
            return IN_NONE
        arms = self._layers.arms_of(user_id)
        if not arms:
            return IN_NONE
        return Assigned(tuple(Experiment(name, arm.name) for name, arm in arms.items()), effects_of(arms.values()))

    def of(self, user_id: str) -> Experiment | None:
        """The experiment that the user's lists name; None: the user is in none."""
        experiments = self.assigned(user_id).experiments
        return experiments[0] if experiments else None

    def label(self, user_id: str) -> str:
        """The arm as a metric's label."""
        experiment = self.of(user_id)
        return NO_ARM if experiment is None else experiment.arm

    @property
    def labels(self) -> list[str]:
        """All values of `label` while the plans stay."""
        return [*dict.fromkeys(arm.name for plan in self._plans for arm in plan.arms)] or [NO_ARM]

    @property
    def shares(self) -> dict[tuple[str, str], float]:
        """(experiment, arm) -> the share of the experiment's users that the arm should have."""
        shares = {(plan.name, arm): share for plan in self._plans for arm, share in plan.shares.items()}
        return shares | {(NO_EXPERIMENT, NO_ARM): 1.0}


def more_than_one(experiments: tuple[Experiment, ...]) -> tuple[Experiment, ...] | msgspec.UnsetType:
    """The field `experiments` of a list or an example."""
    return experiments if len(experiments) > 1 else msgspec.UNSET
