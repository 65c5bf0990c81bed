"""Checks the Java versions of the stack: the broker uses the one on PATH, Flink's scripts prefer JAVA_HOME."""

import os
import re
import subprocess
from pathlib import Path

from deploy.local.layout import tool
from operators.errors import StackError

OLDEST = 17  # of Kafka 4's broker
PACKAGE = "openjdk-17-jre-headless"
# HotSpot's second compiler works for the long run: by default it compiles whatever was called 5,000 times, and takes a core
# for the first minute of a TaskManager, which makes its lists late. Here it waits for ten times as many calls. What runs at
# thousands of lists a second is compiled seconds later, what runs at a few hundred one by one (docs/notebook/freshness.md)
PATIENT_COMPILER = tuple(
    f"-XX:Tier4{name}={10 * calls}"
    for name, calls in {
        "InvocationThreshold": 5_000,
        "MinInvocationThreshold": 600,
        "CompileThreshold": 15_000,
        "BackEdgeThreshold": 40_000,
    }.items()
)
_VERSION = re.compile(r'version "(?:1\.)?(\d+)[^"]*"')


def java_versions() -> dict[str, str]:
    """Path of each `java` -> its version. Raises `StackError` when one is missing, fails or is too old."""
    programs = [tool("java", PACKAGE)]
    if home := os.environ.get("JAVA_HOME"):
        programs.append(str(Path(home) / "bin" / "java"))
    return {program: _version(program) for program in programs}


def _version(program: str) -> str:
    try:
        process = subprocess.run([program, "-version"], capture_output=True, text=True, errors="replace", timeout=20)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _refusal(program, str(error)) from error
    # with JAVA_TOOL_OPTIONS or _JAVA_OPTIONS, java prints lines before the version
    output = process.stderr + process.stdout
    version = _VERSION.search(output)
    if version is None or int(version[1]) < OLDEST:
        raise _refusal(program, version[0] if version else output[-400:].strip() or "no version")
    return version[0]


def _refusal(program: str, answer: str) -> StackError:
    variable = "JAVA_HOME" if program != tool("java", PACKAGE) else "PATH"
    return StackError(
        f"Java {OLDEST} or newer at {program}",
        answer,
        f"apt-get install {PACKAGE}, and name it first in PATH and in JAVA_HOME (this one is from {variable})",
    )
