"""Which bundle a running job serves: the submission notes it in the job itself, where it lives as long as the job does.

The settings say what the next submission would take. What an audit log or a file says may be of another job.
"""

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from operators.errors import BundleError, SettingsError
from operators.model.bundle_files import MANIFEST, read_manifest
from operators.settings import Settings
from pipelines.submission.cluster import Cluster

OPTION = "pipeline.global-job-parameters"  # Flink shows them by its REST interface: /jobs/ID/config
SUM, NAME, FOLDER = "liveshelf.bundle-sum", "liveshelf.bundle", "liveshelf.bundle-folder"


class Served(NamedTuple):
    """What the job says: the sha256 of its bundle's manifest, the bundle's name and version, where it was submitted from."""

    sum: str
    name: str
    folder: Path


def with_note(settings: Settings, shipped: Path, folder: Path) -> Settings:
    """The settings of a submission that ships the bundle in `shipped`, copied from `folder`, with the note of it.

    Raises `SettingsError` where `[flink]` has job parameters that are no JSON object.
    """
    manifest = read_manifest(shipped)
    note = {
        SUM: manifest_sum(shipped),
        NAME: f"{manifest['name']} {manifest['version']}",
        FOLDER: str(folder.resolve()),
    }
    own = settings.flink.get(OPTION, "{}")
    try:
        parameters = {str(name): str(value) for name, value in json.loads(own).items()} | note
    except (ValueError, AttributeError) as error:
        raise SettingsError(
            f"{OPTION} in [flink] as a JSON object", own[:200], 'write it as {"name": "value"}'
        ) from error
    return settings.model_copy(update={"flink": settings.flink | {OPTION: json.dumps(parameters)}})


def served_bundle(cluster: Cluster, job_id: str) -> Served:
    """What the running job `job_id` was submitted with; raises `BundleError` where it does not say."""
    config: dict[str, Any] = cluster.get(f"/jobs/{job_id}/config")
    noted = config.get("execution-config", {}).get("user-config", {})
    try:
        return Served(noted[SUM], noted[NAME], Path(noted[FOLDER]))
    except KeyError as error:
        raise BundleError(
            f"job {job_id} to say which bundle it serves",
            f"no {error} among its parameters: it was submitted by an older liveshelf",
            "liveshelf stop, then liveshelf resume with the bundle that it serves",
        ) from error


def find_bundle(served: Served, folders: Iterable[Path]) -> Path:
    """The first of the folders that holds that very bundle; raises `BundleError`."""
    seen = []
    for folder in folders:
        try:
            manifest = read_manifest(folder)
        except BundleError:
            seen.append(f"none in {folder}")
            continue
        if manifest_sum(folder) == served.sum:
            return folder
        seen.append(f"{manifest['name']} {manifest['version']} in {folder}")
    raise BundleError(
        f"the bundle {served.name}, which the job serves, on this disk",
        ", ".join(seen) or "no folder",
        "name its folder with --bundle",
    )


def manifest_sum(folder: Path) -> str:
    """sha256 of a bundle's manifest, which holds the sums of all its files."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
