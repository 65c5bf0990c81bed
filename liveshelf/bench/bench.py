"""`liveshelf bench`: measures the running stack. `bench_alone` has the benchmarks without a stack, `bench_short` the
short form of all."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import typer

from liveshelf.bench import bench_alone, bench_short
from liveshelf.bench.against import against
from liveshelf.bench.first_minute import first_minute
from liveshelf.bench.peers import peers
from liveshelf.bench.result import BundleOption, KeepOption, report_result
from liveshelf.terminal.numbers import ABOVE_0, number_list, real
from liveshelf.terminal.output import JsonFlag, people

app = typer.Typer(no_args_is_help=True)
for verb in (
    bench_short.short,
    against,
    peers,
    first_minute,
    bench_alone.scorer,
    bench_alone.train,
    bench_alone.tasks,
    bench_alone.seeds,
    bench_alone.transfer,
    bench_alone.instrumentation,
    bench_alone.capacity,
    bench_alone.compare,
):
    app.command()(verb)


@app.command()
def freshness(
    rate: float = real(500, "Events a second.", min=ABOVE_0),
    seconds: float = real(60, "Measured time.", min=ABOVE_0),
    warm_up: float = real(60, "Seconds of load before; the JVM needs one or two minutes.", min=0),
    users: int = typer.Option(20_000, help="Users in the load.", min=1),
    floor: bool = typer.Option(False, help="Also run a job that only copies records, in the spare slot."),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Measures the time from an event's intended send time to its list at a consumer, open loop.

    Example: liveshelf bench freshness --rate 500 --json
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.floor import JOB, Floor
    from benchmarks.running_stack.freshness import measure

    bench = StackUnderTest(bundle)
    bench.ensure_job(force_restart=bundle is not None)
    with (
        people.status(f"{warm_up + seconds:.0f} s of load"),
        Floor(bench.settings) if floor else nullcontext() as floor_job,
    ):
        parts = bench.parts(JOB)
        result = measure(bench.settings, bench.items, parts, rate, seconds, warm_up, users, floor_job)
    report_result(result | bench.bundle_entry, keep, json)


@app.command()
def idle(
    seconds: float = real(30, "Measured time; no events may flow during it.", min=ABOVE_0),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Measures cores and memory of each part while no events flow.

    Example: liveshelf bench idle
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.idle import measure

    bench = StackUnderTest(None)
    bench.ensure_job(force_restart=False)
    with people.status(f"idle for {seconds:.0f} s"):
        result = measure(bench.settings, bench.parts(), seconds)
    report_result(result | bench.bundle_entry, keep, json)


@app.command()
def throughput(
    events: int = typer.Option(200_000, help="Size of the backlog.", min=1),
    users: int = typer.Option(
        8_000, help="Users in turn: fewer users have longer histories and cost more; too few are coalesced.", min=1
    ),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Measures lists/s while a backlog drains with every event scored, beside ONNX Runtime alone.

    Example: liveshelf bench throughput --events 200000
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.throughput import measure

    bench = StackUnderTest(bundle)
    bench.need_cluster()
    with people.status("draining a backlog"):
        graph = bench.folder / "model.onnx"
        result = measure(bench.settings, bench.items, graph, bench.parts(), bench.restart, events, users)
    report_result(result | bench.bundle_entry, keep, json)


@app.command()
def coalesced(
    events: int = typer.Option(300_000, help="Size of the backlog.", min=1),
    users: int = typer.Option(500, help="Users in turn; fewer than scorer.max_waiting.", min=1),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Measures events/s of a backlog of few users, whose events share a list, beside a backlog of many.

    Example: liveshelf bench coalesced --users 500
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.coalesced import measure

    bench = StackUnderTest(bundle)
    with people.status("draining two backlogs"):
        parts, targets = bench.parts(), bench.layout.targets
        result = measure(bench.settings, bench.items, parts, bench.restart, targets, events, users)
    report_result(result | bench.bundle_entry, keep, json)


@app.command()
def sustain(
    low: float = real(1_000, "A rate that surely holds, events/s.", min=ABOVE_0),
    high: float = real(9_000, "A rate that surely does not hold, events/s.", min=ABOVE_0),
    seconds: float = real(15, "Measured time of each trial.", min=ABOVE_0),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Searches the highest rate at which the lag does not grow.

    Example: liveshelf bench sustain --low 2000 --high 8000
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.sustain import measure

    bench = StackUnderTest(bundle)
    bench.ensure_job(force_restart=bundle is not None)
    with people.status("searching"):
        result = measure(bench.settings, bench.items, bench.parts(), low, high, seconds)
    report_result(result | bench.bundle_entry, keep, json)


@app.command()
def state(
    users: str = typer.Option("20000,200000", help="Numbers of users, rising."),
    events: int = typer.Option(60_000, help="Measured at each number.", min=1),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Measures lists/s, bytes a user and checkpoint time at growing numbers of users.

    Example: liveshelf bench state --users 20000,200000,1000000
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.state import measure

    sizes = sorted(number_list("--users", users, int, 1))
    bench = StackUnderTest(bundle)
    bench.ensure_job(force_restart=bundle is not None)
    with people.status(f"{sizes[-1]} users"):
        result = measure(bench.settings, bench.items, bench.cluster, bench.parts(), bench.restart, sizes, events)
    report_result(result | bench.bundle_entry, keep, json)


@app.command()
def catalogues(
    items: str = typer.Option("1000,20000,100000", help="Sizes of the catalogue, rising."),
    events: int = typer.Option(
        100_000, help="Backlog of the smallest catalogue; larger ones get a smaller backlog.", min=1
    ),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Measures lists/s at growing catalogues, with random weights. Needs the extra `train`.

    Example: liveshelf bench catalogues --items 1000,100000
    """
    sizes = sorted(number_list("--items", items, int, 1))
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.catalogues import measure
    from benchmarks.running_stack.throughput import drain

    def drain_bundle(folder: Path, count: int) -> dict[str, Any]:
        bench = StackUnderTest(folder)
        return drain(bench.settings, bench.items, bench.parts(), bench.restart, count)

    configured = StackUnderTest(None)
    configured.need_cluster()
    try:
        with people.status("draining a backlog with each catalogue"):
            result = measure(drain_bundle, sizes, events)
    finally:
        configured.restart()
    report_result(result | configured.bundle_entry, keep, json)


