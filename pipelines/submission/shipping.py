"""The shipped folder of a submission: the kernel, the rooms that a TaskManager runs, and the bundle."""

import shutil
import uuid
from pathlib import Path

import operators
import pipelines
from operators.model.bundle_files import BundleFiles

JOB_ROOMS = ("job", "scoring")  # rooms of `pipelines` that a TaskManager runs
BRIDGE = "bridge"  # the folder of the Java half


def stage(folder: Path, bundle: Path) -> str:
    """Copies the rooms and the bundle into `folder`; returns the name of a marker file, unique to this call.

    Copies and verifies the bundle's files that its manifest names; raises `BundleError`. The marker tells the operator
    which folder on its interpreter's path belongs to this submission.
    """
    kernel, job = (Path(next(iter(package.__path__))) for package in (operators, pipelines))
    shutil.copytree(kernel, folder / "operators", ignore=_left_behind)
    for room in JOB_ROOMS:
        shutil.copytree(job / room, folder / "pipelines" / room, ignore=_left_behind)
    shutil.copy(job / "__init__.py", folder / "pipelines")
    BundleFiles(bundle).copy(folder / "bundle")
    marker = f"ship-{uuid.uuid4().hex}"
    (folder / marker).touch()
    return marker


def _left_behind(folder: str, names: list[str]) -> set[str]:
    """Of a copied folder: caches, and all but the jar of the Java half."""
    caches = {"__pycache__"}
    return {name for name in names if not name.endswith(".jar")} if Path(folder).name == BRIDGE else caches
