"""`liveshelf bench`: measures the running stack, or a part of it alone."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import typer

from operators.settings import Settings, load_settings
from pipelines.cli.output import JsonFlag, machine, pairs, people, table

app = typer.Typer(no_args_is_help=True)
KeepOption = typer.Option(None, help="Also writes the result there, as JSON.")
BundleOption = typer.Option(None, help="Bundle to serve; default: bundle.path of the settings.")


class Bench:
    """The stack and the bundle that a benchmark measures."""

    def __init__(self, bundle: Path | None) -> None:
        from deploy.local.layout import Layout
        from deploy.local.supervisor import Supervisor
        from operators.model_bundle import ModelBundle
        from pipelines.cluster import Cluster

        self.settings: Settings = load_settings()
        self.folder = (bundle or self.settings.resolve(self.settings.bundle.path)).resolve()
        self.bundle = ModelBundle.load(self.folder)
        self.items = self.bundle.vocabulary.item_ids
        self.cluster = Cluster(self.settings.job.rest_url)
        self.supervisor = Supervisor(self.settings, Layout.of(self.settings))

    def restart(
        self,
        between: Callable[[], object] = lambda: None,
        *,
        sensors_alternate_s: float = 0,
        parallelism: int | None = None,
    ) -> None:
        """Stops the job with a savepoint, calls `between`, starts it again with this bundle from there."""
        from pipelines.cli.submit import submit_locally

        running = self.cluster.jobs(self.settings.job.name)
        stopped = [self.cluster.stop_with_savepoint(job["jid"]) for job in running]
        between()
        slots = parallelism or self.settings.job.parallelism
        job = self.settings.job.model_copy(update={"sensors_alternate_s": sensors_alternate_s, "parallelism": slots})
        settings = self.settings.model_copy(update={"job": job})
        submit_locally(settings, self.folder, savepoint=stopped[0] if stopped else None)

    def started(self, *, anew: bool) -> None:
        """The job runs with this bundle."""
        if anew or not self.cluster.jobs(self.settings.job.name):
            self.restart()

    def tell(self, found: dict[str, Any], keep: Path | None, json: bool) -> None:
        """Prints a result with its bundle."""
        tell(found | {"bundle": f"{self.bundle.name} {self.bundle.version}, {len(self.items)} items"}, keep, json)


def tell(found: dict[str, Any], keep: Path | None, json: bool) -> None:
    """Prints a result, what is a list of rows as a table; keeps it as JSON."""
    from json import dumps

    if keep is not None:
        keep.parent.mkdir(parents=True, exist_ok=True)
        keep.write_text(dumps(found, indent=1) + "\n")
    if json:
        machine(found)
        return
    grids = {
        name: rows for name, rows in found.items() if isinstance(rows, list) and rows and isinstance(rows[0], dict)
    }
    for name, rows in grids.items():
        table(name, tuple(rows[0]), [tuple(row.values()) for row in rows])
    pairs({name: value for name, value in found.items() if name not in grids})


@app.command()
def freshness(
    rate: float = typer.Option(500, help="Events a second."),
    seconds: float = typer.Option(60, help="Measured time."),
    warm_up: float = typer.Option(60, help="Seconds of load before; the JVM needs one or two minutes."),
    users: int = 20_000,
    floor: bool = typer.Option(False, help="Beside it a job that only carries records, in the spare slot."),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """From the intended time of an event to its list in a consumer's hands, open loop.

    Example: liveshelf bench freshness --rate 500 --json
    """
    from benchmarks.floor import Floor
    from benchmarks.freshness import measure

    bench = Bench(bundle)
    bench.started(anew=bundle is not None)
    with (
        people.status(f"{warm_up + seconds:.0f} s of load"),
        Floor(bench.settings) if floor else nullcontext() as beside,
    ):
        pids = bench.supervisor.pids()
        found = measure(bench.settings, bench.items, pids, rate, seconds, warm_up, users, beside)
    bench.tell(found, keep, json)


@app.command()
def throughput(
    events: int = typer.Option(200_000, help="Size of the backlog."),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Lists/s while a backlog drains with every event scored, beside ONNX Runtime alone.

    Example: liveshelf bench throughput --events 200000
    """
    from benchmarks.throughput import measure

    bench = Bench(bundle)
    with people.status("draining a backlog"):
        graph = bench.folder / "model.onnx"
        found = measure(bench.settings, bench.items, graph, bench.supervisor.pids, bench.restart, events)
    bench.tell(found, keep, json)


