"""Submits the job with Flink's own client, which uploads the shipped folder."""

import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from operators.configuration.rest_address import RestAddress
from operators.errors import BrokerError, ClusterError
from operators.lists.list_clicks import refuse_value_without_clicks
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.settings import JobSettings, Settings
from pipelines.job.engine import flink_options
from pipelines.submission.client_settings import prepare_client
from pipelines.submission.cluster import Cluster, python_part
from pipelines.submission.savepoint_operators import leaves_state, lost_operators
from pipelines.submission.served_bundle import with_note
from pipelines.submission.shipping import stage
from pipelines.submission.starting_offsets import prepare_start

log = logging.getLogger(__name__)
START_SECONDS = 90
SETTLE_SECONDS = 1.0  # a source fails for a missing offset only after all tasks run
OFFSET_GONE = "OffsetOutOfRangeException"
NO_STATE_MAPPING = "Cannot map checkpoint/savepoint state"


AlterShip = Callable[[Path], object]


def leave_as_it_is(ship: Path) -> None:
    """Ships the code unchanged."""


def submit(
    settings: Settings,
    environment: Mapping[str, str],
    bundle: Path,
    *,
    savepoint: str | None = None,
    fresh: bool = False,
    alter_ship: AlterShip = leave_as_it_is,
) -> str:
    """Verifies the bundle, submits, waits until all tasks run; returns the job id.

    `environment` names the Flink home with our `lib/`; `savepoint` and `fresh`: see `prepare_start`. `alter_ship` gets
    the folder of code before the upload: a measurement may replace a file.
    Raises `BundleError`, `BrokerError`, `ClusterError` or `SettingsError`.
    """
    settings.exploration.refuse_without(settings.demand, settings.lists)
    # checks the bundle on this machine, which needs no GPU
    loaded = ModelBundle.load(bundle, settings.bundle.required_keys)
    refuse_value_without_clicks(loaded, settings.lists)
    Scorer(loaded, settings.scorer.model_copy(update={"require_gpu": False}))
    flink_options(settings)
    cluster = Cluster(settings.job)
    if running := cluster.jobs(settings.job.name):
        raise ClusterError(
            f"no running job named {settings.job.name}",
            f"job {running[0]['jid']}",
            "liveshelf stop --savepoint, or set job.name: two jobs would write the same lists",
        )
    prepare_start(settings, savepoint=savepoint, fresh=fresh)
    with tempfile.TemporaryDirectory(prefix="liveshelf-") as scratch:
        job_id = _run_client(settings, environment, bundle, savepoint, Path(scratch), alter_ship)
    _wait_until_running(cluster, job_id)
    return job_id


def _wait_until_running(cluster: Cluster, job_id: str) -> None:
    """Waits until all tasks run, and still run after `SETTLE_SECONDS`; cancels the job if they do not."""
    try:
        cluster.wait_until_running(job_id, START_SECONDS)
        time.sleep(SETTLE_SECONDS)
        cluster.wait_until_running(job_id, START_SECONDS)
    except ClusterError as error:
        cluster.cancel(job_id)  # else it would restart for ever
        if OFFSET_GONE in str(error):
            raise BrokerError(
                "the events from where the state stands",
                f"{OFFSET_GONE}: retention has removed them, or the topic was made anew",
                'set job.on_lost_events = "skip" to go on without them',
            ) from error
        raise


def _run_client(
    settings: Settings,
    environment: Mapping[str, str],
    bundle: Path,
    savepoint: str | None,
    scratch: Path,
    alter_ship: AlterShip,
) -> str:
    ship, settings_file = scratch / "ship", scratch / "settings.json"
    marker = stage(ship, bundle)
    alter_ship(ship)
    shipped = with_note(shipped_settings(settings), ship / "bundle", bundle)
    settings_file.write_text(json.dumps(shipped.shipped()))
    restore = ["-s", savepoint] if savepoint else []
    if savepoint and leaves_state(savepoint, settings):
        restore.append("-n")
        for operator in lost_operators(savepoint, settings):
            log.warning("%s is off, and %s holds its state: %s", operator.setting, savepoint, operator.loss)
    program = ["-pyfs", str(ship), "-py", str(ship / "pipelines" / "job" / "recommend.py"), str(settings_file), marker]
    variables = {**os.environ, **environment, "PYTHONPATH": str(ship)}
    job_id, text = run_client(settings.job, variables, [*restore, *program], scratch)
    if NO_STATE_MAPPING in text:
        raise ClusterError(
            "a savepoint of this job in thread mode",
            f"{savepoint}, whose state belongs to another operator or execution mode",
            "name a savepoint that `liveshelf stop --savepoint` made; of a job with feedback.enabled or demand.enabled it "
            "restores without them only where its files are on this machine",
        )
    if job_id is None:
        raise ClusterError("Flink's client to submit the job", python_part(text)[-3000:], "correct the cause above")
    return job_id


def shipped_settings(settings: Settings) -> Settings:
    """The settings for the TaskManagers: with their Python, without the credentials of the REST interface."""
    job = settings.job
    overrides = {
        "python": job.python or sys.executable,
        "rest_url": RestAddress.parse(job.rest_url).url,
        "rest_ca_file": "",
        "rest_cert_file": "",
    }
    return settings.model_copy(update={"job": job.model_copy(update=overrides)})


def run_client(
    job: JobSettings, environment: Mapping[str, str], arguments: list[str], scratch: Path
) -> tuple[str | None, str]:
    """Runs Flink's client with a Python program, detached. Returns the job id (None after a failure) and the output.

    `environment` names the Flink home; `scratch` is a folder for this call only. Raises `SettingsError` for unusable
    certificates.
    """
    address = RestAddress.parse(job.rest_url)
    variables = prepare_client(job, environment, scratch)
    command = [
        f"{environment['FLINK_BIN_DIR']}/flink", "run", "-d",
        "-m", address.url,  # with its path: `rest.url-prefix` has no effect beside -m
        "-pyexec", job.python or sys.executable, "-pyclientexec", sys.executable,
        *arguments,
    ]  # fmt: skip
    process = subprocess.run(command, capture_output=True, text=True, env=variables)
    text = process.stdout + process.stderr
    match = re.search(r"JobID ([0-9a-f]{32})", text)
    return (match[1] if match and not process.returncode else None), text
