"""How Prometheus finds a page, and no longer finds it."""

import json
from pathlib import Path

from prometheus_client import CollectorRegistry

from operators.telemetry.metrics_server import MetricsServer


def test_a_role_that_ends_is_no_target_any_more_and_one_that_another_process_has_stays_one(tmp_path: Path) -> None:
    targets = tmp_path / "scorer-shared.json"
    first, second = (MetricsServer(CollectorRegistry(), "127.0.0.1", 19500, targets) for _ in range(2))
    try:
        first.withdraw()
        assert json.loads(targets.read_text())[0]["targets"] == [f"127.0.0.1:{second.port}"]
        second.withdraw()
        assert not targets.exists()
        second.withdraw()
    finally:
        first.close()
        second.close()
