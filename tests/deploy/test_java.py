from pathlib import Path

import pytest

from deploy.local import stack
from deploy.local.java import java_versions
from operators.errors import StackError
from tests.deploy.test_local_stack import settings

OPENJDK = 'openjdk version "{}" 2026-07-21\nOpenJDK Runtime Environment\n'


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Makes a `java` that prints a text, first on PATH; returns its path."""

    def make(text: str, folder: str = "path") -> Path:
        program = tmp_path / folder / "bin" / "java"
        program.parent.mkdir(parents=True)
        program.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{text}END\n")
        program.chmod(0o755)
        if folder == "path":
            monkeypatch.setattr("deploy.local.java.tool", lambda *_: str(program))
        return program

    monkeypatch.delenv("JAVA_HOME", raising=False)
    return make


@pytest.mark.parametrize("version", ["17.0.2", "17", "21.0.1", "25-ea"])
def test_a_java_that_is_new_enough(java, version: str) -> None:
    program = java(OPENJDK.format(version))
    assert java_versions() == {str(program): f'version "{version}"'}


def test_options_that_java_picks_up_are_not_its_version(java) -> None:
    program = java(
        "Picked up JAVA_TOOL_OPTIONS: -Dversion=1\nPicked up _JAVA_OPTIONS: -Xmx1g\n" + OPENJDK.format("17.0.2")
    )
    assert java_versions() == {str(program): 'version "17.0.2"'}


@pytest.mark.parametrize("version", ["1.8.0_392", "11.0.21", "16"])
def test_an_old_java_is_refused_by_up_in_one_line(java, version: str, tmp_path: Path) -> None:
    program = java(OPENJDK.format(version))
    with pytest.raises(StackError, match=f'Java 17 or newer at {program}; came version "{version}"') as refused:
        stack.start_stack(settings(tmp_path))
    assert "openjdk-17" in str(refused.value) and "PATH" in str(refused.value)


def test_the_java_that_flink_takes_counts_too(java, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java(OPENJDK.format("17"))
    monkeypatch.setenv("JAVA_HOME", str(java(OPENJDK.format("11.0.2"), "home").parent.parent))
    with pytest.raises(StackError, match="this one is from JAVA_HOME"):
        java_versions()
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "none"))
    with pytest.raises(StackError, match="No such file"):
        java_versions()


def test_a_java_that_does_not_run_is_said(java) -> None:
    java("Error: could not find libjava.so\n")
    with pytest.raises(StackError, match=r"libjava\.so"):
        java_versions()
