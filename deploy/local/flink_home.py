"""The Flink home of the local stack: the apache-flink wheel with its own `lib/` and configuration."""

import importlib.util
import shutil
import site
from pathlib import Path

import yaml

from deploy.local.jars import CONNECTOR
from deploy.local.layout import Layout
from deploy.local.zookeeper import high_availability
from operators.settings import Settings

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


def build_flink_home(settings: Settings, layout: Layout) -> None:
    """Links the wheel's jars and adds ours. Rebuilt at each `up`, so a new wheel or setting takes effect."""
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
        shutil.copy(jar, home / "opt")
        (home / "lib" / jar.name).symlink_to(jar)
    (home / "lib" / CONNECTOR).symlink_to(layout.jars / CONNECTOR)
    (home / "plugins" / "metrics-prometheus").symlink_to(wheel / "plugins" / "metrics-prometheus")
    for file in (wheel / "conf").glob("log4j*"):
        shutil.copy(file, home / "conf")
    with (home / "conf" / "log4j-console.properties").open("a") as log4j:
        log4j.write(QUIET)
    write_config(settings, layout, wheel)


def write_config(settings: Settings, layout: Layout, wheel: Path) -> None:
    """The stock config.yaml (its env.java.opts.all must stay) with ours over it, as flat keys."""
    config = _flatten(yaml.safe_load((wheel / "conf" / "config.yaml").read_text()))
    rest = settings.job.rest_url.rsplit(":", 1)[1].strip("/")
    config |= {
        "jobmanager.rpc.port": settings.stack.jobmanager_rpc_port,
        "jobmanager.memory.process.size": "1024m",
        "rest.port": int(rest),
        "rest.bind-port": int(rest),
        "taskmanager.memory.process.size": f"{settings.stack.taskmanager_memory_mb}m",
        "taskmanager.memory.managed.size": "384m",
        "taskmanager.numberOfTaskSlots": 1,  # one GIL a TaskManager: a slot fills two cores
        # the defaults (10 s and 50 s) make a dead TaskManager cost up to 50 s
        "heartbeat.interval": 1000,
        "heartbeat.timeout": 5000,
        "web.refresh-interval": 300,  # REST answers are as old as that (default 3 s): submit and status wait for them
        "execution.checkpointing.dir": layout.checkpoints.as_uri(),
        "execution.checkpointing.savepoint-dir": layout.savepoints.as_uri(),
        # the JobManager's, not the job's: where the newest cannot be read, `liveshelf resume` goes back
        "execution.checkpointing.num-retained": 3,
        "metrics.reporters": "prom",
        "metrics.reporter.prom.factory.class": "org.apache.flink.metrics.prometheus.PrometheusReporterFactory",
        "env.log.dir": str(layout.logs),
        # a TaskManager that is killed leaves the shipped bundle and its RocksDB behind: here the next `up` takes them away
        "io.tmp.dirs": str(layout.flink_home / TEMPORARY),
        # the heap is taken at the start and not under load: its pages cost no latency then, and what grows later is a leak;
        # what a JVM leaves of a crash in native code lies beside its log, not in the working folder
        "env.java.opts.taskmanager": f"-XX:+AlwaysPreTouch -XX:ErrorFile={layout.logs}/hs_err_pid%p.log "
        f"-XX:ReplayDataFile={layout.logs}/replay_pid%p.log",
        **high_availability(settings, layout),
    }
    (layout.flink_home / "conf" / "config.yaml").write_text(yaml.safe_dump(config, width=10_000))


def process_environment(layout: Layout) -> dict[str, str]:
    """Environment of JobManager, TaskManagers and the client."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    return threads | {
        "MALLOC_ARENA_MAX": "2",  # RocksDB and Python free in other threads than they allocate: glibc keeps it all
        "FLINK_HOME": str(layout.flink_home),
        "FLINK_CONF_DIR": str(layout.flink_home / "conf"),
        "FLINK_LIB_DIR": str(layout.flink_home / "lib"),
        "FLINK_OPT_DIR": str(layout.flink_home / "opt"),
        "FLINK_PLUGINS_DIR": str(layout.flink_home / "plugins"),
        "FLINK_BIN_DIR": str(layout.flink_home / "bin"),
        "FLINK_LOG_DIR": str(layout.logs),
        # the embedded interpreter does not see the virtual environment by itself
        "PYTHONPATH": site.getsitepackages()[0],
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def _flatten(tree: dict[str, object], prefix: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for key, value in tree.items():
        if isinstance(value, dict):
            flat |= _flatten(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
