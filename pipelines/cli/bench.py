"""`liveshelf bench`: measures the running stack."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path

import typer

from operators.settings import load_settings
from pipelines.cli.output import JsonFlag, machine, pairs, people


class Name(StrEnum):
    """What can be measured."""

    freshness = "freshness"
    throughput = "throughput"
    instrumentation = "instrumentation"
    watching = "watching"


def run(
    name: Name = typer.Argument(help="freshness, throughput, instrumentation or watching."),
    rate: float = typer.Option(500, help="freshness: events a second."),
    seconds: float = typer.Option(60, help="freshness: measured time."),
    warm_up: float = typer.Option(60, help="freshness: seconds of load before; the JVM needs one or two minutes."),
    users: int = typer.Option(20_000, help="freshness: users."),
    events: int = typer.Option(200_000, help="throughput, watching: size of the backlog."),
    rounds: int = typer.Option(10, help="watching: pairs of drains.", min=2),
    bundle: Path = typer.Option(None, help="Bundle to serve; default: bundle.path of the settings."),
    json: bool = JsonFlag,
) -> None:
    """Runs one benchmark against the local stack and prints one table or one JSON object.

    Example: liveshelf bench freshness --rate 500 --json
    """
    from benchmarks import freshness, instrumentation, throughput, watching
    from deploy.local.layout import Layout
    from deploy.local.supervisor import Supervisor
    from operators.model_bundle import ModelBundle
    from pipelines.cli.submit import submit_locally
    from pipelines.cluster import Cluster

    settings = load_settings()
    folder = (bundle or settings.resolve(settings.bundle.path)).resolve()
    loaded = ModelBundle.load(folder)
    cluster = Cluster(settings.job.rest_url)
    supervisor = Supervisor(settings, Layout.of(settings))

    def restart(between: Callable[[], object] = lambda: None, *, sensors: bool = settings.job.sensors) -> None:
        stopped = [cluster.stop_with_savepoint(job["jid"]) for job in cluster.jobs(settings.job.name)]
        between()
        job = settings.job.model_copy(update={"sensors": sensors})
        submit_locally(settings.model_copy(update={"job": job}), folder, savepoint=stopped[0] if stopped else None)

    if name is Name.instrumentation:
        with people.status("with and without metrics"):
            found = instrumentation.measure(settings, loaded)
    elif name is Name.freshness:
        if bundle or not cluster.jobs(settings.job.name):
            restart()
        with people.status(f"{warm_up + seconds:.0f} s of load"):
            found = freshness.measure(
                settings, loaded.vocabulary.item_ids, supervisor.pids(), rate, seconds, warm_up, users
            )
    elif name is Name.watching:
        with people.status(f"{2 * rounds} drains, watched and not, in turns"):
            found = watching.measure(settings, loaded.vocabulary.item_ids, supervisor, restart, events, rounds)
    else:
        with people.status("draining a backlog"):
            found = throughput.measure(
                settings, loaded.vocabulary.item_ids, folder / "model.onnx", supervisor.pids, restart, events
            )
    found["bundle"] = f"{loaded.name} {loaded.version}, {len(loaded.vocabulary)} items"
    machine(found) if json else pairs(found)
