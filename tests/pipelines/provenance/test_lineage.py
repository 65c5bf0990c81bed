"""The chain from topic to job, as OpenLineage events in a file."""

import json
from pathlib import Path

import pytest
from openlineage.client.event_v2 import RunState

from operators.settings import Settings
from pipelines.provenance.lineage import Lineage, TrainingLineage, bundle_dataset, chain, file_dataset
from pipelines.topics.event_export import ORIGIN

MANIFEST = {
    "name": "m", "version": "1", "files": {"model.onnx": "ab" * 32}, "opset": 18,
    "trained_on": {"events": "events.jsonl", "from_ms": 0, "to_ms": 86_400_000}, "metrics": {"test": {"m": {"MRR@20": 0.1}}},
}  # fmt: skip


def settings(tmp_path: Path, **lineage: str) -> Settings:
    dump = Settings.model_construct().model_dump()
    dump["lineage"] |= {"file": str(tmp_path / "lineage.jsonl")} | lineage
    return Settings.of_dump(dump)


def exported(tmp_path: Path) -> Path:
    file = tmp_path / "events.jsonl"
    file.write_text("{}\n")
    note = {"topic": "shop.events.v1", "offsets": {"0": [5, 9]}, "events": 4, "refused": 0, "exported_at": 1}
    (tmp_path / f"events.jsonl{ORIGIN}").write_text(json.dumps(note))
    return file


def test_a_file_brings_the_topic_it_was_exported_from(tmp_path: Path) -> None:
    file, topic = file_dataset(exported(tmp_path))
    assert (file.name, len(file.facts["sha256"])) == ("events.jsonl", 64)
    assert (topic.name, topic.facts["offsets"]) == ("shop.events.v1", {"0": [5, 9]})


def test_the_chain_from_offsets_to_the_flink_job(tmp_path: Path) -> None:
    lineage_settings = settings(tmp_path)
    training = TrainingLineage(lineage_settings, [exported(tmp_path)])
    manifest = MANIFEST | {"lineage": training.facts}
    training.completed(manifest)
    lineage = Lineage(lineage_settings)
    lineage.emit(lineage.new_run(), "submit", RunState.COMPLETE, [bundle_dataset(manifest)], flink_job="f1")
    kinds = [(event["job"]["name"], event["eventType"]) for event in lineage.events()]
    assert kinds == [("train", "START"), ("train", "COMPLETE"), ("export", "COMPLETE"), ("submit", "COMPLETE")]
    assert len({event["run"]["runId"] for event in lineage.events()[:3]}) == 1
    text = "\n".join(chain(manifest, lineage.submissions_of(manifest)))
    for expected in (
        "shop.events.v1",
        "'0': [5, 9]",
        "sha256",
        training.facts["run_id"],
        training.facts["code"],
        "Flink job f1",
    ):
        assert expected in text
    assert "never" in "\n".join(chain(MANIFEST | {"version": "2"}, []))


def test_a_training_that_failed_says_so(tmp_path: Path) -> None:
    training = TrainingLineage(settings(tmp_path), [])
    training.failed(ValueError("odd"))
    last = Lineage(settings(tmp_path)).events()[-1]
    assert (last["eventType"], last["run"]["facets"]["liveshelf"]["error"]) == ("FAIL", "ValueError('odd')")


@pytest.mark.slow
def test_a_server_that_does_not_answer_stops_nothing(tmp_path: Path) -> None:
    lineage = Lineage(settings(tmp_path, url="http://127.0.0.1:1"))
    lineage.emit(lineage.new_run(), "submit", RunState.COMPLETE)
