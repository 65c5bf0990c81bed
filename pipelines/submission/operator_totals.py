"""Totals of the operators' counters, read from their Prometheus pages."""

import json
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families

from operators.configuration.loopback import uses_environment_proxies


def operator_total(targets: Path, metric: str, **labels: str) -> int:
    """The sum of a counter's samples with these labels, over all operators that answer.

    `targets`: the folder with the addresses of the operators' metrics (`job.metrics_targets_dir`).
    """
    total = 0.0
    for file in targets.glob("operator-*.json"):
        (address,) = json.loads(file.read_text())[0]["targets"]
        url = f"http://{address}/metrics"
        try:
            page = httpx.get(url, timeout=5, trust_env=uses_environment_proxies(url)).text
        except httpx.HTTPError:  # the address of an earlier job's operator
            continue
        for family in text_string_to_metric_families(page):
            total += sum(
                sample.value
                for sample in family.samples
                if sample.name == metric and labels.items() <= sample.labels.items()
            )
    return int(total)
