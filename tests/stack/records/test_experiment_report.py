"""`liveshelf experiments report` on examples that a real broker holds: committed ones alone, each by its last revision."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from operators.kafka_io.kafka_clients import new_producer
from operators.records.contracts import EXAMPLES
from tests.running_stack import Stack

pytestmark = pytest.mark.slow
USERS = 400  # of each arm
ARMS = {"control": 0.5, "wide": 0.5}


def example(name: str, user: int, **fields: Any) -> bytes:
    """The first revision of what one user saw; users are in the arms in turn."""
    arm = "wide" if user % 2 else "control"
    return json.dumps(
        {
            "example_id": f"{name}-{user}",
            "revision": 0,
            "recommendation_id": f"{name}-{user}",
            "user_id": f"{name}-{user}",
            "item_id": "85123A",
            "position": 0,
            "placement": "home",
            "shown_at": int(time.time() * 1000),
            "label": "none",
            "model": {"name": "m", "version": "1"},
            "experiment": {"name": name, "arm": arm},
            "propensity": None,
            "source": "model",
            "organic": False,
            "state": "AAAA",
        }
        | fields
    ).encode()


def clicks(user: int) -> bool:
    """A tenth of the control's users, and half of the others."""
    return user % 20 == 0 or user % 4 == 1


@pytest.fixture(scope="module")
def name(stack: Stack) -> str:
    """An experiment whose examples are on the topic, with a transaction that was taken back in the middle."""
    name, topic = f"layout-{time.time_ns()}", EXAMPLES
    producer = new_producer(stack.settings.kafka, transactional_id=name)
    producer.init_transactions()
    users = range(2 * USERS)
    shown = [example(name, user) for user in users]
    phantoms = [example(name, user, revision=9, label="purchase") for user in users]
    clicked = [example(name, user, revision=1, label="click") for user in users if clicks(user)]
    for values, end in (
        (shown, producer.commit_transaction),
        (phantoms, producer.abort_transaction),
        (clicked, producer.commit_transaction),
    ):
        producer.begin_transaction()
        for value in values:
            producer.send(topic, key=b"any", value=value)
        producer.flush()
        end()
    producer.close()
    stack.topics.send(topic, "garbage", b"\xff")
    return name


def variables(name: str) -> dict[str, str]:
    return {"LIVESHELF_EXPERIMENT__NAME": name, "LIVESHELF_EXPERIMENT__ARMS": json.dumps(ARMS)}


def test_each_arm_has_its_shown_items_conversions_rate_and_interval(stack: Stack, name: str, tmp_path: Path) -> None:
    picture = tmp_path / "layout.png"
    answer = stack.liveshelf("experiments", "report", name, "--json", "--plot", str(picture), variables=variables(name))
    report = json.loads(answer.stdout)
    arms = report["arms"]
    assert {arm: (of_arm["n"], of_arm["conversions"]) for arm, of_arm in arms.items()} == {
        "control": (USERS, USERS // 10),
        "wide": (USERS, USERS // 2),
    }
    assert [of_arm["rate"] for of_arm in arms.values()] == [0.1, 0.5]
    assert all(of_arm["interval"][0] < of_arm["rate"] < of_arm["interval"][1] for of_arm in arms.values())
    assert arms["wide"]["difference"]["interval"][0] > 0 and "wide is better than control" in report["verdict"]
    assert report["examples"] == 2 * USERS and report["left_out"]["unreadable"] >= 1
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_people_read_the_same_and_another_metric_counts_other_outcomes(stack: Stack, name: str) -> None:
    text = stack.liveshelf("experiments", "report", name, variables=variables(name)).stderr
    assert "wide is better than control" in text and "unreadable" in text
    asked = ("experiments", "report", name, "--json", "--metric", "purchase")
    arms = json.loads(stack.liveshelf(*asked, variables=variables(name)).stdout)["arms"]
    assert [of_arm["conversions"] for of_arm in arms.values()] == [0, 0]


def test_what_cannot_be_reported_is_refused_with_the_next_step(stack: Stack, name: str, tmp_path: Path) -> None:
    past = tmp_path / "past.toml"
    past.write_text(f'name = "{name}"\narms = [{{name = "control", share = 0.5}}, {{name = "wide", share = 0.5}}]\n')
    answer = stack.liveshelf("experiments", "report", name, "--plan", str(past), "--json")
    assert json.loads(answer.stdout)["examples"] == 2 * USERS, "an experiment that liveshelf.toml does not name"
    for arguments, of_settings, said in (
        (("other",), name, "give the plan of another by --plan FILE"),
        (("none-yet",), "none-yet", "set feedback.enabled and submit the job"),
        ((name, "--plan", str(past), "--metric", "purchase"), name, "the plan says it"),
        ((name, "--control", "elsewhere"), name, "name one of these arms"),
        (("other", "--plan", str(past)), name, "name the experiment of the plan"),
    ):
        refused = stack.liveshelf("experiments", "report", *arguments, ok=False, variables=variables(of_settings))
        assert said in " ".join(refused.stderr.replace("│", " ").split()), arguments
