"""`liveshelf bench short`: the running stack in about five minutes."""

from pathlib import Path

from liveshelf.bench.result import KeepOption, report_result
from liveshelf.terminal.output import JsonFlag, people


def short(keep: Path = KeepOption, json: bool = JsonFlag) -> None:
    """Measures the running stack in about five minutes, as ratios within the run.

    Example: liveshelf bench short --keep now.json
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.floor import JOB
    from benchmarks.running_stack.short import measure

    bench = StackUnderTest(None)
    bench.ensure_job(force_restart=False)
    graph, targets = bench.folder / "model.onnx", bench.layout.targets
    with people.status("") as spinner:
        parts = bench.parts(JOB)
        result = measure(bench.settings, bench.items, graph, parts, bench.restart, targets, spinner.update)
    report_result(result | bench.bundle_entry, keep, json)
