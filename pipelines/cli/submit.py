"""`liveshelf submit`: the job on a Flink cluster."""

import sys
from pathlib import Path

import typer

from operators.configuration.rest_address import RestAddress
from operators.settings import Settings, load_settings
from pipelines.cli import audit
from pipelines.cli.output import JsonFlag, machine, people


def run(
    bundle: Path = typer.Option(None, help="Bundle folder; default: bundle.path of the settings."),
    savepoint: str = typer.Option(None, "--from-savepoint", help="Savepoint or retained checkpoint to start from."),
    fresh: bool = typer.Option(False, "--fresh", help="Start with empty state and read all events again."),
    rest: str = typer.Option(None, help="REST address of the cluster; default: job.rest_url."),
    json: bool = JsonFlag,
) -> None:
    """Ships code and bundle to the cluster, starts the job, and returns when all its tasks run.

    A job that has run before is not started without its state: see `liveshelf resume`.

    Example: liveshelf submit --bundle models/online-retail
    """
    settings = load_settings(**({"job": {"rest_url": rest}} if rest else {}))
    with people.status("submitting"):
        job_id = submit_locally(settings, bundle, savepoint=savepoint, fresh=fresh)
    cluster = RestAddress.parse(settings.job.rest_url).url
    if json:
        machine({"job_id": job_id, "rest_url": cluster})
    people.print(f"job {job_id} runs: {cluster}/#/job/{job_id}/overview")


def submit_locally(
    settings: Settings, bundle: Path | None, *, savepoint: str | None = None, fresh: bool = False
) -> str:
    """Submits with the Flink home of this checkout, which is made where no stack runs; returns the job's id."""
    from deploy.local.flink_home import build_flink_home, process_environment
    from deploy.local.jars import ensure_jars
    from deploy.local.layout import Layout
    from deploy.local.stack import is_own_cluster
    from deploy.local.supervisor import Supervisor
    from pipelines.launcher import submit

    layout = Layout.of(settings)
    own = is_own_cluster(settings, layout)
    settings = with_places(settings, layout.tables if own else None, layout.targets if own else None)
    if not Supervisor(layout).running():
        layout.make()
        ensure_jars(layout)
        build_flink_home(layout)
    folder = (bundle or settings.resolve(settings.bundle.path)).resolve()
    job_id = submit(settings, process_environment(layout), folder, savepoint=savepoint, fresh=fresh)
    _note(settings, folder, job_id, savepoint or ("nothing" if fresh else "the topic"))
    return job_id


def with_places(settings: Settings, tables: Path | None, targets: Path | None) -> Settings:
    """The settings with what the TaskManagers use of their machine: this one's folders (None: another machine's, where
    they find places of their own) and Python. What the settings name wins."""
    job = settings.job
    own = {
        "tables_dir": job.tables_dir or str(tables or ""),
        "metrics_targets_dir": job.metrics_targets_dir or str(targets or ""),
        "python": job.python or (sys.executable if tables else "python3"),
    }
    return settings.model_copy(update={"job": job.model_copy(update=own)})


def _note(settings: Settings, bundle: Path, job_id: str, began_from: str) -> None:
    """In the audit log and in the lineage: which bundle serves since when, with which rules for lists."""
    from openlineage.client.event_v2 import RunState

    from operators.model.bundle_files import read_manifest
    from pipelines.lineage import Lineage, bundle_dataset

    manifest = read_manifest(bundle)
    lineage, job = Lineage(settings), settings.job.name
    served = f"{manifest['name']} {manifest['version']}"
    audit.record(
        settings,
        "submit",
        job_id=job_id,
        bundle=served,
        from_state=Path(began_from).name,
        delivery=settings.job.delivery,
        lists=settings.lists.model_dump(),
        experiment=settings.experiment.model_dump(),
    )
    lineage.tell(lineage.new_run(), "submit", RunState.COMPLETE, [bundle_dataset(manifest)], flink_job=job_id, name=job)
