"""The local stack as a benchmark uses it."""

from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring.conditions import Parts, SameJob, ServedBundle, Sources
from deploy.local.layout import Layout
from deploy.local.supervisor import Supervisor
from operators.model.model_bundle import ModelBundle
from operators.settings import Settings, load_settings
from pipelines.local.local_submission import submit_locally
from pipelines.submission.checkpoints import find_checkpoints
from pipelines.submission.cluster import Cluster
from pipelines.submission.launcher import AlterShip, leave_as_it_is


class StackUnderTest:
    """The local stack, its job, and the bundle that the job serves."""

    def __init__(self, bundle: Path | None) -> None:
        self.settings: Settings = load_settings()
        self.folder = (bundle or self.settings.resolve(self.settings.bundle.path)).resolve()
        self.bundle = ModelBundle.load(self.folder)
        self.items = self.bundle.vocabulary.item_ids
        self.cluster = Cluster(self.settings.job)
        self.layout = Layout.of(self.settings)
        self.supervisor = Supervisor(self.layout)

    def need_cluster(self) -> None:
        """Raises `ClusterError` if no cluster answers. Call it before long work."""
        self.cluster.jobs()

    def restart(
        self,
        while_stopped: Callable[[], object] = lambda: None,
        *,
        alter_ship: AlterShip = leave_as_it_is,
        parallelism: int | None = None,
    ) -> None:
        """Stops the job with a savepoint, calls `while_stopped`, and starts the job from the savepoint with this bundle.

        A job that does not run starts from its newest checkpoint, if there is one.
        """
        jobs, layout = self.cluster.jobs(self.settings.job.name), self.layout
        savepoints = [self.cluster.stop_with_savepoint(job["jid"]) for job in jobs]
        savepoints += [str(checkpoint.path) for checkpoint in find_checkpoints(layout.checkpoints, layout.savepoints)]
        while_stopped()
        slots = parallelism or self.settings.job.parallelism
        job = self.settings.job.model_copy(update={"parallelism": slots})
        settings = self.settings.model_copy(update={"job": job})
        submit_locally(settings, self.folder, savepoint=savepoints[0] if savepoints else None, alter_ship=alter_ship)

    def ensure_job(self, *, force_restart: bool) -> None:
        """Starts the job with this bundle if none runs, or restarts it."""
        if force_restart or not self.cluster.jobs(self.settings.job.name):
            self.restart()

    def parts(self, *allowed: str) -> Parts:
        """The stack's processes, checked for one job with this bundle and no other job except those named in `allowed`."""
        name = self.settings.job.name
        return Parts(
            self.supervisor.pids,
            lambda: [SameJob(self.cluster, name, allowed), ServedBundle(self.layout.targets, self.bundle)],
            lambda: Sources(self.layout.targets),
        )

    @property
    def bundle_entry(self) -> dict[str, str]:
        """The bundle as an entry of a result."""
        return {"bundle": f"{self.bundle.name} {self.bundle.version}, {len(self.items)} items"}
