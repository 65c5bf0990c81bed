"""What the benchmarks' commands share: the stack and the bundle under test, and how a result is told."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from operators.settings import Settings, load_settings
from pipelines.cli.out_files import begins, check_out
from pipelines.cli.output import machine, pairs, people, table

if TYPE_CHECKING:
    from benchmarks.conditions import Parts


def _can_keep(keep: Path | None) -> Path | None:
    if keep is not None:
        keep.parent.mkdir(parents=True, exist_ok=True)
    check_out(keep, "result", begins(b"{"))
    return keep


KeepOption = typer.Option(None, help="Also writes the result there, as JSON.", callback=_can_keep)
BundleOption = typer.Option(None, help="Bundle to serve; default: bundle.path of the settings.")


class Bench:
    """The stack and the bundle that a benchmark measures."""

    def __init__(self, bundle: Path | None) -> None:
        from deploy.local.layout import Layout
        from deploy.local.supervisor import Supervisor
        from operators.model.model_bundle import ModelBundle
        from pipelines.cluster import Cluster

        self.settings: Settings = load_settings()
        self.folder = (bundle or self.settings.resolve(self.settings.bundle.path)).resolve()
        self.bundle = ModelBundle.load(self.folder)
        self.items = self.bundle.vocabulary.item_ids
        self.cluster = Cluster(self.settings.job)
        self.layout = Layout.of(self.settings)
        self.supervisor = Supervisor(self.layout)

    def need_cluster(self) -> None:
        """Raises `ClusterError` where no cluster answers: before minutes of other work, and before a clean-up asks again."""
        self.cluster.jobs()

    def restart(
        self,
        between: Callable[[], object] = lambda: None,
        *,
        sensors_alternate_s: float = 0,
        parallelism: int | None = None,
    ) -> None:
        """Stops the job with a savepoint, calls `between`, starts it again with this bundle from there.

        One that does not run is started from its newest checkpoint, where there is one.
        """
        from pipelines.checkpoints import find_checkpoints
        from pipelines.cli.submit import submit_locally

        running, layout = self.cluster.jobs(self.settings.job.name), self.layout
        stopped = [self.cluster.stop_with_savepoint(job["jid"]) for job in running]
        stopped += [str(found.path) for found in find_checkpoints(layout.checkpoints, layout.savepoints)]
        between()
        slots = parallelism or self.settings.job.parallelism
        job = self.settings.job.model_copy(update={"sensors_alternate_s": sensors_alternate_s, "parallelism": slots})
        settings = self.settings.model_copy(update={"job": job})
        submit_locally(settings, self.folder, savepoint=stopped[0] if stopped else None)

    def started(self, *, anew: bool) -> None:
        """The job runs with this bundle."""
        if anew or not self.cluster.jobs(self.settings.job.name):
            self.restart()

    def parts(self, *beside: str) -> "Parts":
        """What is measured: the stack's processes, one job with this bundle, and no other job but those named in `beside`."""
        from benchmarks.conditions import Parts, SameJob, ServedBundle, Sources

        name = self.settings.job.name
        return Parts(
            self.supervisor.pids,
            lambda: [SameJob(self.cluster, name, beside), ServedBundle(self.layout.targets, self.bundle)],
            lambda: Sources(self.layout.targets),
        )

    def tell(self, found: dict[str, Any], keep: Path | None, json: bool) -> None:
        """Prints a result with its bundle; ends as `tell` does."""
        tell(found | {"bundle": f"{self.bundle.name} {self.bundle.version}, {len(self.items)} items"}, keep, json)


def tell(found: dict[str, Any], keep: Path | None, json: bool) -> None:
    """Prints a result, what is a list of rows as a table (what is in a cell's cells is for the JSON); keeps it as JSON.

    What was not measured is null, with its reason below `not_measured`; then this exits with 1.
    """
    from json import dumps

    from benchmarks.measured import as_json

    found = as_json(found)
    if keep is not None:
        keep.write_text(dumps(found, indent=1) + "\n")
    if json:
        machine(found)
    else:
        _tell_people(found)
    for figure, reason in found.get("not_measured", {}).items():
        people.print(f"not measured: {figure}: {reason}", markup=False, soft_wrap=True)
    if "not_measured" in found:
        raise typer.Exit(1)


def _tell_people(found: dict[str, Any]) -> None:
    grids = {
        name: rows for name, rows in found.items() if isinstance(rows, list) and rows and isinstance(rows[0], dict)
    }
    for name, rows in grids.items():
        columns = [*dict.fromkeys(name for row in rows for name, value in row.items() if not isinstance(value, dict))]
        table(name, columns, [["-" if row.get(column) is None else row[column] for column in columns] for row in rows])
    pairs({name: "-" if value is None else value for name, value in found.items() if name not in grids})
