"""Real scorer processes of several bundles as one scorer: nothing is lost when they change, and no list is of two."""

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from operators.lists.encoded_list import Encoded
from operators.lists.request import Request
from operators.rollout.rollout import Rollout, split
from operators.rollout.routing import Routing
from pipelines.scoring.process import ScorerLost, ScorerProcess
from pipelines.scoring.scorer_fleet import LineUp, Results, ScorerFleet
from tests.builders import write_bundle, write_manifest
from tests.operators.rollout.test_rollout import CHANGE, bundle, champion
from tests.pipelines.scoring.scorer_requests import Start, asked, pid_of

USERS = [f"u{number}" for number in range(40)]


def written(folder: Path, version: str) -> Path:
    """The known bundle as another version."""
    write_bundle(folder)
    write_manifest(folder)
    manifest = json.loads((folder / "manifest.json").read_text()) | {"version": version}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return [written(tmp_path_factory.mktemp("v") / version, version) for version in ("v1", "v2", "v3")]


class Fleet:
    """A fleet whose first champion is v1, and what it served."""

    def __init__(self, start: Start, bundles: list[Path]) -> None:
        self._start, self._bundles, self.served = start, bundles, list[tuple[list[Request], Results]]()
        self.first = self.process(0)
        self.scorers = ScorerFleet(
            LineUp([self.first]), lambda requests, results: self.served.append(([*requests], results))
        )

    def process(self, number: int) -> ScorerProcess:
        process = self._start(self._bundles[number])
        process.ready()
        return process

    def receive(self) -> Results:
        while (results := self.scorers.receive(60)) is None:
            pass
        return results

    def versions(self, *users: str) -> list[str]:
        self.scorers.prepare()
        self.scorers.send(asked(*users))
        return versions_of(self.receive())


def versions_of(results: Results) -> list[str]:
    lists = [json.loads(made.value) if isinstance(made, Encoded) else made for made in results]
    return [made["model"]["version"] if isinstance(made, dict) else type(made).__name__ for made in lists]


@pytest.fixture
def fleet(start: Start, bundles: list[Path]) -> Iterator[Fleet]:
    made = Fleet(start, bundles)
    yield made
    made.scorers.close()


def half(rollout: Rollout | None = None) -> Routing:
    return Routing(split(rollout or champion(), bundle(2), 0.5, CHANGE))


def test_another_champion_serves_from_the_next_batch_on_and_the_former_one_answers_what_it_has(fleet: Fleet) -> None:
    fleet.scorers.send(asked(*USERS))
    fleet.scorers.replace(LineUp([fleet.process(1)]))
    fleet.scorers.send(asked("late"))
    assert versions_of(fleet.receive()) == ["v1"] * len(USERS)
    assert versions_of(fleet.receive()) == ["v2"]
    until(lambda: not alive(fleet.first))
    assert [[request.user_id for request in requests] for requests, _ in fleet.served] == [USERS, ["late"]]


def test_users_of_a_challenger_get_its_lists_in_the_order_of_the_requests(fleet: Fleet) -> None:
    routing = half()
    fleet.scorers.replace(LineUp([fleet.first, fleet.process(1)], routing))
    expected = [["v1", "v2"][routing.place_of(user)] for user in USERS]
    assert fleet.versions(*USERS) == expected and {*expected} == {"v1", "v2"}
    for results in (results for _, results in fleet.served):
        users = [json.loads(made.value)["user_id"] for made in results if isinstance(made, Encoded)]
        assert users == USERS


def test_users_of_a_challenger_that_is_left_out_get_the_champions_lists(fleet: Fleet) -> None:
    fleet.scorers.replace(LineUp([fleet.first, fleet.first], half()))
    assert fleet.versions(*USERS) == ["v1"] * len(USERS)
    assert [json.loads(made.value)["user_id"] for made in fleet.served[-1][1] if isinstance(made, Encoded)] == USERS
    assert fleet.scorers.processes == [fleet.first]


def test_a_challenger_that_dies_costs_its_own_users_one_batch_and_then_starts_again(fleet: Fleet) -> None:
    challenger, routing = fleet.process(1), half()
    fleet.scorers.replace(LineUp([fleet.first, challenger], routing))
    assert {*fleet.versions(*USERS)} == {"v1", "v2"}
    os.kill(pid_of(challenger), signal.SIGSTOP)
    fleet.scorers.send(asked(*USERS))
    os.kill(pid_of(challenger), signal.SIGKILL)
    lost = versions_of(fleet.receive())
    assert {lost[number] for number in range(len(USERS)) if routing.place_of(USERS[number])} == {"ScorerLost"}
    assert {lost[number] for number in range(len(USERS)) if not routing.place_of(USERS[number])} == {"v1"}
    assert {*fleet.versions(*USERS)} == {"v1", "v2"}


def test_a_champion_that_dies_is_an_error_of_the_whole_batch_as_without_a_fleet(fleet: Fleet) -> None:
    fleet.scorers.replace(LineUp([fleet.first, fleet.process(1)], half()))
    fleet.versions(*USERS)
    os.kill(pid_of(fleet.first), signal.SIGSTOP)
    fleet.scorers.send(asked(*USERS))
    os.kill(pid_of(fleet.first), signal.SIGKILL)
    with pytest.raises(ScorerLost):
        fleet.receive()
    fleet.scorers.forget()
    assert {*fleet.versions(*USERS)} == {"v1", "v2"}


def test_of_two_changes_at_once_the_last_one_counts_and_no_process_stays(fleet: Fleet) -> None:
    second, third = fleet.process(1), fleet.process(2)
    fleet.scorers.replace(LineUp([second]))
    fleet.scorers.replace(LineUp([third]))
    assert fleet.versions("u1") == ["v3"]
    until(lambda: not alive(second) and not alive(fleet.first))
    assert fleet.scorers.processes == [third]


def test_a_change_while_requests_flow_loses_nothing(fleet: Fleet) -> None:
    line_ups = [LineUp([fleet.first, fleet.process(1)], half()), LineUp([fleet.process(2)])]
    changes = threading.Thread(
        target=lambda: [(time.sleep(0.3), fleet.scorers.replace(line_up)) for line_up in line_ups]
    )
    changes.start()
    answered, until_s = list[list[str]](), time.monotonic() + 1.2
    fleet.scorers.send(asked(*USERS))
    while time.monotonic() < until_s:
        fleet.scorers.send(asked(*USERS))  # two in flight
        answered.append(versions_of(fleet.receive()))
    answered.append(versions_of(fleet.receive()))
    changes.join()
    seen = list(dict.fromkeys(frozenset(versions) for versions in answered))
    assert seen == [frozenset({"v1"}), frozenset({"v1", "v2"}), frozenset({"v3"})]
    assert all(len(versions) == len(USERS) for versions in answered)


def test_a_receive_that_waits_is_interrupted(fleet: Fleet) -> None:
    threading.Timer(0.2, fleet.scorers.interrupt).start()
    begun = time.monotonic()
    assert fleet.scorers.receive(30) is None and time.monotonic() - begun < 5


def alive(process: ScorerProcess) -> bool:
    return Path(f"/proc/{pid_of(process)}").exists()


def until(true: object) -> None:
    deadline = time.monotonic() + 10
    while not true():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.02)
