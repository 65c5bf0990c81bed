"""Reasons as objects: each once, and not more of them than are at hand."""

import pytest

from operators.lists import reasons
from operators.lists.reasons import _NAMES, _ReasonCache
from operators.records.contracts import Reason


def test_reasons_are_shared_and_their_number_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reasons, "CACHED_REASONS", 3)
    known, viewed = _ReasonCache(["a", "b"]), _NAMES.index("viewed")
    assert known[len(_NAMES) + viewed] == Reason("viewed", "a")
    assert known[2 * len(_NAMES) + viewed] == Reason("viewed", "b")
    assert known[0] is known[0] and known[0] == Reason("for_you", None)
    assert len(known) == 3
    assert known[len(_NAMES)] == Reason("for_you", "a")
    assert len(known) == 1
