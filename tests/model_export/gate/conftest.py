"""The champion of the gate's tests, and the events by which it is compared."""

from pathlib import Path

import pytest

from tests.builders import write_bundle
from tests.model_export.gate.shops import ITEMS, write_walks


@pytest.fixture(scope="module")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("champion") / "bundle", ITEMS)


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_walks(tmp_path_factory.mktemp("walks") / "events.jsonl")
