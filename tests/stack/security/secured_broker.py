"""A secure broker beside the stack of the tests, for what must be refused: its own ports, users and certificates."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from deploy.local.kafka import broker, secure_broker
from deploy.local.kafka.access import grant
from deploy.local.kafka.certificates import Authority
from deploy.local.layout import Layout
from operators.settings import Settings, load_settings
from pipelines.topics.topic_admin import ensure_topics
from tests.running_stack import ROOT
from tests.stack.topics import eventually

PORT, CONTROLLER, METRICS = 19192, 19193, 19271
SECURITY = "LIVESHELF_KAFKA__SECURITY__"


@dataclass
class Refusal:
    """How a verb ended."""

    words: tuple[str, ...]
    seconds: float
    code: int
    text: str


@dataclass
class SecuredBroker:
    """The running broker; `settings` are the administrator's."""

    settings: Settings
    layout: Layout
    variables: dict[str, str]
    start_up_s: float = 0.0

    @property
    def authority(self) -> Authority:
        return Authority.of(self.layout.secrets / "ca.pem", self.layout.secrets / "ca.key", "")

    def user(self, name: str) -> dict[str, str]:
        """The environment of a user of the broker."""
        return secure_broker.part_variables(self.layout, name)

    def verb(self, *words: str, variables: dict[str, str] | None = None) -> Refusal:
        """Runs a verb, the administrator's unless `variables` say another, in a process of its own."""
        command = [str(Path(sys.executable).parent / "liveshelf"), *words]
        begun = time.monotonic()
        environment = os.environ | self.variables | (variables or {})
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=120, env=environment)
        return Refusal(words, time.monotonic() - begun, done.returncode, " ".join((done.stdout + done.stderr).split()))

    def refused_logins(self) -> int:
        """How often the broker has refused a login until now, by its log."""
        return (self.layout.logs / "secured.log").read_text().count("Failed authentication")


@contextlib.contextmanager
def running_broker(folder: Path) -> Iterator[SecuredBroker]:
    """A secure broker with the topics and the rights of each part; it ends with the block."""
    variables = {
        "LIVESHELF_KAFKA__BOOTSTRAP": f"127.0.0.1:{PORT}",
        "LIVESHELF_STACK__DATA_DIR": str(folder),
        "LIVESHELF_STACK__CONTROLLER_PORT": str(CONTROLLER),
        "LIVESHELF_STACK__BROKER_METRICS_PORT": str(METRICS),
        "LIVESHELF_STACK__BROKER": "{}",
        "LIVESHELF_JOB__NAME": "secured",  # the stack's own job may run, and two of one name are refused
    }
    with _environment(variables):
        settings = load_settings()
        layout = Layout.of(settings)
        layout.make()
        secure_broker.prepare_secrets(settings, layout, True, broker.properties(settings, layout))
        broker.prepare_broker(settings, layout)
        settings = load_settings()
    with (layout.logs / "secured.log").open("w") as log:
        process = subprocess.Popen(
            broker.run_command(settings, layout), stdout=log, stderr=log, env=os.environ | {"LOG_DIR": str(layout.logs)}
        )
    try:
        eventually(lambda: "Kafka Server started" in (layout.logs / "secured.log").read_text(), 60)
        ensure_topics(settings.kafka)
        grant(settings)
        running = SecuredBroker(settings, layout, variables)
        running.start_up_s = running.verb("topics", "show").seconds
        yield running
    finally:
        process.kill()
        process.wait()


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
