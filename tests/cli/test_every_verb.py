"""Every verb where something is wrong around it: one line that says what, in seconds, and never a traceback."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bad_records import good_event
from tests.builders import write_bundle
from tests.cli.verbs import WITHOUT_SETTINGS, WORDS, verbs

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 10
STACK_PORTS = (
    "controller_port", "jobmanager_rpc_port", "prometheus_port", "alertmanager_port", "flink_metrics_port",
    "broker_metrics_port", "zookeeper_port",
)  # fmt: skip
# what Kubernetes, a company's network and a Java tool leave in an environment
HOSTILE = {
    "LIVESHELF_PORT": "tcp://10.96.0.10:80",
    "LIVESHELF_SERVICE_HOST": "10.96.0.10",
    "LIVESHELF_STOREFRONT_PORT_8000_TCP_ADDR": "10.96.0.11",
    "LIVESHELF_STOREFRONT_SERVICE_PORT_HTTP": "8000",
    "HTTP_PROXY": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "ALL_PROXY": "socks5://127.0.0.1:1080",
    "JAVA_TOOL_OPTIONS": "-Dfile.encoding=UTF-8",
    "_JAVA_OPTIONS": "-Dx=y",
    "COLUMNS": "7",
    "TERM": "none",
    "LC_ALL": "C",
    "PYTHONWARNINGS": "ignore",
}


def test_there_are_words_for_every_verb_and_none_for_another() -> None:
    assert [name for name, _ in verbs() if name not in WORDS] == [], "a new verb: say in verbs.py how it is tried"
    assert WORDS.keys() == {name for name, _ in verbs()}


@pytest.fixture(scope="module")
def closed() -> Iterator[int]:
    """A port that refuses connections, and that nobody else can take meanwhile."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


@pytest.fixture(scope="module")
def silent() -> Iterator[int]:
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=1000) as listening:
        yield listening.getsockname()[1]


def settings_text(folder: Path, port: int, more: str = "") -> str:
    ports = "".join(f"{name} = {port}\n" for name in STACK_PORTS)
    return f"""[kafka]
bootstrap = "127.0.0.1:{port}"
{more}
[job]
rest_url = "http://127.0.0.1:{port}"
state_digests = true
[storefront]
port = {port}
[monitor]
port = {port}
[bundle]
path = "{folder}/bundle"
[stack]
data_dir = "{folder}/stack"
jars_dir = "{folder}/jars"
{ports}"""


QUICK = '[kafka.client.python]\n"bootstrap.timeout.ms" = "500"\n'  # where the time is measured in another situation


def tried(
    folder: Path, settings: str, environment: dict[str, str] | None = None, *, base: bool = False
) -> dict[str, dict[str, Any]]:
    """Each verb -> code, seconds and output of its run beside a file of settings."""
    (folder / "liveshelf.toml").write_text(settings)
    (folder / "events.jsonl").write_text(json.dumps(good_event()) + "\n")
    (folder / "other").mkdir()
    (folder / "other" / "thesis.tex").touch()  # `up` must start nothing here: this is no folder for a stack
    write_bundle(folder / "bundle")
    places = {"out": folder / "out", "events": folder / "events.jsonl", "bundle": folder / "bundle"}
    places["out"].mkdir()
    own = {name: value for name, value in os.environ.items() if not name.startswith("LIVESHELF_")}
    runs = []
    for verb, (words, _) in WORDS.items():
        starts = {"LIVESHELF_STACK__DATA_DIR": str(folder / "other")} if verb in ("up", "demo") else {}
        given = [*verb.split(), *(word.format_map(places) for word in words.split())]
        runs.append({"words": given, "environment": own | starts | (environment or {}), "folder": str(folder)})
    command = [sys.executable, "-m", "tests.cli.verb_runs", *(["base"] if base else [])]
    done = subprocess.run(command, input=json.dumps(runs), cwd=ROOT, capture_output=True, text=True, check=True)
    return dict(zip(WORDS, json.loads(done.stdout), strict=True))


def check(found: dict[str, dict[str, Any]], expected: dict[str, tuple[int, ...]] | None = None) -> None:
    wrong = {}
    for verb, run in found.items():
        code, output = run["code"], run["output"]
        says_why = code != 1 or "Next: " in output or verb in ("status", "doctor")  # these two show tables
        trace = "Traceback" in output or "internal error" in output
        if code not in (expected or {}).get(verb, WORDS[verb][1]) or trace or not says_why or run["seconds"] > SECONDS:
            wrong[verb] = run
    assert not wrong


def test_nothing_runs_where_they_look(closed: int, tmp_path: Path) -> None:
    check(tried(tmp_path, settings_text(tmp_path, closed)))


def test_what_they_ask_takes_the_call_and_never_answers(silent: int, tmp_path: Path) -> None:
    check(tried(tmp_path, settings_text(tmp_path, silent)))


def test_the_file_of_settings_is_broken(closed: int, tmp_path: Path) -> None:
    found = tried(tmp_path, settings_text(tmp_path, closed) + "[lists\n")
    failing = {verb: (1,) for verb in WORDS if verb not in WITHOUT_SETTINGS}
    check(found, failing)
    for verb in failing:
        assert "liveshelf.toml" in found[verb]["output"] and "[lists" in found[verb]["output"], verb


def test_the_environment_is_somebody_elses(closed: int, tmp_path: Path) -> None:
    check(tried(tmp_path, settings_text(tmp_path, closed, QUICK), HOSTILE))


def test_the_optional_packages_are_not_installed(closed: int, tmp_path: Path) -> None:
    """`replay` and what else the README shows needs the base install alone; the others name the extra."""
    found = tried(tmp_path, settings_text(tmp_path, closed, QUICK), base=True)
    extras = {verb for verb, run in found.items() if "the extra `" in run["output"] or "torch" in run["output"]}
    assert extras == {
        "train", "tune", "evaluate", "export", "profile", "bench tasks", "bench seeds", "bench transfer",
    }  # fmt: skip
    check(found)
