"""A shadow that stays goes on; one that ends is closed."""

from typing import Any

from prometheus_client import CollectorRegistry

from operators.rollout.rollout import promoted, shadowed
from operators.rollout.routing import Routing
from pipelines.job.models.model_metrics import ModelMetrics
from pipelines.job.models.shadow import Shadow
from tests.operators.rollout.test_rollout import CHANGE, bundle, champion

ROLLOUT = shadowed(champion(), bundle(2), 0.5, CHANGE)


class Scoring:
    """As `Serving`, without a process; it is its own `process`."""

    def __init__(self, bundle_sum: str) -> None:
        self.sum, self.done = bundle_sum, list[str]()
        self.process: Any = self

    def close(self) -> None:
        self.done.append("closed")

    def leave(self) -> None:
        self.done.append("left")


def test_an_unchanged_shadow_goes_on_and_a_former_one_is_closed() -> None:
    shadow, one, other = Shadow(ModelMetrics(CollectorRegistry())), Scoring("1"), Scoring("2")
    assert shadow.running("1") is None
    shadow.use(one, Routing(ROLLOUT))  # type: ignore[arg-type]
    assert shadow.running("1") is one and shadow.running("2") is None
    shadow.use(one, Routing(promoted(ROLLOUT, bundle(3), CHANGE)))  # type: ignore[arg-type]
    assert one.done == []
    shadow.use(other, Routing(ROLLOUT))  # type: ignore[arg-type]
    assert one.done == ["closed", "left"] and shadow.running("1") is None
    shadow.close()
    assert other.done == ["closed", "left"] and shadow.running("2") is None
