"""Operators of one machine that share a scorer process."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from operators.settings import ScorerSettings, Settings
from pipelines.scoring.links import SharedScorer
from pipelines.scoring.process import ScorerProcess
from pipelines.scoring.wire import Handshake
from tests.pipelines.scoring.scorer_requests import known

Make = Callable[[], object]


@dataclass
class Machine:
    """A folder for the socket, and the operators of it."""

    folder: Path
    operators: list[ScorerProcess] = field(default_factory=list)

    def begin(self, bundle: Path) -> Handshake:
        """What all subtasks say first."""
        scorer = ScorerSettings(provider="cpu", metrics_port=19450, shared_dir=str(self.folder))
        settings = Settings.model_construct(scorer=scorer).model_dump()
        return Handshake(settings, str(bundle), "shared", str(self.folder / "crashes"))

    def link(self, bundle: Path) -> SharedScorer:
        """The way of a subtask."""
        return SharedScorer(sys.executable, self.begin(bundle), self.folder)

    def operator(self, bundle: Path, kill_after_s: float = 5) -> ScorerProcess:
        """Another subtask; ready."""
        operator = ScorerProcess(self.link(bundle), self.begin(bundle), kill_after_s, lambda _: None, known)
        self.operators.append(operator)
        assert operator.ready().provider == "CPUExecutionProvider"
        return operator

    @property
    def pids(self) -> set[int]:
        """Of the processes that the operators are connected to."""
        return {operator._link.pid for operator in self.operators}
