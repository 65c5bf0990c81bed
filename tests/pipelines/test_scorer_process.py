"""A real scorer process: the same lists as in this process, and what happens when it dies, hangs or must not serve."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np
import psutil
import pytest

from operators.catalogue import Catalogue
from operators.contracts import CatalogueItem
from operators.errors import StackError
from operators.list_maker import ListMaker, Request
from operators.model_bundle import ModelBundle
from operators.refresh_records import Encoded
from operators.scorer import Scorer
from operators.settings import ScorerSettings, Settings
from operators.timeline import Made
from pipelines.scoring.links import link_of
from pipelines.scoring.process import ScorerLost, ScorerProcess
from pipelines.scoring.wire import Begin, Ready
from tests.builders import HANG_ITEM, NOW_MS, viewed, write_bundle, write_faulty_bundle, write_manifest

Start = Callable[..., ScorerProcess]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("known"))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes that end with the test; `seen` gets what each said when it was ready."""
    started = []

    def begun(
        folder: Path, *, kill_after_s: float = 5, seen: list[Ready] | None = None, **scorer: object
    ) -> ScorerProcess:
        chosen = ScorerSettings.model_validate({"provider": "cpu", "metrics_port": 19440} | scorer)
        settings = Settings.model_construct(scorer=chosen)
        begin = Begin(settings.model_dump(), str(folder), "0", str(tmp_path / "crashes"))
        link = link_of(sys.executable, begin, chosen.shared_dir)
        started.append(ScorerProcess(link, begin, kill_after_s, (seen if seen is not None else []).append))
        return started[-1]

    yield begun
    for one in started:
        one.close()


def asked(*users: str, item: str = "i2") -> list[Request]:
    return [Request(user, viewed(item), NOW_MS, "e0", None) for user in users]


def now() -> Made:
    return Made(time.time())


def items_of(made: Encoded | Exception) -> list[str]:
    assert isinstance(made, Encoded), made
    return [place["item_id"] for place in msgspec.json.decode(made.value)["items"]]


def pid_of(process: ScorerProcess) -> int:
    return process._link.pid


def test_its_lists_are_those_of_a_list_maker_here(start: Start, bundle: Path) -> None:
    process, batch = start(bundle), now()
    assert process.ready().provider == "CPUExecutionProvider"
    # else a cluster's machine would run what is installed there and not what the submission shipped
    environment = Path(f"/proc/{pid_of(process)}/environ").read_text().split("\0")
    assert f"PYTHONPATH={Path(__file__).resolve().parents[2]}" in [one.split(os.pathsep)[0] for one in environment]
    loaded = ModelBundle.load(bundle)
    settings = Settings.model_construct()
    here = ListMaker(
        loaded,
        Scorer(loaded, ScorerSettings(provider="cpu")),
        Catalogue(loaded.vocabulary, settings.lists.catalogue_coverage),
        settings.lists,
        lambda: NOW_MS,
    )
    requests = [*asked("u1"), *asked("u2", item="i5"), *asked("u3", item="unknown")]
    made = process.make(requests, batch)
    assert [one.source for one in made] == ["model", "model", "popular"]
    expected = [[place.item_id for place in one.items] for one in here.make(requests)]
    assert [items_of(one) for one in made] == expected
    assert batch.started <= batch.scored <= batch.ready
    assert all(one.made is batch for one in made)


def test_the_catalogues_changes_reach_it_and_all_rows_the_next_one(start: Start, bundle: Path) -> None:
    process = start(bundle)
    process.ready()
    rows = {f"i{n}": msgspec.json.encode(CatalogueItem(item_id=f"i{n}", in_stock=n != 3)) for n in range(1, 9)}
    process.follow(lambda: rows.items())
    for key, value in rows.items():
        process.changed(key, value)
    (made,) = process.make(asked("u1"), now())
    assert "i3" not in items_of(made)
    del rows["i4"]
    process.changed("i4", None)
    (made,) = process.make(asked("u1"), now())
    assert not {"i3", "i4"} & set(items_of(made))
    os.kill(pid_of(process), signal.SIGKILL)
    with pytest.raises(ScorerLost, match=r"died .*; its exit code is -9"):
        process.make(asked("u1"), now())
    (again,) = process.make(asked("u1"), now())
    assert items_of(again) == items_of(made)