@app.command()
def sustain(
    low: float = typer.Option(1_000, help="A rate that is sure to hold, events/s."),
    high: float = typer.Option(9_000, help="A rate that is not."),
    seconds: float = typer.Option(15, help="Of each trial."),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """The highest rate at which no lag grows.

    Example: liveshelf bench sustain --low 2000 --high 8000
    """
    from benchmarks.sustain import measure

    bench = Bench(bundle)
    bench.started(anew=bundle is not None)
    with people.status("searching"):
        found = measure(bench.settings, bench.items, bench.supervisor.pids, low, high, seconds)
    bench.tell(found, keep, json)


@app.command()
def state(
    users: str = typer.Option("20000,200000", help="Numbers of users, rising."),
    events: int = typer.Option(60_000, help="Measured at each number."),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Lists/s, bytes a user and checkpoint time at more and more users.

    Example: liveshelf bench state --users 20000,200000,1000000
    """
    from benchmarks.state import measure

    sizes = sorted(int(size) for size in users.split(","))
    bench = Bench(bundle)
    bench.started(anew=bundle is not None)
    with people.status(f"{sizes[-1]} users"):
        found = measure(bench.settings, bench.items, bench.cluster, bench.supervisor.pids, bench.restart, sizes, events)
    bench.tell(found, keep, json)


@app.command()
def scale(
    slots: str = typer.Option("1,2", help="Numbers of slots; the stack needs a TaskManager for each."),
    events: int = typer.Option(150_000, help="Size of each backlog."),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Lists/s and CPU at more and more slots.

    Example: liveshelf bench scale --slots 1,2
    """
    from benchmarks.scale import measure

    bench = Bench(bundle)
    numbers = sorted(int(number) for number in slots.split(","))
    with people.status(f"{len(numbers)} drains"):
        found = measure(bench.settings, bench.items, bench.supervisor.pids, bench.restart, numbers, events)
    bench.tell(found, keep, json)


@app.command()
def train(
    items: int = typer.Option(20_000, help="Size of the catalogue."), keep: Path = KeepOption, json: bool = JsonFlag
) -> None:
    """Training steps a second of both sizes. Needs the extra `train`.

    Example: liveshelf bench train --items 20000
    """
    from benchmarks.train import measure

    with people.status("training"):
        found = measure(items)
    tell(found, keep, json)


@app.command()
def scorer(
    provider: str = typer.Option("auto", help="auto, cuda or cpu."),
    seconds: float = typer.Option(0.5, help="Of each cell."),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """The scorer alone: micro-batch by items by width, beside the roofline of this machine. Needs the extra `train`.

    Example: liveshelf bench scorer --json
    """
    from benchmarks.scorer import measure

    with people.status("exporting and timing graphs"):
        found = measure(provider, seconds)
    tell(found, keep, json)


@app.command()
def storefront(
    rate: float = typer.Option(500, help="Lists a second that flow in meanwhile."),
    seconds: float = typer.Option(20, help="Measured time."),
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """Look-ups a second over HTTP while lists flow in. Needs `wrk`.

    Example: liveshelf bench storefront --rate 500
    """
    from benchmarks.storefront import measure

    bench = Bench(None)
    bench.started(anew=False)
    with people.status("asking for lists"):
        found = measure(bench.settings, bench.items, bench.supervisor.pids, rate, seconds)
    bench.tell(found, keep, json)


@app.command()
def instrumentation(bundle: Path = BundleOption, keep: Path = KeepOption, json: bool = JsonFlag) -> None:
    """What the operator's own metrics cost, without Flink and Kafka.

    Example: liveshelf bench instrumentation
    """
    from benchmarks.instrumentation import measure

    bench = Bench(bundle)
    with people.status("with and without metrics"):
        found = measure(bench.settings, bench.bundle)
    bench.tell(found, keep, json)


@app.command()
def watching(
    events: int = typer.Option(1_200_000, help="Size of a backlog."),
    rounds: int = typer.Option(4, help="Backlogs.", min=1),
    bundle: Path = BundleOption,
    keep: Path = KeepOption,
    json: bool = JsonFlag,
) -> None:
    """What all watching costs: drains in which it is on and off in spells of five seconds.

    Example: liveshelf bench watching --rounds 5
    """
    from benchmarks.watching import SPELL_S, measure

    bench = Bench(bundle)
    with people.status(f"{rounds} drains, watched and not in spells of {SPELL_S:.0f} s"):
        found = measure(bench.settings, bench.items, bench.supervisor, bench.restart, events, rounds)
    bench.tell(found, keep, json)


@app.command()
def compare(kept: Path, now: Path, json: bool = JsonFlag) -> None:
    """Ratios of two results, or of two folders of them; exit 1 where one fell by more than 15 %.

    Example: liveshelf bench compare benchmarks/results .liveshelf/bench
    """
    from benchmarks.results import compare as compared
    from benchmarks.results import read, rows

    changes = compared(read(kept), read(now))
    if json:
        machine([{"bench": c.bench, "ratio": c.name, "kept": c.kept, "now": c.now, "lost": c.lost} for c in changes])
    else:
        table("", ("bench", "ratio", "kept", "now", ""), rows(changes))
    raise typer.Exit(int(any(change.lost for change in changes)))
