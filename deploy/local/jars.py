"""The jars of the broker and the connector: Maven fetches them, and their SHA-256 must match the committed ones."""

import hashlib
import subprocess

from deploy.local.layout import HERE, Layout, tool
from operators.errors import StackError

COPY = "org.apache.maven.plugins:maven-dependency-plugin:copy-dependencies"  # of the version that pom.xml names
CONNECTOR = "flink-sql-connector-kafka-5.0.0-2.2.jar"


def expected_sums() -> dict[str, str]:
    """File name -> sha256, from jars.sha256."""
    lines = (HERE / "jars.sha256").read_text().splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def wrong_jars(layout: Layout) -> dict[str, str]:
    """File name -> "missing", "unknown", or its wrong SHA-256; empty when all jars are right.

    The broker's class path is the whole folder, so an unknown jar would run in the broker.
    """
    expected = expected_sums()
    wrong = dict.fromkeys(
        (jar.name for jar in layout.jars.glob("*.[jJ][aA][rR]") if jar.name not in expected), "unknown"
    )
    for name, digest in expected.items():
        file = layout.jars / name
        actual = hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else "missing"
        if actual != digest:
            wrong[name] = actual
    return wrong


def ensure_jars(layout: Layout) -> None:
    """Fetches missing and wrong jars. Raises `StackError` for an unknown jar, a Maven failure or a wrong SHA-256."""
    wrong = wrong_jars(layout)
    _refuse_unknown(layout, wrong)
    if not wrong:
        return
    layout.jars.mkdir(mode=0o700, parents=True, exist_ok=True)
    command = [
        tool("mvn", "maven"), "-q", "-B", "--strict-checksums", "-f", str(HERE / "pom.xml"),
        COPY, f"-DoutputDirectory={layout.jars}",
    ]  # fmt: skip
    process = subprocess.run(command, capture_output=True, text=True)
    if process.returncode:
        raise StackError("Maven to fetch the jars", process.stdout[-800:].strip(), "check the network and run it again")
    if wrong := wrong_jars(layout):
        _refuse_unknown(layout, wrong)
        name, problem = next(iter(wrong.items()))
        raise StackError(f"{name} with the sum of deploy/local/jars.sha256", problem, f"remove {layout.jars} and retry")


def _refuse_unknown(layout: Layout, wrong: dict[str, str]) -> None:
    if unknown := sorted(name for name, problem in wrong.items() if problem == "unknown"):
        raise StackError(
            f"the jars of deploy/local/jars.sha256 alone in {layout.jars}",
            f"{', '.join(unknown[:3])}, which would run in the broker",
            f"rm {layout.jars / unknown[0]}"
            if len(unknown) == 1
            else f"remove {layout.jars}; `liveshelf up` fetches it",
        )
