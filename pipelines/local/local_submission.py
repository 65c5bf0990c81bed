"""A submission from this machine: with the Flink home of this checkout, noted in the audit log and in the lineage."""

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
    """Submits with the Flink home of this checkout, which is made where no stack runs; returns the job's id.

    Raises as `pipelines.submission.launcher.submit`, whose arguments these are; without `bundle` it is that of the settings.
    """
    layout = Layout.of(settings)
    own = is_own_cluster(settings, layout)
    settings = with_places(settings, layout.tables if own else None, layout.targets if own else None)
    if not Supervisor(layout).running():
        layout.make()
        ensure_jars(layout)
        build_flink_home(layout)
    folder = (bundle or settings.resolve(settings.bundle.path)).resolve()
    environment = process_environment(layout)
    job_id = submit(settings, environment, folder, savepoint=savepoint, fresh=fresh, alter_ship=alter_ship)
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


def _note(settings: Settings, bundle: Path, job_id: str, state: str) -> None:
    """Which bundle serves since when, with which rules for lists; `state`: what the job began from."""
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
    lineage.tell(lineage.new_run(), "submit", RunState.COMPLETE, [bundle_dataset(manifest)], flink_job=job_id, name=job)
