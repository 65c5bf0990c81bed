"""The bundle that a running job serves: the submission notes it in Flink's job parameters.

The settings name only the bundle of the next submission, and an audit log or a file may describe another job.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from operators.errors import BundleError, SettingsError
from operators.model.bundle_files import manifest_sum, read_manifest
from operators.settings import Settings
from pipelines.submission.cluster import Cluster

OPTION = "pipeline.global-job-parameters"  # Flink shows them by its REST interface: /jobs/ID/config
SUM, NAME, FOLDER = "liveshelf.bundle-sum", "liveshelf.bundle", "liveshelf.bundle-folder"


class ServedBundle(NamedTuple):
    """The job's note: sha256 of the bundle's manifest, the bundle's name and version, its folder at the submission."""

    sum: str
    name: str
    folder: Path


def with_note(settings: Settings, shipped: Path, folder: Path) -> Settings:
    """The settings with a note of the bundle among the job parameters; `shipped` is the shipped copy of `folder`.

    Raises `SettingsError` if the job parameters of `[flink]` are no JSON object.
    """
    manifest = read_manifest(shipped)
    note = {
        SUM: manifest_sum(shipped),
        NAME: f"{manifest['name']} {manifest['version']}",
        FOLDER: str(folder.resolve()),
    }
    configured = settings.flink.get(OPTION, "{}")
    try:
        parameters = {str(name): str(value) for name, value in json.loads(configured).items()} | note
    except (ValueError, AttributeError) as error:
        raise SettingsError(
            f"{OPTION} in [flink] as a JSON object", configured[:200], 'write it as {"name": "value"}'
        ) from error
    return settings.model_copy(update={"flink": settings.flink | {OPTION: json.dumps(parameters)}})


def served_bundle(cluster: Cluster, job_id: str) -> ServedBundle:
    """The bundle of the running job `job_id`; raises `BundleError` for a job without a note."""
    config: dict[str, Any] = cluster.get(f"/jobs/{job_id}/config")
    parameters = config.get("execution-config", {}).get("user-config", {})
    try:
        return ServedBundle(parameters[SUM], parameters[NAME], Path(parameters[FOLDER]))
    except KeyError as error:
        raise BundleError(
            f"job {job_id} to say which bundle it serves",
            f"no {error} among its parameters: it was submitted by an older liveshelf",
            "liveshelf stop, then liveshelf resume with the bundle that it serves",
        ) from error


def find_bundle(served: ServedBundle, folders: Iterable[Path]) -> Path:
    """The first folder with exactly that bundle; raises `BundleError`."""
    rejected = []
    for folder in folders:
        try:
            manifest = read_manifest(folder)
        except BundleError:
            rejected.append(f"none in {folder}")
            continue
        if manifest_sum(folder) == served.sum:
            return folder
        rejected.append(f"{manifest['name']} {manifest['version']} in {folder}")
    raise BundleError(
        f"the bundle {served.name}, which the job serves, on this disk",
        ", ".join(rejected) or "no folder",
        "name its folder with --bundle",
    )
