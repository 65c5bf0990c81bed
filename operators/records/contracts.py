"""The records of all topics (JSON, snake_case) as msgspec structs, and every name that more than one room uses.

Unknown fields are ignored; a missing required field is a dead letter. Times are BIGINT epoch milliseconds.
"""

from typing import Annotated, Literal

import msgspec

EVENTS = "shop.events.v1"
CATALOGUE = "shop.catalogue.v1"
RECOMMENDATIONS = "shop.recommendations.v1"
DEAD_LETTERS = "shop.dead-letters.v1"
ERASURES = "shop.erasures.v1"
RECEIPTS = "shop.receipts.v1"
AUDIT = "shop.audit.v1"
EXAMPLES = "shop.examples.v1"
ITEMS = "shop.items.v1"
MODELS = "shop.models.v1"
EXPERIMENTS = "shop.experiments.v1"

MAX_ID = 128
MAX_BASKET = 500

# only for readers of the schema: the decoder checks it faster than msgspec, which would search each id of each event
_NO_CONTROL = {"pattern": r"^(?![\ufeff\ufffe])[^\u0000-\u001f\u007f-\u009f]*$"}
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID, extra_json_schema=_NO_CONTROL)]
Millis = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # the range of int64
EventType = Literal[
    "view", "click", "impression", "add_to_cart", "remove_from_cart", "purchase",
    "search", "rate", "identify", "consent",
]  # fmt: skip
NEED_ITEM = frozenset(("view", "click", "add_to_cart", "remove_from_cart", "rate"))  # without `item_id`: dead letters
Source = Literal["model", "neighbours", "popular"]  # `served_record` stores their places: add new ones at the end
Label = Literal["none", "click", "add_to_cart", "purchase"]
ReasonKind = Literal["viewed", "in_basket", "bought", "similar", "trending", "popular", "for_you", "new", "explore"]

# why a record became a dead letter; the value of the header `LETTER_REASON`
DEAD_LETTER_REASONS = (
    "null_value",
    "empty_value",
    "too_large",
    "not_utf8",
    "not_json",
    "too_deep",
    "duplicate_key",
    "not_an_object",
    "missing_field",
    "wrong_type",
    "unknown_event_type",
    "bad_id",
    "bad_event_time",
    "event_time_too_old",
    "event_time_in_future",
    "key_mismatch",
    "missing_item",
    "missing_rating",
    "bad_amount",
    "bad_consent",
    "unknown_schema_version",
    "internal_error",
)

# the reasons that a catalogue record can have
CATALOGUE_REASONS = (
    "empty_value",
    "too_large",
    "not_utf8",
    "not_json",
    "too_deep",
    "duplicate_key",
    "not_an_object",
    "missing_field",
    "wrong_type",
    "bad_id",
    "bad_event_time",
    "key_mismatch",
    "bad_amount",
)

# headers of a dead letter, in Kafka Connect's spelling; the last two without the prefix
HEADER_PREFIX, LETTER_REASON, LETTER_MESSAGE = "__connect.errors.", "exception.class.name", "exception.message"
# of a list, and of the tombstone over one: "EPOCH.VERSION" of the state that wrote it; lists below it are not current any more
ORDER_HEADER = "liveshelf.order"


class Event(msgspec.Struct, kw_only=True, gc=False):
    """What a shopper did. `event_id` makes it idempotent; `event_time` is epoch ms or ISO 8601."""

    event_id: Id
    event_type: EventType
    event_time: int | str
    user_id: Id
    item_id: Id | None = None
    items: Annotated[list[Id], msgspec.Meta(max_length=MAX_BASKET)] | None = None
    query: str | None = None
    anonymous_id: Id | None = None
    session_id: Id | None = None
    recommendation_id: Annotated[str, msgspec.Meta(max_length=MAX_ID)] | None = None
    position: int | None = None
    placement: Annotated[str, msgspec.Meta(max_length=MAX_ID)] | None = None
    price: float | None = None
    currency: str | None = None
    quantity: float | None = None
    rating: float | None = None
    context: dict[str, str | int | float | bool | None] | None = None
    traceparent: str | None = None
    schema_version: Literal[1] = 1


def items_named(event: Event) -> list[str]:
    """The items that an event is about, each once: a basket or a shown list in its order, or the one of `item_id`."""
    own = [] if event.item_id is None else [event.item_id]
    if event.items and event.event_type in ("purchase", "impression"):
        return [*dict.fromkeys((*own, *event.items))]
    return own


class Reason(msgspec.Struct, gc=False, omit_defaults=True):
    """Why an item is on the list. `item_id`: the shopper's own item that it resembles (viewed, in_basket, bought), or the
    item whose neighbours were asked for (similar), or one that a new product is like (new)."""

    kind: ReasonKind
    item_id: str | None = None


class ListItem(msgspec.Struct, gc=False, omit_defaults=True):
    """One place of a list. `score` is the model's (unbounded), or 0-1 for fallbacks, or with `lists.rank_by = "value"` the
    expected value; `rank` counts from 1.

    `propensity`: the probability with which the item got its place; without a value where `exploration.enabled` is not set.
    `p_click`: that the shopper turns to the item before the session ends, four digits; left out where the bundle has no click
    head, and of items without a score of the model.
    """

    item_id: str
    score: float
    rank: int
    reason: Reason
    propensity: float | None = None
    p_click: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


