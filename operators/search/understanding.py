"""From the text of a query to the terms that are looked for.

A term has alternatives with weights: the word itself, what the shop calls it too, how it is probably spelled, what a
compound is made of, or how the last word may go on. A word that follows `without` is not wanted, so it does not count.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tantivy import TextAnalyzer

from operators.search.analysis import text_analyzer, words_of
from operators.search.synonyms import Synonyms
from operators.search.vocabulary import Vocabulary

MAX_QUERY = 256  # characters of a query that are read
MAX_WORDS = 24
SYNONYM, JOINED, COMPLETED = 0.8, 0.9, 0.4  # weights of alternatives; the word itself has 1
SPELLED = (0.9, 0.3, 0.2, 0.2)  # of the nearest words, the nearest first
COMPLETIONS = 8
RARE, FAR_MORE_FREQUENT = 2, 50  # a word of so few items is also looked for as one that comes so much more often

Stems = tuple[str, ...]


@dataclass(frozen=True)
class Alternative:
    """Stems that all have to match, and their weight."""

    stems: Stems
    weight: float


@dataclass(frozen=True)
class Term:
    """One place of a query. `known`: some item has the word, or a synonym of it. `spelled`: the nearest word if not."""

    word: str
    alternatives: tuple[Alternative, ...]
    known: bool
    spelled: str | None = None


@dataclass(frozen=True)
class Understood:
    """A query as it is looked for. `wanted`: its words without what follows `without`, misspelt ones corrected; `corrected`: the
    same, None if no word was misspelt. `notes` state what was left out."""

    terms: tuple[Term, ...]
    wanted: str
    corrected: str | None
    notes: tuple[str, ...] = ()

    @property
    def stems(self) -> set[str]:
        """All stems that the query may match, for highlights."""
        return {stem for term in self.terms for other in term.alternatives for stem in other.stems}


class Stemmer:
    """Words to stems, as the index has them; a stop word has none. Remembers recent words. For one thread at a time."""

    def __init__(self) -> None:
        self._analyzer: TextAnalyzer = text_analyzer()
        self.stem = lru_cache(100_000)(self._stem)

    def _stem(self, word: str) -> str:
        return next(iter(self._analyzer.analyze(word)), "")


class Understanding:
    """Reads queries with the words of the items and the synonyms of the shop."""

    def __init__(self, vocabulary: Vocabulary, synonyms: Synonyms, knows: Callable[[str], bool]) -> None:
        """`knows`: whether any item has a stem."""
        self._vocabulary, self._synonyms, self._knows = vocabulary, synonyms, knows
        self._stem = Stemmer().stem

    def stem(self, word: str) -> str:
        """The stem of a word, "" of a stop word."""
        return self._stem(word)

    def read(self, text: str, *, spelling: bool = True) -> Understood:
        """The terms of a query. With `spelling` unknown words also stand for near ones."""
        words = words_of(text[:MAX_QUERY])
        notes = []
        if len(text) > MAX_QUERY or len(words) > MAX_WORDS:
            notes.append(f"only the first {MAX_QUERY} characters and {MAX_WORDS} words of the query count")
        wanted, unwanted = _without_negated(words[:MAX_WORDS])
        if unwanted:
            notes.append(f"not looked for: {' '.join(unwanted)}")
        terms = self._terms(wanted, spelling)
        spelled = {term.word: term.spelled for term in terms if term.spelled}
        text_wanted = " ".join(spelled.get(word, word) for word in wanted)
        return Understood(terms, text_wanted, text_wanted if spelled else None, tuple(notes))

    def _terms(self, words: Sequence[str], spelling: bool) -> tuple[Term, ...]:
        terms, seen, place = [], set(), 0
        while place < len(words):
            term, used = self._synonym(words, place) or self._joined(words, place) or (None, 1)
            if term is None and (stem := self._stem(words[place])) and stem not in seen:
                seen.add(stem)
                term = self._term(words[place], stem, spelling, last=place == len(words) - 1)
            if term is not None:
                terms.append(term)
            place += used
        return tuple(terms)

    def _known(self, word: str) -> bool:
        return self._knows(self._stem(word))

    def _synonym(self, words: Sequence[str], place: int) -> tuple[Term, int] | None:
        """The longest expression from this place on that has synonyms."""
        for length in range(min(self._synonyms.longest, len(words) - place), 0, -1):
            expression = tuple(words[place : place + length])
            if others := self._synonyms.of(expression):
                alternatives = [self._alternative(expression, 1.0)]
                alternatives += [self._alternative(other, SYNONYM) for other in others]
                alternatives = [other for other in alternatives if other.stems]
                known = any(all(map(self._knows, other.stems)) for other in alternatives)
                if alternatives:
                    return Term(" ".join(expression), tuple(alternatives), known), length
        return None

    def _joined(self, words: Sequence[str], place: int) -> tuple[Term, int] | None:
        """`lap top` as `laptop`, where one of the two words is unknown."""
        if place + 1 >= len(words) or (self._known(words[place]) and self._known(words[place + 1])):
            return None
        joined = words[place] + words[place + 1]
        if not self._vocabulary.count(joined):
            return None
        apart = self._alternative(words[place : place + 2], 1.0)
        return Term(" ".join(words[place : place + 2]), (self._alternative((joined,), JOINED), apart), True), 2

    def _term(self, word: str, stem: str, spelling: bool, last: bool) -> Term:
        known, spelled = self._knows(stem), None
        alternatives = [Alternative((stem,), 1.0)]
        if last and not known:
            completions = self._vocabulary.completions(word, COMPLETIONS)
            alternatives += [self._alternative((other,), COMPLETED) for other in completions]
            known = bool(completions)
        if not known:
            alternatives += [self._alternative(parts, JOINED) for parts in self._parts(word)]
            known = len(alternatives) > 1
        if spelling and not known and (near := self._vocabulary.near(word, len(SPELLED))):
            spelled = near[0].word
            alternatives += [
                self._alternative((other.word,), weight) for other, weight in zip(near, SPELLED, strict=False)
            ]
        elif spelling and self._vocabulary.count(word) <= RARE:
            count = max(1, self._vocabulary.count(word))
            near = [other for other in self._vocabulary.near(word, 2) if other.count >= FAR_MORE_FREQUENT * count]
            alternatives += [self._alternative((other.word,), SPELLED[1]) for other in near]
        return Term(word, _distinct(alternatives), known, spelled)

    def _parts(self, word: str) -> list[tuple[str, str]]:
        """Two known words of which an unknown one may be made; at most one pair, of the rarest first half."""
        count = self._vocabulary.count
        pairs = [(word[:cut], word[cut:]) for cut in range(2, len(word) - 1)]
        pairs = [pair for pair in pairs if count(pair[0]) and count(pair[1]) and max(map(len, pair)) > 2]
        return sorted(pairs, key=lambda pair: -min(count(pair[0]), count(pair[1])))[:1]

    def _alternative(self, words: Sequence[str], weight: float) -> Alternative:
        return Alternative(tuple(stem for word in words if (stem := self._stem(word))), weight)


def _distinct(alternatives: Sequence[Alternative]) -> tuple[Alternative, ...]:
    best: dict[Stems, Alternative] = {}
    for other in alternatives:
        if other.stems and (other.stems not in best or best[other.stems].weight < other.weight):
            best[other.stems] = other
    return tuple(best.values())


def _without_negated(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The words before `without`, and those behind it up to the next preposition. A query that begins with it is left
    as it is."""
    if "without" not in words[1:]:
        return [*words], []
    place = words.index("without", 1)
    end = next((at for at in range(place + 1, len(words)) if words[at] in ("with", "for", "and")), len(words))
    return [*words[:place], *words[end:]], [*words[place + 1 : end]]