@app.command()
def scale(
    slots: str = typer.Option("1,2", help="Numbers of slots; the stack needs a TaskManager for each."),
    events: int = typer.Option(150_000, help="Size of each backlog.", min=1),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Measures lists/s and CPU at growing numbers of slots.

    Example: liveshelf bench scale --slots 1,2
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.scale import measure

    numbers = sorted(number_list("--slots", slots, int, 1))
    bench = StackUnderTest(bundle)
    bench.need_cluster()
    with people.status(f"{len(numbers)} drains"):
        result = measure(bench.settings, bench.items, bench.parts(), bench.restart, numbers, events)
    report_result(result | bench.bundle_entry, keep, json)


@app.command()
def storefront(
    rate: float = real(500, "Lists a second that the job writes during the measurement.", min=ABOVE_0),
    seconds: float = real(20, "Measured time.", min=ABOVE_0),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Measures look-ups a second over HTTP while the job writes lists. Needs `wrk`.

    Example: liveshelf bench storefront --rate 500
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.storefront import measure

    bench = StackUnderTest(None)
    bench.ensure_job(force_restart=False)
    with people.status("asking for lists"):
        result = measure(bench.settings, bench.items, bench.parts(), rate, seconds)
    report_result(result | bench.bundle_entry, keep, json)


@app.command()
def watching(
    events: int = typer.Option(1_200_000, help="Size of a backlog.", min=1),
    rounds: int = typer.Option(4, help="Backlogs.", min=1),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Measures the cost of all monitoring: drains in which it is on and off for five seconds in turn.

    Example: liveshelf bench watching --rounds 5
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.watching import SPELL_S, measure

    bench = StackUnderTest(bundle)
    with people.status(f"{rounds} drains, watched and not in spells of {SPELL_S:.0f} s"):
        result = measure(bench.settings, bench.items, bench.parts(), bench.restart, events, rounds)
    report_result(result | bench.bundle_entry, keep, json)
