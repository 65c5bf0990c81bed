"""What a submission carries: the kernel, the rooms that a TaskManager runs and the bundle in one folder, so that any cluster can run them."""

import shutil
import uuid
from pathlib import Path

import operators
import pipelines
from operators.model.bundle_files import BundleFiles

JOB_ROOMS = ("job", "scoring")  # of `pipelines`: what a TaskManager runs


def stage(folder: Path, bundle: Path) -> str:
    """Copies the rooms and the bundle into `folder`; returns the name of a marker file that is new each time.

    Of the bundle only what its manifest names, verified: raises `BundleError`. The marker tells the operator which of
    the folders on its interpreter's path is this submission's.
    """
    kernel, job = (Path(next(iter(package.__path__))) for package in (operators, pipelines))
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(kernel, folder / "operators", ignore=ignore)
    for room in JOB_ROOMS:
        shutil.copytree(job / room, folder / "pipelines" / room, ignore=ignore)
    shutil.copy(job / "__init__.py", folder / "pipelines")
    BundleFiles(bundle).copy(folder / "bundle")
    marker = f"ship-{uuid.uuid4().hex}"
    (folder / marker).touch()
    return marker
