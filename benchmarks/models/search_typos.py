"""What a typo in every query costs: `python -m benchmarks.models.search_typos catalogue.jsonl [--judgments judgments.jsonl]`.

Without judgments the queries are two words of a title, and the items whose title has both are the right ones. A typo leaves out,
doubles, swaps or replaces a letter behind the first, in a word of four letters or more. Prints NDCG@10 and recall@100 without and
with typos, the mean of three draws.
"""

import argparse
import random
from pathlib import Path

from operators.records.catalogue_decode import read_item
from operators.records.contracts import CatalogueItem
from operators.search.analysis import words_of
from operators.search.engine import SearchEngine, SearchRequest
from operators.search.quality.evaluation import ANY_STOCK, DEPTH, Judgments, Quality, quality, read_judgments

QUERIES, DRAWS = 500, 3
LETTERS = "etaoinsrlmdc"


def main() -> None:
    """Prints a line without typos, and one with them for each way to search."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("catalogue", type=Path)
    parser.add_argument("--judgments", type=Path)
    options = parser.parse_args()
    items = [read_item("", line) for line in options.catalogue.read_bytes().splitlines() if line.strip()]
    judgments = read_judgments(options.judgments) if options.judgments else two_words_of_titles(items)
    engine = SearchEngine()
    engine.apply(items)
    right = _quality(engine, judgments, {query: query for query in judgments})
    print(f"right: {_shown(right)}")
    for spelling in (True, False):
        draws = []
        for seed in range(DRAWS):
            rng = random.Random(seed)
            draws.append(_quality(engine, judgments, {query: misspelt(query, rng) for query in judgments}, spelling))
        kept = sum((draw.ndcg or 0) / (right.ndcg or 1) for draw in draws) / DRAWS
        print(f"typos, {'with' if spelling else 'without'} spelling: {kept:.3f} of it; {'; '.join(map(_shown, draws))}")


def two_words_of_titles(items: list[CatalogueItem]) -> Judgments:
    """Query -> the items whose title has both words -> 1."""
    rng, judgments = random.Random(5), dict[str, dict[str, float]]()
    words = {item.item_id: words_of(item.title) for item in items}
    titles = [[word for word in title if len(word) > 3 and word.isalpha()] for title in words.values()]
    titles = [title for title in titles if len(set(title)) > 1]
    for title in rng.sample(titles, min(QUERIES, len(titles))):
        pair = rng.sample(sorted(set(title)), 2)
        judgments[" ".join(pair)] = {item: 1.0 for item, of_item in words.items() if set(pair) <= set(of_item)}
    return judgments


def misspelt(query: str, rng: random.Random) -> str:
    """The query with a typo in one of its words."""
    words = query.split()
    long = [n for n, word in enumerate(words) if len(word) > 3 and word.isalpha()]
    if not long:
        return query
    place = rng.choice(long)
    word = words[place]
    at = rng.randrange(1, len(word) - 1)
    other = rng.choice([letter for letter in LETTERS if letter != word[at]])
    words[place] = rng.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + other + word[at + 1 :],
        )
    )
    return " ".join(words)


def _quality(engine: SearchEngine, judgments: Judgments, typed: dict[str, str], spelling: bool = True) -> Quality:
    rankings = {}
    for query, text in typed.items():
        found = engine.search(SearchRequest(text, ANY_STOCK, spelling=spelling))
        items = (engine.slots.item(slot) for slot in found.scores)
        rankings[query] = [item.item_id for item in items if item is not None][:DEPTH]
    return quality(rankings, judgments)


def _shown(measured: Quality) -> str:
    return f"NDCG@10 {measured.ndcg:.3f}, recall@100 {measured.recall:.3f}, nothing found {measured.zero}"


if __name__ == "__main__":
    main()
