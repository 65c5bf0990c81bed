"""What `liveshelf tidy` finds and removes."""

import time
from pathlib import Path
from typing import Any

import pytest

from operators.settings import Settings, StackSettings
from pipelines.local import tidying
from pipelines.local.tidying import find_leftovers
from tests.pipelines.submission.test_checkpoint_orphans import NAMES, NOW, file, metadata


class Cluster:
    """One job runs, and it is ours."""

    def __init__(self, job: Any) -> None: ...

    def jobs(self, name: str | None = None) -> list[dict[str, str]]:
        return [{"jid": "now"}]


@pytest.mark.parametrize("earlier_jobs", [False, True])
def test_leftovers_are_found_and_removed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, earlier_jobs: bool) -> None:
    monkeypatch.setattr(tidying, "Cluster", Cluster)
    monkeypatch.setattr(time, "time", lambda: NOW)
    folder = tmp_path / "checkpoints"
    metadata(folder / "now", 3, 50, NAMES[0])
    needed = file(folder / "now" / "shared" / NAMES[0], 900)
    metadata(folder / "before", 9, 2000, NAMES[1])
    replaced = file(folder / "before" / "shared" / NAMES[1], 2000)
    orphan = file(folder / "now" / "shared" / NAMES[2], 900)
    leftovers = find_leftovers(Settings(stack=StackSettings(data_dir=str(tmp_path))), 600, earlier_jobs=earlier_jobs)
    files = leftovers.files()
    assert orphan in files and needed not in files
    assert (replaced in files) == bool(leftovers.jobs) == earlier_jobs
    orphan.unlink()  # by Flink, meanwhile
    leftovers.remove()
    assert needed.exists() and replaced.exists() != earlier_jobs
    assert not [path for path in files if path.exists()]
