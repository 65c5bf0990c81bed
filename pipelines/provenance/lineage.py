"""Lineage of bundles: OpenLineage events of train, export and submit.

Events go to a file of JSON lines, or to an OpenLineage server (`[lineage]`). A bundle's manifest holds the training run
and its inputs too, so the chain does not depend on the file.
"""

import importlib.metadata
import json
import logging
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.transport.file import FileConfig, FileTransport
from openlineage.client.transport.http import HttpConfig, HttpTransport
from openlineage.client.uuid import generate_new_uuid

from operators.model.bundle_files import file_hash
from operators.settings import Settings, project_root
from pipelines.topics.event_export import ORIGIN

log = logging.getLogger(__name__)
NAMESPACE = "liveshelf"
PRODUCER = "https://liveshelf.invalid/lineage"  # OpenLineage requires an address; this one does not exist


@dataclass(frozen=True)
class Dataset:
    """An input or output: a file, a range of a topic, a bundle. `facts` identify its version."""

    name: str
    facts: dict[str, Any] = field(default_factory=dict)

    def of_kind(self, kind: type[InputDataset] | type[OutputDataset]) -> Any:
        """As an OpenLineage dataset, with the facts in a custom facet."""
        facet = {"_producer": PRODUCER, "_schemaURL": f"{PRODUCER}#facet", **self.facts}
        return kind(namespace=NAMESPACE, name=self.name, facets={"liveshelf": facet})  # type: ignore[dict-item]


def code_version() -> str:
    """The commit of this code, with `-dirty` if files differ; outside a checkout the package's version."""
    root = project_root()
    command = ["git", "-C", str(root), "describe", "--always", "--dirty", "--abbrev=12"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return importlib.metadata.version("liveshelf")


def file_dataset(file: Path) -> list[Dataset]:
    """A file by name and hash; for an export also the topic with its offsets."""
    datasets = [Dataset(file.name, {"sha256": file_hash(file), "bytes": file.stat().st_size})]
    note = file.with_name(file.name + ORIGIN)
    if note.is_file():
        origin = json.loads(note.read_text())
        datasets.append(Dataset(origin["topic"], {"offsets": origin["offsets"], "exported_at": origin["exported_at"]}))
    return datasets


def bundle_dataset(manifest: dict[str, Any]) -> Dataset:
    """A bundle by name, version and the hash of its graph."""
    return Dataset(f"bundle/{manifest['name']}/{manifest['version']}", {"graph": manifest["files"]["model.onnx"]})


class Lineage:
    """Sends events of runs. Logs a warning if the server does not answer."""

    def __init__(self, settings: Settings) -> None:
        self._file = settings.resolve(settings.lineage.file)
        url = settings.lineage.url
        if url:
            self._client = OpenLineageClient(transport=HttpTransport(HttpConfig(url=url)))
        else:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            self._client = OpenLineageClient(
                transport=FileTransport(FileConfig(log_file_path=str(self._file), append=True))
            )

    @staticmethod
    def new_run() -> str:
        """An id for a run."""
        return str(generate_new_uuid())

    def emit(
        self,
        run_id: str,
        job: str,
        state: RunState,
        inputs: Sequence[Dataset] = (),
        outputs: Sequence[Dataset] = (),
        **facts: Any,
    ) -> None:
        """Sends one event. `job`: train, export or submit."""
        facet = {"_producer": PRODUCER, "_schemaURL": f"{PRODUCER}#facet", "code": code_version(), **facts}
        event = RunEvent(
            eventType=state,
            eventTime=datetime.now(UTC).isoformat(),
            run=Run(runId=run_id, facets={"liveshelf": facet}),  # type: ignore[dict-item]
            job=Job(namespace=NAMESPACE, name=job),
            producer=PRODUCER,
            inputs=[dataset.of_kind(InputDataset) for dataset in inputs],
            outputs=[dataset.of_kind(OutputDataset) for dataset in outputs],
        )
        try:
            self._client.emit(event)
        except Exception as error:  # the transports raise what their libraries raise
            log.warning("lineage of %s was not sent: %r", job, error)

    def events(self) -> list[dict[str, Any]]:
        """The events in the file, oldest first."""
        if not self._file.is_file():
            return []
        return [json.loads(line) for line in self._file.read_text().splitlines() if line.strip()]

    def submissions_of(self, manifest: dict[str, Any]) -> list[dict[str, Any]]:
        """The events of the submissions of a bundle."""
        name = bundle_dataset(manifest).name
        return [
            event
            for event in self.events()
            if event["job"]["name"] == "submit" and name in [dataset["name"] for dataset in event.get("inputs", ())]
        ]


def chain(manifest: dict[str, Any], submissions: Sequence[dict[str, Any]]) -> list[str]:
    """Lines of text, from the training data to the jobs that served the bundle."""
    lineage, window = manifest.get("lineage") or {}, manifest.get("trained_on", {})
    lines = []
    for dataset in lineage.get("inputs", []):
        facts = ", ".join(f"{name} {value}" for name, value in dataset.items() if name != "name")
        lines.append(f"data       {dataset['name']}: {facts}")
    if window:
        begin, end = (
            datetime.fromtimestamp(window[name] / 1000, UTC).isoformat(timespec="seconds")
            for name in ("from_ms", "to_ms")
        )
        lines.append(f"window     {begin} to {end} of {window.get('events') or window.get('sessions', '?')}")
    lines.append(f"training   run {lineage.get('run_id', 'not recorded')}, code {lineage.get('code', 'not recorded')}")
    graph = manifest["files"].get("model.onnx", "?")
    lines.append(f"bundle     {manifest['name']} {manifest['version']}, graph sha256 {graph[:12]}…")
    for event in submissions:
        job = event["run"]["facets"]["liveshelf"]
        lines.append(f"submitted  {event['eventTime']} as Flink job {job.get('flink_job')}, code {job.get('code')}")
    return lines if submissions else [*lines, "submitted  never, as far as this lineage knows"]


class TrainingLineage:
    """Sends the start and the end of a training. `facts` go into the bundle's manifest."""

    def __init__(self, settings: Settings, files: Sequence[Path]) -> None:
        self._lineage = Lineage(settings)
        self._inputs = [dataset for file in files for dataset in file_dataset(file)]
        self._run = self._lineage.new_run()
        self.facts = {
            "run_id": self._run,
            "code": code_version(),
            "inputs": [{"name": dataset.name, **dataset.facts} for dataset in self._inputs],
        }
        self._lineage.emit(self._run, "train", RunState.START, self._inputs)

    def failed(self, error: BaseException) -> None:
        """The training ended without a bundle."""
        self._lineage.emit(self._run, "train", RunState.FAIL, self._inputs, error=repr(error)[:300])

    def completed(self, manifest: dict[str, Any]) -> None:
        """The bundle is exported and verified."""
        output, window = bundle_dataset(manifest), manifest["trained_on"]
        metrics = manifest["metrics"]["test"]
        self._lineage.emit(
            self._run, "train", RunState.COMPLETE, self._inputs, [output], window=window, metrics=metrics
        )
        self._lineage.emit(self._run, "export", RunState.COMPLETE, self._inputs, [output], opset=manifest["opset"])
