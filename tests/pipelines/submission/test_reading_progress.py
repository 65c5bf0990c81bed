"""Waits for a job while it makes progress."""

from types import SimpleNamespace
from typing import Any

import pytest
from kafka import TopicPartition

from operators.errors import BrokerError, ClusterError
from operators.settings import KafkaSettings, Settings
from pipelines.submission import reading_progress
from pipelines.submission.reading_progress import wait_until_read

FIRST, SECOND = TopicPartition("shop.a", 0), TopicPartition("shop.a", 1)


class Admin:
    """The group's offset at each request; repeats the last one."""

    def __init__(self, *offsets: int) -> None:
        self._offsets = list(offsets)

    def __call__(self, settings: KafkaSettings, **options: Any) -> "Admin":
        return self

    def list_group_offsets(self, groups: list[str]) -> Any:
        offset = self._offsets.pop(0) if len(self._offsets) > 1 else self._offsets[0]
        return {groups[0]: {FIRST: SimpleNamespace(offset=offset)}}

    def close(self) -> None:
        pass


def wait_with(monkeypatch: pytest.MonkeyPatch, admin: Admin, *jobs: str) -> None:
    seconds = iter(range(0, 100_000, 50))
    clock = SimpleNamespace(monotonic=lambda: next(seconds), sleep=lambda seconds: None)
    cluster = SimpleNamespace(jobs=lambda: [{"jid": job} for job in jobs], close=lambda: None)
    monkeypatch.setattr(reading_progress, "time", clock)
    monkeypatch.setattr(reading_progress, "new_admin", admin)
    monkeypatch.setattr(reading_progress, "Cluster", lambda url: cluster)
    wait_until_read(Settings.of_dump(Settings.model_construct().model_dump()), "a", {FIRST: 30, SECOND: 0})


def test_a_job_is_waited_for_as_long_as_it_gets_on(monkeypatch: pytest.MonkeyPatch) -> None:
    wait_with(monkeypatch, Admin(*range(0, 31)), "a")


def test_a_job_that_stands_still_or_ends_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BrokerError, match="topics create --alter"):
        wait_with(monkeypatch, Admin(0, 5), "a")
    with pytest.raises(ClusterError, match="it ended"):
        wait_with(monkeypatch, Admin(0, 5), "another")
