"""How a bundle appears: whole, by rename, or not at all."""

import contextlib
import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from operators.errors import BundleError
from operators.model.bundle_files import MANIFEST, BundleFiles, file_hash
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.settings import ScorerSettings


@contextlib.contextmanager
def new_bundle(folder: Path) -> Iterator[Path]:
    """A folder to write into, which takes the place of `folder` at the end of the block, if nothing failed.

    Raises `BundleError` where the disk is full, and as `check_place` does; what was there before stays.
    """
    folder = folder.resolve()  # a link stays, and what it leads to is replaced
    check_place(folder)
    aside = folder.with_name(f".{folder.name}.part")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        yield aside
        _replace(folder, aside)
    except OSError as error:
        raise BundleError(
            f"room for a bundle in {folder.parent}", str(error), "free the disk, then do it again"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def check_place(folder: Path) -> None:
    """Raises `BundleError` where a new bundle in `folder` would take away what is no bundle: only an older bundle is replaced."""
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


def _replace(folder: Path, aside: Path) -> None:
    """For a moment there is neither, never half of one."""
    if folder.exists():
        older = folder.with_name(f".{folder.name}.old")
        shutil.rmtree(older, ignore_errors=True)
        folder.rename(older)
        aside.rename(folder)
        shutil.rmtree(older)
    else:
        aside.rename(folder)


def write_manifest(folder: Path, facts: dict[str, Any]) -> None:
    """A new version, now, of all files that lie in the folder; then all checks of the scorer. Raises `BundleError`."""
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
