import subprocess
import sys
from pathlib import Path

import pytest

from operators.errors import SettingsError
from operators.feedback.join_limits import LONGEST_JOINED
from operators.settings import JobSettings, Settings
from pipelines.job.engine import STATE_UID, flink_options
from pipelines.local.local_submission import with_places
from pipelines.submission import launcher
from pipelines.submission.cluster import python_part
from pipelines.submission.launcher import shipped_settings
from pipelines.submission.shipping import stage
from tests.builders import write_bundle


def settings(**sections) -> Settings:
    return Settings.of_dump(Settings.model_construct().model_dump() | sections)


def test_the_job_runs_in_thread_mode_and_says_so_in_its_state() -> None:
    assert flink_options(settings())["python.execution-mode"] == "thread"
    assert STATE_UID.endswith("thread")


def test_flinks_own_settings_pass_through_but_not_another_execution_mode() -> None:
    assert flink_options(settings(flink={"state.backend.type": "hashmap"}))["state.backend.type"] == "hashmap"
    with pytest.raises(SettingsError, match="thread"):
        flink_options(settings(flink={"python.execution-mode": "process"}))


def test_lists_that_the_feedback_join_cannot_keep_are_refused() -> None:
    joined, long = {"enabled": True}, {"size": LONGEST_JOINED + 1}
    assert flink_options(settings(feedback=joined, lists={"size": LONGEST_JOINED}))
    assert flink_options(settings(lists=long))
    with pytest.raises(SettingsError, match=f"at most {LONGEST_JOINED}.*came {LONGEST_JOINED + 1}"):
        flink_options(settings(feedback=joined, lists=long))


def test_a_submission_carries_code_and_bundle_under_a_marker_of_its_own(tmp_path: Path) -> None:
    bundle = write_bundle(tmp_path / "b")
    (bundle / "notes.txt").write_text("of nobody")
    first_marker, second_marker = stage(tmp_path / "one", bundle), stage(tmp_path / "two", bundle)
    assert first_marker != second_marker
    assert (tmp_path / "one" / first_marker).is_file()
    assert (tmp_path / "one" / "operators" / "shopper" / "user_state.py").is_file()
    assert (tmp_path / "one" / "pipelines" / "job" / "recommend.py").is_file()
    rooms = {path.name for path in (tmp_path / "one" / "pipelines").iterdir()}
    assert rooms == {"__init__.py", "job", "scoring"}, "what a TaskManager does not run stays at home"
    shipped = {file.name for file in (tmp_path / "one" / "bundle").iterdir()}
    assert shipped == {file.name for file in bundle.iterdir()} - {"notes.txt"}


def test_the_python_lines_of_a_java_trace_are_what_is_shown() -> None:
    trace = "\n".join(
        ["java.lang.RuntimeException: x", "\tat org.apache.Foo(Foo.java:1)"] * 20
        + ["Caused by: pemja.core.PythonException: <class 'KeyError'>: 'a'", "\tat /ship/operators/x.open(x.py:7)"]
    )
    shown = python_part(trace)
    assert "KeyError" in shown
    assert "x.py:7" in shown
    assert "Foo.java" not in shown


def test_what_opens_the_cluster_is_not_shipped_to_it() -> None:
    job = {"rest_url": "https://shop:secret@flink/x", "rest_ca_file": "/my/ca.pem", "rest_cert_file": "/my/own.pem"}
    shipped = shipped_settings(settings(job=JobSettings.model_validate(job)))
    assert shipped.job.rest_url == "https://flink:443/x"
    assert "secret" not in str(shipped.model_dump()) and "/my/" not in str(shipped.model_dump())


def test_the_local_stack_gets_this_machines_places_and_another_cluster_finds_its_own(tmp_path: Path) -> None:
    local = with_places(settings(), tmp_path / "tables", tmp_path / "targets").job
    assert (local.python, local.tables_dir) == (sys.executable, str(tmp_path / "tables"))
    remote = with_places(settings(), None, None).job
    assert (remote.python, remote.tables_dir, remote.metrics_targets_dir) == ("python3", "", "")
    configured = with_places(settings(job=JobSettings(python="/opt/py", tables_dir="/t")), tmp_path, tmp_path).job
    assert (configured.python, configured.tables_dir) == ("/opt/py", "/t"), "what the settings name wins"


def test_flinks_client_is_told_the_whole_address_but_no_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = list[list[str]]()
    process = subprocess.CompletedProcess([], 0, stdout=f"JobID {'a' * 32}", stderr="")
    monkeypatch.setattr(launcher.subprocess, "run", lambda command, **_: commands.append(command) or process)
    monkeypatch.setattr(launcher, "prepare_client", lambda job, environment, scratch: {})
    job = JobSettings(rest_url="https://shop:secret@flink.example.com/team/a/", python="/opt/python3")
    job_id, _ = launcher.run_client(job, {"FLINK_BIN_DIR": "/f"}, ["-py", "x.py"], tmp_path)
    assert job_id == "a" * 32
    (command,) = commands
    assert command[command.index("-m") + 1] == "https://flink.example.com:443/team/a"
    assert command[command.index("-pyexec") + 1] == "/opt/python3"
    assert command[command.index("-pyclientexec") + 1] == sys.executable
    assert "secret" not in " ".join(command)
