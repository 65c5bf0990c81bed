"""The benchmarks of trainings keep the value of each seed."""

from benchmarks.measuring.measured import NotMeasured
from benchmarks.models import seeds, tasks


def test_each_seed_keeps_its_value() -> None:
    assert seeds.summarised({"MRR@20": [1.0, 3.0]}) == {
        "means": {"MRR@20": 2.0},
        "deviations": {"MRR@20": 1.414},
        "each": {"MRR@20": [1.0, 3.0]},
    }
    assert isinstance(seeds.summarised({"MRR@20": [1.0]})["deviations"]["MRR@20"], NotMeasured)


def test_each_task_is_trained_alone_and_jointly() -> None:
    weights = {"session": 0.3, "search": 0.2}
    assert tasks.trainings(["session", "search"], weights) == {
        "personal": {},
        "session": {"personal": 0.0, "session": 0.3},
        "search": {"personal": 0.0, "search": 0.2},
        "joint": weights,
    }


def test_a_task_is_compared_with_itself_trained_jointly() -> None:
    values: tasks.Values = {}
    for alone, joint in ((0.1, 0.2), (0.3, 0.4)):
        tasks.add(values, "session", {"session": {"click AUC": alone}})
        tasks.add(values, "joint", {"session": {"click AUC": joint}, "personal": {"MRR@20": joint}})
        tasks.add(values, "personal", {"personal": {"MRR@20": joint}})
    summary = tasks.summary(values)
    assert summary["tasks"]["session"]["click AUC"] == {"alone": (0.2, 0.1414), "joint": (0.3, 0.1414)}
    assert summary["ratios"] == {
        "session: click AUC, joint to alone": 1.5,
        "personal: MRR@20, joint to alone": 1.0,
    }
