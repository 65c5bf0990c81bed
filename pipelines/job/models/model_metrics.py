"""The metrics of the bundles that serve in an operator."""

from collections.abc import Iterable
from datetime import datetime

from prometheus_client import CollectorRegistry, Gauge, Histogram

from operators.model.bundle_files import weights_trained_s
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import Model
from operators.rollout.rollout_follower import RolloutFollower
from operators.telemetry.metric_types import CountedElsewhere, Tally
from pipelines.scoring.wire import Ready

OUTCOMES = ("made", "failed", "missed")
OVERLAP_BUCKETS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)


class ModelMetrics:
    """Reports of `ServedModels`, from its threads."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._model = Gauge(
            "liveshelf_model_info",
            "1: this bundle makes the lists, 0: it was refused",
            ["name", "version"],
            registry=registry,
        )
        self._reported = set[tuple[str, str]]()  # labels of `_model`
        self._created = Gauge(
            "liveshelf_model_created_timestamp_seconds", "When the champion's bundle was made", registry=registry
        )
        self._trained = Gauge(
            "liveshelf_model_trained_timestamp_seconds",
            "When the weights of the champion's bundle were trained: a light round of the trainer makes a bundle with earlier ones",
            registry=registry,
        )
        self._items = Gauge("liveshelf_model_items", "Items that the champion's bundle knows", registry=registry)
        self._where = Gauge(
            "liveshelf_scorer_info",
            "1: the provider that runs the model, and the reason",
            ["provider", "reason"],
            registry=registry,
        )
        self._starts = Tally(
            "liveshelf_scorer_starts", "Scorer processes that started to score", [], registry, [()]
        ).counts
        self._revision = Gauge(
            "liveshelf_rollout_revision",
            "Revision of the rollout that this operator follows; 0: the submitted bundle serves",
            registry=registry,
        )
        self._refused = CountedElsewhere(
            "liveshelf_refused_rollouts", "Rollouts with a bundle that must not serve", registry
        )
        self._left_out = Gauge(
            "liveshelf_rollout_bundles_left_out",
            "Challengers and shadow of the rollout that cannot serve here; the champion has a challenger's users",
            registry=registry,
        )
        self._shadow_lists = Tally(
            "liveshelf_shadow_lists", "Lists of the shadow, by outcome", ["outcome"], registry, OUTCOMES
        ).counts
        self.overlap = Histogram(
            "liveshelf_shadow_overlap_ratio",
            "Share of the 20 items of a shadow's list that are on the served list",
            registry=registry,
            buckets=OVERLAP_BUCKETS,
        )

    def serves(self, bundle: ModelBundle, scorer: Ready) -> None:
        """What a scorer process said when it had started: whether its bundle may serve, and where it runs."""
        self._reported.add((bundle.name, bundle.version))
        self._model.labels(bundle.name, bundle.version).set(0 if scorer.refused else 1)
        if not scorer.refused:
            self._starts[()] += 1
            self._where.clear()  # where it ran before
            self._where.labels(scorer.provider, scorer.provider_reason).set(1)

    def keep(self, models: Iterable[Model]) -> None:
        """Reports these bundles alone from here on."""
        kept = {(model.name, model.version) for model in models}
        for name, version in self._reported - kept:
            self._model.remove(name, version)
        self._reported &= kept

    def champion(self, bundle: ModelBundle) -> None:
        """The bundle of the users whom no challenger has."""
        if text := bundle.manifest.get("created"):
            self._created.set(datetime.fromisoformat(str(text)).timestamp())
        self._trained.set(weights_trained_s(bundle.manifest))
        self._items.set(len(bundle.vocabulary))

    def left_out(self, bundles: int) -> None:
        """So many bundles of the rollout do not serve."""
        self._left_out.set(bundles)

    def follow(self, follower: RolloutFollower) -> None:
        """Reads from here on which rollout is followed."""
        self._revision.set_function(lambda: follower.revision)
        self._refused.set_function(lambda: follower.refused)

    def shadow_lists(self, outcome: str, count: int) -> None:
        """Lists of the shadow; `outcome`: one of `OUTCOMES`."""
        self._shadow_lists[outcome] += count
