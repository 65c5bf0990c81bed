"""Start and stop of the whole local stack."""

import time
from collections.abc import Callable

import yaml

from deploy.local.flink.flink_home import build_flink_home, config_file, rest_address, write_config
from deploy.local.flink.flink_metrics import prepare_flink_metrics
from deploy.local.flink.zookeeper import prepare_zookeeper
from deploy.local.jars import ensure_jars
from deploy.local.java import java_versions
from deploy.local.kafka.broker import prepare_broker, properties
from deploy.local.kafka.secure_broker import is_secure, prepare_secrets
from deploy.local.layout import Layout
from deploy.local.probes import Probe, ports_in_use
from deploy.local.supervisor import Supervisor, write_supervisor_conf
from deploy.local.watchers.alertmanager import prepare_alertmanager
from deploy.local.watchers.prometheus import prepare_prometheus
from operators.configuration.rest_address import RestAddress
from operators.errors import StackError
from operators.settings import Settings

START_SECONDS = 90


def start_stack(settings: Settings, *, secure: bool = False) -> bool:
    """Starts all parts unless they run already; returns whether it started them. Does not wait for them.

    `secure`: a broker with users, rights and certificates. A secure stack stays secure without it.
    """
    layout = Layout.of(settings)
    supervisor = Supervisor(layout)
    if supervisor.running():
        if secure and not is_secure(layout):
            raise StackError(
                "no stack, or a secure one", "one without security that runs", "liveshelf down --purge first"
            )
        return False
    rest_address(settings)
    if len(settings.kafka.brokers) > 1:
        raise StackError(
            "one address in kafka.bootstrap: the local stack has one broker",
            settings.kafka.bootstrap,
            "name one here, or submit to a cluster of your own: liveshelf submit --rest URL",
        )
    java_versions()
    if taken := ports_in_use(settings):
        name, port = next(iter(taken.items()))
        raise StackError(
            f"port {port} free for {name}",
            "something listens there",
            f"stop it (see `ss -ltnp sport = :{port}`), or set another port in liveshelf.toml",
        )
    layout.make()
    ensure_jars(layout)
    build_flink_home(layout)
    write_config(settings, layout)
    prepare_flink_metrics(layout)
    prepare_secrets(settings, layout, secure, properties(settings, layout))
    prepare_broker(settings, layout)
    prepare_zookeeper(settings, layout)
    prepare_prometheus(settings, layout)
    prepare_alertmanager(settings, layout)
    write_supervisor_conf(settings, layout)
    supervisor.start()
    return True


def wait_for(probe: Probe, seconds: float = START_SECONDS, tick: Callable[[], None] | None = None) -> str:
    """Waits until a part answers a real request; `StackError` names its log when it does not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if (answer := probe.answer()) is not None:
            return answer
        if tick:
            tick()
        time.sleep(0.2)
    raise StackError(
        f"{probe.name} to answer at {probe.address} within {seconds:.0f} s", "no answer", f"liveshelf logs {probe.name}"
    )


def stop_stack(settings: Settings, *, purge: bool = False) -> None:
    """Stops every process; with `purge` removes the data too."""
    layout = Layout.of(settings)
    Supervisor(layout).stop()
    if purge:
        layout.purge()


def is_own_cluster(settings: Settings, layout: Layout) -> bool:
    """Whether `job.rest_url` is the local stack's Flink. TaskManagers of another cluster have their own folders and
    Python. A port forwarded to another cluster has the same address, so the local stack must also run."""
    address = RestAddress.parse(settings.job.rest_url)
    if not address.is_loopback or not Supervisor(layout).running():
        return False
    return bool(yaml.safe_load(config_file(layout).read_text()).get("rest.port") == address.port)
