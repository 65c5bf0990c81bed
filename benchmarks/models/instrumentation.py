"""Measures the cost of the operator's metrics: the operator without Flink and Kafka, with and without metrics, in turns.

The same events go through decode, step, micro-batcher, ONNX, ranking and encoding on one thread; only the sensors differ.
The CPU time is compared round by round, so that noise affects both sides alike.
"""

import statistics
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.measuring.machine import describe
from benchmarks.measuring.measured import measured_unless
from operators.configuration.shop_settings import ExperimentSettings
from operators.experiments.assignment import Experiments
from operators.lists.catalogue import Catalogue
from operators.lists.encoded_list import Encoded
from operators.lists.list_maker import ListMaker
from operators.lists.list_sensors import ListSensors, NullListSensors
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import EVENTS
from operators.records.event_decode import EventDecoder
from operators.refresh.batch_scorer import LocalScorer
from operators.refresh.micro_batcher import MicroBatcher
from operators.refresh.refresh_logic import RefreshLogic
from operators.refresh.refresh_records import InputRecord, Turn
from operators.refresh.refresh_sensors import BatchSensors, NullRefreshSensors, NullSensors, RefreshSensors
from operators.settings import Settings
from operators.telemetry.timeline import BatchTimes
from pipelines.job.job_metrics import JobMetrics
from pipelines.scoring.slate_metrics import SlateMetrics

EVENTS_A_ROUND, BATCH, USERS, ROUNDS = 2048, 64, 2000, 60


class Operator:
    """The operator on one thread, with a dict as state. Two operators share everything except the sensors, so that caches are
    warm for both."""

    def __init__(
        self,
        settings: Settings,
        bundle: ModelBundle,
        scorer: Scorer,
        states: dict[str, bytes],
        logic: RefreshSensors,
        batch: BatchSensors,
        slates: ListSensors,
    ) -> None:
        catalogue = Catalogue(bundle.vocabulary, settings.lists.catalogue_coverage)
        lists = ListMaker(bundle, scorer, catalogue, settings.lists, lambda: int(time.time() * 1000), None, slates)

        def make_lists(requests: Sequence[Request]) -> list[Encoded | Exception]:
            times = BatchTimes(time.time())
            results = lists.make_encoded(requests, times)
            self.lists += sum(not isinstance(result, Exception) for result in results)
            times.scored = times.ready = time.time()
            return results

        self._batcher: MicroBatcher[Request, Encoded] = MicroBatcher(
            LocalScorer(make_lists),
            max_batch=BATCH,
            max_waiting=4 * BATCH,
            deadline_s=5,
            clock=time.monotonic,
            sensors=batch,
        )
        self._logic = RefreshLogic(
            EventDecoder(settings.events), self._batcher, lists, settings.events, settings.scorer, time.time, logic
        )
        self._states = states
        self.lists = 0  # by the model

    def round(self, records: Sequence[InputRecord]) -> float:
        """Processes the records; returns the CPU seconds."""
        started_s = time.process_time()
        for first in range(0, len(records), BATCH):
            batch = records[first : first + BATCH]
            turns = [Turn(record.user, self._states.get(record.user), record) for record in batch]
            self._states |= self._logic.on_batch(turns).states
            self._batcher.run_once()
        return time.process_time() - started_s


def measure(settings: Settings, bundle: ModelBundle) -> dict[str, Any]:
    """Microseconds a list with and without metrics, and the median ratio of the rounds with its quartiles."""
    experiments = Experiments(ExperimentSettings())
    metrics = JobMetrics(settings.job, 0, experiments)
    slates = SlateMetrics(metrics.registry, experiments)
    slates.measure_bundle(bundle, Catalogue(bundle.vocabulary, 0.5))
    scorer, states = Scorer(bundle, settings.scorer), dict[str, bytes]()
    with_metrics = Operator(settings, bundle, scorer, states, metrics, metrics, slates)
    without_metrics = Operator(settings, bundle, scorer, states, NullRefreshSensors(), NullSensors(), NullListSensors())
    times: dict[str, list[float]] = {"with": [], "without": []}
    for number in range(ROUNDS + 2):
        order = [("with", with_metrics), ("without", without_metrics)]
        for name, operator in order if number % 2 else reversed(order):
            times[name].append(operator.round(_records(bundle, f"{number}{name}")))
    metrics.close()
    warm = {name: seconds[2:] for name, seconds in times.items()}
    ratios = sorted(a / b for a, b in zip(warm["with"], warm["without"], strict=True))
    per_list = {name: 1e6 * statistics.median(seconds) / EVENTS_A_ROUND for name, seconds in warm.items()}
    expected = EVENTS_A_ROUND * (ROUNDS + 2)
    shortfalls = [
        f"the model made {operator.lists} lists of {expected}"
        for operator in (with_metrics, without_metrics)
        if operator.lists != expected
    ]
    figures = {
        "us_a_list_with": round(per_list["with"], 2),
        "us_a_list_without": round(per_list["without"], 2),
        "ratio": round(statistics.median(ratios), 4),
        "ratio_quartiles": [round(ratios[len(ratios) // 4], 4), round(ratios[3 * len(ratios) // 4], 4)],
    }
    return {
        "bench": "instrumentation",
        "lists_a_round": EVENTS_A_ROUND,
        "rounds": ROUNDS,
        **measured_unless(shortfalls, figures),
        "machine": describe(),
    }


def _records(bundle: ModelBundle, tag: str) -> list[InputRecord]:
    items, now = bundle.vocabulary.item_ids, int(time.time() * 1000)
    return [
        InputRecord(
            user := f"u{(n * 7919) % USERS}",
            (
                f'{{"event_id":"e{tag}-{n}","event_type":"view","event_time":{now},'
                f'"user_id":"{user}","item_id":"{items[(n * 31) % len(items)]}"}}'
            ).encode(),
            EVENTS,
            0,
            n,
            now,
            None,
        )
        for n in range(EVENTS_A_ROUND)
    ]
