"""The Flink home of the local stack: the apache-flink wheel with its own `lib/` and configuration."""

import importlib.util
import os
import shutil
import site
import sys
from pathlib import Path

import yaml

from deploy.local.flink.flink_metrics import AGENT_LINK, REPORTER, REPORTING
from deploy.local.flink.zookeeper import high_availability
from deploy.local.jars import CONNECTOR
from deploy.local.java import PATIENT_COMPILER
from deploy.local.kafka.broker_metrics import AGENT
from deploy.local.layout import Layout
from operators.configuration.rest_address import RestAddress
from operators.errors import StackError
from operators.settings import Settings

HOST = "127.0.0.1"
TEMPORARY = "tmp"
# the Kafka sinks of one job share a metric's name, and Flink says so every two seconds
QUIET = """
logger.collision.name = org.apache.flink.metrics.MetricGroup
logger.collision.level = ERROR
"""


def wheel_home() -> Path:
    """The folder of the installed apache-flink wheel (found without importing pyflink)."""
    spec = importlib.util.find_spec("pyflink")
    assert spec is not None and spec.origin is not None
    return Path(spec.origin).parent


def build_flink_home(layout: Layout) -> None:
    """Links the wheel's jars and adds ours. Rebuilt at each `up`, so a new wheel takes effect."""
    home, wheel = layout.flink_home, wheel_home()
    shutil.rmtree(home, ignore_errors=True)
    for folder in ("lib", "opt", "conf", "plugins", TEMPORARY):
        (home / folder).mkdir(parents=True)
    (home / "bin").symlink_to(wheel / "bin")
    for jar in (wheel / "lib").glob("*.jar"):
        (home / "lib" / jar.name).symlink_to(jar)
    # in opt/ alone, a second thread-mode job on the same TaskManager fails to load it;
    # in lib/ alone, the client does not find it (and it follows no links)
    for jar in (wheel / "opt").glob("flink-python-*.jar"):
        shutil.copyfile(jar, home / "opt" / jar.name)  # not its mode: the folder is its user's alone
        (home / "lib" / jar.name).symlink_to(jar)
    (home / "lib" / CONNECTOR).symlink_to(layout.jars / CONNECTOR)
    (home / "plugins" / REPORTER).symlink_to(wheel / "plugins" / REPORTER)
    (home / AGENT_LINK).symlink_to(layout.jars / AGENT)
    for file in (wheel / "conf").glob("log4j*"):
        shutil.copyfile(file, home / "conf" / file.name)
    with (home / "conf" / "log4j-console.properties").open("a") as log4j:
        log4j.write(QUIET)
    stock = _flatten(yaml.safe_load((wheel / "conf" / "config.yaml").read_text()))  # its env.java.opts.all must stay
    config_file(layout).write_text(yaml.safe_dump(stock, width=10_000))


def write_config(settings: Settings, layout: Layout) -> None:
    """Our options over the stock ones of `build_flink_home`, for the processes of the local stack."""
    config = yaml.safe_load(config_file(layout).read_text())
    address = rest_address(settings)
    config |= {
        # every listener by name: the stock file leaves REST to all interfaces, where whoever submits a job runs code
        "jobmanager.bind-host": HOST,
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": settings.stack.jobmanager_rpc_port,
        "taskmanager.bind-host": HOST,
        "taskmanager.host": HOST,
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": address.port,
        "rest.bind-port": address.port,
        "web.submit.enable": False,  # jars over the web page; `flink run` does not need it
        "web.cancel.enable": False,  # the page's button alone: REST cancels as before
        "web.access-control-allow-origin": address.url,  # not "*": no other page in a browser here may read the answers
        "jobmanager.memory.process.size": "1024m",
        "taskmanager.memory.process.size": f"{settings.stack.taskmanager_memory_mb}m",
        "taskmanager.memory.managed.size": "384m",
        "taskmanager.numberOfTaskSlots": 1,  # one GIL a TaskManager: a slot fills two cores
        # the defaults (10 s and 50 s) make a dead TaskManager cost up to 50 s
        "heartbeat.interval": 1000,
        "heartbeat.timeout": 5000,
        "web.refresh-interval": 300,  # REST answers are as old as that (default 3 s): submit and status wait for them
        # not `as_uri`: Flink takes %20 for a part of the name
        "execution.checkpointing.dir": f"file://{layout.checkpoints}",
        "execution.checkpointing.savepoint-dir": f"file://{layout.savepoints}",
        # the JobManager's, not the job's: where the newest cannot be read, `liveshelf resume` goes back
        "execution.checkpointing.num-retained": 3,
        **REPORTING,
        "env.log.dir": f"{layout.alias}/logs",
        # a TaskManager that is killed leaves the shipped bundle and its RocksDB behind: here the next `up` takes them away
        "io.tmp.dirs": f"{layout.alias}/flink/{TEMPORARY}",
        "env.java.opts.jobmanager": own_temporary(layout),
        # the heap is taken at the start and not under load: its pages cost no latency then, and what grows later is a leak;
        # what a JVM leaves of a crash in native code lies beside its log, not in the working folder
        "env.java.opts.taskmanager": f"{' '.join(PATIENT_COMPILER)} -XX:+AlwaysPreTouch -XX:ErrorFile={layout.alias}/logs/hs_err_pid%p.log "
        f"-XX:ReplayDataFile={layout.alias}/logs/replay_pid%p.log {own_temporary(layout)}",
        **high_availability(settings, layout),
    }
    config_file(layout).write_text(yaml.safe_dump(config, width=10_000))


def rest_address(settings: Settings) -> RestAddress:
    """Where the local stack's Flink listens. Raises `StackError` where `job.rest_url` is another cluster's address."""
    address = RestAddress.parse(settings.job.rest_url)
    if not address.is_loopback or address.scheme != "http" or address.path:
        raise StackError(
            "job.rest_url to be http://127.0.0.1:PORT, where the local stack listens",
            address.url,
            "unset job.rest_url here, and name the other cluster when you use it: liveshelf submit --rest URL",
        )
    return address


def config_file(layout: Layout) -> Path:
    """The configuration of JobManager and TaskManagers."""
    return layout.flink_home / "conf" / "config.yaml"


# RocksDB and Python free in other threads than they allocate: glibc keeps it all
FEW_ARENAS = {"MALLOC_ARENA_MAX": "2"}
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def own_temporary(layout: Layout) -> str:
    """The JVM's own temporary folder: for uploads and native libraries, which /tmp would show to everybody."""
    return f"-Djava.io.tmpdir={layout.alias}/flink/{TEMPORARY}"


def process_environment(layout: Layout) -> dict[str, str]:
    """Environment of JobManager, TaskManagers and the client."""
    home = layout.alias / layout.flink_home.name
    return (
        ONE_THREAD
        | FEW_ARENAS
        | {
            "FLINK_HOME": str(home),
            "FLINK_CONF_DIR": str(home / "conf"),
            "FLINK_LIB_DIR": str(home / "lib"),
            "FLINK_OPT_DIR": str(home / "opt"),
            "FLINK_PLUGINS_DIR": str(home / "plugins"),
            "FLINK_BIN_DIR": str(home / "bin"),
            "FLINK_LOG_DIR": str(layout.alias / layout.logs.name),
            # the embedded interpreter takes its standard library from the first python3 of PATH (conda's, pyenv's), and does
            # not see the virtual environment by itself
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "PYTHONPATH": site.getsitepackages()[0],
            "PYTHONDONTWRITEBYTECODE": "1",
        }
    )


def _flatten(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
