"""Alertmanager of the local stack, where Debian's package is installed: what fires is grouped, and a cause silences
the symptoms that it explains."""

import shutil
from typing import Any

import yaml

from deploy.local.layout import Layout
from deploy.monitoring.explained import EXPLAINS
from operators.settings import Settings


def program() -> str | None:
    """The path of Alertmanager, or None where it is not installed."""
    return shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")


def routing(webhook_url: str) -> dict[str, Any]:
    """alertmanager.yml: pages at once, tickets gathered; to the webhook where there is one, else to its own page alone."""
    receiver: dict[str, Any] = {"name": "shop"}
    if webhook_url:
        receiver["webhook_configs"] = [{"url": webhook_url, "send_resolved": True}]
    tickets = {"matchers": ['severity="ticket"'], "group_wait": "5m", "repeat_interval": "3d"}
    return {
        "route": {
            "receiver": "shop",
            "group_by": ["alertname"],
            "group_wait": "5s",
            "group_interval": "30s",
            "repeat_interval": "4h",
            "routes": [{"receiver": "shop", **tickets}],
        },
        "receivers": [receiver],
        "inhibit_rules": [
            {"source_matchers": [f'alertname="{cause}"'], "target_matchers": [f'alertname=~"{explained}"']}
            for cause, explained in EXPLAINS.items()
        ]
        + [
            # the page says it already
            {"source_matchers": ['severity="page"'], "target_matchers": ['severity="ticket"'], "equal": ["alertname"]}
        ],
    }


def prepare_alertmanager(settings: Settings, layout: Layout) -> None:
    """Writes alertmanager.yml."""
    text = yaml.safe_dump(routing(settings.alerts.webhook_url), sort_keys=False)
    (layout.prometheus / "alertmanager.yml").write_text(text)


def command(settings: Settings, layout: Layout) -> list[str] | None:
    """How to run it, or None where it is not installed."""
    if (path := program()) is None:
        return None
    return [
        path,
        f"--config.file={layout.prometheus}/alertmanager.yml",
        f"--storage.path={layout.prometheus}/alertmanager",
        f"--web.listen-address=127.0.0.1:{settings.stack.alertmanager_port}",
        "--cluster.listen-address=",
    ]
