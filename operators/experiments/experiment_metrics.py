"""Metrics of experiments in Prometheus' format: new users by arm, the arms' shares, plans that do not run."""

from collections import Counter

from prometheus_client import CollectorRegistry

from operators.experiments.assignment import NO_ARM, NO_EXPERIMENT, Experiments
from operators.records.contracts import Experiment
from operators.telemetry.metric_types import GaugeElsewhere, Tally

_IN_NONE = (Experiment(NO_EXPERIMENT, NO_ARM),)


class ExperimentMetrics:
    """What the refresh operator reports of experiments."""

    def __init__(self, registry: CollectorRegistry, experiments: Experiments) -> None:
        self.refused = Counter[str]()  # records of the topic that are no plan, by reason
        self._experiments = experiments
        labels = ["experiment", "arm"]
        self._new_users = Tally(
            "liveshelf_experiment_users",
            "Users seen for the first time, by experiment and arm; without a name: users in no experiment",
            labels,
            registry,
            [*experiments.shares],
        ).counts
        GaugeElsewhere(
            "liveshelf_experiment_share",
            "Share of the experiment's users that an arm should have",
            labels,
            registry,
            lambda: experiments.shares,
        )
        GaugeElsewhere(
            "liveshelf_experiments_refused",
            "Plans on the topic that do not run, and records that are no plan, by reason",
            ["reason"],
            registry,
            self._refused,
        )

    def on_new_user(self, user_id: str) -> None:
        """A user was seen for the first time."""
        for experiment in self._experiments.assigned(user_id).experiments or _IN_NONE:
            self._new_users[experiment.name, experiment.arm] += 1

    def _refused(self) -> dict[tuple[str], int]:
        refused = self.refused + Counter(self._experiments.refused.values())
        return {(reason,): count for reason, count in refused.items()}
