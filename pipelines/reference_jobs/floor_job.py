"""A job that only copies records between topics: the floor of freshness. `benchmarks.running_stack.floor` submits it."""

import json
import sys
from pathlib import Path

from pyflink.table import EnvironmentSettings, TableEnvironment


def main() -> None:
    """Argument: a JSON file with Flink's `options`, the `tables` as DDL, and the `insert`."""
    job = json.loads(Path(sys.argv[1]).read_text())
    tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
    for name, value in job["options"].items():
        tables.get_config().set(name, value)
    for ddl in job["tables"]:
        tables.execute_sql(ddl)
    print(f"JobID {tables.execute_sql(job['insert']).get_job_client().get_job_id()}")


if __name__ == "__main__":
    main()
