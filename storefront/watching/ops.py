"""The data of /ops: a fixed set of Prometheus queries. The page cannot run any other query through it.

An overview takes about twenty queries, so all viewers share one overview for a few seconds, in four ranges.
"""

import asyncio
import logging
import math
import time
from typing import Any

import httpx
import msgspec

from operators.configuration.loopback import uses_environment_proxies

log = logging.getLogger(__name__)
POINTS = 180
MIN_STEP_S = 5
TIMEOUT_S = 5.0
SHARED_S = 3.0  # the page asks each 5 s
RANGES = (15, 60, 360, 1440)  # minutes, as the page's buttons
CHARTS = (
    # id, title, unit, expression, label of a line
    ("freshness", "Freshness: event to list", "ms", "1000 * liveshelf:freshness_seconds:quantile1m", "quantile"),
    ("stages", "Where the time goes (mean)", "ms", "1000 * (liveshelf:stage_seconds:mean1m > 0)", "stage"),
    ("events", "Events in", "/s", "sum by (outcome) (rate(liveshelf_events_total[1m])) > 0", "outcome"),
    ("lists", "Lists out", "/s", "liveshelf:lists:rate1m", "source"),
    ("shoppers", "Shoppers whose newest event has its list", "%", "100 * liveshelf_fresh_users_ratio", ""),
    ("lag", "Events that wait in Kafka", "", "liveshelf:lag_records", ""),
    ("clicks", "Click-through (1 h)", "%", "100 * liveshelf:click_through:ratio1h", "arm"),
    ("carts", "Into the basket, of lists shown (1 h)", "%", "100 * liveshelf:cart_through:ratio1h", "arm"),
    ("purchases", "Bought, of lists shown (1 h)", "%", "100 * liveshelf:purchase_through:ratio1h", "arm"),
    ("quality", "Of the items in stock, on any list", "%", "100 * max(liveshelf_slate_coverage_ratio)", ""),
    ("drift", "Drift from training (PSI)", "", "max by (feature) (liveshelf_drift_psi)", "feature"),
    ("refused", "Dead letters", "/s", "sum by (reason) (rate(liveshelf_dead_letters_total[1m]))", "reason"),
    ("requests", "Storefront requests", "/s", "sum by (status) (rate(liveshelf_storefront_requests_total[1m]))", "status"),
    ("state", "Users in the state", "", "liveshelf:state_users", ""),
)  # fmt: skip
PARTS = 'up or on (job) label_replace(absent(up{job="operator"}) - 1, "job", "operator", "", "")'
FACTS = {
    "model": "liveshelf_model_info",
    "model_age_days": "(time() - max(liveshelf_model_created_timestamp_seconds > 0)) / 86400",
    "provider": "liveshelf_scorer_info",
    "fallback_share": "sum(rate(liveshelf_fallbacks_total[5m])) / (sum(rate(liveshelf_lists_total[5m])) > 0)",
    "checkpoint_seconds": "max(flink_jobmanager_job_lastCheckpointDuration) / 1000",
    "restarts": "max(flink_jobmanager_job_numRestarts)",
}


class Line(msgspec.Struct):
    """One line of a chart: [epoch s, value] pairs."""

    label: str
    points: list[tuple[float, float]]


class Chart(msgspec.Struct):
    """One chart."""

    id: str
    title: str
    unit: str
    lines: list[Line]


class Part(msgspec.Struct):
    """A process that Prometheus scrapes."""

    name: str
    up: bool


class FiringAlert(msgspec.Struct):
    """An alert that fires, or is about to (`pending`)."""

    name: str
    state: str
    severity: str
    kind: str
    since: str
    summary: str
    do: str
    runbook: str


class Overview(msgspec.Struct):
    """All data of the page. `minutes`: the shortest range that covers the requested one. `prometheus` false: it does not
    answer, and the rest is empty."""

    at: float
    minutes: int
    prometheus: bool
    charts: list[Chart] = []
    parts: list[Part] = []
    alerts: list[FiringAlert] = []
    facts: dict[str, str] = {}


