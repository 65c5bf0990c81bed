"""The words of the items: how often each comes, which complete a prefix, and which are near a misspelt one.

Near words come from a Levenshtein automaton over a term dictionary (tantivy), in less than a millisecond with 50,000 words.
"""

import bisect
import heapq
import math
import threading
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from tantivy import Document, Index, Query, SchemaBuilder

HEAP = 15_000_000  # bytes of the writer: tantivy's least
CANDIDATES = 200  # near words that are looked at


@dataclass(frozen=True)
class NearWord:
    """A word of the items, and by how many edits the other differs from it."""

    word: str
    distance: int
    count: int


class Vocabulary:
    """Words with the number of items that have them. Thread-safe; `refresh` makes new words findable."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._waiting: set[str] = set()  # not in the term dictionary yet
        self._indexed: set[str] = set()  # words of no item any more stay: they are few
        self._sorted: list[str] = []
        self._schema = SchemaBuilder().add_text_field("word", True, tokenizer_name="raw", index_option="basic").build()
        self._index = Index(self._schema)
        self._searcher = self._index.searcher()

    def add(self, words: Iterable[str]) -> None:
        """An item came with these words."""
        with self._lock:
            for word in set(words):
                self._counts[word] += 1
                if word not in self._indexed:
                    self._waiting.add(word)

    def remove(self, words: Iterable[str]) -> None:
        """An item with these words left."""
        with self._lock:
            for word in set(words):
                self._counts[word] -= 1
                if self._counts[word] <= 0:
                    del self._counts[word]

    def refresh(self) -> None:
        """Makes the words findable that came since the last call."""
        with self._lock:
            waiting, self._waiting = self._waiting, set()
            self._indexed |= waiting
        if not waiting:
            return
        writer = self._index.writer(HEAP, 1)
        for word in waiting:
            writer.add_document(Document(word=word))
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()
        self._searcher = self._index.searcher()
        self._sorted = sorted(self._indexed)

    def count(self, word: str) -> int:
        """How many items have the word."""
        return self._counts.get(word, 0)

    def completions(self, prefix: str, limit: int) -> list[str]:
        """Words that begin with the prefix and are longer, the most frequent first."""
        words = self._sorted
        start = bisect.bisect_left(words, prefix)
        end = bisect.bisect_left(words, prefix + "\U0010ffff")
        longer = (word for word in words[start:end] if word != prefix and word in self._counts)
        return heapq.nsmallest(limit, longer, key=lambda word: (-self.count(word), word))

    def near(self, word: str, limit: int = 5) -> list[NearWord]:
        """Other words within the distance that the length of the word allows, the best first."""
        if not (reach := reach_of(word)):
            return []
        near = self._within(word, reach)
        if not near and len(word) >= 5 and reach == 1:
            near = self._within(word, 2)
        return heapq.nsmallest(limit, near, key=lambda other: _order(word, other))

    def _within(self, word: str, reach: int) -> list[NearWord]:
        query = Query.fuzzy_term_query(self._schema, "word", word, reach, True)
        hits = self._searcher.search(query, CANDIDATES, count=False).hits
        others = [self._searcher.doc(address)["word"][0] for _, address in hits]
        near = [NearWord(other, edits(word, other), self.count(other)) for other in others if other != word]
        return [other for other in near if other.count]

    def __len__(self) -> int:
        return len(self._counts)


def reach_of(word: str) -> int:
    """How many edits a misspelling of this length may have; none where it holds a digit: model numbers are not words."""
    if len(word) < 3 or any(char.isdigit() for char in word):
        return 0
    return 1 if len(word) < 8 else 2


def edits(left: str, right: str) -> int:
    """Optimal string alignment: insertions, deletions, replacements and swaps of neighbours."""
    rows: list[list[int]] = [[*range(len(right) + 1)]]
    for i, a in enumerate(left, start=1):
        row = [i]
        for j, b in enumerate(right, start=1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


def _order(word: str, other: NearWord) -> tuple[float, str]:
    """An edit weighs as much as a hundredfold frequency, a wrong first letter as much as a tenfold one."""
    return (2.0 * other.distance + (word[0] != other.word[0]) - math.log10(other.count), other.word)
