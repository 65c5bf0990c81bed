"""What users did before an experiment: narrower intervals by CUPED (`operators/experiments/cuped.py`)."""

import csv
from collections.abc import Iterable
from math import isfinite
from pathlib import Path
from typing import Any

from operators.configuration.kafka_settings import KafkaSettings
from operators.errors import LiveshelfError
from operators.experiments.outcomes import LABELS
from operators.feedback.final_examples import final_examples
from operators.kafka_io.read_to_end import read_topic
from operators.records.contracts import EXAMPLES
from operators.time_units import DAY_MS
from pipelines.reports.experiment_examples import read_example


def read_history(file: Path) -> dict[str, float]:
    """User -> value, from lines `user_id,value` without a heading. Raises `LiveshelfError` for another line."""
    history: dict[str, float] = {}
    try:
        with file.open(newline="", encoding="utf-8") as lines:
            for number, line in enumerate(csv.reader(lines), start=1):
                try:
                    user, value = line[0], float(line[1])
                except (IndexError, ValueError):
                    raise _bad_line(file, number, line) from None
                if len(line) != 2 or not isfinite(value) or user in history:
                    raise _bad_line(file, number, line)
                history[user] = value
    except (OSError, UnicodeDecodeError) as error:
        raise LiveshelfError("a CSV file of user_id,value", f"{file}: {error}", "name another file") from error
    return history


def _bad_line(file: Path, number: int, line: list[str]) -> LiveshelfError:
    return LiveshelfError(
        "lines of user_id,value, each user once, with a finite number",
        f"{','.join(line)[:80]!r} in line {number} of {file}",
        "correct or remove the line",
    )


def history_before(kafka: KafkaSettings, started_ms: int, days: float, metric: str) -> dict[str, float]:
    """User -> items with the outcome `metric` or a better one in the days before the start. Raises `BrokerError`."""
    return outcomes_before(read_topic(kafka, EXAMPLES, int(started_ms - days * DAY_MS)), started_ms, metric)


def outcomes_before(records: Iterable[Any], started_ms: int, metric: str) -> dict[str, float]:
    """As `history_before`, of the records of the topic. Users without an example before the start are left out.

    An outcome that was written after the start counts nothing, whenever its item was shown: the arm may have caused it.
    """
    before = (read_example(record.value) for record in records if record.timestamp < started_ms)
    history: dict[str, float] = {}
    for example in final_examples(example for example in before if example is not None).values():
        is_good = LABELS.index(example.label) >= LABELS.index(metric)
        history[example.user_id] = history.get(example.user_id, 0.0) + is_good
    return history
