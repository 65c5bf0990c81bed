"""A bundle whose scores are known, and scorer processes that end with the test."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from operators.configuration.shop_settings import ExplorationSettings
from operators.demand.popularity import Orders
from operators.experiments.plan import ExperimentPlan
from operators.exploration.pool import Pool
from operators.settings import ScorerSettings, Settings
from pipelines.scoring.links import link_of
from pipelines.scoring.process import ScorerProcess
from pipelines.scoring.wire import Handshake, Ready
from tests.builders import write_bundle
from tests.pipelines.scoring.scorer_requests import Start, known
from tests.pipelines.scoring.shared.shared_machine import Machine


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("known"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes that end with the test; `seen` gets what each said when it was ready."""
    started = []

    def begun(
        folder: Path,
        *,
        kill_after_s: float = 5,
        seen: list[Ready] | None = None,
        python: str = sys.executable,
        live: Callable[[], Orders | None] = lambda: None,
        running: Callable[[], tuple[ExperimentPlan, ...] | None] = lambda: None,
        pool: Callable[[], Pool | None] = lambda: None,
        exploration: ExplorationSettings | None = None,
        **scorer: object,
    ) -> ScorerProcess:
        chosen = ScorerSettings.model_validate({"provider": "cpu", "metrics_port": 19440} | scorer)
        settings = Settings.model_construct(scorer=chosen, exploration=exploration or ExplorationSettings())
        begin = Handshake(settings.model_dump(), str(folder), "0", str(tmp_path / "crashes"))
        link = link_of(python, chosen.socket)
        on_ready = (seen if seen is not None else []).append
        started.append(ScorerProcess(link, begin, kill_after_s, on_ready, known, live, running=running, pool=pool))
        return started[-1]

    yield begun
    for one in started:
        one.close()


@pytest.fixture
def empty_machine() -> Iterator[Machine]:
    """No service runs on it yet."""
    folder = Path(tempfile.mkdtemp(prefix="ls", dir="/tmp"))  # a socket's name must be short
    machine = Machine(folder)
    yield machine
    machine.close()
    shutil.rmtree(folder)


@pytest.fixture
def machine(empty_machine: Machine) -> Machine:
    empty_machine.start()
    return empty_machine
