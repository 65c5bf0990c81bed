"""What a foreign folder can try: other files, other bytes after the check, files without end, JSON without bottom."""

import json
import logging
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from operators.errors import BundleError
from operators.model import bundle_files, model_bundle
from operators.model.bundle_files import BundleFiles, file_hash, weights_trained_s
from operators.model.model_bundle import ModelBundle
from operators.model.scorer import Scorer
from operators.settings import ScorerSettings
from tests.builders import write_bundle, write_manifest

CPU = ScorerSettings(provider="cpu")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle")


def in_manifest(folder: Path, **facts: Any) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | facts))


def listed(folder: Path, name: str, digest: object = "0" * 64) -> None:
    in_manifest(folder, files=json.loads((folder / "manifest.json").read_text())["files"] | {name: digest})


def refused(folder: Path, match: str) -> None:
    with pytest.raises(BundleError, match=match) as said:
        Scorer(ModelBundle.load(folder), CPU)
    assert said.value.fix


def test_weights_in_another_file_are_refused(folder: Path) -> None:
    """They were outside every sum: each of them could be changed, and all checks passed."""
    model = onnx.load(str(folder / "model.onnx"))
    onnx.save(model, str(folder / "model.onnx"), save_as_external_data=True, location="weights.data", size_threshold=0)
    write_manifest(folder)
    refused(folder, "another file")


def test_a_graph_that_is_exchanged_after_the_check_does_not_serve(folder: Path, tmp_path: Path) -> None:
    bundle = ModelBundle.load(folder)
    other = write_bundle(tmp_path / "other", items=9)
    shutil.copy(other / "model.onnx", folder / "model.onnx")
    with pytest.raises(BundleError, match="sha256"):
        Scorer(bundle, CPU)


