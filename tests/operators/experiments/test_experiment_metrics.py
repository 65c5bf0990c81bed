from prometheus_client import CollectorRegistry

from operators.configuration.shop_settings import ExperimentSettings
from operators.experiments.assignment import Experiments
from operators.experiments.experiment_metrics import ExperimentMetrics
from tests.operators.experiments.test_running_experiments import USERS, record


def test_new_users_are_counted_in_each_of_their_experiments_and_refused_plans_by_reason() -> None:
    registry, experiments = CollectorRegistry(), Experiments(ExperimentSettings())
    metrics = ExperimentMetrics(registry, experiments)
    metrics.on_new_user("u1")
    for started_at, name in enumerate(("a", "b", "c")):
        experiments.changed(name, record(name, started_at, layer="x" if name != "b" else "y"))
    metrics.refused["not_a_plan"] += 2
    for user in USERS:
        metrics.on_new_user(user)

    def value(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"liveshelf_{name}", labels)

    assert value("experiment_users_total", experiment="", arm="all") == 1
    of_arms = [value("experiment_users_total", experiment="a", arm=arm) or 0 for arm in ("control", "other")]
    assert sum(of_arms) == len(USERS) and abs(of_arms[0] - of_arms[1]) < 200
    assert value("experiment_share", experiment="b", arm="control") == 0.5
    assert value("experiments_refused", reason="not_a_plan") == 2
    assert value("experiments_refused", reason="overlapping_parts") == 1
    experiments.changed("a", record("a", 0, stopped_at=9, layer="x"))
    assert value("experiment_share", experiment="a", arm="control") is None
