"""`liveshelf bench short`: the running stack in about five minutes."""

from pathlib import Path

from pipelines.cli.bench_session import Bench, KeepOption
from pipelines.cli.output import JsonFlag, people


def short(keep: Path = KeepOption, json: bool = JsonFlag) -> None:
    """All of the running stack in about five minutes, as ratios within the run.

    Example: liveshelf bench short --keep now.json
    """
    from benchmarks.floor import JOB
    from benchmarks.short import measure

    bench = Bench(None)
    bench.started(anew=False)
    graph, targets = bench.folder / "model.onnx", bench.layout.targets
    with people.status("") as spinner:
        parts = bench.parts(JOB)
        found = measure(bench.settings, bench.items, graph, parts, bench.restart, targets, spinner.update)
    bench.tell(found, keep, json)
