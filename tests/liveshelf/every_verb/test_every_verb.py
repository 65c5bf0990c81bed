"""Every verb where something is wrong around it: one line that says what, in seconds, and never a traceback."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.bad_records import good_event
from tests.builders import write_bundle
from tests.liveshelf.every_verb.verbs import WITHOUT_SETTINGS, WORDS, verbs
from tests.places import ROOT

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


def settings_text(folder: Path, port: int, extra: str = "") -> str:
    ports = "".join(f"{name} = {port}\n" for name in STACK_PORTS)
    return f"""[kafka]
bootstrap = "127.0.0.1:{port}"
{extra}
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


Runs = dict[str, dict[str, Any]]  # verb -> code, seconds and output


def placed(folder: Path, settings: str, environment: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """A run of every verb in a new folder with this file of settings."""
    (folder / "out").mkdir(parents=True)
    (folder / "liveshelf.toml").write_text(settings)
    (folder / "events.jsonl").write_text(json.dumps(good_event()) + "\n")
    (folder / "other").mkdir()
    (folder / "other" / "thesis.tex").touch()  # `up` must start nothing here: this is no folder for a stack
    write_bundle(folder / "bundle")
    paths = {"out": folder / "out", "events": folder / "events.jsonl", "bundle": folder / "bundle"}
    own = {name: value for name, value in os.environ.items() if not name.startswith("LIVESHELF_")}
    runs = []
    for verb, (words, _) in WORDS.items():
        starts = {"LIVESHELF_STACK__DATA_DIR": str(folder / "other")} if verb in ("up", "demo") else {}
        arguments = [*verb.split(), *(word.format_map(paths) for word in words.split())]
        runs.append({"words": arguments, "environment": own | starts | (environment or {}), "folder": str(folder)})
    return runs


def run_verbs(situations: dict[str, list[dict[str, Any]]], *words: str) -> dict[str, Runs]:
    """Situation -> what became of each verb; all in one process that starts the others."""
    command = [sys.executable, "-m", "tests.liveshelf.every_verb.verb_runs", *words]
    runs = json.dumps([run for runs in situations.values() for run in runs])
    process = subprocess.run(command, input=runs, cwd=ROOT, capture_output=True, text=True, check=True)
    answers = iter(json.loads(process.stdout))
    return {name: dict(zip(WORDS, islice(answers, len(WORDS)), strict=True)) for name in situations}


@pytest.fixture(scope="module")
def runs_by_situation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Runs]]:
    folder = tmp_path_factory.mktemp("verbs")
    # one port refuses connections, and nobody else can take it meanwhile; one takes connections and never answers
    with socket.socket() as closed, socket.create_server(("127.0.0.1", 0), backlog=1000) as silent:
        closed.bind(("127.0.0.1", 0))
        away, hung = (listener.getsockname()[1] for listener in (closed, silent))
        quick = [folder / name for name in ("hostile", "base")]
        situations = {
            "away": placed(folder / "away", settings_text(folder / "away", away)),
            "hung": placed(folder / "hung", settings_text(folder / "hung", hung)),
            "broken": placed(folder / "broken", settings_text(folder / "broken", away) + "[lists\n"),
            "hostile": placed(quick[0], settings_text(quick[0], away, QUICK), HOSTILE),
        }
        base = {"base": placed(quick[1], settings_text(quick[1], away, QUICK))}
        with ThreadPoolExecutor() as threads:
            futures = threads.submit(run_verbs, situations), threads.submit(run_verbs, base, "base")
        yield futures[0].result() | futures[1].result()


def check(runs: Runs, expected: dict[str, tuple[int, ...]] | None = None) -> None:
    failing = {}
    for verb, run in runs.items():
        code, output = run["code"], run["output"]
        says_why = code != 1 or "Next: " in output or verb in ("status", "doctor")  # these two show tables
        trace = "Traceback" in output or "internal error" in output
        if code not in (expected or {}).get(verb, WORDS[verb][1]) or trace or not says_why or run["seconds"] > SECONDS:
            failing[verb] = run
    assert not failing


@pytest.mark.slow
def test_nothing_runs_where_they_look(runs_by_situation: dict[str, Runs]) -> None:
    check(runs_by_situation["away"])


@pytest.mark.slow
def test_what_they_ask_takes_the_call_and_never_answers(runs_by_situation: dict[str, Runs]) -> None:
    check(runs_by_situation["hung"])


@pytest.mark.slow
def test_the_file_of_settings_is_broken(runs_by_situation: dict[str, Runs]) -> None:
    failing = {verb: (1,) for verb in WORDS if verb not in WITHOUT_SETTINGS}
    check(runs_by_situation["broken"], failing)
    for verb in failing:
        output = runs_by_situation["broken"][verb]["output"]
        assert "liveshelf.toml" in output and "[lists" in output, verb


@pytest.mark.slow
def test_the_environment_is_somebody_elses(runs_by_situation: dict[str, Runs]) -> None:
    check(runs_by_situation["hostile"])


@pytest.mark.slow
def test_the_optional_packages_are_not_installed(runs_by_situation: dict[str, Runs]) -> None:
    """`replay` and what else the README shows needs the base install alone; the others name the extra."""
    check(runs_by_situation["base"])
    extras = {
        verb
        for verb, run in runs_by_situation["base"].items()
        if "`train`" in run["output"] or "`report`" in run["output"]
    }
    assert extras == {
        "train",
        "tune",
        "evaluate",
        "export",
        "profile",
        "bench seeds",
        "bench transfer",
        "search encoder",
    }
