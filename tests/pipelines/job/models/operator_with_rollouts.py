"""An operator whose scorers are no processes, its topic of rollouts, and its store of bundles."""

import json
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry

from operators.experiments.assignment import Experiments
from operators.model.bundle_files import MANIFEST, manifest_sum, read_manifest
from operators.model.model_bundle import ModelBundle
from operators.records.contracts import Model, encode_record
from operators.rollout.bundle_store import put
from operators.rollout.rollout import BundleRef, Rollout
from operators.settings import Settings
from pipelines.job.models.model_metrics import ModelMetrics
from pipelines.job.models.served_models import ServedModels
from pipelines.job.models.serving import Place
from tests.builders import write_bundle
from tests.operators.kafka_io.fake_topic import Topic


class Process:
    """As `ScorerProcess`."""

    def __init__(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False


class Serving:
    """As `pipelines.job.models.serving.Serving`, without a process."""

    started: list["Serving"]
    waits: dict[str, Callable[[], None]]  # version -> what happens while its process starts
    follows: Callable[[], None]

    def __init__(self, folder: Path, place: Place, suffix: str = "") -> None:
        self.bundle, self.sum = ModelBundle.load(folder), manifest_sum(folder)
        self.model = Model(self.bundle.name, self.bundle.version)
        self.process = self.scorer = Process()
        self.owner = f"0{suffix}"
        (Path(place.settings.job.metrics_targets_dir) / f"scorer-{self.owner}.json").touch()
        self.has_left = False
        Serving.started.append(self)

    def wait(self, *, must_serve: bool) -> None:
        Serving.waits.get(self.model.version, lambda: None)()

    def follow(self, catalogue: object, demand: object) -> None:
        Serving.follows()

    def leave(self) -> None:
        self.has_left = True


class Table:
    """As a table of the catalogue, which opens once."""

    def __init__(self) -> None:
        self.is_open = False

    def open(self, timeout_s: float) -> bool:
        assert not self.is_open, "threads can only be started once"
        self.is_open = True
        return True

    def close(self) -> None:
        self.is_open = False


class Operator:
    """An operator with a topic of rollouts and a store of bundles."""

    def __init__(self, folder: Path) -> None:
        self.topic, self.folder, self.registry = Topic(), folder, CollectorRegistry()
        self.cache, self.store = folder / "cache", folder / "store"
        self.targets = folder / "targets"
        self.targets.mkdir()
        dump = Settings.model_construct().model_dump()
        dump["job"]["metrics_targets_dir"] = str(self.targets)
        self.settings = Settings.of_dump(dump)
        self.shipped = self.bundle("submitted")
        self.models = self.restarted()

    def bundle(self, version: str) -> Path:
        folder = write_bundle(self.folder / version)
        manifest = read_manifest(folder) | {"version": version}
        (folder / MANIFEST).write_text(json.dumps(manifest))
        return folder

    def stored(self, version: str) -> BundleRef:
        return put(self.bundle(version), str(self.store))

    def restarted(self) -> ServedModels:
        self.registry = CollectorRegistry()
        place = Place(self.settings, 0, "", ModelMetrics(self.registry), Experiments(self.settings.experiment))
        self.models = ServedModels(self.shipped, place)
        return self.models

    def write(self, rollout: Rollout | None) -> None:
        self.topic.append(self.settings.job.name, None if rollout is None else encode_record(rollout).decode())

    @property
    def versions(self) -> list[str]:
        """Of the places of a line-up, the champion's first."""
        served = self.models._served
        return [] if served is None else [serving.model.version for serving in served.servings]

    @property
    def open_versions(self) -> list[str]:
        return sorted(one.model.version for one in Serving.started if one.process.is_open)

    @property
    def revision(self) -> int:
        return self.models._follower.revision

    def sample(self, name: str) -> float | None:
        return self.registry.get_sample_value(name)
