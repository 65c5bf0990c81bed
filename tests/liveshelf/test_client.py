"""The Python client over a producer and a consumer of kafka-python that are none; the real broker is in tests/stack."""

import math
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from kafka import TopicPartition
from kafka.errors import KafkaConnectionError, KafkaTimeoutError, TopicAuthorizationFailedError

import liveshelf
from liveshelf import BadEvent, BadRecord, BrokerError, Client, Erased, Event, LiveshelfError, SettingsError
from operators.kafka_io import event_publisher
from operators.kafka_io.partitioner import partition_of
from operators.records.contracts import RECOMMENDATIONS
from operators.settings import Settings
from pipelines.topics import list_follower, list_reader
from tests.bad_records import good_event
from tests.liveshelf.fake_broker import PARTITIONS, Broker, Consumer, now_ms
from tests.places import ROOT


def event(**fields: Any) -> dict[str, Any]:
    return good_event(now_ms(), **fields)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    fake_broker = Broker()
    monkeypatch.setattr(event_publisher, "new_producer", fake_broker.producer)
    for module in (list_follower, list_reader):
        monkeypatch.setattr(module, "new_consumer", fake_broker.consumer)
    return fake_broker


@pytest.fixture
def client(broker: Broker) -> Client:
    return Client(settings=Settings(), timeout_s=0.5)


def test_one_event_as_a_dict_or_a_struct_is_keyed_by_its_user(client: Client, broker: Broker) -> None:
    assert client.publish(event()) == (1, ())
    client.publish(Event(event_id="e2", event_type="view", event_time=now_ms(), user_id="u2", item_id="i2"))
    client.publish(event(user_id=7))
    assert [key for key, _ in broker.sent] == [b"u1", b"u2", b"7"]
    assert broker.sent[1][1].keys() == {
        "event_id", "event_type", "event_time", "user_id", "item_id", "schema_version",
    }, "without the empty fields"  # fmt: skip


def test_an_iterable_of_events_is_sent_in_order_and_none_is_no_call(client: Client, broker: Broker) -> None:
    assert client.publish(event(event_id=f"e{n}") for n in range(3)).events == 3
    assert [value["event_id"] for _, value in broker.sent] == ["e0", "e1", "e2"]
    broker.failure = KafkaConnectionError("down")
    assert client.publish([]) == (0, ())


@pytest.mark.parametrize(
    ("bad", "reason", "actual"),
    [
        ({"event_type": "stare"}, "unknown_event_type", "stare"),
        ({"user_id": ""}, "bad_id", "0 characters"),
        ({"price": math.nan}, "wrong_type", "not JSON compliant"),
        ({"event_time": object()}, "wrong_type", "not JSON serializable"),
        ({"query": "x" * 20_000}, "too_large", "bytes"),
        ({"query": "\ud800"}, "not_utf8", "surrogate"),
    ],
)
def test_of_a_batch_with_a_bad_event_nothing_is_sent(
    client: Client, broker: Broker, bad: dict[str, Any], reason: str, actual: str
) -> None:
    with pytest.raises(BadEvent) as refused:
        client.publish([event(), event(**bad)])
    assert (refused.value.index, refused.value.reason, broker.sent) == (1, reason, [])
    assert actual in refused.value.came
    assert str(refused.value).startswith("event 1: expected ") and "Next: " in str(refused.value)


def test_what_is_no_event_at_all_is_refused(client: Client) -> None:
    for argument in ("view", [b"{}"], [["event_id", "e1"]]):
        with pytest.raises(BadEvent, match="a dict or an Event"):
            client.publish(argument)  # type: ignore[arg-type]


