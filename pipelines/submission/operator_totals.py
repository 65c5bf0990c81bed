"""What the operators have counted since they were started, read from the pages that Prometheus reads."""

import json
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from operators.configuration.loopback import uses_environment_proxies


def operator_total(targets: Path, metric: str, **labels: str) -> int:
    """The sum of a counter with these labels, its others whatever they are, over all operators that answer.

    `targets`: the folder in which the operators say where their metrics are (`job.metrics_targets_dir`).
    """
    total = 0.0
    for file in targets.glob("operator-*.json"):
        (address,) = json.loads(file.read_text())[0]["targets"]
        url = f"http://{address}/metrics"
        try:
            page = httpx.get(url, timeout=5, trust_env=uses_environment_proxies(url)).text
        except httpx.HTTPError:  # of an earlier job with more slots
            continue
        for family in text_string_to_metric_families(page):
            total += sum(
                one.value for one in family.samples if one.name == metric and labels.items() <= one.labels.items()
            )
    return int(total)
