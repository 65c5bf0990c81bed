"""supervisord over the parts of the local stack: its configuration, start, stop and state."""

import contextlib
import os
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import psutil

from deploy.local import alertmanager, broker, prometheus
from deploy.local.flink_home import process_environment
from deploy.local.layout import Layout, tool
from deploy.local.secure_broker import part_variables
from deploy.local.zookeeper import zookeeper_command
from operators.errors import StackError
from operators.settings import FILE_NAME, Settings, project_root

STOP_SECONDS = 40


@dataclass(frozen=True)
class Program:
    """One process that supervisor keeps alive."""

    name: str
    command: list[str]
    environment: dict[str, str]

    def section(self, layout: Layout) -> str:
        """Its part of supervisord.conf."""
        environment = ",".join(f"{key}={_quote(value)}" for key, value in self.environment.items())
        return "\n".join(
            (
                f"[program:{self.name}]",
                f"command={_escape(' '.join(self.command))}",
                f"environment={environment}",
                f"directory={project_root()}",
                f"stdout_logfile={layout.logs}/{self.name}.log",
                "stdout_logfile_maxbytes=20MB",
                "stdout_logfile_backups=2",
                "redirect_stderr=true",
                "autorestart=true",
                "startsecs=2",
                "startretries=1000",
                "stopwaitsecs=20",
                "stopasgroup=true",
                "killasgroup=true",
                "",
            )
        )


def _quote(value: str) -> str:
    """In the quotes that the value does not hold itself: supervisor knows no escape."""
    mark = "'" if '"' in value else '"'
    return f"{mark}{_escape(value)}{mark}"


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def programs(settings: Settings, layout: Layout) -> list[Program]:
    """All parts in the order in which they start."""
    flink = process_environment(layout) | {"FLINK_PID_DIR": str(layout.data / "pids")}
    kafka = broker.run_command(settings, layout)
    bin_dir = layout.flink_home / "bin"
    parts = [
        Program("kafka", kafka, {"LOG_DIR": str(layout.logs)}),
        Program("zookeeper", zookeeper_command(layout), {}),
        Program("jobmanager", [f"{bin_dir}/jobmanager.sh", "start-foreground", *_reporter_port(settings, 0)], flink),
    ]
    for number in range(settings.stack.taskmanagers):
        name = f"taskmanager-{number}"
        # without an own name each, two TaskManagers write one log file
        own = flink | {"FLINK_IDENT_STRING": name}
        command = [f"{bin_dir}/taskmanager.sh", "start-foreground", *_reporter_port(settings, 1 + number)]
        parts.append(Program(name, command, own))
    for name, module in (("storefront", "storefront"), ("monitor", "pipelines.stream_monitor")):
        variables = _settings_variables() | part_variables(layout, name)
        parts.append(Program(name, [sys.executable, "-m", module], variables))
    for name, watcher in (("prometheus", prometheus), ("alertmanager", alertmanager)):
        if watch := watcher.command(settings, layout):
            parts.append(Program(name, watch, {}))
    return parts


def _reporter_port(settings: Settings, place: int) -> list[str]:
    """A port of its own for each process: from a range they would swap them at each restart."""
    return ["-D", f"metrics.reporter.prom.port={settings.stack.flink_metrics_port + place}"]


def _settings_variables() -> dict[str, str]:
    # a password is inherited from this process, and stands in no file
    own = {n: v for n, v in os.environ.items() if n.startswith("LIVESHELF_") and not n.endswith("__PASSWORD")}
    file = project_root() / FILE_NAME
    return own if "LIVESHELF_FILE" in own or not file.is_file() else own | {"LIVESHELF_FILE": str(file)}


def write_supervisor_conf(settings: Settings, layout: Layout) -> None:
    """Writes supervisord.conf."""
    address = f"127.0.0.1:{settings.stack.supervisor_port}"
    head = f"""[supervisord]
identifier={layout.data}
logfile={layout.logs}/supervisord.log
pidfile={layout.data}/supervisord.pid
directory={project_root()}
minfds=4096

[inet_http_server]
port={address}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

"""
    sections = "\n".join(program.section(layout) for program in programs(settings, layout))
    layout.supervisor_conf.write_text(head + sections)


class Supervisor:
    """The running supervisord, by its XML-RPC interface on loopback."""

    def __init__(self, settings: Settings, layout: Layout) -> None:
        self._layout = layout
        self._port = settings.stack.supervisor_port
        self._proxy = xmlrpc.client.ServerProxy(f"http://127.0.0.1:{self._port}/RPC2")

    def running(self) -> bool:
        """Whether this stack's supervisord answers; `StackError` when the port is another stack's."""
        try:
            owner = str(self._proxy.supervisor.getIdentification())
        except (OSError, xmlrpc.client.Error):
            return False
        if owner != str(self._layout.data):
            raise StackError(
                f"port {self._port} for this checkout's supervisor",
                f"a supervisor of {owner}",
                "stop that stack, or set stack.supervisor_port and the other ports",
            )
        return True

    def start(self) -> None:
        """Starts supervisord, which starts all parts."""
        command = [tool("supervisord", "supervisor"), "-c", str(self._layout.supervisor_conf)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise StackError("supervisord to start", (done.stdout + done.stderr)[-800:].strip(), "see the text above")

    def processes(self) -> list[dict[str, Any]]:
        """name, statename, pid, start (epoch s) and description of each part; empty when not running."""
        return cast(list[dict[str, Any]], self._proxy.supervisor.getAllProcessInfo()) if self.running() else []

    def pids(self) -> dict[str, int]:
        """Part -> pid of those that run."""
        return {str(p["name"]): int(p["pid"]) for p in self.processes() if p["pid"]}

    def restart(self, name: str) -> None:
        """Stops and starts one part."""
        self._proxy.supervisor.stopProcess(name)
        self._proxy.supervisor.startProcess(name)

    @contextlib.contextmanager
    def stopped(self, name: str) -> Iterator[None]:
        """One part is down inside this block."""
        self.stop_part(name)
        try:
            yield
        finally:
            self.start_part(name)

    def stop_part(self, name: str) -> None:
        """Stops one part and waits for its end."""
        self._proxy.supervisor.stopProcess(name)

    def start_part(self, name: str) -> None:
        """Starts one part; does not wait until it works."""
        self._proxy.supervisor.startProcess(name, False)

    def stop(self) -> None:
        """Stops all parts and waits until every process is gone; what stays is killed and said."""
        if not self.running():
            return
        head = psutil.Process(int(cast(int, self._proxy.supervisor.getPID())))
        family = [head, *head.children(recursive=True)]
        self._proxy.supervisor.shutdown()
        _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=5)

    def wait_until_down(self, name: str, seconds: float) -> None:
        """Waits until a part is not running any more."""
        deadline = time.monotonic() + seconds
        while name in self.pids() and time.monotonic() < deadline:
            time.sleep(0.1)
