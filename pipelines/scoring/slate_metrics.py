"""What the scorer process reports of its lists: moments, coverage, quality of a sample, drift."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
from prometheus_client import CollectorRegistry, Counter, Gauge, Summary

from operators.experiments.assignment import Experiments
from operators.exploration.pool import Pool
from operators.lists.catalogue import Catalogue
from operators.lists.exploring.explored import Explored
from operators.lists.ranker import Ranked
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.unit_rows import unit_rows
from operators.quality.drift import DriftMeter, observed, popularity_places
from operators.quality.slate_quality import Coverage, SlateMeter
from operators.shopper.features import Features

COVERAGE_SECONDS = 600
SAMPLE_EVERY_S = 0.1  # at most 10 lists a second are measured: the others are like them
DRIFT_EVERY_S = 0.1
DRIFT_USERS = 32  # of a micro-batch


class SlateMetrics:
    """The sensors of the list maker. All calls but a scrape come from the thread that scores."""

    def __init__(self, registry: CollectorRegistry, experiments: Experiments) -> None:
        self._experiments = experiments
        self._share = Gauge(
            "liveshelf_slate_coverage_ratio",
            "Share of the items in stock that were on any list in the last 10 to 20 minutes",
            registry=registry,
        )
        self._psi = Gauge(
            "liveshelf_drift_psi",
            "Population stability index of the model's inputs and scores against its training window",
            ["feature"],
            registry=registry,
        )
        places = Counter(
            "liveshelf_exploration_places",
            "Places of the model's lists: with a new product, with a known item that is explored, or as the model ranks (none)",
            ["kind"],
            registry=registry,
        )
        self._places = {kind: places.labels(kind) for kind in ("new", "explore", "none")}
        self._newcomers = Gauge(
            "liveshelf_exploration_newcomers",
            "New products that lists may show: the model does not know them, they are offered now, and have likes",
            registry=registry,
        )
        self.scored_at = 0.0
        self._scores = np.zeros((0, 1), dtype=np.float32)
        self._sampled_at = self._drift_at = 0.0
        self._catalogue: Catalogue | None = None

        def summary(name: str, help_text: str) -> Summary:
            family = Summary(f"liveshelf_slate_{name}", help_text, ["arm"], registry=registry)
            for arm in experiments.labels:
                family.labels(arm)  # shown from the start
            return family

        self._diversity = summary("diversity", "Intra-list diversity: 1 - mean cosine of the list's items, of a sample")
        self._novelty = summary("novelty", "Mean rank of the list's items in the popularity order, 0 to 1, of a sample")
        self._miscalibration = summary(
            "miscalibration_nats", "KL divergence of the list's categories from the shopper's own, of a sample"
        )

    def measure_bundle(self, bundle: ModelBundle, catalogue: Catalogue) -> None:
        """The bundle whose lists are measured from now on."""
        self._catalogue = catalogue
        self._unpopular = popularity_places(bundle.popular, len(bundle.vocabulary))
        self._meter = SlateMeter(unit_rows(bundle.vectors), self._unpopular)
        self._coverage = Coverage(len(bundle.vocabulary), COVERAGE_SECONDS)
        meter = self._drift = DriftMeter(bundle.reference) if bundle.reference else None
        self._share.set_function(lambda: self._coverage.share(catalogue.allowed(int(time.time() * 1000))))
        if meter is not None:
            for feature in bundle.reference:
                self._psi.labels(feature).set_function(partial(_psi_of, meter, feature))

    def on_scores(self, scores: npt.NDArray[np.float32]) -> None:
        """As `operators.lists.list_sensors.ListSensors`."""
        self.scored_at, self._scores = time.time(), scores

    def on_slates(
        self, requests: Sequence[Request], ranked: Ranked, inputs: Features, served: npt.NDArray[Any]
    ) -> None:
        """As `operators.lists.list_sensors.ListSensors`."""
        if self._catalogue is None:
            return
        now = self.scored_at
        self._coverage.listed(ranked.rows, now)
        if self._drift is not None and now - self._drift_at >= DRIFT_EVERY_S:
            self._drift_at = now
            users = np.flatnonzero(served)[:DRIFT_USERS]
            if len(users):
                self._drift.observe(observed(inputs.where(users), self._scores[users, 0], self._unpopular))
        if now - self._sampled_at >= SAMPLE_EVERY_S and served.any():
            self._sampled_at = now
            user = int(np.argmax(served))
            self._measure(requests[user].user_id, ranked.rows[user], inputs.items[user])

    def on_explored(self, explored: Explored, places: int) -> None:
        """As `operators.lists.list_sensors.ListSensors`."""
        new, filled = len(explored.names), len(explored.at)
        for kind, count in (("new", new), ("explore", filled - new), ("none", places - filled)):
            self._places[kind].inc(count)

    def on_pool(self, pool: Pool) -> None:
        """Another pool serves."""
        self._newcomers.set(len(pool.newcomers))

    def _measure(self, user_id: str, rows: npt.NDArray[np.int32], history: npt.NDArray[np.int32]) -> None:
        assert self._catalogue is not None
        arm = self._experiments.label(user_id)
        quality = self._meter.measure(rows, history, self._catalogue.categories.by_row)
        self._diversity.labels(arm).observe(quality.diversity)
        self._novelty.labels(arm).observe(quality.novelty)
        if quality.miscalibration is not None:
            self._miscalibration.labels(arm).observe(quality.miscalibration)


def _psi_of(meter: DriftMeter, feature: str) -> float:
    return meter.indices()[feature]
