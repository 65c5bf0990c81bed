"""supervisord over the parts of the local stack: its configuration, start, stop and state."""

import contextlib
import os
import shlex
import subprocess
import sys
import xmlrpc.client
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import psutil
from supervisor.xmlrpc import SupervisorTransport

from deploy.local.flink.flink_home import FEW_ARENAS, ONE_THREAD, own_temporary, process_environment
from deploy.local.flink.flink_metrics import agent_option
from deploy.local.flink.zookeeper import zookeeper_command
from deploy.local.kafka import broker
from deploy.local.kafka.secure_broker import part_variables
from deploy.local.layout import Layout, tool
from deploy.local.watchers import alertmanager, prometheus
from operators.errors import StackError
from operators.settings import FILE_NAME, Settings, project_root

STOP_SECONDS = 40
SECRET_TABLES = ("LIVESHELF_KAFKA", "LIVESHELF_KAFKA__SECURITY", "LIVESHELF_KAFKA__SECURITY__JOB")


@dataclass(frozen=True)
class Program:
    """One process that supervisor keeps alive."""

    name: str
    command: list[str]
    environment: dict[str, str]

    def section(self, layout: Layout) -> str:
        """The program's section of supervisord.conf."""
        environment = ",".join(f"{key}={_quote(value)}" for key, value in self.environment.items())
        return "\n".join(
            (
                f"[program:{self.name}]",
                f"command={_escape(shlex.join(self.command))}",
                f"environment={environment}",
                f"directory={_escape(str(project_root()))}",
                f"stdout_logfile={_escape(str(layout.logs))}/{self.name}.log",
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
    """Quotes a value with the quotation mark that it does not contain: supervisor has no escape character."""
    mark = "'" if '"' in value else '"'
    return f"{mark}{_escape(value)}{mark}"


def _escape(text: str) -> str:
    return text.replace("%", "%%")


def programs(settings: Settings, layout: Layout) -> list[Program]:
    """All parts in the order in which they start."""
    parts = [
        Program("kafka", _java(layout, broker.run_command(settings, layout)), {"LOG_DIR": str(layout.logs)}),
        Program("zookeeper", _java(layout, zookeeper_command(layout)), {}),
        _flink("jobmanager", settings, layout, 0),
    ]
    if settings.scorer.socket:
        command = [sys.executable, "-m", "pipelines.scoring.server", settings.scorer.socket]
        parts.append(Program("scorer", command, FEW_ARENAS | ONE_THREAD))
    parts += [_flink(f"taskmanager-{n}", settings, layout, 1 + n) for n in range(settings.stack.taskmanagers)]
    for name, module in (("storefront", "storefront"), ("monitor", "pipelines.monitor.stream_monitor")):
        variables = FEW_ARENAS | _settings_variables() | part_variables(layout, name)
        parts.append(Program(name, [sys.executable, "-m", module], variables))
    if settings.trainer.follow:
        # at the lowest priority: it takes a core for minutes, and nothing waits for it
        command = ["nice", "-n", "19", sys.executable, "-m", "liveshelf", "train", "--follow"]
        variables = FEW_ARENAS | ONE_THREAD | _settings_variables() | part_variables(layout, "trainer")
        parts.append(Program("trainer", command, variables))
    for name, watcher in (("prometheus", prometheus), ("alertmanager", alertmanager)):
        if watch := watcher.command(settings, layout):
            parts.append(Program(name, watch, {}))
    return parts


def _java(layout: Layout, command: list[str]) -> list[str]:
    program, *options = command
    return [program, own_temporary(layout), *options]


def _flink(name: str, settings: Settings, layout: Layout, place: int) -> Program:
    environment = process_environment(layout)
    script = f"{environment['FLINK_BIN_DIR']}/{name.split('-')[0]}.sh"
    # each process needs its own name, or two TaskManagers write one log file, and its own metrics port, because a port
    # from a range changes with each restart
    own = {
        "FLINK_IDENT_STRING": name,
        "FLINK_PID_DIR": f"{layout.alias}/pids",
        "JVM_ARGS": agent_option(settings, layout, place),
    }
    return Program(name, [script, "start-foreground"], environment | own)


def _settings_variables() -> dict[str, str]:
    # the parts inherit passwords from this process; no file holds them
    own = {n: v for n, v in os.environ.items() if n.startswith("LIVESHELF_") and not _may_hold_password(n.upper())}
    file = project_root() / FILE_NAME
    return own if "LIVESHELF_FILE" in own or not file.is_file() else own | {"LIVESHELF_FILE": str(file)}


def _may_hold_password(variable: str) -> bool:
    """Whether a variable is a password, or a settings table as JSON that may contain one."""
    return variable.endswith("__PASSWORD") or variable in SECRET_TABLES


def write_supervisor_conf(settings: Settings, layout: Layout) -> None:
    """Writes supervisord.conf. Its socket is in a private folder: through a port any local user could stop the parts."""
    data, logs, root = (_escape(str(path)) for path in (layout.data, layout.logs, project_root()))
    head = f"""[supervisord]
identifier={data}
logfile={logs}/supervisord.log
pidfile={data}/supervisord.pid
directory={root}
minfds=4096
umask=077

[unix_http_server]
file={_escape(str(layout.supervisor_socket))}
chmod=0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

"""
    sections = "\n".join(program.section(layout) for program in programs(settings, layout))
    layout.supervisor_conf.write_text(head + sections)


class Supervisor:
    """The running supervisord, by its XML-RPC interface on a Unix socket."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    @property
    def _calls(self) -> Any:
        """A new connection for each call: several threads call, and supervisord may have been restarted."""
        transport = SupervisorTransport(serverurl=f"unix://{self._layout.supervisor_socket}")
        return xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor

    def running(self) -> bool:
        """Whether this stack's supervisord answers. Raises `StackError` when it was started for another folder."""
        try:
            owner = str(self._calls.getIdentification())
        except (OSError, xmlrpc.client.Error):
            return False
        if owner != str(self._layout.data):
            raise StackError(
                f"the supervisor of {self._layout.data}",
                f"one that was started for {owner}: the folder was moved while its stack ran",
                f"move it back, liveshelf down, and move it then; or stop process {self._calls.getPID()}",
            )
        return True

    def start(self) -> None:
        """Starts supervisord, which starts all parts."""
        command = [tool("supervisord", "supervisor"), "-c", str(self._layout.supervisor_conf)]
        process = subprocess.run(command, capture_output=True, text=True)
        if process.returncode:
            raise StackError(
                "supervisord to start", (process.stdout + process.stderr)[-800:].strip(), "see the text above"
            )

    def processes(self) -> list[dict[str, Any]]:
        """name, statename, pid, start (epoch s) and description of each part; empty when not running."""
        return cast(list[dict[str, Any]], self._calls.getAllProcessInfo()) if self.running() else []

    def pids(self) -> dict[str, int]:
        """Part -> pid of those that run."""
        return {str(p["name"]): int(p["pid"]) for p in self.processes() if p["pid"]}

    def restart(self, name: str) -> None:
        """Stops and starts one part."""
        self._calls.stopProcess(name)
        self._calls.startProcess(name)

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
        self._calls.stopProcess(name)

    def start_part(self, name: str) -> None:
        """Starts one part; does not wait until it works."""
        self._calls.startProcess(name, False)

    def stop(self) -> None:
        """Stops all parts and waits until every process has ended; kills those that do not end."""
        if not self.running():
            return
        head = psutil.Process(int(cast(int, self._calls.getPID())))
        family = [head, *head.children(recursive=True)]
        self._calls.shutdown()
        _, alive = psutil.wait_procs(family, timeout=STOP_SECONDS)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=5)
