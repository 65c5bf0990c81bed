"""Fixtures of all tests that need the real broker and cluster, and the order of all tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.builders import write_faulty_bundle
from tests.running_stack import ROOT, Stack, running_stack

settings.register_profile("liveshelf", settings.default, deadline=None)  # a busy machine makes one example slow
settings.load_profile("liveshelf")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The kernel's tests first, trainings later, and last what needs the stack: a mistake is seen early."""
    items.sort(
        key=lambda item: (
            "stack" in getattr(item, "fixturenames", ()),
            not item.nodeid.startswith("tests/operators/"),
            item.nodeid.startswith(("tests/model_export/", "tests/faults/")),
        )
    )


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running_stack(write_faulty_bundle(tmp_path_factory.mktemp("faulty") / "bundle")) as running:
        yield running


@pytest.fixture(scope="session")
def demo_bundle() -> Path:
    return ROOT / "models" / "online-retail"


@pytest.fixture
def no_restart(stack: Stack, job: str) -> Iterator[None]:
    """The job runs through the test without a restart."""
    before = stack.restarts(job)
    yield
    assert stack.restarts(job) == before


@pytest.fixture
def job(stack: Stack, demo_bundle: Path) -> str:
    """The id of the job that serves the demo's bundle."""
    return stack.serve(demo_bundle)
