"""Checks the Java versions of the stack: the broker uses the one on PATH, Flink's scripts prefer JAVA_HOME."""

import os
import re
import subprocess
from pathlib import Path

from deploy.local.layout import tool
from operators.errors import StackError

OLDEST = 17  # of Kafka 4's broker
PACKAGE = "openjdk-17-jre-headless"
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
