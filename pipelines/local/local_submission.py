"""Submits from this checkout, and records the submission in the audit log and the lineage."""

import sys
from pathlib import Path

from openlineage.client.event_v2 import RunState

from deploy.local.flink.flink_home import build_flink_home, process_environment
from deploy.local.jars import ensure_jars
from deploy.local.layout import Layout
from deploy.local.stack import is_own_cluster
from deploy.local.supervisor import Supervisor
from operators.model.bundle_files import read_manifest
from operators.settings import Settings
from pipelines.provenance.audit_log import record_act
from pipelines.provenance.lineage import Lineage, bundle_dataset
from pipelines.submission.launcher import AlterShip, leave_as_it_is, submit


def submit_locally(
    settings: Settings,
    bundle: Path | None,
    *,
    savepoint: str | None = None,
    fresh: bool = False,
    alter_ship: AlterShip = leave_as_it_is,
) -> str:
    """Submits with the Flink home of this checkout, built if no stack runs; returns the job's id.

    Arguments and errors as in `pipelines.submission.launcher.submit`. `bundle`: None for the bundle of the settings.
    """
    layout = Layout.of(settings)
    is_own = is_own_cluster(settings, layout)
    settings = with_places(settings, layout.tables if is_own else None, layout.targets if is_own else None)
    if not Supervisor(layout).running():
        layout.make()
        ensure_jars(layout)
        build_flink_home(layout)
    folder = (bundle or settings.resolve(settings.bundle.path)).resolve()
    environment = process_environment(layout)
    job_id = submit(settings, environment, folder, savepoint=savepoint, fresh=fresh, alter_ship=alter_ship)
    _record_submission(settings, folder, job_id, savepoint or ("nothing" if fresh else "the topic"))
    return job_id


def with_places(settings: Settings, tables: Path | None, targets: Path | None) -> Settings:
    """The settings with folders and Python of the TaskManagers' machine, where they have none.

    `tables`, `targets`: this machine's folders; None for another cluster, whose TaskManagers choose their own.
    """
    job = settings.job
    places = {
        "tables_dir": job.tables_dir or str(tables or ""),
        "metrics_targets_dir": job.metrics_targets_dir or str(targets or ""),
        "python": job.python or (sys.executable if tables else "python3"),
    }
    return settings.model_copy(update={"job": job.model_copy(update=places)})


def _record_submission(settings: Settings, bundle: Path, job_id: str, state: str) -> None:
    """Records the bundle and the list settings in the audit log and the lineage. `state`: the job's start state."""
    manifest = read_manifest(bundle)
    lineage, job = Lineage(settings), settings.job.name
    record_act(
        settings.kafka,
        "submit",
        job_id=job_id,
        bundle=f"{manifest['name']} {manifest['version']}",
        from_state=Path(state).name,
        delivery=settings.job.delivery,
        lists=settings.lists.model_dump(),
        experiment=settings.experiment.model_dump(),
    )
    lineage.emit(lineage.new_run(), "submit", RunState.COMPLETE, [bundle_dataset(manifest)], flink_job=job_id, name=job)
