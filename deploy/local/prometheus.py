"""Prometheus of the local stack, where Debian's package is installed."""

import shutil
from pathlib import Path

import yaml

from deploy.local.layout import Layout
from operators.settings import Settings


def program() -> str | None:
    """The path of `prometheus`, or None where it is not installed."""
    return shutil.which("prometheus")


def scrape_config(settings: Settings) -> dict[str, object]:
    """prometheus.yml: Flink's reporters, the operator's own metrics, the storefront."""
    first = settings.job.metrics_port
    targets = {
        "flink": [f"127.0.0.1:{port}" for port in range(9250, 9252 + settings.stack.taskmanagers)],
        "operator": [f"127.0.0.1:{port}" for port in range(first, first + settings.stack.taskmanagers)],
        "storefront": [f"{settings.storefront.host}:{settings.storefront.port}"],
    }
    return {
        "global": {"scrape_interval": "5s", "evaluation_interval": "5s"},
        "scrape_configs": [
            {"job_name": name, "static_configs": [{"targets": addresses}]} for name, addresses in targets.items()
        ],
    }


def prepare_prometheus(settings: Settings, layout: Layout) -> Path:
    """Writes prometheus.yml."""
    file = layout.prometheus / "prometheus.yml"
    file.write_text(yaml.safe_dump(scrape_config(settings)))
    return file


def command(settings: Settings, layout: Layout) -> list[str] | None:
    """How to run it, or None where it is not installed."""
    if (path := program()) is None:
        return None
    return [
        path,
        f"--config.file={layout.prometheus}/prometheus.yml",
        f"--storage.tsdb.path={layout.prometheus}/data",
        "--storage.tsdb.retention.time=7d",
        f"--web.listen-address=127.0.0.1:{settings.stack.prometheus_port}",
    ]
