"""What an operator serves: at a restart, while a bundle is broken or the store is away, and after a rollback."""

import threading

import pytest

from operators.errors import BundleError
from operators.rollout.rollout import Rollout, promoted, rolled_back, shadowed, split
from pipelines.job.models import served_models
from tests.operators.kafka_io.fake_topic import until
from tests.operators.rollout.test_rollout import CHANGE
from tests.pipelines.job.models.operator_with_rollouts import Operator, Serving


def adopt(operator: Operator) -> None:
    """What the scorer thread does before a batch."""
    operator.models.scorer._adopt()


def test_without_a_rollout_the_submitted_bundle_serves(operator: Operator) -> None:
    operator.models.open()
    assert (operator.versions, operator.revision) == (["submitted"], 0)


def test_a_rollout_that_comes_while_the_submitted_bundle_starts_is_what_serves(
    operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The topic answers later than the operator waits, and the operator has no local copy of it."""
    monkeypatch.setattr(served_models, "ROLLOUT_SECONDS", 0.02)
    operator.topic.mute = True
    operator.write(promoted(None, operator.stored("first"), CHANGE))

    def until_the_rollout_is_there() -> None:
        operator.topic.mute = False
        until(lambda: operator.models._follower._changed.is_set())
        assert not threading.Event().wait(0.1)

    Serving.waits["submitted"] = until_the_rollout_is_there
    operator.models.open()
    until(lambda: operator.revision == 1)
    assert operator.versions == ["first"]
    adopt(operator)
    assert operator.open_versions == ["first"]


def test_a_first_attempt_that_fails_does_not_mix_with_the_submitted_bundle(operator: Operator) -> None:
    first = operator.stored("first")
    away = operator.store.rename(operator.folder / "away")
    operator.write(promoted(None, first, CHANGE))
    Serving.waits["submitted"] = lambda: away.rename(operator.store) and None
    operator.models.open()
    until(lambda: operator.revision == 1)
    adopt(operator)
    assert (operator.versions, operator.open_versions) == (["first"], ["first"])


def test_a_process_that_was_started_for_what_failed_later_is_closed(operator: Operator) -> None:
    operator.models.open()
    failures = [OSError("disk full")]

    def follows() -> None:
        if failures:
            raise failures.pop()

    Serving.follows = follows
    operator.write(promoted(None, operator.stored("first"), CHANGE))
    until(lambda: operator.revision == 1)
    adopt(operator)
    assert (operator.versions, operator.open_versions) == (["first"], ["first"])
    assert [one.process.is_open for one in Serving.started if one.model.version == "first"] == [False, True]


def test_a_bundle_that_is_ready_after_the_operator_was_closed_is_closed(operator: Operator) -> None:
    operator.models.open()
    starts, goes_on = threading.Event(), threading.Event()

    def slow() -> None:
        starts.set()
        goes_on.wait(5)

    Serving.waits["first"] = slow
    operator.write(promoted(None, operator.stored("first"), CHANGE))
    assert starts.wait(5)
    operator.models.close()  # waits RETRY_S for it, here a moment
    goes_on.set()
    operator.models._follower._thread.join(5)
    assert operator.open_versions == []


def rollout_of(operator: Operator) -> Rollout:
    """Champion, challenger and shadow."""
    rollout = promoted(None, operator.stored("champion"), CHANGE)
    rollout = split(rollout, operator.stored("challenger"), 0.5, CHANGE)
    return shadowed(rollout, operator.stored("shadow"), 0.5, CHANGE)


@pytest.mark.parametrize(
    ("away", "versions"),
    [("challenger", ["champion", "champion"]), ("shadow", ["champion", "challenger"])],
)
def test_at_a_restart_a_bundle_that_cannot_be_fetched_does_not_cost_the_champion(
    operator: Operator, away: str, versions: list[str]
) -> None:
    rollout = rollout_of(operator)
    operator.write(rollout)
    operator.models.open()
    assert (operator.versions, operator.sample("liveshelf_rollout_bundles_left_out")) == (["champion", "challenger"], 0)
    operator.models.close()
    (missing,) = (bundle for bundle in rollout.named if bundle.version == away)
    (operator.cache / missing.sum / "model.onnx").write_bytes(b"damaged")
    store = operator.store.rename(operator.folder / "away")
    operator.restarted().open()
    assert (operator.versions, operator.revision) == (versions, 3)
    assert operator.sample("liveshelf_rollout_bundles_left_out") == 1
    assert operator.sample("liveshelf_refused_rollouts_total") == 0
    store.rename(operator.store)
    until(lambda: operator.sample("liveshelf_rollout_bundles_left_out") == 0)
    assert operator.versions == ["champion", "challenger"]


def test_a_challenger_that_must_not_serve_does_not_keep_another_champion_away(operator: Operator) -> None:
    def refuse() -> None:
        raise BundleError("a bundle that may serve", "NaN", "promote another")

    rollout = rollout_of(operator)
    operator.write(rollout)
    Serving.waits["challenger"] = refuse
    operator.models.open()
    assert (operator.versions, operator.revision) == (["champion", "champion"], 3)
    newer = promoted(rollout, operator.stored("newer"), CHANGE)
    operator.write(newer)
    until(lambda: operator.revision == 4)
    assert operator.versions == ["newer", "newer"]
    assert operator.models.champion.version == "newer"
    assert operator.sample("liveshelf_refused_rollouts_total") == 2, "once a rollout: a retry would not help"
    assert [one.model.version for one in Serving.started].count("challenger") == 2


def test_a_champion_that_must_not_serve_changes_nothing(operator: Operator) -> None:
    def refuse() -> None:
        raise BundleError("a bundle that may serve", "NaN", "promote another")

    rollout = rollout_of(operator)
    operator.write(rollout)
    operator.models.open()
    Serving.waits["newer"] = refuse
    operator.write(promoted(rollout, operator.stored("newer"), CHANGE))
    until(lambda: operator.sample("liveshelf_refused_rollouts_total") == 1)
    assert (operator.versions, operator.revision) == (["champion", "challenger"], 3)
    assert operator.open_versions == ["challenger", "champion", "shadow"]


def test_a_rollback_does_not_need_the_store(operator: Operator) -> None:
    first = promoted(None, operator.stored("first"), CHANGE)
    operator.write(first)
    operator.models.open()
    second = promoted(first, operator.stored("second"), CHANGE)
    operator.write(second)
    until(lambda: operator.revision == 2)
    operator.store.rename(operator.folder / "away")
    operator.write(rolled_back(second, CHANGE))
    until(lambda: operator.revision == 3)
    assert operator.versions == ["first"]


def test_prometheus_is_told_of_the_scorers_that_serve_alone(operator: Operator) -> None:
    """The port of one that has ended may be that of the next one: one process under two labels."""
    for former in ("0-killed12", "1", "1-killed12", "shared", "10"):
        (operator.targets / f"scorer-{former}.json").touch()
    (operator.targets / "operator-0.json").touch()
    others = {"operator-0.json", "scorer-1-killed12.json", "scorer-1.json", "scorer-10.json", "scorer-shared.json"}
    operator.models.open()
    assert {file.name for file in operator.targets.iterdir()} == others | {"scorer-0.json"}
    rollout = split(promoted(None, operator.stored("first"), CHANGE), operator.stored("second"), 0.5, CHANGE)
    operator.write(rollout)
    until(lambda: operator.revision == 2)
    serving = {f"scorer-0-{bundle.sum[:8]}.json" for bundle in rollout.serving}
    assert {file.name for file in operator.targets.iterdir()} == others | serving
    operator.write(None)
    until(lambda: operator.versions == ["submitted"])
    until(lambda: {file.name for file in operator.targets.iterdir()} == others | {"scorer-0.json"})
