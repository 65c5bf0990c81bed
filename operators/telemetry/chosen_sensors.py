"""Chooses the sensors of the job. `liveshelf bench watching` ships another version of this file."""

from typing import Any


def chosen(sensors: Any, null: Any) -> Any:
    """`sensors`; a measurement of what they cost takes `null`, of the same protocol, half of the time."""
    return sensors
