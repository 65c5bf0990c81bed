"""What arms change on lists."""

from collections.abc import Iterable
from typing import NamedTuple

from operators.experiments.plan import Arm


class Effects(NamedTuple):
    """What the arms of a user change on the user's lists; None: as the shop has set it. Names and values as in `Arm`.

    The fields are the effects that a job carries: `experiments start` refuses arms that set another one. Whoever makes lists
    follow `exploration` or `model` adds the field here and reads it where `ListMaker` reads the others.
    """

    diversity: float | None = None
    list_size: int | None = None


AS_SET = Effects()


def effects_of(arms: Iterable[Arm]) -> Effects:
    """What these arms change together. No two of them set the same field: an effect belongs to one layer."""
    values = {field: value for arm in arms for field in Effects._fields if (value := getattr(arm, field)) is not None}
    return Effects(**values) if values else AS_SET
