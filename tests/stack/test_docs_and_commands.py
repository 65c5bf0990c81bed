"""What the README and the docs say is run as it stands there."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from operators.settings import load_settings
from tests.running_stack import ROOT, Stack
from tests.second_shop import write_second_shop
from tests.stack.topics import eventually


def blocks(page: str, language: str) -> list[str]:
    """The fenced code blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), re.MULTILINE | re.DOTALL)


def test_the_producer_and_the_consumer_of_the_docs_run(stack: Stack, job: str, tmp_path: Path) -> None:
    said = {}
    for page, part in (("docs/events.md", "shop"), ("docs/lists.md", "storefront")):
        (code,) = blocks(page, "python")
        script = tmp_path / f"{Path(page).stem}.py"
        with pytest.MonkeyPatch.context() as patch:
            for name, value in stack.variables_of(part).items():
                patch.setenv(name, value)
            secured = load_settings().kafka.security.python_options()  # none on a plain stack
        address = f'"{stack.settings.kafka.bootstrap}", **{secured!r}'
        assert '"127.0.0.1:9092"' in code
        script.write_text(code.replace('"127.0.0.1:9092"', address))
        assert len(code.strip().splitlines()) <= 26
        done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        said[page] = done.stdout
        eventually(lambda: "docs-reader" in stack.topics.newest_lists())
    assert said["docs/events.md"] == "published 3 events\n"
    assert re.search(r"^docs-reader \d+ \d+ (model|popular) \['", said["docs/lists.md"], re.MULTILINE)


def test_the_first_event_of_the_readme(stack: Stack, job: str) -> None:
    publish, read, show = block_of_docs("first event")
    shell = [text.replace("http://127.0.0.1:8000", stack.shop) for text in (publish, read)]
    taken = subprocess.run(["bash", "-c", shell[0]], capture_output=True, text=True, timeout=60)
    assert taken.stdout == '{"taken":1}', taken.stdout + taken.stderr

    def answer() -> dict[str, object]:
        return json.loads(subprocess.run(["bash", "-c", shell[1]], capture_output=True, text=True, timeout=60).stdout)

    eventually(lambda: answer()["known"])
    assert len(answer()["items"]) == 3
    assert "me: version" in stack.liveshelf(*show.split()[1:]).stderr


def block_of_docs(name: str) -> list[str]:
    """The commands of the README's block below the comment `tested: NAME`; one may go on after a backslash."""
    readme = (ROOT / "README.md").read_text()
    return (
        readme.split(f"<!-- tested: {name} -->")[1]
        .split("```bash\n")[1]
        .split("```")[0]
        .strip()
        .replace("\\\n", "")
        .splitlines()
    )


@pytest.mark.slow
def test_a_shop_of_ones_own_in_six_commands(stack: Stack, tmp_path: Path) -> None:
    name = write_second_shop(tmp_path)
    commands = block_of_docs("own shop")
    assert [command.split()[1] for command in commands] == ["validate", "train", "submit", "models", "replay", "lists"]
    stack.forget_job()
    try:
        run_own_shop(stack, tmp_path, name, commands)
    finally:
        stack.liveshelf("models", "reset", "--why", "the test is over")


def run_own_shop(stack: Stack, tmp_path: Path, name: str, commands: list[str]) -> None:
    users = [json.loads(line)["user_id"] for line in (tmp_path / "events.jsonl").read_text().splitlines()[:5000]]
    printed = []
    for command in commands:
        words = command.split()[1:]
        if words[0] == "train":
            words += ["--epochs", "2"]
        if words[0] == "lists":
            words[1] = users[-1]
        done = run_in(tmp_path, words)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        printed.append(f"$ {command}\n{done.stdout}{done.stderr}")
        if words[0] == "replay":
            eventually(lambda: users[-1] in stack.topics.newest_lists())
    print(f"on {name}:\n" + "\n".join(printed))
    chain = run_in(tmp_path, ["bundle", "lineage", "bundles/mine"]).stderr
    assert all(word in chain for word in ("events.jsonl: sha256", "window", "training   run", "as Flink job"))
    newest = json.loads(run_in(tmp_path, ["lists", users[-1], "--json"]).stdout)
    assert newest["model"]["name"] == "small"
    assert newest["source"] in ("model", "popular")
    assert len(newest["items"]) == 20
    own = {json.loads(line)["item_id"] for line in (tmp_path / "catalogue.jsonl").read_text().splitlines()}
    strangers = f"{stack.shop}/v1/users/{tmp_path.name}-stranger/recommendations?limit=5"
    eventually(lambda: {item["item_id"] for item in httpx.get(strangers).json()["items"]} & own)
    assert {item["item_id"] for item in httpx.get(strangers).json()["items"]} <= own, "popular items of another shop"


def run_in(folder: Path, words: list[str]) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "liveshelf"), *words]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=400, env=os.environ)


def test_status_and_doctor_speak_json(stack: Stack, job: str) -> None:
    status = json.loads(stack.liveshelf("status", "--json").stdout)
    assert status["healthy"]
    assert [one["state"] for one in status["jobs"]] == ["RUNNING"]
    doctor = json.loads(stack.liveshelf("doctor", "--json").stdout)
    assert doctor["provider"]["says"]
    assert doctor["jars"]["ok"]


def test_a_second_up_reuses_the_stack_and_a_second_submit_is_refused(stack: Stack, job: str) -> None:
    assert "runs already" in stack.liveshelf("up").stderr
    assert "two jobs would write the same lists" in " ".join(stack.liveshelf("submit", ok=False).stderr.split())


def test_the_freshness_bench_prints_one_object(stack: Stack, job: str) -> None:
    words = ["bench", "freshness", "--rate", "100", "--seconds", "5", "--warm-up", "3", "--users", "200", "--json"]
    found = json.loads(stack.liveshelf(*words).stdout)
    assert found["users_unanswered"] == 0
    assert found["versions_fell"] == 0
    assert found["lists"] > 200
    assert found["freshness_ms"]["p50"] < 1000