class Model(msgspec.Struct, gc=False):
    """Which bundle made the list."""

    name: str
    version: str


class Experiment(msgspec.Struct, gc=False):
    """Which arm the user is in."""

    name: str
    arm: str


class RecommendationList(msgspec.Struct, kw_only=True, gc=False):
    """A user's list. `version` counts the user's accepted events (all types but `impression`). `experiments`: all of the
    user's, the one of `experiment` first, where the user is in more than one; else the field is absent.

    `epoch` (epoch s) is the broker's time at which the user's state began; it rises where a state was forgotten or
    erased. Readers keep the greatest (`epoch`, `version`). The header `liveshelf.order` holds both as `EPOCH.VERSION`.
    """

    recommendation_id: str
    user_id: str
    epoch: int = 0
    version: int
    event_time: int
    event_id: str | None
    generated_at: int
    model: Model
    experiment: Experiment | None = None
    source: Source
    items: list[ListItem]
    expires_at: int
    traceparent: str | None = None
    experiments: tuple[Experiment, ...] | msgspec.UnsetType = msgspec.UNSET


class Example(msgspec.Struct, kw_only=True, gc=False):
    """What a shopper did with one item: of a list, or (`organic`) without a list. A field without a value is null.

    Of the examples with one `example_id` the one with the highest `revision` is valid. `shown_at` (epoch ms) is null where
    no impression of the item came; of an organic example it is the time of the event. `position` counts from 0. `model`,
    `experiment`, `source` and `state` (base64 of the packed user state) are those of the list; `source` is null where the
    item was not on it. `experiments` is as in the list: absent where there is at most one. `propensity` and `p_click` are the
    item's on the list, null where it had none. docs/feedback.md has the rules.
    """

    example_id: str
    revision: Annotated[int, msgspec.Meta(ge=0)]
    recommendation_id: str | None
    user_id: str
    item_id: str
    position: Annotated[int, msgspec.Meta(ge=0)] | None
    placement: str | None
    shown_at: int | None
    label: Label
    model: Model | None
    experiment: Experiment | None
    propensity: float | None
    p_click: float | None = None
    source: Source | None
    organic: bool
    state: str | None
    experiments: tuple[Experiment, ...] | msgspec.UnsetType = msgspec.UNSET


class CatalogueItem(msgspec.Struct, kw_only=True, gc=False):
    """A product. A record with a null value delists it. `stock`: pieces; without any it is not `in_stock`. `margin`: the
    shop's share of the price, 0 to 1. Only search uses the `description`: words are looked for in its first 600 characters."""

    item_id: Id
    title: str = ""
    category: list[str] | str | None = None
    brand: str | None = None
    price: float | None = None
    margin: float | None = None
    currency: str | None = None
    in_stock: bool = True
    stock: float | None = None
    available_from: Millis | None = None
    available_until: Millis | None = None
    image_url: str | None = None
    tags: list[str] | None = None
    description: str | None = None

    @property
    def category_path(self) -> str:
        """The path joined by ` > `, empty when there is none."""
        return " > ".join(self.category) if isinstance(self.category, list) else self.category or ""


class Erasure(msgspec.Struct, kw_only=True, gc=False):
    """A request to forget a user: everything that arrived before this record did, by the broker's clock.

    `requested_at` (epoch ms) has no effect: a client's clock may lie. The receipt has `erasure_id` as its key.
    """

    user_id: Id
    requested_at: int | None = None
    erasure_id: Annotated[str, msgspec.Meta(max_length=MAX_ID)] = ""


class Receipt(msgspec.Struct, kw_only=True, gc=False):
    """What the job did with an erasure. Holds no personal data.

    `erasure_id` is the request's, or `TOPIC-PARTITION-OFFSET` of one without. Times are epoch ms; `arrived_at` is the
    broker's time of the request. `found`: whether the job held anything of the user.
    """

    erasure_id: str
    arrived_at: int
    done_at: int
    found: bool


class ReplayReceipt(msgspec.Struct, kw_only=True, gc=False):
    """Dead letters that were put back, written in one transaction with the records. Holds no personal data.

    `letters`: 16 hexadecimal digits each, as `liveshelf dead-letters export` shows them. `done_at` is epoch ms.
    """

    replay_id: str
    done_at: int
    letters: list[str]


class DeadLetterHeaders(msgspec.Struct, kw_only=True):
    """The headers of a dead letter, each name with `__connect.errors.` before it; key and value are the original's."""

    topic: str
    partition: int
    offset: int
    stage: str
    reason: str
    message: str

    def pairs(self) -> dict[str, bytes]:
        """Header name -> value, in Kafka Connect's spelling."""
        named = {
            "topic": self.topic,
            "partition": str(self.partition),
            "offset": str(self.offset),
            "stage": self.stage,
            LETTER_REASON: self.reason,
            LETTER_MESSAGE: self.message,
        }
        return {HEADER_PREFIX + name: value.encode("utf-8", "replace") for name, value in named.items()}


_encode = msgspec.json.Encoder().encode


def encode_record(record: msgspec.Struct) -> bytes:
    """JSON of a record without its empty fields, as it goes on a topic or into a file."""
    fields = msgspec.structs.asdict(record).items()
    return _encode({name: value for name, value in fields if value is not None and value is not msgspec.UNSET})
