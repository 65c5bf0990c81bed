"""What the operator reports, read back as Prometheus would."""

import json
import socket
from pathlib import Path

import httpx
import numpy as np
import pytest

from operators.configuration.shop_settings import ExperimentSettings, ListSettings
from operators.experiments.assignment import Experiments
from operators.lists.catalogue import Catalogue
from operators.lists.encoded_list import Encoded
from operators.lists.list_maker import ListMaker
from operators.lists.request import Request
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.records.contracts import Event, Experiment, Model
from operators.settings import JobSettings, ScorerSettings
from operators.shopper.user_state import step
from operators.telemetry.timeline import Arrival, BatchTimes
from pipelines.job.job_metrics import FLUSH, JobMetrics
from pipelines.scoring.slate_metrics import SlateMetrics
from pipelines.scoring.wire import Ready
from tests.builders import NOW_MS, write_bundle

HALVES = ExperimentSettings(name="x", arms={"a": 0.5, "b": 0.5})
IN_A, IN_B = (Experiment("x", "a"),), (Experiment("x", "b"),)
TRACED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def metrics(tmp_path: Path):
    settings = JobSettings(metrics_port=19460, metrics_targets_dir=str(tmp_path / "targets"))
    made = JobMetrics(settings, 3, Experiments(HALVES))
    yield made
    made.close()


