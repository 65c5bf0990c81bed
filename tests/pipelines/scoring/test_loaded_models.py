"""When the scorer service loads a model, and when it forgets it."""

import signal
from contextlib import suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path

import msgspec
import pytest

from pipelines.scoring.loaded_models import FAILURE_SECONDS, UNUSED_SECONDS, LoadedModels, killed_after
from pipelines.scoring.wire import Handshake, Ready
from tests.builders import write_bundle


class Service:
    """Stands for a loaded bundle."""

    closed = False

    def close(self) -> None:
        self.closed = True


class Place:
    """Models whose loads are counted, a clock, and operators."""

    def __init__(self, folder: Path) -> None:
        self.now, self.loads, self.services = 100.0, list[Handshake](), list[Service]()
        self.ready: Ready | Exception = Ready("CPUExecutionProvider")
        self.models = LoadedModels(self.open, folder / "private", lambda: self.now)  # type: ignore[arg-type]
        self.bundle = folder

    def open(self, handshake: Handshake) -> tuple[Service | None, Ready]:
        self.loads.append(handshake)
        if isinstance(self.ready, Exception):
            raise self.ready
        if self.ready.failed:
            return None, self.ready
        self.services.append(Service())
        return self.services[-1], self.ready

    def begin(self, name: str = "job", **fields: object) -> Handshake:
        begin = Handshake({"scorer": {}}, str(self.bundle), "shared", f"/tables/{name}-shared-bundle-1.crashes")
        return msgspec.structs.replace(begin, **fields)

    def join(self, begin: Handshake | None = None) -> tuple[Connection, Ready]:
        operator, _ = Pipe()
        return operator, self.models.join(operator, begin or self.begin())


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_subtasks_of_a_job_share_a_model_whatever_their_folders(place: Place, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    first, ready = place.join()
    second, again = place.join(
        place.begin(bundle=str(tmp_path / "other"), journal="/elsewhere/job-shared-bundle-1.crashes")
    )
    assert ready is again
    assert place.models.of(first) is place.models.of(second) is not None
    assert len(place.loads) == 1
    assert Path(place.loads[0].journal).parent == tmp_path / "private"


@pytest.mark.parametrize(
    "fields", [{"settings": {"scorer": {"threads": 2}}}, {"journal": "/tables/job-shared-bundle-2.crashes"}]
)
def test_other_settings_and_another_bundle_are_another_model(place: Place, fields: dict[str, object]) -> None:
    (first, _), (second, _) = place.join(), place.join(place.begin(**fields))
    assert place.models.of(first) is not place.models.of(second)
    assert len({handshake.journal for handshake in place.loads}) == 2


def test_two_bundles_of_one_name_and_version_are_two_models(place: Place, tmp_path: Path) -> None:
    """A bundle that was trained again under its old version, or one that replaces a submitted one."""
    folders = [write_bundle(tmp_path / f"{items}", items=items) for items in (5, 6, 6)]
    place.join(place.begin(bundle=str(folders[0])))
    place.join(place.begin(bundle=str(folders[1])))
    place.join(place.begin(bundle=str(write_bundle(tmp_path / "copy", items=6))))
    assert [Path(handshake.bundle) for handshake in place.loads] == folders[:2]


def test_a_model_is_forgotten_some_seconds_after_its_last_operator_has_left(place: Place) -> None:
    (first, _), (second, _) = place.join(), place.join()
    place.models.leave(first)
    place.now += 10 * UNUSED_SECONDS
    place.models.forget_unused()
    assert not place.services[0].closed, "one uses it"
    place.models.leave(second)
    place.now += UNUSED_SECONDS - 1
    third, _ = place.join()
    assert len(place.loads) == 1, "a job that was restarted"
    place.models.leave(third)
    place.now += UNUSED_SECONDS
    place.models.forget_unused()
    assert place.services[0].closed
    place.join()
    assert len(place.loads) == 2


def test_an_operator_that_leaves_before_its_handshake_or_twice_changes_nothing(place: Place) -> None:
    operator, _ = place.join()
    other, _ = Pipe()
    for one in (other, operator, operator):
        place.models.leave(one)
    assert place.models.of(operator) is None


@pytest.mark.parametrize("ready", [Ready(refused="golden scores"), Ready(lacks=("a", "b", "c")), OSError("no driver")])
def test_subtasks_share_one_failure_and_the_next_attempt_tries_again(place: Place, ready: Ready | Exception) -> None:
    place.ready = ready
    for _ in range(3):
        operator, answer = place.join()
        assert answer.failed and place.models.of(operator) is None
    assert len(place.loads) == 1
    place.now += FAILURE_SECONDS
    place.ready = Ready("CPUExecutionProvider")
    assert not place.join()[1].failed


def test_the_timer_is_off_after_the_block_also_after_an_error() -> None:
    with suppress(RuntimeError), killed_after(60):
        assert signal.getitimer(signal.ITIMER_REAL)[0] > 0
        raise RuntimeError
    assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