def test_fields_without_effect_are_returned_and_logged_once(
    client: Client, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        published = client.publish([event(), event(itemid="i1", position=3)])
        assert [(warning.index, warning.field) for warning in published.warnings] == [(1, "position"), (1, "itemid")]
        assert "is item_id meant?" in published.warnings[1].text
    assert len(caplog.records) == 2
    assert broker.sent[1][1]["itemid"] == "i1", "as it came"


def test_events_that_nobody_acknowledges_are_an_error_that_may_be_tried_again(client: Client, broker: Broker) -> None:
    broker.acknowledges = False
    with pytest.raises(BrokerError, match="acknowledge 2 events") as failed:
        client.publish([event(), event()])
    assert failed.value.retriable
    broker.failure = TopicAuthorizationFailedError("no")
    with pytest.raises(BrokerError, match="to have the right") as refused:
        client.publish(event())
    assert not refused.value.retriable


def test_the_newest_list_by_epoch_and_version(client: Client, broker: Broker) -> None:
    for user, epoch, version in (("u1", 1, 5), ("u1", 2, 1), ("u1", 1, 9), ("u2", 1, 1)):
        broker.append(user, version, epoch=epoch)
    newest = client.lists("u1")
    assert newest is not None and (newest.epoch, newest.version) == (2, 1)
    assert broker.assigned == [TopicPartition(RECOMMENDATIONS, partition_of(b"u1", PARTITIONS))]
    assert client.lists([]) == {}


def test_no_list_an_erased_and_an_expired_one_are_none(client: Client, broker: Broker) -> None:
    broker.append("u1", 1)
    broker.append("gone", 1)
    broker.erase("gone")
    broker.append("late", 1, valid_ms=-1)
    lists = client.lists(iter(["u1", "gone", "late", "never"]))
    assert {user: slate and slate.version for user, slate in lists.items()} == {
        "u1": 1, "gone": None, "late": None, "never": None,
    }  # fmt: skip
    assert broker.asked == [{"auto_offset_reset": "earliest"}], "one consumer for all"
    assert broker.closed == 1
    with pytest.raises(BadRecord):
        client.lists("")


def test_lists_are_followed_from_the_call_on(client: Client, broker: Broker) -> None:
    broker.append("u1", 1)
    lists = client.follow()
    broker.append("u1", 2)
    broker.erase("u1", b"0.2")
    slate, erased = next(lists), next(lists)
    assert not isinstance(slate, Erased) and slate.version == 2
    assert erased == Erased("u1")


def test_older_lists_expired_ones_and_those_of_others_are_left_out(client: Client, broker: Broker) -> None:
    broker.append("u1", 3)
    broker.append("u1", 2)
    broker.append("u2", 1)
    broker.append("u1", 4, valid_ms=-1)
    broker.erase("u1", b"0.6")
    broker.append("u1", 5)
    broker.append("u1", 6)
    with client.follow("u1", since="beginning") as lists:
        entries = [next(lists) for _ in range(3)]
    assert [entry if isinstance(entry, Erased) else entry.version for entry in entries] == [3, Erased("u1"), 6]


def test_a_record_that_is_no_list_is_logged_and_passed_over(
    client: Client, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    broker.write("u1", b"[]")
    broker.append("u1", 1)
    assert next(client.follow(since="beginning"))
    assert "not_a_list" in caplog.text


@pytest.mark.parametrize("closing", ["client", "follower"])
def test_closing_ends_what_waits_for_a_list(client: Client, broker: Broker, closing: str) -> None:
    follower, entries = client.follow(), list[Any]()
    reader = threading.Thread(target=lambda: entries.extend(follower))
    reader.start()
    broker.append("u1", 1)
    _eventually(lambda: len(entries) == 1)
    (client if closing == "client" else follower).close()
    reader.join(5)
    assert not reader.is_alive() and list(follower) == []


def test_a_broker_that_is_away_for_a_while_is_waited_for(client: Client, broker: Broker) -> None:
    lists, connection_error = client.follow(silence_s=60), KafkaConnectionError("down")
    broker.failure = connection_error
    timer = threading.Timer(0.5, lambda: (setattr(broker, "failure", None), broker.append("u1", 1)))
    timer.start()
    assert next(lists)
    timer.join()


def test_a_broker_that_stays_away_is_an_error_after_which_one_can_go_on(client: Client, broker: Broker) -> None:
    lists = client.follow(silence_s=0.3)
    broker.failure = KafkaConnectionError("down")
    started_s = time.monotonic()
    with pytest.raises(BrokerError):
        next(lists)
    assert 0.3 < time.monotonic() - started_s < 3
    broker.failure = None
    broker.append("u1", 1)
    assert next(lists)


def test_a_silent_consumer_does_not_hide_a_broker_that_is_away(
    client: Client, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """kafka-python's consumer polls on without a word: the end of the topic is asked for."""
    monkeypatch.setattr(list_follower, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(Consumer, "poll", lambda self, timeout_ms: time.sleep(0.01) or {})
    lists = client.follow(silence_s=0.3)
    broker.failure = KafkaTimeoutError("no answer")
    with pytest.raises(BrokerError):
        next(lists)


def test_a_refusal_is_said_at_once(client: Client, broker: Broker) -> None:
    lists = client.follow(silence_s=60)
    broker.failure = TopicAuthorizationFailedError("no")
    with pytest.raises(BrokerError, match="right"):
        next(lists)


def test_a_closed_client_says_so(client: Client) -> None:
    with client:
        client.publish(event())
    for call in (lambda: client.publish(event()), lambda: client.lists("u1"), client.follow):
        with pytest.raises(LiveshelfError, match="an open client"):
            call()


def test_where_the_broker_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVESHELF_KAFKA__BOOTSTRAP", "variable:9092")
    access = {"protocol": "SASL_PLAINTEXT", "mechanism": "PLAIN", "username": "shop", "password": "secret"}
    assert Client()._settings.kafka.bootstrap == "variable:9092"
    named = Client("argument:9092", security=access)._settings.kafka
    assert (named.bootstrap, named.security.username, "secret" in repr(named)) == ("argument:9092", "shop", False)
    with pytest.raises(SettingsError, match="host:port"):
        Client("nowhere")
    with pytest.raises(TypeError):
        Client("a:1", settings=Settings())


def test_the_import_is_light_and_every_name_is_there() -> None:
    code = (
        "import sys, liveshelf; assert 'kafka' not in sys.modules; liveshelf.Client\n"
        "print(*{'typer', 'pyflink', 'torch', 'rich', 'onnxruntime', 'numpy', 'fastapi'} & sys.modules.keys())"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True).stdout == "\n"
    for names in liveshelf.PLACES.values():
        assert all(getattr(liveshelf, name) for name in names)
    with pytest.raises(AttributeError):
        _ = liveshelf.Clientele


def test_a_type_checker_takes_the_types_of_every_name() -> None:
    """Of a package without a marker, or whose marker is not installed, it takes none."""
    packages = {"liveshelf", *(module.split(".")[0] for module in liveshelf.PLACES)}
    installed = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]
    assert [name for name in packages if not (ROOT / name / "py.typed").is_file()] == []
    assert [name for name in packages if "py.typed" not in installed[name]] == []


def _eventually(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)