def test_one_that_is_stopped_is_killed_and_another_scores(start: Start, bundle: Path) -> None:
    seen: list[Ready] = []
    process = start(bundle, kill_after_s=0.5, seen=seen)
    process.ready()
    first = pid_of(process)
    os.kill(first, signal.SIGSTOP)
    begun = time.monotonic()
    with pytest.raises(ScorerLost, match="no answer"):
        process.make(asked("u1"), now())
    assert 0.4 < time.monotonic() - begun < 3
    assert not psutil.pid_exists(first)
    assert items_of(process.make(asked("u1"), now())[0])
    assert len(seen) == 2


def test_who_hangs_it_twice_is_not_scored_again_and_the_others_are(start: Start, tmp_path: Path) -> None:
    process = start(write_faulty_bundle(tmp_path / "faulty"), kill_after_s=0.5)
    process.ready()
    guilty, innocent = asked("guilty", item=HANG_ITEM), asked("innocent")
    with pytest.raises(ScorerLost):
        process.make([*guilty, *innocent], now())
    assert items_of(process.make(innocent, now())[0]), "a suspect that was scored with the guilty one"
    with pytest.raises(ScorerLost):
        process.make(guilty, now())
    refused, made = process.make([*guilty, *asked("another")], now())
    assert "CrashesTheProcess" in str(refused)
    assert items_of(made)


def test_a_batch_that_raises_is_told_as_a_whole_and_the_process_goes_on(start: Start, tmp_path: Path) -> None:
    process = start(write_faulty_bundle(tmp_path / "faulty"))
    process.ready()
    with pytest.raises(RuntimeError, match="InvalidArgument"):
        process.make([*asked("raises", item="i7"), *asked("good")], now())
    nan, good = process.make([*asked("nan", item="i6"), *asked("good")], now())
    assert "NotFinite" in str(nan)
    assert items_of(good)


def test_a_bundle_with_other_scores_is_refused_and_a_gpu_that_is_not_there_is_missed(
    start: Start, bundle: Path, tmp_path: Path
) -> None:
    wrong = write_bundle(tmp_path / "wrong")
    np.save(wrong / "golden_scores.npy", np.load(wrong / "golden_scores.npy") + 0.5)
    write_manifest(wrong)
    seen: list[Ready] = []
    process = start(wrong, seen=seen)
    assert "golden scores" in process.ready().refused
    assert ["golden scores" in one.refused for one in seen] == [True]
    with pytest.raises(ScorerLost, match="golden scores"):
        process.make(asked("u1"), now())
    with pytest.raises(StackError, match="require_gpu"):
        start(bundle, require_gpu=True).ready()


def test_one_that_cannot_start_is_not_tried_again_at_once(start: Start, tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "known")
    process = start(bundle)
    process.ready()
    os.kill(pid_of(process), signal.SIGKILL)
    with pytest.raises(ScorerLost):
        process.make(asked("u1"), now())
    (bundle / "model.onnx").unlink()
    for message in ("model.onnx", "again in"):
        with pytest.raises(ScorerLost, match=message):
            process.make(asked("u1"), now())


def test_it_ends_with_the_operators_process_also_while_it_hangs(tmp_path: Path) -> None:
    folder = write_faulty_bundle(tmp_path / "faulty")
    script = (
        "import sys\n"
        "from operators.settings import Settings\n"
        "from pipelines.scoring.links import link_of\n"
        "from pipelines.scoring.process import ScorerProcess\n"
        "from pipelines.scoring.wire import Begin\n"
        "from tests.pipelines.test_scorer_process import HANG_ITEM, asked, now\n"
        "begin = Begin(Settings.model_construct().model_dump(), sys.argv[1], '0', sys.argv[2])\n"
        "process = ScorerProcess(link_of(sys.executable, begin, ''), begin, 60, lambda ready: None)\n"
        "process.ready()\n"
        "print(process._link.pid, flush=True)\n"
        "process.make(asked('u1', item=HANG_ITEM), now())\n"
    )
    command = [sys.executable, "-c", script, str(folder), str(tmp_path / "crashes")]
    environment = os.environ | {"PYTHONPATH": os.getcwd()}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as operator:
        assert operator.stdout is not None
        scorer = psutil.Process(next(int(line) for line in operator.stdout if line.strip().isdigit()))
        time.sleep(0.5)
        assert scorer.is_running()
        operator.kill()
    with suppress(psutil.NoSuchProcess):
        scorer.wait(3)
    assert not scorer.is_running()


def test_one_that_is_started_while_the_operator_closes_does_not_stay(start: Start, bundle: Path) -> None:
    process = start(bundle)
    process.ready()
    process.close()
    with pytest.raises(ScorerLost, match="closed"):
        process._spawn()  # as the scorer thread does that was about to start it again
    assert not psutil.pid_exists(pid_of(process))
