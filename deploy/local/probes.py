"""Probes: a real request to each part of the stack. `up` waits for them and `status` shows them."""

import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import httpx
from kafka.errors import KafkaError

from deploy.local.flink.flink_home import rest_address
from deploy.local.watchers import alertmanager, prometheus
from operators.configuration.rest_address import RestAddress
from operators.errors import BrokerError, LiveshelfError, StackError
from operators.flink_io.rest_client import rest_client
from operators.kafka_io.kafka_clients import new_admin
from operators.settings import Settings


@dataclass(frozen=True)
class Probe:
    """The probe of one part: name, address, and a function that returns its answer or raises."""

    name: str
    address: str
    ask: Callable[[], str]

    def answer(self) -> str | None:
        """The part's answer, or None while it does not answer. Raises `LiveshelfError` when waiting does not help: the
        broker refuses the login, or a file named in a setting is missing."""
        try:
            return self.ask()
        except BrokerError as error:
            if not error.retriable:
                raise
            return None
        except (httpx.HTTPError, KafkaError, OSError, LookupError, ValueError):
            return None

    def state(self) -> tuple[bool | None, str]:
        """(True, answer), (None, "") while the part does not answer, or (False, error) when it refuses."""
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
        Probe("flink", RestAddress.parse(settings.job.rest_url).url, lambda: _flink(settings)),
        Probe("storefront", shop, lambda: _get(f"{shop}/healthz")),
    ]
    if path := settings.scorer.socket:
        all_parts.append(Probe("scorer", path, lambda: _connects(path)))
    monitor = f"http://127.0.0.1:{settings.monitor.port}"
    all_parts.append(Probe("monitor", monitor, lambda: _get(f"{monitor}/metrics")))
    for name, port in _watchers(settings).items():
        page = f"http://127.0.0.1:{port}"
        all_parts.append(Probe(name, page, lambda page=page: _get(f"{page}/-/ready")))  # type: ignore[misc]
    return all_parts


def states(settings: Settings) -> list[tuple[Probe, tuple[bool | None, str]]]:
    """Every probe with its state. Probes run in parallel, because a part that hangs takes seconds to time out."""
    all_probes = probes(settings)
    with ThreadPoolExecutor(len(all_probes)) as pool:
        return list(zip(all_probes, pool.map(Probe.state, all_probes), strict=True))


def _watchers(settings: Settings) -> dict[str, int]:
    """Prometheus and Alertmanager, where they are installed."""
    ports = {"prometheus": settings.stack.prometheus_port, "alertmanager": settings.stack.alertmanager_port}
    programs = {"prometheus": prometheus.program(), "alertmanager": alertmanager.program()}
    return {name: port for name, port in ports.items() if programs[name]}


def _kafka(settings: Settings) -> str:
    if not any(_listens(host, port) for host, port in settings.kafka.brokers):
        raise OSError("closed")
    with new_admin(settings.kafka) as admin:
        return f"{len([name for name in admin.list_topics() if not name.startswith('__')])} topics"


def _flink(settings: Settings) -> str:
    with rest_client(settings.job, timeout_s=2) as client:
        overview = client.get("/overview").raise_for_status().json()
    if _is_here(settings) and overview["taskmanagers"] < settings.stack.taskmanagers:
        raise LookupError("TaskManagers are still registering")
    return f"{overview['taskmanagers']} TaskManagers, {overview['jobs-running']} jobs running"


def _is_here(settings: Settings) -> bool:
    try:
        rest_address(settings)
    except StackError:  # another cluster's
        return False
    return True


def _get(url: str) -> str:
    # a part of this machine, over plain http: no proxy leads to it, and no certificates need be read
    httpx.get(url, timeout=2, trust_env=False, verify=False).raise_for_status()
    return "ok"


def _connects(path: str) -> str:
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(2)
        end.connect(path)
    return "listens"


def _listens(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def ports(settings: Settings) -> dict[str, int]:
    """Every port that the stack uses on 127.0.0.1."""
    taken = {
        "kafka": settings.kafka.brokers[0][1],
        "kafka controller": settings.stack.controller_port,
        "zookeeper": settings.stack.zookeeper_port,
        "flink rpc": settings.stack.jobmanager_rpc_port,
        "storefront": settings.storefront.port,
        "monitor": settings.monitor.port,
        "broker metrics": settings.stack.broker_metrics_port,
    }
    reporters = {
        f"flink metrics {n}": settings.stack.flink_metrics_port + n for n in range(1 + settings.stack.taskmanagers)
    }
    if _is_here(settings):
        taken["flink rest"] = rest_address(settings).port
    return taken | reporters | _watchers(settings)


def ports_in_use(settings: Settings) -> dict[str, int]:
    """The ports of `ports` that something listens on now."""
    return {name: port for name, port in ports(settings).items() if _listens("127.0.0.1", port)}
