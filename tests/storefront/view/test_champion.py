"""Whose popular and similar items the storefront shows."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from operators.model.bundle_files import MANIFEST, read_manifest
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import encode_record
from operators.rollout import rollout_follower
from operators.rollout.bundle_store import put
from operators.rollout.rollout import BundleRef, Rollout, promoted, rolled_back, split
from operators.settings import Settings
from storefront.view.champion import Champion
from tests.builders import write_bundle
from tests.operators.kafka_io.fake_topic import TOPIC, Topic, until
from tests.operators.rollout.test_rollout import CHANGE


class Shop:
    """A storefront's champion, its topic, and the store."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.topic, self.served = folder, Topic(), list[str]()
        dump = Settings.model_construct().model_dump()
        dump["bundle"]["path"] = str(self.bundle("submitted"))
        self.settings = Settings.of_dump(dump)
        self.champion = Champion(self.settings, folder / "tables", self.topic.connect, self.serve)

    def serve(self, bundle: ModelBundle | None) -> None:
        self.served.append("none" if bundle is None else bundle.version)

    def bundle(self, version: str) -> Path:
        folder = write_bundle(self.folder / version)
        (folder / MANIFEST).write_text(json.dumps(read_manifest(folder) | {"version": version}))
        return folder

    def stored(self, version: str) -> BundleRef:
        return put(self.bundle(version), str(self.folder / "store"))

    def write(self, rollout: Rollout | None) -> None:
        self.topic.append(self.settings.job.name, None if rollout is None else encode_record(rollout).decode())


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(rollout_follower, "RETRY_S", 0.05)
    monkeypatch.setattr("storefront.view.champion.MODELS", TOPIC)
    made = Shop(tmp_path)
    yield made
    made.champion.close()


def followed(shop: Shop, rollout: Rollout) -> Callable[[], bool]:
    return lambda: shop.champion._follower.revision == rollout.revision


def test_it_is_loaded_when_it_changes_alone(shop: Shop) -> None:
    first = promoted(None, shop.stored("first"), CHANGE)
    shop.champion.open()
    shop.write(first)
    until(followed(shop, first))
    shared = split(first, shop.stored("challenger"), 0.1, CHANGE)
    shop.write(shared)
    until(followed(shop, shared))
    assert shop.served == ["first"]
    shop.write(None)
    until(lambda: shop.served == ["first", "submitted"])
    shop.write(first)
    until(lambda: shop.served == ["first", "submitted", "first"])


def test_a_rollback_does_not_need_the_store(shop: Shop) -> None:
    first = promoted(None, shop.stored("first"), CHANGE)
    second = promoted(first, shop.stored("second"), CHANGE)
    shop.champion.open()
    for rollout in (first, second):
        shop.write(rollout)
        until(followed(shop, rollout))
    (shop.folder / "store").rename(shop.folder / "away")
    shop.write(rolled_back(second, CHANGE))
    until(lambda: shop.served == ["first", "second", "first"])
