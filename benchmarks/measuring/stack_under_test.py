"""What a benchmark of the running stack works on."""

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
        """Raises `ClusterError` where no cluster answers: before minutes of other work, and before a clean-up asks again."""
        self.cluster.jobs()

    def restart(
        self,
        between: Callable[[], object] = lambda: None,
        *,
        alter_ship: AlterShip = leave_as_it_is,
        parallelism: int | None = None,
    ) -> None:
        """Stops the job with a savepoint, calls `between`, starts it again with this bundle from there.

        One that does not run is started from its newest checkpoint, where there is one.
        """
        running, layout = self.cluster.jobs(self.settings.job.name), self.layout
        stopped = [self.cluster.stop_with_savepoint(job["jid"]) for job in running]
        stopped += [str(checkpoint.path) for checkpoint in find_checkpoints(layout.checkpoints, layout.savepoints)]
        between()
        slots = parallelism or self.settings.job.parallelism
        job = self.settings.job.model_copy(update={"parallelism": slots})
        settings = self.settings.model_copy(update={"job": job})
        submit_locally(settings, self.folder, savepoint=stopped[0] if stopped else None, alter_ship=alter_ship)

    def started(self, *, anew: bool) -> None:
        """The job runs with this bundle."""
        if anew or not self.cluster.jobs(self.settings.job.name):
            self.restart()

    def parts(self, *beside: str) -> Parts:
        """What is measured: the stack's processes, one job with this bundle, and no other job but those named in `beside`."""
        name = self.settings.job.name
        return Parts(
            self.supervisor.pids,
            lambda: [SameJob(self.cluster, name, beside), ServedBundle(self.layout.targets, self.bundle)],
            lambda: Sources(self.layout.targets),
        )

    @property
    def served(self) -> dict[str, str]:
        """The bundle, for a result."""
        return {"bundle": f"{self.bundle.name} {self.bundle.version}, {len(self.items)} items"}
