"""What others wrote into records, on its way through the verbs: shown as it is, and never obeyed."""

import json
import time

import httpx

from operators.kafka_io.kafka_clients import new_producer
from operators.records.contracts import CATALOGUE, DEAD_LETTERS, EVENTS, CatalogueItem, encode_record
from tests.bad_records import good_event
from tests.operators.kafka_io.test_record_batches import Name
from tests.running_stack import Stack
from tests.stack.topics import eventually

HOSTILE = "[/red] [bold]x[/] \x1b[31m\nok  all checks pass"


def test_dead_letters_of_anybody_are_listed(stack: Stack, job: str, no_restart: None) -> None:
    user = f"text{time.time_ns()}"
    event = good_event(int(time.time() * 1000), event_id=user, user_id=user, event_type=HOSTILE)
    stack.topics.send(EVENTS, user, json.dumps(event).encode())
    producer = new_producer(stack.settings.kafka)
    odd = f"odd{time.time_ns()}"
    producer.send(DEAD_LETTERS, key=None, value=b"not ours")
    reason = ("__connect.errors.exception.message", f"{odd} ".encode() + b"\xff\xfe" + HOSTILE.encode())
    producer.send(
        DEAD_LETTERS, key=b"k", value=None, headers=[reason, ("__connect.errors.topic", b"\xff"), (HOSTILE, b"")]
    )
    producer.flush(30)
    producer.close()

    def newest() -> list[dict[str, str]]:
        return json.loads(stack.liveshelf("dead-letters", "list", "--json").stdout)["newest"]

    eventually(lambda: any("[bold]x[/]" in one.get("exception.message", "") and "topic" in one for one in newest()), 30)
    shown = stack.liveshelf("dead-letters", "list").stderr
    text = " ".join(shown.split())
    assert odd in text and "other" in text
    assert "[/red] [bold]x[/] \\u001b[31m\\nok all checks pass" in text
    assert "\x1b" not in shown
    assert not any(line.startswith("ok  all") for line in shown.splitlines())
    assert json.loads(stack.liveshelf("dead-letters", "list", "--last", "1", "--json").stdout)["reasons"]["other"] >= 2


def test_a_user_with_markup_has_lists_and_no_terminal_obeys_it(stack: Stack, job: str) -> None:
    user = f"[/red][bold]{time.time_ns()}"
    event = good_event(int(time.time() * 1000), event_id=user, user_id=user, item_id="[/]")
    stack.topics.send(EVENTS, user, json.dumps(event).encode())
    stack.topics.producer.flush()
    eventually(lambda: user in stack.topics.newest_lists())
    assert stack.liveshelf("lists", user).stderr.startswith(f"{user}: version 1, ")
    gone = stack.liveshelf("lists", "[31m[/none]", ok=False)
    assert "no list of [31m[/none]: publish" in " ".join(gone.stderr.split())
    refused = stack.liveshelf("lists", "\x1b[31m[/none]", ok=False)
    assert "U+001B" in refused.stderr and "\x1b" not in refused.stderr


def test_a_header_name_that_is_no_text_stops_no_reader(stack: Stack, job: str, no_restart: None) -> None:
    mark = f"odd{time.time_ns()}"
    event = good_event(int(time.time() * 1000), event_id=mark, user_id=mark, item_id="85123A")
    item = CatalogueItem(item_id=mark, title=f"Item {mark}")
    headers = [(Name(b"\xff\xfe"), b"1")]
    producer = new_producer(stack.settings.kafka)
    for topic, value in ((EVENTS, json.dumps(event).encode()), (CATALOGUE, encode_record(item)), (DEAD_LETTERS, b"x")):
        producer.send(topic, key=mark.encode(), value=value, headers=headers)
    producer.flush(30)
    producer.close()
    eventually(lambda: mark in stack.topics.newest_lists())
    found = eventually(lambda: httpx.get(f"{stack.shop}/v1/search", params={"q": mark}).json()["items"])
    assert found[0]["item_id"] == mark  # others may follow, by what the model takes for near
    letters = json.loads(stack.liveshelf("dead-letters", "list", "--last", "1", "--json").stdout)
    assert letters["newest"] == [{"??": "1"}]
    stack.topics.send(CATALOGUE, mark, None)
    stack.topics.producer.flush()