class Ops:
    """Queries Prometheus' HTTP API."""

    def __init__(self, prometheus_url: str) -> None:
        self._client = httpx.AsyncClient(
            base_url=prometheus_url, timeout=TIMEOUT_S, trust_env=uses_environment_proxies(prometheus_url)
        )
        self._recent: dict[int, tuple[float, asyncio.Task[Overview]]] = {}

    async def close(self) -> None:
        """Closes the connections."""
        for _, task in self._recent.values():
            task.cancel()
        await self._client.aclose()

    async def overview(self, minutes: int) -> Overview:
        """The overview of the last `minutes`, at most 1440."""
        range_minutes = next(length for length in RANGES if length >= minutes)
        since, task = self._recent.get(range_minutes, (0.0, None))
        if task is None or (task.done() and time.monotonic() - since > SHARED_S):
            task = asyncio.create_task(self._overview(range_minutes))
            self._recent[range_minutes] = (time.monotonic(), task)
        return await asyncio.shield(task)  # a caller that disconnects must not cancel it for the others

    async def _overview(self, minutes: int) -> Overview:
        now = time.time()
        try:
            charts, parts, alerts, facts = await asyncio.gather(
                asyncio.gather(*(self._chart(now, minutes, *chart) for chart in CHARTS)),
                self._parts(),
                self._alerts(),
                self._facts(),
            )
        except (
            httpx.HTTPError,
            ValueError,
            LookupError,
            TypeError,
        ) as error:  # not only HTTP errors: the address may not be Prometheus
            log.warning("Prometheus does not answer /ops: %r", error)
            return Overview(now, minutes, False)
        return Overview(now, minutes, True, list(charts), parts, alerts, facts)

    async def _get(self, path: str, **parameters: Any) -> Any:
        answer = await self._client.get(f"/api/v1/{path}", params=parameters)
        return answer.raise_for_status().json()["data"]

    async def _chart(
        self, now: float, minutes: int, name: str, title: str, unit: str, expression: str, label: str
    ) -> Chart:
        step = max(MIN_STEP_S, minutes * 60 // POINTS)
        end = now // step * step
        answer = await self._get("query_range", query=expression, start=end - minutes * 60, end=end, step=step)
        lines = [
            Line(
                series["metric"].get(label, "") or title,
                [
                    (float(timestamp), float(value))
                    for timestamp, value in series["values"]
                    if math.isfinite(float(value))
                ],
            )
            for series in answer["result"]
        ]
        return Chart(name, title, unit, sorted(lines, key=lambda line: line.label))

    async def _parts(self) -> list[Part]:
        answer = await self._get("query", query=PARTS)
        parts = [
            Part(sample["metric"].get("part") or sample["metric"]["job"], float(sample["value"][1]) == 1)
            for sample in answer["result"]
        ]
        return sorted(parts, key=lambda part: part.name)

    async def _alerts(self) -> list[FiringAlert]:
        answer = await self._get("alerts")
        alerts = [
            FiringAlert(
                name=alert["labels"]["alertname"],
                state=alert["state"],
                severity=alert["labels"].get("severity", ""),
                kind=alert["labels"].get("kind", ""),
                since=alert["activeAt"],
                summary=alert["annotations"].get("summary", ""),
                do=alert["annotations"].get("do", ""),
                runbook=alert["annotations"].get("runbook", ""),
            )
            for alert in answer["alerts"]
        ]
        return sorted(alerts, key=lambda alert: (alert.state, alert.severity, alert.name))

    async def _facts(self) -> dict[str, str]:
        answers = await asyncio.gather(*(self._get("query", query=text) for text in FACTS.values()))
        facts = {}
        for name, answer in zip(FACTS, answers, strict=True):
            if not answer["result"]:
                continue
            sample = answer["result"][-1]
            labels = sample["metric"]
            text = {"model": "{name} {version}", "provider": "{provider} ({reason})"}.get(name)
            facts[name] = text.format(**labels) if text else f"{float(sample['value'][1]):.3g}"
        return facts
