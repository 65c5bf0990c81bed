"""Why figures were not measured."""

from typing import Any

from benchmarks.measuring.measured import NotMeasured


def reasons(result: dict[str, Any], *figures: str) -> set[str]:
    """Why these figures have no number; fails where one has."""
    texts = set()
    for name in figures:
        for value in result[name].values() if isinstance(result[name], dict) else [result[name]]:
            assert isinstance(value, NotMeasured), f"{name}: {value}"
            texts.add(value.reason)
    return texts
