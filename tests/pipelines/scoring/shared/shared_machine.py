"""A scorer service as a supervisor runs it, and operators of its machine."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.local.probes import Probe, probes
from operators.settings import ScorerSettings, Settings
from pipelines.scoring.links import SERVICE, SharedScorer
from pipelines.scoring.process import ScorerProcess
from pipelines.scoring.wire import Handshake
from tests.pipelines.scoring.scorer_requests import known
from tests.places import ROOT
from tests.stack.topics import eventually

Make = Callable[[], object]


@dataclass
class Machine:
    """A folder for the socket, the service, and the operators."""

    folder: Path
    operators: list[ScorerProcess] = field(default_factory=list)
    services: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    @property
    def path(self) -> Path:
        """Of the socket."""
        return self.folder / "scorer.sock"

    @property
    def log(self) -> str:
        """What all services of this machine wrote."""
        return (self.folder / "service.log").read_text()

    @property
    def service(self) -> psutil.Process:
        """The service that was started last."""
        return psutil.Process(self.services[-1].pid)

    def launch(self, python: str = sys.executable, path: Path | None = None) -> "subprocess.Popen[bytes]":
        """A service that may not listen yet."""
        self.folder.mkdir(mode=0o700, exist_ok=True)
        with (self.folder / "service.log").open("ab") as log:
            command = [python, "-P", "-m", SERVICE, str(path or self.path)]
            environment = os.environ | {"PYTHONPATH": str(ROOT)}
            self.services.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        return self.services[-1]

    def start(self, python: str = sys.executable) -> "subprocess.Popen[bytes]":
        """A service that listens, as a supervisor starts it when the one before has ended."""
        for service in self.services:
            service.wait(10)
        started = self.launch(python)
        eventually(lambda: self.probe().answer() == "listens", 120)
        return started

    def probe(self) -> Probe:
        """What `liveshelf up` and `status` ask."""
        settings = Settings.model_construct(scorer=ScorerSettings(socket=str(self.path)))
        return next(probe for probe in probes(settings) if probe.name == "scorer")

    def begin(self, bundle: Path, **scorer: object) -> Handshake:
        """What all subtasks say first."""
        given = {"provider": "cpu", "metrics_port": 19450, "socket": str(self.path)} | scorer
        settings = Settings.model_construct(scorer=ScorerSettings.model_validate(given)).model_dump()
        return Handshake(settings, str(bundle), "shared", f"{bundle.name}.crashes")

    def link(self) -> SharedScorer:
        """The way of a subtask."""
        return SharedScorer(self.path)

    def unready(self, bundle: Path, kill_after_s: float = 5, **scorer: object) -> ScorerProcess:
        """Another subtask, which may have no connection."""
        begin = self.begin(bundle, **scorer)
        self.operators.append(ScorerProcess(self.link(), begin, kill_after_s, lambda _: None, known))
        return self.operators[-1]

    def operator(self, bundle: Path, kill_after_s: float = 5, **scorer: object) -> ScorerProcess:
        """Another subtask; ready."""
        operator = self.unready(bundle, kill_after_s, **scorer)
        assert operator.ready().provider == "CPUExecutionProvider"
        return operator

    def close(self) -> None:
        """Ends all."""
        for operator in self.operators:
            operator.close()
        for service in self.services:
            service.kill()
            service.wait(10)
