"""The client that shops import: publishes events, reads lists, follows new lists. docs/client.md has an example."""

import json
import logging
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, overload

import msgspec

from operators.errors import BadRecord, LiveshelfError
from operators.kafka_io.event_publisher import EventPublisher
from operators.records.contracts import Event, RecommendationList
from operators.records.event_repair import check_id
from operators.records.field_effects import FieldWarning, field_warnings
from operators.settings import Settings, load_settings
from pipelines.topics.list_follower import ListFollower, Since
from pipelines.topics.list_reader import newest_lists

log = logging.getLogger(__name__)
LOGGED = 100  # maximum number of different warnings that a client logs

EventLike = Event | Mapping[str, Any]


class BadEvent(BadRecord):
    """An event that the job would refuse. `index`: its position in the call, from 0."""

    def __init__(self, index: int, bad: BadRecord) -> None:
        super().__init__(bad.reason, bad.expected, bad.came, bad.fix)
        self.index = index

    def __str__(self) -> str:
        return f"event {self.index}: {super().__str__()}"


class Published(NamedTuple):
    """The result of `publish`: the number of events on the topic, and warnings for fields without effect."""

    events: int
    warnings: tuple[FieldWarning, ...]


class Client:
    """A shop's connection to Liveshelf. Thread-safe. It connects on the first call.

    Every error is a `LiveshelfError` with `expected`, `came` and `fix`; `retriable` says whether the same call may
    succeed later.
    """

    def __init__(
        self,
        bootstrap: str | None = None,
        *,
        security: Mapping[str, str] | None = None,
        settings: Settings | None = None,
        timeout_s: float = 10.0,
    ) -> None:
        """Without arguments it reads liveshelf.toml and the variables LIVESHELF_…, as the command line does.

        `bootstrap` ("host:9092", several separated by commas) and `security` (names and values of `[kafka.security]`)
        override these; `settings` replaces all of them. `timeout_s`: how long `publish` waits for acknowledgements. The
        first connection may take a few seconds more.
        Raises `SettingsError`.
        """
        if settings is not None and (bootstrap is not None or security is not None):
            raise TypeError("give settings, or bootstrap and security")
        kafka: dict[str, Any] = {} if bootstrap is None else {"bootstrap": bootstrap}
        if security is not None:
            kafka["security"] = dict(security)
        self._settings = settings or load_settings(kafka=kafka)
        self._timeout_s = timeout_s
        self._publisher = EventPublisher(self._settings)
        self._followers, self._following = weakref.WeakSet[ListFollower](), threading.Lock()
        self._logged: set[tuple[str, str]] = set()
        self._closed = False

    def publish(self, events: EventLike | Iterable[EventLike]) -> Published:
        """Publishes one event or several and returns when the broker has acknowledged all of them.

        It first checks all events by the job's rules, so it holds an iterable in memory. Raises `BadEvent` for the first
        event that the job would refuse; then nothing is sent. Raises `BrokerError` if the broker does not acknowledge in
        time: publish all events again, the job counts an event_id once. Fields without effect are also logged.
        """
        self._refuse_closed()
        several = [events] if isinstance(events, Event | Mapping) else events
        records = [self._checked(index, event) for index, event in enumerate(several)]
        warnings = tuple(field_warnings(records))
        if records:
            self._publisher.publish([(event.user_id, value) for value, event in records], self._timeout_s)
        self._log(warnings)
        return Published(len(records), warnings)

    @overload
    def lists(self, users: str) -> RecommendationList | None: ...  # type: ignore[overload-overlap]
    @overload
    def lists(self, users: Iterable[str]) -> dict[str, RecommendationList | None]: ...
    def lists(self, users: str | Iterable[str]) -> RecommendationList | dict[str, RecommendationList | None] | None:
        """The newest list of a user, or for several users a dict with every user_id.

        None: the user has no list, was erased, or the list has expired. Show the popular list then. The call reads the
        user's whole partition, which takes seconds in a large shop. For page views ask the storefront over HTTP; it also
        drops items that have sold out since. Raises `BadRecord` for a user_id that no event can have, and `BrokerError`.
        """
        self._refuse_closed()
        user_ids = _user_ids(users)
        now_ms = time.time_ns() // 1_000_000
        newest = newest_lists(self._settings.kafka, user_ids) if user_ids else {}
        valid = {user: slate if slate and now_ms < slate.expires_at else None for user, slate in newest.items()}
        return valid[users] if isinstance(users, str) else valid

    def follow(
        self, users: str | Iterable[str] | None = None, since: Since = "now", *, silence_s: float = 60.0
    ) -> ListFollower:
        """An iterator over new lists and erasures (`Erased`) of some users or of all.

        It starts at this call, or with `since="beginning"` at the lists that the topic holds. A user's lists come in
        order; older and expired lists are skipped. After a failure a list may come twice. The iteration ends when the
        iterator or the client is closed. If the broker is silent for `silence_s`, or refuses, the iterator raises
        `BrokerError`; you may continue to iterate. Only one thread may iterate.
        """
        user_ids = None if users is None else _user_ids(users)
        if user_ids == []:
            raise ValueError("no users to follow; None stands for all")
        with self._following:
            self._refuse_closed()
            follower = ListFollower(self._settings.kafka, user_ids, since, silence_s)
            self._followers.add(follower)
        return follower

    def close(self) -> None:
        """Ends all followers and closes the connections. Events of a `publish` that has returned are on the topic."""
        with self._following:
            self._closed = True
            for follower in self._followers:
                follower.close()
        self._publisher.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked(self, index: int, event: object) -> tuple[bytes, Event]:
        try:
            value = _json(event)
            return value, self._publisher.checked(value)
        except BadRecord as bad:
            raise BadEvent(index, bad) from None

    def _log(self, warnings: Iterable[FieldWarning]) -> None:
        for warning in warnings:
            key = (warning.field, warning.text)
            if key not in self._logged and len(self._logged) < LOGGED:
                self._logged.add(key)
                log.warning("field %s of an event: %s", *key)

    def _refuse_closed(self) -> None:
        if self._closed:
            raise LiveshelfError("an open client", "one that was closed", "make another Client")


def _user_ids(users: str | Iterable[str]) -> list[str]:
    user_ids = [users] if isinstance(users, str) else list(users)
    for user in user_ids:
        check_id("user_id", user)
    return user_ids


def _json(event: object) -> bytes:
    """The event as JSON. Raises `BadRecord` for a value that JSON does not have."""
    if isinstance(event, Event):
        event = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not None}
    if not isinstance(event, Mapping):
        raise BadRecord("not_an_object", "a dict or an Event", type(event).__name__)
    try:
        return json.dumps(dict(event), allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as error:
        fix = "event_time is epoch ms or ISO 8601 text; the others are text, numbers, lists and dicts"
        raise BadRecord("wrong_type", "values that JSON has", str(error), fix) from None
