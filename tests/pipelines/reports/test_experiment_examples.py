"""Which records of the topic of examples a report on an experiment counts."""

import json
from types import SimpleNamespace
from typing import Any

from pipelines.reports.experiment_examples import examples_of


def record(**fields: Any) -> Any:
    example = {
        "example_id": "e1",
        "revision": 0,
        "recommendation_id": "r1",
        "user_id": "anna",
        "item_id": "i1",
        "position": 0,
        "placement": "home",
        "shown_at": 5,
        "label": "none",
        "model": {"name": "m", "version": "1"},
        "experiment": {"name": "layout", "arm": "control"},
        "propensity": None,
        "source": "model",
        "organic": False,
        "state": "AAAA",
    } | fields
    return SimpleNamespace(value=json.dumps(example).encode())


def test_the_highest_revision_of_each_example_counts_whatever_the_order() -> None:
    records = [record(revision=1, label="click"), record(), record(example_id="e0", shown_at=1)]
    examples = examples_of(records, "layout")
    assert [(example.example_id, example.label) for example in examples.final] == [("e0", "none"), ("e1", "click")]
    assert examples.records == 3 and not examples.left_out


def test_items_that_were_not_on_the_list_or_shown_before_the_range_are_left_out() -> None:
    records = [
        record(example_id="before", revision=1, label="purchase", shown_at=4),
        record(example_id="not listed", label="click", source=None),
        record(example_id="within", shown_at=5),
    ]
    examples = examples_of(records, "layout", since_ms=5)
    assert [example.example_id for example in examples.final] == ["within"]
    assert examples.left_out == {"shown_before": 1, "not_on_list": 1}


def test_what_belongs_to_no_arm_counts_once_and_what_is_no_example_is_counted() -> None:
    records = [
        record(example_id="o", organic=True, experiment=None),
        record(example_id="o", organic=True, experiment=None, revision=1),
        record(example_id="x", experiment={"name": "other", "arm": "control"}),
        record(example_id="n", experiment=None),
        SimpleNamespace(value=None),
        SimpleNamespace(value=b'{"label": "click"}'),
        SimpleNamespace(value=b"\xff"),
        record(label="bought"),
        record(revision=-1),
        SimpleNamespace(value=b'{"deep": ' + b"[" * 100_000),
    ]
    examples = examples_of(records, "layout")
    assert examples.final == []
    assert examples.left_out == {"organic": 1, "other_experiment": 2, "unreadable": 6}


def test_an_example_of_several_experiments_counts_in_the_report_of_each() -> None:
    both = [{"name": "mix", "arm": "a"}, {"name": "layout", "arm": "wide"}]
    records = [record(experiment=both[0], experiments=both), record(example_id="e2", experiment=both[0])]
    of_layout, of_mix = (examples_of(records, name).final for name in ("layout", "mix"))
    assert [(one.example_id, one.experiment and one.experiment.arm) for one in of_layout] == [("e1", "wide")]
    assert [(one.example_id, one.experiment and one.experiment.arm) for one in of_mix] == [("e1", "a"), ("e2", "a")]
