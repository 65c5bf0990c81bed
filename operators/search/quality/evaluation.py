"""How well a search ranks a catalogue's items, against judgments: today's substrings, words, text vectors, all fused."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from operators.errors import SearchError
from operators.records.contracts import CatalogueItem
from operators.search.engine import SearchEngine, SearchRequest
from operators.search.filters import Filters
from operators.search.quality.measures import ndcg, recall

DEPTH = 100  # places that are looked at
ANY_STOCK = Filters(sold_out_too=True)
METHODS = ("substring", "bm25", "text", "fused")
MEASURES = ("ndcg@10", "recall@100", "zero")

Judgments = Mapping[str, Mapping[str, float]]
Measures = dict[str, float | int | None]


class _Judgment(msgspec.Struct):
    query: str
    item_id: str
    grade: float


@dataclass(frozen=True)
class Quality:
    """Of one method. `ndcg` over the queries with a grade above 0, `recall` over those with one of 0.1 or more; None without
    such a query. `zero`: queries, of all, that found nothing."""

    ndcg: float | None
    recall: float | None
    zero: int

    def as_json(self) -> Measures:
        """With the names of the measures."""
        return dict(zip(MEASURES, (self.ndcg, self.recall, self.zero), strict=True))


def read_judgments(path: Path) -> Judgments:
    """Query -> item id -> grade, of JSON lines. Of a pair that comes twice the last one counts. Raises `SearchError`."""
    judgments: dict[str, dict[str, float]] = {}
    decode = msgspec.json.Decoder(_Judgment).decode
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise SearchError("a file of judgments", str(error), "name one with --judgments") from error
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            judgment = decode(line)
        except (msgspec.MsgspecError, ValueError) as error:
            raise _bad_line(number, str(error)) from error
        if not 0 <= judgment.grade <= 1 or math.isnan(judgment.grade):
            raise _bad_line(number, f"the grade {judgment.grade}")
        judgments.setdefault(judgment.query, {})[judgment.item_id] = judgment.grade
    if not judgments:
        raise SearchError("at least one judgment", f"none in {path}", "write one per line")
    return judgments


def _bad_line(number: int, came: str) -> SearchError:
    expected = '{"query": "…", "item_id": "…", "grade": 0 to 1}'
    return SearchError(f"{expected} in line {number} of the judgments", came, "correct the line")


def evaluate(engine: SearchEngine, items: Sequence[CatalogueItem], judgments: Judgments) -> dict[str, Quality | None]:
    """The quality of each method of `METHODS`. `text` is None where the engine has no encoder."""
    rankings: dict[str, dict[str, list[str]]] = {name: {} for name in METHODS}
    titles = sorted((item.title, item.title.lower(), item.item_id) for item in items)
    for query in judgments:
        rankings["substring"][query] = substrings(query, titles)
        found = engine.search(SearchRequest(query, ANY_STOCK))
        rankings["fused"][query] = _ids(engine, found.scores)
        for method, ranking in (("bm25", "words"), ("text", "text")):
            rankings[method][query] = _ids(engine, found.rankings.get(ranking, ()))
    return {
        name: None if name == "text" and engine.encoder is None else quality(rankings[name], judgments)
        for name in METHODS
    }


def quality(rankings: Mapping[str, Sequence[str]], judgments: Judgments) -> Quality:
    """The measures of one method: of its ranking for each query."""
    gains = [ndcg(rankings[query], grades) for query, grades in judgments.items()]
    shares = [recall(rankings[query], grades) for query, grades in judgments.items()]
    return Quality(_mean(gains), _mean(shares), sum(not rankings[query] for query in judgments))


def substrings(query: str, titles: Sequence[tuple[str, str, str]]) -> list[str]:
    """The items whose title holds every word of the query, in the order of the titles (title, the same in lower case, id)."""
    words = set(query.lower().split())
    return [item for _, title, item in titles if all(word in title for word in words)][:DEPTH]


def _ids(engine: SearchEngine, slots: Iterable[int]) -> list[str]:
    items = (engine.slots.item(slot) for slot in slots)
    return [item.item_id for item in items if item is not None][:DEPTH]


def _mean(values: Sequence[float | None]) -> float | None:
    counted = [value for value in values if value is not None]
    return sum(counted) / len(counted) if counted else None
