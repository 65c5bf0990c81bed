"""A table that waits for nothing."""

import pytest

from operators.kafka_io import compacted_table


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The broker is asked all the time, stale rows are looked for all the time, few at once."""
    for name, value in {"CHECK_SECONDS": 0.0, "RETRY_SECONDS": 0.01, "SWEEP_SECONDS": 0.0, "SWEEP_ROWS": 2}.items():
        monkeypatch.setattr(compacted_table, name, value)
