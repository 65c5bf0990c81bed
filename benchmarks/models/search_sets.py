"""Public search sets in Liveshelf's form: `python -m benchmarks.models.search_sets esci FOLDER OUT`, or `icecat`.

`esci`: 150 queries of Amazon's Shopping Queries with their products (OpenSearch's dashboards-search-relevance and o19s'
chorus-opensearch-edition). `icecat`: 135 queries of querqy's chorus. Writes catalogue.jsonl and judgments.jsonl.
"""

import argparse
import csv
import gzip
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

ESCI_GRADES = {100: 1.0, 10: 0.1, 1: 0.01, 0: 0.0}  # exact, substitute, complement, irrelevant

Records = Iterable[dict[str, Any]]


def main() -> None:
    """Writes both files into OUT."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("set", choices=("esci", "icecat"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    items, judgments = (esci if options.set == "esci" else icecat)(options.folder)
    for name, records in (("catalogue", items), ("judgments", judgments)):
        with (options.out / f"{name}.jsonl").open("w") as file:
            file.writelines(json.dumps(record) + "\n" for record in records)


def esci(folder: Path) -> tuple[Records, Records]:
    """Items and judgments. Bullet points and description are the description, the colour is a tag."""
    judged = json.loads(gzip.decompress((folder / "esci_us_judgments.json.gz").read_bytes()))["judgmentRatings"]
    judgments = [
        {"query": entry["query"], "item_id": rating["docId"], "grade": ESCI_GRADES[round(float(rating["rating"]))]}
        for entry in judged
        for rating in entry["ratings"]
    ]
    items = (
        {
            "item_id": product["asin"],
            "title": product["title"] or "",
            "category": product["category"] or None,
            "brand": product["brand"] or None,
            "price": product["price"],
            "tags": [product["color"]] if product["color"] else None,
            "description": " ".join(filter(None, (product["bullet_points"], product["description"]))),
        }
        for product in _lines(folder / "ubi_ecommerce_products.json.gz")
    )
    return items, judgments


def icecat(folder: Path) -> tuple[Records, Records]:
    """Items and judgments. Product type and colour are tags."""
    tags = ("attr_t_product_type", "attr_t_product_colour")
    items = (
        {
            "item_id": product["id"],
            "title": product.get("title") or product["name"],
            "brand": product.get("supplier"),
            "price": product["price"] / 100 if product.get("price") else None,
            "tags": [str(product[tag]) for tag in tags if product.get(tag)] or None,
            "description": product.get("short_description"),
        }
        for product in _lines(folder / "products_19k.jsonl.gz")
    )
    with (folder / "Broad_Query_Set_rated.csv").open() as file:
        judgments = [
            {"query": row["query"], "item_id": row["docid"], "grade": (2 ** int(row["rating"]) - 1) / 7}
            for row in csv.DictReader(file)
        ]
    return items, judgments


def _lines(file: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(file, "rt") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


if __name__ == "__main__":
    main()
