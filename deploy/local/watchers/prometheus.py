"""Prometheus of the local stack, where Debian's package is installed."""

import shutil
from pathlib import Path
from typing import Any

import yaml

from deploy.local.layout import Layout
from deploy.monitoring.rules import rules_text
from operators.settings import Settings

INTERVAL = (
    "10s"  # of scrapes and rules; at 5 s they were a good part of what all watching costs (docs/notebook/watching.md)
)


def program() -> str | None:
    """The path of `prometheus`, or None where it is not installed."""
    return shutil.which("prometheus")


def scrape_config(settings: Settings, layout: Layout) -> dict[str, Any]:
    """prometheus.yml. What has a port of its own is named; operator and trainer announce themselves by target files,
    one a role, so that a TaskManager which takes over is found and a dead one is forgotten."""
    stack = settings.stack

    def static(job: str, *targets: tuple[int, dict[str, str]]) -> dict[str, Any]:
        configs = [{"targets": [f"127.0.0.1:{port}"], "labels": labels} for port, labels in targets]
        return {"job_name": job, "static_configs": configs}

    managers = [(stack.flink_metrics_port + 1 + n, {"part": f"taskmanager-{n}"}) for n in range(stack.taskmanagers)]
    announced = {"job_name": "announced", "file_sd_configs": [{"files": [f"{layout.targets}/*.json"]}]}
    return {
        "global": {"scrape_interval": INTERVAL, "evaluation_interval": INTERVAL},
        "rule_files": [f"{layout.prometheus}/liveshelf.rules.yml"],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{stack.alertmanager_port}"]}]}]},
        "scrape_configs": [
            announced,
            static("flink", (stack.flink_metrics_port, {"part": "jobmanager"}), *managers),
            static("broker", (stack.broker_metrics_port, {})),
            static("storefront", (settings.storefront.port, {})),
            static("monitor", (settings.monitor.port, {})),
            static("prometheus", (stack.prometheus_port, {})),
            static("alertmanager", (stack.alertmanager_port, {})),
        ],
    }


def prepare_prometheus(settings: Settings, layout: Layout) -> Path:
    """Writes prometheus.yml and the rules."""
    file = layout.prometheus / "prometheus.yml"
    file.write_text(yaml.safe_dump(scrape_config(settings, layout), sort_keys=False))
    (layout.prometheus / "liveshelf.rules.yml").write_text(rules_text())
    return file


def command(settings: Settings, layout: Layout) -> list[str] | None:
    """How to run it, or None where it is not installed."""
    if (path := program()) is None:
        return None
    return [
        path,
        f"--config.file={layout.prometheus}/prometheus.yml",
        f"--storage.tsdb.path={layout.prometheus}/data",
        "--storage.tsdb.retention.time=15d",  # an alert looks a week back
        "--enable-feature=exemplar-storage",
        f"--web.listen-address=127.0.0.1:{settings.stack.prometheus_port}",
    ]
