"""Which sensors the job reports to. `liveshelf bench watching` ships another version of this file."""

from typing import TypeVar

S = TypeVar("S")


def chosen(sensors: S, null: S) -> S:
    """`sensors`; a measurement of what they cost takes `null`, which reports nothing, half of the time."""
    return sensors