def test_the_session_has_the_bytes_that_were_hashed_and_keeps_none(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checked = model_bundle.refuse_other_files

    def exchanged(graph: bytes) -> None:
        checked(graph)
        (folder / "model.onnx").write_bytes(b"something else")

    monkeypatch.setattr(model_bundle, "refuse_other_files", exchanged)
    scorer = Scorer(ModelBundle.load(folder), CPU)  # the golden check passes: it is the graph that was hashed
    assert scorer._session._model_bytes is None


def test_no_other_format_than_onnx_is_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = []

    class Session(ort.InferenceSession):
        def __init__(self, graph: bytes, options: ort.SessionOptions, **settings: object) -> None:
            given.append((type(graph), options.get_session_config_entry("session.load_model_format")))
            super().__init__(graph, options, **settings)

    monkeypatch.setattr(ort, "InferenceSession", Session)
    Scorer(ModelBundle.load(folder), CPU)
    assert given == [(bytes, "ONNX")]


def a_link(file: Path) -> None:
    elsewhere = file.with_name("elsewhere")
    file.rename(elsewhere)
    file.symlink_to(elsewhere)


def a_pipe(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("name", ["model.onnx", "items.json", "popular.npy", "manifest.json"])
@pytest.mark.parametrize("spoil", [a_link, a_pipe, a_folder])
def test_only_regular_files_are_read(folder: Path, name: str, spoil: Callable[[Path], None]) -> None:
    spoil(folder / name)
    refused(folder, f"the file {name}")
    assert len(ModelBundle.load_fallbacks(folder).vocabulary) in (0, 8)


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/b", ".hidden", "", "manifest.json", "a\x00b"])
def test_the_manifest_names_files_of_the_folder_alone(folder: Path, name: str) -> None:
    listed(folder, name)
    refused(folder, "plain file names")


@pytest.mark.parametrize("digest", [7, None, "short", "G" * 64, ["0" * 64]])
def test_a_sum_that_is_none_is_refused(folder: Path, digest: object) -> None:
    listed(folder, "more.npy", digest)
    refused(folder, "sha256 of more.npy")


@pytest.mark.parametrize("key", ["name", "version"])
@pytest.mark.parametrize("value", ["../../tmp/x", "", "a" * 65, 7, None, {"a": 1}, "new\nline", ".hidden"])
def test_names_that_would_lead_out_of_a_folder_are_refused(folder: Path, key: str, value: object) -> None:
    """The operator makes the name of the crash journal's file of them."""
    in_manifest(folder, **{key: value})
    refused(folder, f"a {key} of")


@pytest.mark.parametrize("created", ["yesterday", 7, {"a": 1}])
def test_a_time_that_is_none_is_refused_before_a_metric_is_made_of_it(folder: Path, created: object) -> None:
    in_manifest(folder, created=created)
    refused(folder, "created")


@pytest.mark.parametrize("name", ["manifest.json", "items.json", "reference.json"])
def test_json_without_bottom_is_an_error_and_not_a_crash(folder: Path, name: str) -> None:
    (folder / name).write_text("[" * 100_000)
    if name != "manifest.json":
        write_manifest(folder)
    refused(folder, name)


def item_ids(*items: object) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / "items.json").write_text(json.dumps(items))

    return spoil


@pytest.mark.parametrize(
    "spoil",
    [item_ids(*[f"i{n}" for n in range(7)], "x" * 129), item_ids(*[""] * 8), item_ids(*range(8)), item_ids(*["\ud800"] * 8)],
)  # fmt: skip
def test_item_ids_are_those_that_an_event_may_name(folder: Path, spoil: Callable[[Path], None]) -> None:
    spoil(folder)
    write_manifest(folder)
    refused(folder, "item ids")


def test_everything_has_a_limit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, limit, match in (
        (bundle_files, "MAX_MANIFEST", "manifest.json of at most 10 bytes"),
        (bundle_files, "MAX_FILES", "at most 10 files"),
        (bundle_files, "MAX_BUNDLE", "a bundle of at most 10 bytes"),
        (model_bundle, "MAX_ITEMS", "model|at most 5 items"),
        (model_bundle, "MAX_GOLDEN", "golden_items.npy of at most 10 bytes"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(module, limit, 5 if limit == "MAX_ITEMS" else 10)
            refused(folder, match)
    with (folder / "huge.npy").open("wb") as file:
        file.truncate(bundle_files.MAX_FILE + 1)
    listed(folder, "huge.npy")
    refused(folder, "huge.npy of at most")


def npy(header: str, numbers: bytes = b"") -> bytes:
    """As numpy writes version 1.0."""
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + numbers


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (npy("{'descr': '<i4', 'fortran_order': False, 'shape': (1000000000000,), }"), "what its header says"),
        (npy("{'descr': '<i4', 'fortran_order': False, 'shape': (-1,), }", b"1234"), "what its header says"),
        (npy("{'descr': '<i4', 'fortran_order': False, 'shape': (1,), }", b"12345678"), "what its header says"),
        (npy("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", b"12345678"), "pickle"),
        (npy("{'descr': '<M8[s]', 'fortran_order': False, 'shape': (1,), }", b"12345678"), "plain numbers"),
        (npy("{'descr': '<i4'" + "(" * 5000), "array of numbers"),
        (b"PK\x03\x04" + b"\x00" * 100, "array of numbers"),
        (b"\x93NUMPY\x09\x00" + b"\x00" * 100, "array of numbers"),
        (b"", "array of numbers"),
    ],
)
def test_an_array_is_what_it_says_and_no_more(folder: Path, content: bytes, match: str) -> None:
    (folder / "popular.npy").write_bytes(content)
    write_manifest(folder)
    refused(folder, match)


def test_arrays_come_out_as_numpy_wrote_them(folder: Path) -> None:
    near = np.asfortranarray(np.load(folder / "neighbours.npy"))
    np.save(folder / "neighbours.npy", near)
    np.save(folder / "trending.npy", np.zeros(0, dtype=np.int32))
    write_manifest(folder)
    bundle = ModelBundle.load(folder)
    np.testing.assert_array_equal(bundle.neighbours, near)
    assert bundle.trending.shape == (0,)
    for name, golden in bundle.golden.items():
        np.testing.assert_array_equal(golden, np.load(folder / f"golden_{name}.npy"))


def test_vectors_that_are_finite_only_in_a_wider_type_are_refused(folder: Path) -> None:
    np.save(folder / "vectors.npy", np.full((9, 2), 1e300))
    write_manifest(folder)
    refused(folder, "finite item vectors")


def test_golden_scores_of_nobody_prove_nothing(folder: Path) -> None:
    for name in model_bundle.GOLDEN:
        golden = np.load(folder / f"golden_{name}.npy")
        np.save(folder / f"golden_{name}.npy", golden[:0])
    write_manifest(folder)
    refused(folder, "golden items")


def test_what_the_manifest_does_not_name_is_said_and_left_behind(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (folder / "weights.data").write_bytes(b"of nobody")
    with caplog.at_level(logging.WARNING):
        bundle = ModelBundle.load(folder)
    assert "weights.data" in caplog.text
    BundleFiles(folder).copy(tmp_path / "copy")
    assert BundleFiles(tmp_path / "copy").unlisted() == []
    assert file_hash(tmp_path / "copy" / "model.onnx") == bundle.graph_sum
    Scorer(ModelBundle.load(tmp_path / "copy"), CPU)


def test_a_copy_is_of_what_was_verified(folder: Path, tmp_path: Path) -> None:
    (folder / "popular.npy").write_bytes(b"other")
    with pytest.raises(BundleError, match="sha256"):
        BundleFiles(folder).copy(tmp_path / "copy")


def test_a_file_that_is_named_and_missing_is_missed_also_where_nobody_reads_it(folder: Path) -> None:
    (folder / "training.jsonl").write_text("{}\n")
    write_manifest(folder)
    ModelBundle.load(folder)
    (folder / "training.jsonl").write_text("{}\n\n")
    refused(folder, "training.jsonl with sha256")
    (folder / "training.jsonl").unlink()
    refused(folder, "the file training.jsonl")


@pytest.mark.parametrize(
    ("manifest", "seconds"),
    [
        ({"created": "2026-11-28T12:00:00+00:00"}, 1_795_867_200),
        ({"created": "2026-11-28T12:00:00+00:00", "trained_at": 1_700_000_000_500}, 1_700_000_000.5),
        ({"created": "yesterday"}, 0),
        ({}, 0),
    ],
)
def test_weights_are_as_old_as_the_trainer_says_else_as_the_bundle(manifest: dict[str, object], seconds: float) -> None:
    assert weights_trained_s(manifest) == seconds
