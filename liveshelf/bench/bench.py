"""`liveshelf bench`: measures the running stack; `bench_alone` has what needs none, `bench_short` the short form of all."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import typer

from liveshelf.bench import bench_alone, bench_short
from liveshelf.bench.against import against
from liveshelf.bench.peers import peers
from liveshelf.bench.result import BundleOption, KeepOption, tell
from liveshelf.terminal.numbers import ABOVE_0, real, several
from liveshelf.terminal.output import JsonFlag, people

app = typer.Typer(no_args_is_help=True)
for verb in (
    bench_short.short,
    against,
    peers,
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
    users: int = typer.Option(20_000, help="Who are in it.", min=1),
    floor: bool = typer.Option(False, help="Beside it a job that only carries records, in the spare slot."),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """From the intended time of an event to its list in a consumer's hands, open loop.

    Example: liveshelf bench freshness --rate 500 --json
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.floor import JOB, Floor
    from benchmarks.running_stack.freshness import measure

    bench = StackUnderTest(bundle)
    bench.started(anew=bundle is not None)
    with (
        people.status(f"{warm_up + seconds:.0f} s of load"),
        Floor(bench.settings) if floor else nullcontext() as beside,
    ):
        parts = bench.parts(JOB)
        result = measure(bench.settings, bench.items, parts, rate, seconds, warm_up, users, beside)
    tell(result | bench.served, keep, json)


@app.command()
def idle(
    seconds: float = real(30, "Measured time; nothing may flow meanwhile.", min=ABOVE_0),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Cores and memory of each part while nothing happens.

    Example: liveshelf bench idle
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.idle import measure

    bench = StackUnderTest(None)
    bench.started(anew=False)
    with people.status(f"nothing for {seconds:.0f} s"):
        result = measure(bench.settings, bench.parts(), seconds)
    tell(result | bench.served, keep, json)


@app.command()
def throughput(
    events: int = typer.Option(200_000, help="Size of the backlog.", min=1),
    users: int = typer.Option(
        8_000, help="In turn: few have long histories, which cost the scorer most; too few are coalesced.", min=1
    ),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Lists/s while a backlog drains with every event scored, beside ONNX Runtime alone.

    Example: liveshelf bench throughput --events 200000
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.throughput import measure

    bench = StackUnderTest(bundle)
    bench.need_cluster()
    with people.status("draining a backlog"):
        graph = bench.folder / "model.onnx"
        result = measure(bench.settings, bench.items, graph, bench.parts(), bench.restart, events, users)
    tell(result | bench.served, keep, json)


@app.command()
def coalesced(
    events: int = typer.Option(300_000, help="Size of the backlog.", min=1),
    users: int = typer.Option(500, help="Who are in it, in turn; fewer than scorer.max_waiting.", min=1),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Events/s while a backlog of few shoppers drains, who wait for one list each, beside that of many.

    Example: liveshelf bench coalesced --users 500
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.coalesced import measure

    bench = StackUnderTest(bundle)
    with people.status("draining two backlogs"):
        parts, targets = bench.parts(), bench.layout.targets
        result = measure(bench.settings, bench.items, parts, bench.restart, targets, events, users)
    tell(result | bench.served, keep, json)


@app.command()
def sustain(
    low: float = real(1_000, "A rate that is sure to hold, events/s.", min=ABOVE_0),
    high: float = real(9_000, "A rate that is not.", min=ABOVE_0),
    seconds: float = real(15, "Of each trial.", min=ABOVE_0),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """The highest rate at which no lag grows.

    Example: liveshelf bench sustain --low 2000 --high 8000
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.sustain import measure

    bench = StackUnderTest(bundle)
    bench.started(anew=bundle is not None)
    with people.status("searching"):
        result = measure(bench.settings, bench.items, bench.parts(), low, high, seconds)
    tell(result | bench.served, keep, json)


@app.command()
def state(
    users: str = typer.Option("20000,200000", help="Numbers of users, rising."),
    events: int = typer.Option(60_000, help="Measured at each number.", min=1),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Lists/s, bytes a user and checkpoint time at more and more users.

    Example: liveshelf bench state --users 20000,200000,1000000
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.state import measure

    sizes = sorted(several("--users", users, int, 1))
    bench = StackUnderTest(bundle)
    bench.started(anew=bundle is not None)
    with people.status(f"{sizes[-1]} users"):
        result = measure(bench.settings, bench.items, bench.cluster, bench.parts(), bench.restart, sizes, events)
    tell(result | bench.served, keep, json)


@app.command()
def catalogues(
    items: str = typer.Option("1000,20000,100000", help="Sizes of the catalogue, rising."),
    events: int = typer.Option(100_000, help="Backlog at the smallest; the larger the catalogue, the fewer.", min=1),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Lists/s at larger and larger catalogues, with weights of chance. Needs the extra `train`.

    Example: liveshelf bench catalogues --items 1000,100000
    """
    sizes = sorted(several("--items", items, int, 1))
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.catalogues import measure
    from benchmarks.running_stack.throughput import drain

    def drained(folder: Path, count: int) -> dict[str, Any]:
        bench = StackUnderTest(folder)
        return drain(bench.settings, bench.items, bench.parts(), bench.restart, count)

    own = StackUnderTest(None)
    own.need_cluster()
    try:
        with people.status("draining a backlog with each catalogue"):
            result = measure(drained, sizes, events)
    finally:
        own.restart()
    tell(result | own.served, keep, json)


@app.command()
def scale(
    slots: str = typer.Option("1,2", help="Numbers of slots; the stack needs a TaskManager for each."),
    events: int = typer.Option(150_000, help="Size of each backlog.", min=1),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Lists/s and CPU at more and more slots.

    Example: liveshelf bench scale --slots 1,2
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.scale import measure

    numbers = sorted(several("--slots", slots, int, 1))
    bench = StackUnderTest(bundle)
    bench.need_cluster()
    with people.status(f"{len(numbers)} drains"):
        result = measure(bench.settings, bench.items, bench.parts(), bench.restart, numbers, events)
    tell(result | bench.served, keep, json)


@app.command()
def storefront(
    rate: float = real(500, "Lists a second that flow in meanwhile.", min=ABOVE_0),
    seconds: float = real(20, "Measured time.", min=ABOVE_0),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Look-ups a second over HTTP while lists flow in. Needs `wrk`.

    Example: liveshelf bench storefront --rate 500
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.storefront import measure

    bench = StackUnderTest(None)
    bench.started(anew=False)
    with people.status("asking for lists"):
        result = measure(bench.settings, bench.items, bench.parts(), rate, seconds)
    tell(result | bench.served, keep, json)


@app.command()
def watching(
    events: int = typer.Option(1_200_000, help="Size of a backlog.", min=1),
    rounds: int = typer.Option(4, help="Backlogs.", min=1),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """What all watching costs: drains in which it is on and off in spells of five seconds.

    Example: liveshelf bench watching --rounds 5
    """
    from benchmarks.measuring.stack_under_test import StackUnderTest
    from benchmarks.running_stack.watching import SPELL_S, measure

    bench = StackUnderTest(bundle)
    with people.status(f"{rounds} drains, watched and not in spells of {SPELL_S:.0f} s"):
        result = measure(bench.settings, bench.items, bench.parts(), bench.restart, events, rounds)
    tell(result | bench.served, keep, json)
