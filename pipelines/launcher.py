"""Submits the job with Flink's own client, which uploads the shipped folder."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from operators.errors import ClusterError
from operators.model_bundle import ModelBundle
from operators.scorer import Scorer
from operators.settings import Settings
from pipelines.cluster import Cluster, python_part
from pipelines.engine import flink_options
from pipelines.shipping import stage

START_SECONDS = 90
_NO_STATE = "Cannot map checkpoint/savepoint state"


def submit(settings: Settings, environment: Mapping[str, str], bundle: Path, savepoint: str | None = None) -> str:
    """Verifies the bundle, submits, waits until all tasks run; returns the job id.

    `environment` names the Flink home with our `lib/`. Raises `BundleError` or `ClusterError`.
    """
    Scorer(ModelBundle.load(bundle), settings.scorer)
    flink_options(settings)
    cluster = Cluster(settings.job.rest_url)
    if running := cluster.jobs(settings.job.name):
        raise ClusterError(
            f"no running job named {settings.job.name}",
            f"job {running[0]['jid']}",
            "liveshelf stop --savepoint, or set job.name: two jobs would write the same lists",
        )
    with tempfile.TemporaryDirectory(prefix="liveshelf-") as scratch:
        job_id = _run_client(settings, environment, bundle, savepoint, Path(scratch))
    try:
        cluster.wait_until_running(job_id, START_SECONDS)
    except ClusterError:
        cluster.cancel(job_id)  # a job that never ran must not go on trying
        raise
    return job_id


def _run_client(
    settings: Settings, environment: Mapping[str, str], bundle: Path, savepoint: str | None, scratch: Path
) -> str:
    ship, settings_file = scratch / "ship", scratch / "settings.json"
    marker = stage(ship, bundle)
    settings_file.write_text(json.dumps(settings.model_dump()))
    restore = ["-s", savepoint] if savepoint else []
    command = [
        f"{environment['FLINK_BIN_DIR']}/flink", "run", "-d",
        "-m", settings.job.rest_url.removeprefix("http://"),
        *restore,
        "-pyexec", sys.executable, "-pyclientexec", sys.executable,
        "-pyfs", str(ship), "-py", str(ship / "pipelines" / "recommend.py"),
        str(settings_file), marker,
    ]  # fmt: skip
    merged = {**os.environ, **environment, "PYTHONPATH": str(ship)}
    done = subprocess.run(command, capture_output=True, text=True, env=merged)
    text = done.stdout + done.stderr
    found = re.search(r"JobID ([0-9a-f]{32})", text)
    if _NO_STATE in text:
        raise ClusterError(
            "a savepoint of this job in thread mode",
            f"{savepoint}, whose state belongs to another operator or execution mode",
            "name a savepoint that `liveshelf stop --savepoint` made",
        )
    if done.returncode or not found:
        raise ClusterError("Flink's client to submit the job", python_part(text)[-3000:], "correct the cause above")
    return found[1]
