"""The rule file of Prometheus: `python -m deploy.monitoring.rules deploy/monitoring/liveshelf.rules.yml`."""

import sys
from pathlib import Path
from typing import Any

import yaml

from deploy.monitoring.alert import Lengths, as_long, timed
from deploy.monitoring.alerts import ALERTS
from deploy.monitoring.objectives import OBJECTIVES, WINDOWS, recorded

HEAD = "# Made by `make monitoring` from deploy/monitoring/*.py. Load it with `rule_files` of your Prometheus.\n"
FRESHNESS_QUANTILE = "histogram_quantile({}, sum by (le) (rate(liveshelf_freshness_seconds_bucket[@1m@])))"
OF_SHOWN = (
    'sum by (arm) (rate(liveshelf_slate_actions_total{{event_type="{}"}}[@1h@])) '
    "/ (sum by (arm) (rate(liveshelf_slate_impressions_total[@1h@])) > 0)"
)
# shorter names for what dashboards and people ask most
RECORDED = {
    "liveshelf:events:rate1m": "sum(rate(liveshelf_events_total[@1m@]))",
    "liveshelf:lists:rate1m": "sum by (source) (rate(liveshelf_lists_total[@1m@]))",
    "liveshelf:stage_seconds:mean1m": "sum by (stage) (rate(liveshelf_stage_seconds_sum[@1m@])) / scalar(sum(rate(liveshelf_freshness_seconds_count[@1m@])))",
    "liveshelf:lag_records": "sum(flink_taskmanager_job_task_operator_pendingRecords)",
    "liveshelf:state_users": "sum(flink_taskmanager_job_task_operator_user_rocksdb_estimate_num_keys)",
    "liveshelf:state_bytes": "sum(flink_taskmanager_job_task_operator_user_rocksdb_total_sst_files_size)",
    "liveshelf:feedback_users": "sum(flink_taskmanager_job_task_operator_feedback_rocksdb_estimate_num_keys)",
    "liveshelf:feedback_bytes": "sum(flink_taskmanager_job_task_operator_feedback_rocksdb_total_sst_files_size)",
    "liveshelf:demand_items": "sum(flink_taskmanager_job_task_operator_demand_rocksdb_estimate_num_keys)",
    "liveshelf:click_through:ratio1h": OF_SHOWN.format("click"),
    "liveshelf:cart_through:ratio1h": OF_SHOWN.format("add_to_cart"),
    "liveshelf:purchase_through:ratio1h": OF_SHOWN.format("purchase"),
}


def rule_groups(lengths: Lengths = as_long) -> dict[str, Any]:
    """All recording rules and alerts; tests compress their durations by `lengths`."""
    objectives = [
        {"record": recorded(objective, window), "expr": timed(objective.ratio(window), lengths)}
        for objective in OBJECTIVES
        for window in WINDOWS
    ]
    quantiles = [
        {
            "record": "liveshelf:freshness_seconds:quantile1m",
            "expr": timed(FRESHNESS_QUANTILE.format(quantile / 100), lengths),
            "labels": {"quantile": f"p{quantile}"},
        }
        for quantile in (50, 95, 99)
    ]
    shorter = [{"record": name, "expr": timed(text, lengths)} for name, text in RECORDED.items()]
    alerts = {kind: [alert.rule(lengths) for alert in ALERTS if alert.kind == kind] for kind in ("symptom", "cause")}
    groups = {"liveshelf-objectives": objectives, "liveshelf-recorded": quantiles + shorter}
    groups |= {f"liveshelf-{kind}s": rules for kind, rules in alerts.items()}
    return {"groups": [{"name": name, "rules": rules} for name, rules in groups.items()]}


def rules_text(lengths: Lengths = as_long) -> str:
    """The file."""
    return HEAD + yaml.safe_dump(rule_groups(lengths), sort_keys=False, width=10_000, allow_unicode=True)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(rules_text())
