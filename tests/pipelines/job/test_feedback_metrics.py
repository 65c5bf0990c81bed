"""The page of the feedback join, and where Prometheus finds it."""

import json
from pathlib import Path

import httpx

from operators.feedback.join_records import COUNTED
from operators.settings import JobSettings
from pipelines.job.feedback_metrics import FeedbackMetrics


def test_each_reason_is_counted_from_zero_on_a_page_that_prometheus_finds(tmp_path: Path) -> None:
    settings = JobSettings(metrics_port=19470, parallelism=2, metrics_targets_dir=str(tmp_path))
    metrics = FeedbackMetrics(settings, 1)
    metrics.on_joined("example", 20)
    metrics.on_joined("example", 1)
    metrics.on_own_error("feedback")
    (target,) = json.loads((tmp_path / "feedback-1.json").read_text())[0]["targets"]
    text = httpx.get(f"http://{target}/metrics").text
    metrics.close()
    assert metrics.port >= 19472, "after the ports of the operators"
    counts = {reason: 21 if reason == "example" else 0 for reason in COUNTED}
    for reason, count in counts.items():
        assert f'liveshelf_feedback_total{{reason="{reason}"}} {count}.0' in text
    assert 'liveshelf_own_errors_total{where="feedback"} 1.0' in text
