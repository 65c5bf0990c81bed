"""Writes a bundle folder atomically, by rename."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from operators.errors import BundleError
from operators.model.bundle_files import MANIFEST, BundleFiles, file_hash, read_manifest
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.settings import ScorerSettings


@contextlib.contextmanager
def new_bundle(folder: Path) -> Iterator[Path]:
    """Yields a temporary folder that replaces `folder` at the end of the block.

    If an error occurs, `folder` stays as it was. Raises `BundleError` if the disk is full, and as `check_place` does.
    """
    folder = folder.resolve()  # a link stays; its target is replaced
    check_place(folder)
    part_folder = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(part_folder, ignore_errors=True)
        part_folder.mkdir(parents=True)
        yield part_folder
        _replace(folder, part_folder)
    except OSError as error:
        raise BundleError(
            f"room for a bundle in {folder.parent}", str(error), "free the disk, then do it again"
        ) from error
    finally:
        shutil.rmtree(part_folder, ignore_errors=True)


def check_place(folder: Path) -> None:
    """Raises `BundleError` if `folder` contains files that belong to no bundle: only a bundle may be replaced."""
    try:
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
            return
        foreign = [folder.name] if folder.is_file() else BundleFiles(folder).unlisted()
    except BundleError:  # no manifest, or not one of a bundle
        foreign = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise BundleError(f"a folder {folder} that can be looked into", str(error.strerror), "name another") from error
    if foreign:
        ellipsis = ", …" if len(foreign) > 3 else ""
        raise BundleError(
            f"no folder, an empty one or a bundle at {folder}",
            f"{', '.join(foreign[:3])}{ellipsis}, which no bundle holds and which would be gone",
            "name another folder with --out, or move what lies there away",
        )


def _replace(folder: Path, part_folder: Path) -> None:
    """Swaps the folders. For a moment neither exists, but never a half-written one."""
    if folder.exists():
        older = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(older, ignore_errors=True)
        folder.rename(older)
        part_folder.rename(folder)
        shutil.rmtree(older)
    else:
        part_folder.rename(folder)


def add_file(folder: Path, name: str, facts: dict[str, Any]) -> None:
    """Enters a file that was written into the bundle in `folder`, and `facts`, into its manifest, which is replaced by rename."""
    manifest = read_manifest(folder) | facts
    manifest["files"][name] = file_hash(folder / name)
    part_file = folder / ".manifest.part"
    part_file.write_text(json.dumps(manifest, indent=2) + "\n")
    part_file.rename(folder / MANIFEST)


def write_manifest(folder: Path, facts: dict[str, Any]) -> None:
    """Writes the manifest of all files in the folder with a new version, and runs the scorer's checks. Raises `BundleError`."""
    created = datetime.now(UTC)
    manifest = {
        "name": facts["name"],
        "version": created.strftime("%Y%m%d.%H%M%S"),
        "created": created.isoformat(timespec="seconds"),
    }
    manifest |= {name: value for name, value in facts.items() if name not in manifest}
    manifest["files"] = {file.name: file_hash(file) for file in sorted(folder.iterdir()) if file.name != MANIFEST}
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n")
    Scorer(ModelBundle.load(folder), ScorerSettings(provider="cpu"))
