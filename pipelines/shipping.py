"""What a submission carries: the kernel, the job and the bundle in one folder, so that any cluster can run them."""

import shutil
import uuid
from pathlib import Path

import operators
import pipelines
from operators.model.bundle_files import BundleFiles

ROOMS = (operators, pipelines)


def stage(folder: Path, bundle: Path) -> str:
    """Copies the rooms and the bundle into `folder`; returns the name of a marker file that is new each time.

    Of the bundle only what its manifest names, verified: raises `BundleError`. The marker tells the operator which of
    the folders on its interpreter's path is this submission's.
    """
    for room in ROOMS:
        (source,) = room.__path__
        target = folder / room.__name__
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "cli"))
    BundleFiles(bundle).copy(folder / "bundle")
    marker = f"ship-{uuid.uuid4().hex}"
    (folder / marker).touch()
    return marker
