"""The page of the feedback join, and where Prometheus finds it."""

import json
from pathlib import Path

import httpx

from operators.feedback.join_records import COUNTED, ArmOutcome
from operators.records.contracts import Experiment
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


def test_outcomes_have_the_arms_of_running_experiments_and_all_others_share_one_label(tmp_path: Path) -> None:
    metrics = FeedbackMetrics(JobSettings(metrics_port=19472, metrics_targets_dir=str(tmp_path)), 0)
    try:
        metrics.on_arms([("e", "a"), ("e", "b")])
        for name, outcome, amount in (("a", "click", 2), ("a", "revenue", 9.5), ("c", "click", 1), ("d", "click", 1)):
            metrics.on_arm_outcome(ArmOutcome(Experiment("e", name), outcome, amount))

        def value(name: str, **labels: str) -> float | None:
            return metrics.registry.get_sample_value(f"liveshelf_experiment_{name}_total", labels)

        assert value("outcomes", experiment="e", arm="a", outcome="click") == 2
        assert value("outcomes", experiment="e", arm="b", outcome="purchase") == 0, "from zero on"
        assert value("revenue", experiment="e", arm="a") == 9.5
        assert value("outcomes", experiment="", arm="unknown_arm", outcome="click") == 2
        assert value("outcomes", experiment="e", arm="c", outcome="click") is None
        metrics.on_arms([("e", "b")])
        assert value("outcomes", experiment="e", arm="a", outcome="click") is None
        assert value("outcomes", experiment="", arm="unknown_arm", outcome="click") == 2
    finally:
        metrics.close()
