"""The Python client on the real broker, with the real job behind it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from liveshelf import BadEvent, BrokerError, Client, Erased
from operators.kafka_io.partitioner import partition_of
from operators.records.contracts import EVENTS, RECOMMENDATIONS
from tests.bad_records import good_event
from tests.running_stack import LINK, ROOT, SECURE, Stack
from tests.stack.test_docs_and_commands import blocks
from tests.stack.topics import eventually, order


@pytest.fixture
def client(stack: Stack, job: str) -> Iterator[Client]:
    with Client(settings=stack.settings) as shelf:
        yield shelf


@pytest.fixture
def user() -> str:
    return f"client-{time.time_ns()}"


def event(user: str, number: int = 0, **fields: Any) -> dict[str, Any]:
    return good_event(
        time.time_ns() // 1_000_000, **({"event_id": f"{user}-{number}", "user_id": user, "item_id": "85123A"} | fields)
    )


def test_an_event_becomes_a_list_that_is_followed_and_found(client: Client, stack: Stack, user: str) -> None:
    events, written = stack.topics.ends(EVENTS), stack.topics.ends(RECOMMENDATIONS)
    with client.follow(user) as lists:
        assert client.publish(event(user)).events == 1
        made = next(lists)
        assert not isinstance(made, Erased)
        assert (made.user_id, made.version, made.event_id) == (user, 1, f"{user}-0")
        client.publish(event(user, number) for number in range(1, 4))
        newest = next(one for one in lists if not isinstance(one, Erased) and one.version == 4)
    assert client.lists(user) == newest
    assert client.lists([user, "never-came"]) == {user: newest, "never-came": None}
    on_topic, _ = stack.topics.newest_lists(written)[user]
    assert on_topic is not None and order(on_topic) == (newest.epoch, newest.version)
    records = [record for record in stack.topics.read(EVENTS, events) if record.key == user.encode()]
    assert {record.partition for record in records} == {partition_of(user.encode(), stack.settings.kafka.partitions)}
    assert len(records) == 4


def test_of_a_batch_with_a_bad_event_none_is_on_the_topic(client: Client, stack: Stack, user: str) -> None:
    start = stack.topics.ends(EVENTS)
    with pytest.raises(BadEvent) as refused:
        client.publish([event(user), event(user, event_type="stare")])
    assert (refused.value.index, refused.value.reason) == (1, "unknown_event_type")
    published = client.publish(event(user, itemid="85123A"))
    assert [warning.field for warning in published.warnings] == ["itemid"]
    assert [record.key for record in stack.topics.read(EVENTS, start)].count(user.encode()) == 1


def test_an_erasure_is_followed_and_leaves_no_list(client: Client, stack: Stack, user: str) -> None:
    with client.follow(user) as lists:
        client.publish(event(user))
        assert not isinstance(next(lists), Erased)
        stack.liveshelf("erase", user)
        assert next(one for one in lists if isinstance(one, Erased)) == Erased(user)
    assert client.lists(user) is None
    with client.follow(user, since="beginning") as lists:
        assert next(one for one in lists if isinstance(one, Erased)) == Erased(user)


def test_closing_the_client_ends_what_waits(client: Client, user: str) -> None:
    lists = client.follow(user)
    waiting = threading.Thread(target=list, args=(lists,), daemon=True)
    waiting.start()
    time.sleep(1)
    client.close()
    waiting.join(10)
    assert not waiting.is_alive()


@pytest.mark.skipif(SECURE, reason="the link leads to a plain listener")
def test_a_broker_that_is_away_is_waited_for_and_then_an_error(stack: Stack, job: str, user: str) -> None:
    address = f"127.0.0.1:{LINK}"
    try:
        with Client(address, timeout_s=3) as shelf, Client(settings=stack.settings) as direct:
            short, patient = shelf.follow(user, silence_s=5), shelf.follow(user, silence_s=120)
            shelf.publish(event(user))
            assert next(short) == next(patient)
            stack.proxy.link.cut = True
            begun = time.monotonic()
            with pytest.raises(BrokerError):
                next(short)
            assert 5 < time.monotonic() - begun < 30
            begun = time.monotonic()
            with pytest.raises(BrokerError, match="event_id makes it safe") as failed:
                shelf.publish(event(user, 1))
            assert failed.value.retriable and time.monotonic() - begun < 15
            direct.publish(event(user, 2))
            eventually(lambda: (newest := direct.lists(user)) is not None and newest.version == 2)
            threading.Timer(2, stack.proxy.heal).start()
            for lists in (patient, short):
                assert next(one for one in lists if not isinstance(one, Erased) and one.event_id == f"{user}-2")
            shelf.publish(event(user, 1))
            eventually(lambda: (newest := direct.lists(user)) is not None and newest.version == 3)
    finally:
        stack.proxy.heal()


def test_the_example_of_the_page_runs(stack: Stack, job: str, tmp_path: Path) -> None:
    (code,) = blocks("docs/client.md", "python")
    script = tmp_path / "shop.py"
    script.write_text(code.replace('Client("127.0.0.1:9092")', "Client()"))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(script)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT, env=environment)
    assert done.returncode == 0, done.stderr
    published, made, newest = done.stdout.splitlines()
    assert published == "published 1" and made.startswith("list ")
    assert newest.split() == ["newest", made.split()[1]]
