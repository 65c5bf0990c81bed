"""Latency and memory of search: `python -m benchmarks.kernel.search --items 4000,200000`.

Titles are made of a vocabulary with Zipf's frequencies. Queries are two words of one title; of each the CPU is measured, in
ms, on one thread. Memory is what the process grew by, without the records of the catalogue.
"""

import argparse
import gc
import random
import time
from collections.abc import Callable, Sequence

import psutil

from operators.records.contracts import CatalogueItem
from operators.search.engine import SearchEngine, SearchRequest
from operators.search.filters import Filters
from storefront.view.search import Page, Search

QUERIES, BATCH, MB = 400, 5_000, 1 << 20
SYLLABLES = (
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "la",
    "me",
    "ni",
    "ro",
    "su",
    "ta",
    "ve",
    "wi",
    "zo",
    "per",
    "lin",
    "mar",
    "ton",
)


def main() -> None:
    """Prints a line for each number of items."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", default="4000,200000")
    print("items, index s, MB, then p50/p99 ms of: words, a typo, an answer with facets, suggest, a change of 1 item")
    for count in map(int, parser.parse_args().items.split(",")):
        print(count, *measured(count))


def measured(count: int) -> list[str]:
    """The figures of one catalogue."""
    rng = random.Random(7)
    items = synthetic_items(count, rng)
    gc.collect()
    before, started = psutil.Process().memory_info().rss, time.process_time()
    engine = SearchEngine()
    for start in range(0, count, BATCH):
        engine.apply(items[start : start + BATCH])
    indexed_s = time.process_time() - started
    gc.collect()
    grown = (psutil.Process().memory_info().rss - before) / MB
    queries = [" ".join(rng.sample(rng.choice(items).title.split(), 2)) for _ in range(QUERIES)]
    typos = [_misspelt(query, rng) for query in queries]
    shop = Search(engine, lambda item: True, list, lambda user: [])
    changes = [[rng.choice(items)] for _ in range(50)]
    return [
        f"{indexed_s:.1f}",
        f"{grown:.0f}",
        _latency(lambda query: engine.search(SearchRequest(query)), queries),
        _latency(lambda query: engine.search(SearchRequest(query)), typos),
        _latency(lambda query: shop.find(query, Filters(), Page()), queries),
        _latency(lambda query: shop.suggest(query[:-2], 8), queries),
        _latency(engine.apply, changes),
    ]


def synthetic_items(count: int, rng: random.Random) -> list[CatalogueItem]:
    """Items with titles of 4 to 9 words, 300 brands and 200 categories."""
    words = list({"".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(30_000)})
    rng.shuffle(words)
    weights = [1 / (rank + 10) for rank in range(len(words))]
    titles = rng.choices(words, weights, k=count * 9)
    return [
        CatalogueItem(
            item_id=f"item-{number}",
            title=" ".join(dict.fromkeys(titles[number * 9 : number * 9 + rng.randint(4, 9)])),
            brand=f"brand {rng.randrange(300)}",
            category=[f"department {rng.randrange(20)}", f"shelf {rng.randrange(200)}"],
            price=round(rng.lognormvariate(3, 1), 2),
        )
        for number in range(count)
    ]


def _misspelt(query: str, rng: random.Random) -> str:
    at = rng.randrange(1, len(query) - 1)
    return query[:at] + query[at + 1 :]


def _latency(call: Callable[..., object], arguments: Sequence[object]) -> str:
    taken = []
    for argument in arguments:
        started = time.thread_time()
        call(argument)
        taken.append(1000 * (time.thread_time() - started))
    taken.sort()
    return f"{taken[len(taken) // 2]:.2f}/{taken[len(taken) * 99 // 100]:.2f}"


if __name__ == "__main__":
    main()
