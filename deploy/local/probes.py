"""A real request to each part of the stack: what `up` waits for and `status` shows."""

import socket
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from kafka.errors import KafkaError

from deploy.local import alertmanager, prometheus
from operators.errors import BrokerError, LiveshelfError
from operators.kafka_clients import new_admin
from operators.settings import Settings


@dataclass(frozen=True)
class Probe:
    """One part: its name, its address, and a function that returns what it answered or raises."""

    name: str
    address: str
    ask: Callable[[], str]

    def answer(self) -> str | None:
        """What the part says of itself, or None while it does not answer. Raises `LiveshelfError` where waiting does
        not help: the broker refuses us, or a file that a setting names is missing."""
        try:
            return self.ask()
        except BrokerError as error:
            if not error.retriable:
                raise
            return None
        except (httpx.HTTPError, KafkaError, OSError, LookupError, ValueError):
            return None

    def state(self) -> tuple[bool | None, str]:
        """True and what it says, None and nothing while it does not answer, False and why it refuses us."""
        try:
            answer = self.answer()
        except LiveshelfError as error:
            return False, str(error)
        return (None, "") if answer is None else (True, answer)


def probes(settings: Settings) -> list[Probe]:
    """One probe for each part that `up` starts."""
    shop = f"http://{settings.storefront.host}:{settings.storefront.port}"
    all_parts = [
        Probe("kafka", settings.kafka.bootstrap, lambda: _kafka(settings)),
        Probe("flink", settings.job.rest_url, lambda: _flink(settings)),
        Probe("storefront", shop, lambda: _get(f"{shop}/healthz")),
    ]
    monitor = f"http://127.0.0.1:{settings.monitor.port}"
    all_parts.append(Probe("monitor", monitor, lambda: _get(f"{monitor}/metrics")))
    for name, port in _watchers(settings).items():
        page = f"http://127.0.0.1:{port}"
        all_parts.append(Probe(name, page, lambda page=page: _get(f"{page}/-/ready")))  # type: ignore[misc]
    return all_parts


def _watchers(settings: Settings) -> dict[str, int]:
    """Prometheus and Alertmanager, where they are installed."""
    ports = {"prometheus": settings.stack.prometheus_port, "alertmanager": settings.stack.alertmanager_port}
    programs = {"prometheus": prometheus.program(), "alertmanager": alertmanager.program()}
    return {name: port for name, port in ports.items() if programs[name]}


def _kafka(settings: Settings) -> str:
    if not _listens(settings.kafka.bootstrap):
        raise OSError("closed")
    with new_admin(settings.kafka) as admin:
        return f"{len([name for name in admin.list_topics() if not name.startswith('__')])} topics"


def _flink(settings: Settings) -> str:
    overview = httpx.get(f"{settings.job.rest_url}/overview", timeout=2).raise_for_status().json()
    if overview["taskmanagers"] < settings.stack.taskmanagers:
        raise LookupError("TaskManagers are still registering")
    return f"{overview['taskmanagers']} TaskManagers, {overview['jobs-running']} jobs running"


def _get(url: str) -> str:
    httpx.get(url, timeout=2).raise_for_status()
    return "ok"


def _listens(address: str) -> bool:
    host, port = address.split(",")[0].rsplit(":", 1)
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0


def ports(settings: Settings) -> dict[str, int]:
    """Every port that the stack takes on 127.0.0.1."""
    rest = int(settings.job.rest_url.rsplit(":", 1)[1].strip("/"))
    taken = {
        "kafka": int(settings.kafka.bootstrap.rsplit(":", 1)[1]),
        "kafka controller": settings.stack.controller_port,
        "zookeeper": settings.stack.zookeeper_port,
        "flink rest": rest,
        "flink rpc": settings.stack.jobmanager_rpc_port,
        "storefront": settings.storefront.port,
        "supervisor": settings.stack.supervisor_port,
        "monitor": settings.monitor.port,
        "broker metrics": settings.stack.broker_metrics_port,
    }
    reporters = {
        f"flink metrics {n}": settings.stack.flink_metrics_port + n for n in range(1 + settings.stack.taskmanagers)
    }
    return taken | reporters | _watchers(settings)


def ports_in_use(settings: Settings) -> dict[str, int]:
    """The ports of `ports` that something listens on now."""
    return {name: port for name, port in ports(settings).items() if _listens(f"127.0.0.1:{port}")}
