"""Who is measured beside whom."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmarks.measuring.measured import NotMeasured
from benchmarks.peers import comparison, contest, ours
from operators.errors import StackError


class Bench:
    """A stack whose job runs until it is stopped."""

    def __init__(self, folder: Path) -> None:
        job = SimpleNamespace(name="liveshelf")
        self.settings = SimpleNamespace(
            job=job, stack=SimpleNamespace(data_dir=str(folder)), resolve=lambda path: Path(path)
        )
        self.items, self.folder, self.restart = ["i1"], folder, None
        self.acts: list[str] = []
        self.cluster = SimpleNamespace(
            jobs=lambda name: [{"jid": "j"}], stop_with_savepoint=lambda job_id: self.acts.append("stopped")
        )

    def ensure_job(self, *, force_restart: bool) -> None:
        self.acts.append("started anew" if force_restart else "started")

    def parts(self) -> None: ...


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    def measure(settings: Any, items: Any, peer: Any, *_: Any) -> list[dict[str, Any]]:
        if peer.name == "quix":
            raise StackError("quix", "none", "install it")
        return [{"name": peer.name}]

    monkeypatch.setattr(contest, "measure", measure)
    monkeypatch.setattr(ours, "measure", lambda *_: {"name": "liveshelf"})
    monkeypatch.setattr(comparison, "describe", dict)
    return Bench(tmp_path)


def test_the_others_run_without_our_job_and_one_that_fails_costs_no_other_its_figures(bench: Bench) -> None:
    peers: list[str] = []
    result = comparison.compare(bench, ["quix", "bytewax", "liveshelf"], 5, force_restart=False, on_peer=peers.append)
    assert bench.acts == ["started", "stopped"]
    assert peers[0] == "liveshelf" and {*peers} == {"liveshelf", "bytewax", "quix"}
    assert {row["name"]: isinstance(row.get("lists_per_s"), NotMeasured) for row in result["rows"]} == {
        "liveshelf": False, "bytewax": False, "quix": True,
    }  # fmt: skip


def test_our_job_alone_goes_on(bench: Bench) -> None:
    comparison.compare(bench, ["liveshelf"], 5, force_restart=True, on_peer=lambda _: None)
    assert bench.acts == ["started anew"]
