"""The jars of the broker and the connector: fetched by Maven, checked against the committed sums."""

import hashlib
import subprocess

from deploy.local.layout import HERE, Layout, tool
from operators.errors import StackError

CONNECTOR = "flink-sql-connector-kafka-5.0.0-2.2.jar"


def expected_sums() -> dict[str, str]:
    """File name -> sha256, from jars.sha256."""
    lines = (HERE / "jars.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def wrong_jars(layout: Layout) -> dict[str, str]:
    """File name -> what is wrong with it ("missing" or the sum found); empty when all is well."""
    wrong = {}
    for name, digest in expected_sums().items():
        file = layout.jars / name
        found = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "missing"
        if found != digest:
            wrong[name] = found
    return wrong


def ensure_jars(layout: Layout) -> None:
    """Fetches what is missing or differs; raises `StackError` when Maven fails or a sum is still wrong."""
    if not wrong_jars(layout):
        return
    layout.jars.mkdir(parents=True, exist_ok=True)
    command = [
        tool("mvn", "maven"), "-q", "-B", "-f", str(HERE / "pom.xml"),
        "dependency:copy-dependencies", f"-DoutputDirectory={layout.jars}",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise StackError("Maven to fetch the jars", done.stdout[-800:].strip(), "check the network and run it again")
    if wrong := wrong_jars(layout):
        name, found = next(iter(wrong.items()))
        raise StackError(f"{name} with the sum of deploy/local/jars.sha256", found, f"remove {layout.jars} and retry")
