"""The rows of a parquet file, a batch at a time."""

from collections.abc import Iterator
from math import isnan
from pathlib import Path
from typing import Any

import msgspec

from operators.adapters.containers.row import Row
from operators.errors import EventsFileError

BATCH = 1000


def columns_of(file: Path, lower: bool) -> tuple[str, ...]:
    """The names of the columns."""
    return tuple(name.lower() if lower else name for name in _opened(file).schema_arrow.names)


def rows(file: Path, lower: bool) -> Iterator[Row]:
    """Times become ISO 8601 (UTC where the file names no zone), decimals text; NaN is no value."""
    import pyarrow as pa

    number, names = 0, columns_of(file, lower)
    for batch in _opened(file).iter_batches(BATCH):
        columns = [
            column.cast(pa.timestamp("us", column.type.tz), safe=False) if _is_ns(column.type) else column
            for column in batch.columns
        ]
        for cells in zip(*(column.to_pylist() for column in columns), strict=True):
            number += 1
            pairs = zip(names, cells, strict=True)
            yield Row(number, {name: msgspec.to_builtins(cell) for name, cell in pairs if not _is_empty(cell)})


def _is_ns(kind: Any) -> bool:
    return str(kind).startswith("timestamp[ns")


def _is_empty(cell: Any) -> bool:
    return cell is None or cell == "" or (isinstance(cell, float) and isnan(cell))


def _opened(file: Path) -> Any:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(file)
    except pa.ArrowException as error:
        raise EventsFileError(f"a whole parquet file in {file}", str(error)[:200], "copy or export it again") from error
