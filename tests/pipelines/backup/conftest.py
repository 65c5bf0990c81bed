"""The job that is backed up."""

from pathlib import Path

import pytest

from pipelines.backup import backup
from tests.builders import write_bundle
from tests.pipelines.backup.fake_job import Job, Topic


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    fake_job = Job(tmp_path, write_bundle(tmp_path / "bundle"))
    Topic.ranges = []
    monkeypatch.setattr(backup, "Cluster", fake_job)
    monkeypatch.setattr(backup, "TopicRange", Topic)
    return fake_job
