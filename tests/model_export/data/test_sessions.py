"""Session files: what is read, what is cleaned, what is refused."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from model_export.data.sessions import read_sessions, session_examples
from operators.errors import EventsFileError


def write(folder: Path, train: list[object], prefixes: list[object], targets: list[object], **columns) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"items": train, **columns}), folder / "train.parquet")
    pq.write_table(pa.table({"prefix": prefixes, "target": targets}), folder / "test.parquet")
    return folder


def test_a_folder_becomes_sessions_and_questions(tmp_path: Path) -> None:
    session_set = read_sessions(write(tmp_path, [[1, 2, 3], [2, 3]], [[1, 2], [9]], [3, 8]))
    words = session_set.vocabulary()
    assert words.item_ids == ["2", "3", "1"]
    questions = session_set.questions(words)
    assert questions.target.tolist() == [2, 0]
    assert questions.features.length.tolist() == [2, 0]
    assert questions.features.items[0, :2].tolist() == [3, 1]
    assert session_set.cleaning["test"]["targets never seen in training (misses for every model)"] == 1


def test_ids_may_be_text_and_sessions_are_put_in_their_order(tmp_path: Path) -> None:
    session_set = read_sessions(write(tmp_path, [["b", "c"], ["a", "b"]], [["a"]], ["b"], session=[5, 1]))
    assert session_set.train == [["a", "b"], ["b", "c"]]


def test_what_cannot_teach_is_dropped_and_counted(tmp_path: Path) -> None:
    session_set = read_sessions(write(tmp_path, [[1, 2], [3], [], None, [4, None, 5]], [[1], []], [2, 2]))
    assert session_set.train == [["1", "2"], ["4", "5"]]
    assert session_set.cleaning["train"] == {
        "in": 5, "dropped: no item": 2, "items without an id": 1, "dropped: one item": 1, "out": 2,
    }  # fmt: skip
    assert session_set.cleaning["test"]["dropped: no prefix or target"] == 1


def test_every_view_is_learned_with_the_session_before_it(tmp_path: Path) -> None:
    session_set = read_sessions(write(tmp_path, [[1, 2, 1], [2, 1]], [[1]], [2]))
    view_examples = session_examples(session_set.train, session_set.vocabulary(), window=20)
    assert view_examples.target.tolist() == [1, 2, 1, 2, 1]
    assert view_examples.features.length.tolist() == [0, 1, 2, 0, 1]
    assert (np.diff(view_examples.time_ms) > 0).all()


@pytest.mark.parametrize(
    ("train", "prefixes", "targets", "expected"),
    [
        ([], [[1]], [2], "two items or more"),
        ([[1], [2]], [[1]], [2], "two items or more"),
        ([[1, 2]], [], [], "prefix and a target"),
        ([[1, 2]], [[]], [2], "prefix and a target"),
    ],
)
def test_too_little_is_said(tmp_path: Path, train: list, prefixes: list, targets: list, expected: str) -> None:
    types = pa.list_(pa.int32())
    folder = write(tmp_path, pa.array(train, types), pa.array(prefixes, types), pa.array(targets, pa.int32()))
    with pytest.raises(EventsFileError, match=expected):
        read_sessions(folder)


def test_an_interrupted_download_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path, [[1, 2]] * 100, [[1]], [2])
    content = (folder / "train.parquet").read_bytes()
    (folder / "train.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(EventsFileError, match="fetch the file again"):
        read_sessions(folder)


def test_a_missing_file_and_a_missing_column_are_named(tmp_path: Path) -> None:
    with pytest.raises(EventsFileError, match=r"train\.parquet"):
        read_sessions(tmp_path)
    folder = write(tmp_path, [[1, 2]], [[1]], [2])
    pq.write_table(pa.table({"clicks": [[1, 2]]}), folder / "train.parquet")
    with pytest.raises(EventsFileError, match="column items"):
        read_sessions(folder)


def test_whole_numbers_as_fractions_are_their_digits_and_what_is_no_id_is_counted(tmp_path: Path) -> None:
    nan = float("nan")
    session_set = read_sessions(
        write(tmp_path, [[1012.0, nan, 7.0], [1012.0, 7.5, 9.0], [nan]], [[7.0, nan], [7.0]], [9.0, nan])
    )
    assert session_set.train == [["1012", "7"], ["1012", "9"]]
    assert (session_set.prefixes, session_set.targets) == ([["7"]], ["9"])
    assert session_set.cleaning["train"]["items without an id"] == 3
    assert session_set.cleaning["test"]["dropped: no prefix or target"] == 1


def test_a_placeholder_is_no_item(tmp_path: Path) -> None:
    session_set = read_sessions(write(tmp_path, [["a", "nan", "b"], ["b", "None", "c "]], [["a"]], ["b"]))
    assert session_set.train == [["a", "b"], ["b", "c"]]
