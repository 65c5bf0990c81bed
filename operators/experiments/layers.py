"""Experiments that run at once. Each layer draws its users with a key of its own, so layers do not interact.

After Tang et al., "Overlapping Experiment Infrastructure" (KDD 2010): experiments of one layer share its users and no
user is in two of them; an effect belongs to one layer.
"""

from collections.abc import Callable, Collection, Sequence
from itertools import pairwise

from operators.errors import SettingsError
from operators.experiments.draws import arm_at, check_shares, draw
from operators.experiments.plan import Arm, ExperimentPlan

# no user id holds a control character, so a layer's draw is no experiment's even where both have one name
_OF_LAYER, _OF_HOLD_OUT = "layer\0", "hold-out\0"


class Layers:
    """The running experiments, and the arms of a user. Thread-safe."""

    def __init__(
        self,
        plans: Sequence[ExperimentPlan],
        *,
        hold_out: float = 0.0,
        hold_out_salt: str = "hold-out",
        past_names: Collection[str] = (),
    ) -> None:
        """`hold_out`: the share of all users that is in no experiment. `past_names`: of experiments that have ended.

        Raises `SettingsError` for names or salts that two experiments share, ranges of a layer that overlap, and effects
        that two layers have.
        """
        check_shares(
            {"hold-out": hold_out, "others": 1 - hold_out}, "hold-out and others", "correct the hold-out's share"
        )
        for plan in plans:
            if plan.name in past_names:
                raise _used_name(plan)
        if conflict := conflict_of(plans):
            raise conflict[1]
        self._draws = [
            (plan.name, plan.layer, plan.begin, plan.end, plan.key, {arm.name: arm for arm in plan.arms}, plan.shares)
            for plan in plans
        ]
        # only these layers must be drawn: an experiment of a whole layer has all of its users
        self._divided = {plan.layer for plan in plans if (plan.begin, plan.end) != (0, 1)}
        self._hold_out, self._hold_out_key = hold_out, hold_out_salt.encode()

    def is_held_out(self, user_id: str) -> bool:
        """Whether the user is kept out of every experiment."""
        return self._hold_out > 0 and draw(self._hold_out_key, _OF_HOLD_OUT + user_id) < self._hold_out

    def arms_of(self, user_id: str) -> dict[str, Arm]:
        """Experiment -> the user's arm, for the experiments that the user is in, in the plans' order: at most one of each
        layer."""
        if self.is_held_out(user_id):
            return {}
        places = {layer: draw(layer.encode(), _OF_LAYER + user_id) for layer in self._divided}
        return {
            name: arms[arm_at(draw(key, user_id), shares)]
            for name, layer, begin, end, key, arms, shares in self._draws
            if begin <= places.get(layer, 0.0) < end
        }


def conflict_of(plans: Sequence[ExperimentPlan]) -> tuple[str, SettingsError] | None:
    """Why these cannot run at once: a reason as a metric's label, and the error; None: they can."""
    for reason, check in _CONFLICTS.items():
        try:
            check(plans)
        except SettingsError as error:
            return reason, error
    return None


def _used_name(plan: ExperimentPlan) -> SettingsError:
    return SettingsError(
        "an experiment with a name that none has had", plan.name, "choose another name: its examples would mix"
    )


def _refuse_same_names(plans: Sequence[ExperimentPlan]) -> None:
    names = set[str]()
    for plan in plans:
        if plan.name in names:
            raise _used_name(plan)
        names.add(plan.name)


def _refuse_same_salts(plans: Sequence[ExperimentPlan]) -> None:
    salts = set[bytes]()
    for plan in plans:
        if plan.key in salts:
            raise SettingsError(
                "experiments with different salts", f"{plan.key.decode()} twice", "leave the salt of one of them empty"
            )
        salts.add(plan.key)


def _refuse_overlaps(plans: Sequence[ExperimentPlan]) -> None:
    in_order = sorted(plans, key=lambda plan: (plan.layer, plan.begin))
    for first, second in pairwise(in_order):
        if first.layer == second.layer and second.begin < first.end:
            came = " and ".join(f"{plan.name} from {plan.begin:g} to {plan.end:g}" for plan in (first, second))
            raise SettingsError(
                f"experiments of the layer {first.layer} that do not overlap",
                came,
                "change begin and end, wait for the other to end, or use another layer",
            )


def _refuse_shared_effects(plans: Sequence[ExperimentPlan]) -> None:
    layer_of: dict[str, ExperimentPlan] = {}
    for plan in plans:
        for effect in sorted({effect for arm in plan.arms for effect in arm.effects}):
            other = layer_of.setdefault(effect, plan)
            if other.layer != plan.layer:
                raise SettingsError(
                    f"{effect} in the experiments of one layer",
                    f"{other.name} in {other.layer} and {plan.name} in {plan.layer}",
                    "put both experiments on one layer: they would change each other's lists",
                )


_CONFLICTS: dict[str, Callable[[Sequence[ExperimentPlan]], None]] = {
    "same_name": _refuse_same_names,
    "same_salt": _refuse_same_salts,
    "overlapping_parts": _refuse_overlaps,
    "effect_on_two_layers": _refuse_shared_effects,
}
