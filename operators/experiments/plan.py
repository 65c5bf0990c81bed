"""What an experiment is: its arms, their shares, its part of a layer. What cannot run is refused where it is made."""

import re
from collections.abc import Collection, Mapping
from typing import Any, Literal

import msgspec

from operators.errors import SettingsError
from operators.experiments.draws import check_shares

Metric = Literal["click", "add_to_cart", "purchase"]
EFFECTS = ("model", "diversity", "rules", "exploration", "list_size")  # the fields in which arms may differ
MAX_LIST_SIZE = 500
MAX_LIFT = 1000.0  # far beyond any effect; the square of a greater one may be no number any more
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_FIX = "correct the experiment's definition"


class Arm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One arm. A field of `EFFECTS` that is None leaves what the shop has set.

    `share`: of the experiment's users, 0 to 1. `model`: a bundle's name. `diversity`: 0 to 1. `rules`: names, in order.
    `exploration`: the share of a list's places, 0 to 1. `list_size`: items, 1 to 500.
    """

    name: str
    share: float
    model: str | None = None
    diversity: float | None = None
    rules: tuple[str, ...] | None = None
    exploration: float | None = None
    list_size: int | None = None

    def __post_init__(self) -> None:
        """Raises `SettingsError`."""
        check_name("an arm", self.name)
        for field in ("share", "diversity", "exploration"):
            value = getattr(self, field)
            if value is not None and not 0 <= value <= 1:  # NaN too
                raise SettingsError(f"{field} of arm {self.name} from 0 to 1", str(value), _FIX)
        if self.list_size is not None and not 1 <= self.list_size <= MAX_LIST_SIZE:
            raise SettingsError(f"list_size of arm {self.name} from 1 to {MAX_LIST_SIZE}", str(self.list_size), _FIX)
        for name in (self.model, *(self.rules or ())):
            if name is not None and not name.strip():
                raise SettingsError(f"names of a model and of rules in arm {self.name}", "an empty one", _FIX)

    @property
    def effects(self) -> tuple[str, ...]:
        """The fields of `EFFECTS` that the arm sets."""
        return tuple(field for field in EFFECTS if getattr(self, field) is not None)


class ExperimentPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One experiment.

    `begin`, `end`: its part of the layer's users. A wider part takes in more users and moves nobody to another arm; other
    shares do move users. `salt` draws the arms; "" stands for the name. `control`: the arm that others are compared with;
    "" stands for the first. `metric`: a shown item with this outcome, or a better one, is a conversion. `expected_lift`:
    the relative difference that the intervals are narrowest for; choose it before the start.
    """

    name: str
    arms: tuple[Arm, ...]
    layer: str = "default"
    begin: float = 0.0
    end: float = 1.0
    salt: str = ""
    control: str = ""
    metric: Metric = "click"
    expected_lift: float = 0.1

    def __post_init__(self) -> None:
        """Raises `SettingsError`."""
        check_name("an experiment", self.name)
        check_name("a layer", self.layer)
        names = [arm.name for arm in self.arms]
        if len({*names}) < max(2, len(names)):
            raise SettingsError(
                f"two or more arms with different names in {self.name}", ", ".join(names) or "none", _FIX
            )
        check_shares(self.shares, f"the arms of {self.name}", _FIX)
        if not 0 <= self.begin < self.end <= 1:
            raise SettingsError(
                f"begin below end, both from 0 to 1, in {self.name}", f"{self.begin} and {self.end}", _FIX
            )
        if not 0 < self.expected_lift <= MAX_LIFT:  # NaN too
            raise SettingsError(
                f"an expected_lift above 0, at most {MAX_LIFT:g}, in {self.name}, such as 0.1",
                str(self.expected_lift),
                _FIX,
            )
        if self.control:
            self.arm(self.control)

    @property
    def shares(self) -> dict[str, float]:
        """Arm -> share of the experiment's users."""
        return {arm.name: arm.share for arm in self.arms}

    @property
    def key(self) -> bytes:
        """The key that draws the arms."""
        return (self.salt or self.name).encode()

    @property
    def control_arm(self) -> str:
        """The name of the arm that others are compared with."""
        return self.control or self.arms[0].name

    def arm(self, name: str) -> Arm:
        """The arm of that name. Raises `SettingsError`."""
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise SettingsError(f"an arm of {self.name}: {', '.join(self.shares)}", name, "name one of these arms")

    def refuse_effects_beyond(self, carried: Collection[str]) -> None:
        """Raises `SettingsError` where an arm sets a field of `EFFECTS` that is not in `carried`: it would change nothing."""
        for arm in self.arms:
            if idle := [field for field in arm.effects if field not in carried]:
                raise SettingsError(
                    f"arms of {self.name} that differ in {', '.join(carried) or 'nothing yet'}",
                    f"{', '.join(idle)} in {arm.name}",
                    "leave it out: this job would ignore it",
                )


def check_name(what: str, name: str) -> None:
    """Raises `SettingsError` for what cannot be a metric's label and a word of a command."""
    if not _NAME.fullmatch(name):
        expected = f"a name of {what} of 1 to 64 letters, digits, `.`, `_`, `-` that begins with a letter or a digit"
        raise SettingsError(expected, repr(name), "choose another name")


def read_plan(fields: Mapping[str, Any]) -> ExperimentPlan:
    """A plan from a table of TOML or JSON. Raises `SettingsError`."""
    try:
        return msgspec.convert(fields, ExperimentPlan)
    except msgspec.ValidationError as error:
        fields_known = ", ".join(ExperimentPlan.__struct_fields__)
        expected = f"an experiment with the fields {fields_known}, and arms with {', '.join(Arm.__struct_fields__)}"
        raise SettingsError(expected, str(error), _FIX) from error


def plan_of_shares(name: str, shares: Mapping[str, float], **fields: Any) -> ExperimentPlan:
    """The plan of `[experiment]`: arms with shares, and other fields of a plan. Raises `SettingsError`."""
    return read_plan({"name": name, "arms": [{"name": arm, "share": share} for arm, share in shares.items()], **fields})
