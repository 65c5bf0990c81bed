"""Batches of the demand operator as they cross between Java and Python, and its page of metrics."""

import json
from pathlib import Path
from typing import Any

import httpx
import msgspec

from operators.configuration.shop_settings import DemandSettings, FeedbackSettings
from operators.demand.demand_logic import DemandEntry, DemandTurn
from operators.settings import JobSettings, Settings
from pipelines.job.demand_function import DemandFunction
from pipelines.job.demand_messages import DemandMessage
from pipelines.job.demand_metrics import DemandMetrics
from pipelines.job.target_files import DEMAND, FEEDBACK, forget_unused_targets, target_file
from pipelines.scoring.wake_up import NO_PIPE
from tests.builders import NOW_MS

ENTRY = DemandEntry([(NOW_MS, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0)])


def packed(*entries: list[Any]) -> bytes:
    """As `Batch.java` packs them: an entry's last field is the refresh operator's bytes, as they are."""
    return msgspec.msgpack.encode([[*own, *map(msgspec.Raw, record)] for *own, record in entries])


def record(item: bytes, state: bytes | None) -> list[Any]:
    return [item, state, None, [msgspec.msgpack.encode(ENTRY)]]


def timer(item: bytes, state: bytes | None) -> list[Any]:
    return [item, state, NOW_MS, []]


def test_entries_and_timers_become_turns() -> None:
    turns = DemandMessage(packed(record(b"i1", b"s"), timer(b"\xff", b"t"))).turns
    assert turns == [DemandTurn("i1", b"s", ENTRY), DemandTurn("\udcff", b"t", None)]


def test_the_function_counts() -> None:
    function = DemandFunction(Settings().model_copy(update={"job": JobSettings(metrics_port=0)}), Path(), "python")
    function.close()
    function.open(0)
    assert function.wake_up_descriptor() == NO_PIPE
    answer = msgspec.msgpack.decode(function.on_batch(packed(record(b"i0", None), record(b"i1", None))))
    _, states, _, timers, outputs, _ = answer
    assert [place for place, _ in states] == [0, 1] and timers == []
    assert [(kind, key, json.loads(value)["views"]) for kind, key, value, _ in outputs] == [
        ("item", b"i0", 1.0),
        ("item", b"i1", 1.0),
    ]
    again = msgspec.msgpack.decode(function.on_batch(packed(record(b"i1", states[1][1]))))
    ((place, delay_ms),) = again[3]
    assert place == 0 and 0 < delay_ms <= 5000 and again[4] == []
    function.close()


def test_it_counts_on_a_page_that_prometheus_finds(tmp_path: Path) -> None:
    settings = JobSettings(metrics_port=19490, parallelism=2, metrics_targets_dir=str(tmp_path))
    metrics = DemandMetrics(settings, 1)
    metrics.on_batch(7, 3)
    metrics.on_own_error("demand")
    (target,) = json.loads((tmp_path / "demand-1.json").read_text())[0]["targets"]
    text = httpx.get(f"http://{target}/metrics").text
    metrics.close()
    assert metrics.port >= 19494, "after the ports of the operators and of the joins"
    for line in ("demand_entries_total 7.0", "demand_records_total 3.0", 'own_errors_total{where="demand"} 1.0'):
        assert f"liveshelf_{line}" in text


def test_a_job_forgets_the_pages_of_the_operators_that_it_does_not_have(tmp_path: Path) -> None:
    job = JobSettings(metrics_targets_dir=str(tmp_path))
    files = {name: target_file(job, name, 1) for name in (FEEDBACK, DEMAND)}
    for demand, feedback, left in ((True, False, [DEMAND]), (False, True, [FEEDBACK]), (False, False, [])):
        for file in files.values():
            assert file is not None
            file.write_text("[]")
        switches = {"demand": DemandSettings(enabled=demand), "feedback": FeedbackSettings(enabled=feedback)}
        settings = Settings().model_copy(update={"job": job, **switches})
        forget_unused_targets(settings, 1)
        forget_unused_targets(settings, 1)
        assert [file.name for file in tmp_path.iterdir()] == [f"{name}-1.json" for name in left]
    forget_unused_targets(Settings(), 1)
