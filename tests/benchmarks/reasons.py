"""Why figures were not measured."""

from typing import Any

from benchmarks.measuring.measured import NotMeasured


def reasons(found: dict[str, Any], *figures: str) -> set[str]:
    """Why these figures have no number; fails where one has."""
    said = set()
    for name in figures:
        for value in found[name].values() if isinstance(found[name], dict) else [found[name]]:
            assert isinstance(value, NotMeasured), f"{name}: {value}"
            said.add(value.reason)
    return said