def value(metrics: JobMetrics, metric: str, /, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(metric, labels)


def event(number: int, kind: str = "view", **fields) -> Event:
    return Event(event_id=f"e{number}", event_type=kind, event_time=NOW_MS, user_id=f"u{number}", **fields)


def test_stages_of_lists_and_of_those_that_were_asked_for_again(metrics: JobMetrics) -> None:
    batch = BatchTimes(0.011, 0.0125, 0.0133)
    asked = Request("u", b"", 0, "e", TRACED, Arrival(0.004, 0.009, 0.0091))
    for _ in range(1500):  # more than are measured together
        metrics.on_lists([(Encoded(b"", "model", IN_A, None, batch), asked)], 0.015)
    metrics.on_lists([(Encoded(b"", "popular", IN_B), Request("u", b"", 0))], 2.0)
    assert value(metrics, "liveshelf_freshness_seconds_count") == 1501
    assert value(metrics, "liveshelf_lists_total", source="model", arm="a") == 1500
    stages = {s: value(metrics, "liveshelf_stage_seconds_sum", stage=s) for s in ("publish", "wait", "emit", "recover")}
    assert stages == pytest.approx({"publish": 6.0, "wait": 2.85, "emit": 2.55, "recover": 2.0})
    text = httpx.get(
        f"http://127.0.0.1:{metrics.port}/metrics", headers={"accept": "application/openmetrics-text"}
    ).text
    assert 'trace_id="4bf92f3577b34da6a3ce929d0e0e4736"' in text


def test_what_was_not_measured_yet_is_bounded_also_where_nobody_scrapes(metrics: JobMetrics) -> None:
    """An outage of hours, of the model and of Prometheus: each list is of a promise."""
    for _ in range(3 * FLUSH + 1):
        metrics.on_lists([(Encoded(b"", "popular", IN_B), Request("u", b"", 0))], 2.0)
        assert len(metrics._recovered) < FLUSH
    assert value(metrics, "liveshelf_stage_seconds_count", stage="recover") == 3 * FLUSH + 1


def test_lists_that_go_out_together_all_have_a_freshness_and_stages(metrics: JobMetrics) -> None:
    batch = BatchTimes(0.011, 0.0125, 0.0133)
    together = [
        (
            Encoded(b"", "model", IN_A, None, batch),
            Request("u", b"", 1000 * (number % 2), "e", None, Arrival(0.004, 0.009, 0.01)),
        )
        for number in range(64)  # every other shopper's clock is a second ahead of the broker's
    ]
    metrics.on_lists(together, 0.015)
    assert value(metrics, "liveshelf_freshness_seconds_count") == 64
    assert value(metrics, "liveshelf_freshness_seconds_sum") == pytest.approx(32 * 0.015 + 32 * 0.011)
    assert value(metrics, "liveshelf_stage_seconds_count", stage="wait") == 64


def test_shoppers_are_counted_by_arm_and_only_their_first_event_makes_them_new(metrics: JobMetrics) -> None:
    arms = Experiments(HALVES)
    for number in range(100):
        metrics.on_event(event(number), 1)
        metrics.on_event(event(number), 2)
        metrics.on_event(event(number, "impression", items=["i1"], recommendation_id="r"), 1)
        metrics.on_event(event(number, "click", item_id="i1", recommendation_id="r"), 3)
        metrics.on_event(event(number, "click", item_id="i1"), 4)
        metrics.on_event(event(number, "purchase", item_id="i1", recommendation_id="r"), 5)
        metrics.on_event(event(number, "purchase", item_id="i1", recommendation_id="r", quantity=-1), 6)
    mine = sum(arms.label(f"u{number}") == "a" for number in range(100))
    assert value(metrics, "liveshelf_experiment_users_total", experiment="x", arm="a") == mine
    assert value(metrics, "liveshelf_slate_impressions_total", arm="a") == mine
    assert value(metrics, "liveshelf_slate_actions_total", arm="b", event_type="click") == 100 - mine
    assert value(metrics, "liveshelf_slate_actions_total", arm="b", event_type="purchase") == 100 - mine, "no returns"
    assert value(metrics, "liveshelf_accepted_events_total", event_type="click") == 200
    assert value(metrics, "liveshelf_experiment_share", experiment="x", arm="a") == 0.5


def test_prometheus_is_told_of_the_role_and_the_next_process_takes_it_over(metrics: JobMetrics, tmp_path: Path) -> None:
    (target,) = json.loads((tmp_path / "targets" / "operator-3.json").read_text())
    assert target == {"targets": [f"127.0.0.1:{metrics.port}"], "labels": {"job": "operator", "subtask": "3"}}
    other = JobMetrics(
        JobSettings(metrics_port=19460, metrics_targets_dir=str(tmp_path / "targets")), 3, Experiments(HALVES)
    )
    try:
        assert other.port != metrics.port
        assert str(other.port) in (tmp_path / "targets" / "operator-3.json").read_text()
    finally:
        other.close()


def test_close_gives_the_port_back() -> None:
    made = JobMetrics(JobSettings(metrics_port=19490), 0, Experiments(HALVES))
    made.close()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", made.port))


def test_lists_are_measured_where_they_are_made(metrics: JobMetrics, tmp_path: Path) -> None:
    bundle = ModelBundle.load(write_bundle(tmp_path / "bundle"))
    scorer, catalogue = Scorer(bundle, ScorerSettings(provider="cpu")), Catalogue(bundle.vocabulary, 0.5)
    slates = SlateMetrics(metrics.registry, Experiments(HALVES))
    slates.measure_bundle(bundle, catalogue)
    lists = ListMaker(bundle, scorer, catalogue, ListSettings(size=3), lambda: NOW_MS, Experiments(HALVES), slates)
    states = [step(None, event(n, item_id=f"i{n % 5 + 1}")).state for n in range(40)]
    made = lists.make([Request(f"u{n}", state, NOW_MS) for n, state in enumerate(states)])
    assert {one.experiment.arm for one in made} == {"a", "b"}
    listed = {place.item_id for one in made for place in one.items}
    assert value(metrics, "liveshelf_slate_coverage_ratio") == pytest.approx(len(listed) / len(bundle.vocabulary))
    arm = Experiments(HALVES).label("u0")
    assert value(metrics, "liveshelf_slate_diversity_count", arm=arm) == 1
    assert np.isfinite(value(metrics, "liveshelf_slate_novelty_sum", arm=arm))


def test_a_refused_bundle_is_said_and_each_start_of_the_scorer_counted(metrics: JobMetrics, tmp_path: Path) -> None:
    bundle = ModelBundle.load(write_bundle(tmp_path / "bundle"))
    metrics.models.serves(bundle, Ready(refused="golden scores"))
    assert value(metrics, "liveshelf_model_info", name="known", version="1") == 0
    for _ in range(2):
        metrics.models.serves(bundle, Ready("CPUExecutionProvider", "no CUDA device was found"))
    assert value(metrics, "liveshelf_model_info", name="known", version="1") == 1
    assert value(metrics, "liveshelf_scorer_starts_total") == 2
    metrics.models.serves(bundle, Ready("CUDAExecutionProvider", "a CUDA device was found"))
    where = [family for family in metrics.registry.collect() if family.name == "liveshelf_scorer_info"]
    assert [one.labels["provider"] for one in where[0].samples] == ["CUDAExecutionProvider"], "not where it ran before"


def test_only_the_bundles_that_serve_are_reported(metrics: JobMetrics, tmp_path: Path) -> None:
    bundle = ModelBundle.load(write_bundle(tmp_path / "bundle"))
    ready, known, other = (
        Ready("CPUExecutionProvider", "no CUDA device was found"),
        Model("known", "1"),
        Model("b", "2"),
    )
    metrics.models.serves(bundle, ready)
    metrics.models.serves(bundle, ready)  # the shadow is promoted: a process for each
    metrics.models.keep([known, known])
    metrics.models.keep([known, other])
    assert value(metrics, "liveshelf_model_info", name="known", version="1") == 1
    metrics.models.keep([other])
    assert metrics.registry.get_sample_value("liveshelf_model_info", {"name": "known", "version": "1"}) is None


def test_each_death_of_the_scorer_thread_is_counted(metrics: JobMetrics) -> None:
    assert value(metrics, "liveshelf_scorer_thread_deaths_total") == 0
    metrics.on_thread_died()
    assert value(metrics, "liveshelf_scorer_thread_deaths_total") == 1
