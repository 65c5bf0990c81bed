"""The JSON Schema of each record. docs/schemas/ is made from it: `python -m liveshelf.pages.json_schemas docs/schemas`."""

import json
import sys
from pathlib import Path

import msgspec

from operators.records.contracts import (
    CatalogueItem,
    Erasure,
    Event,
    Example,
    Receipt,
    RecommendationList,
    ReplayReceipt,
)
from operators.records.item_demand import ItemDemand

RECORDS: dict[str, type[msgspec.Struct]] = {
    "event": Event,
    "list": RecommendationList,
    "catalogue-item": CatalogueItem,
    "erasure": Erasure,
    "receipt": Receipt,
    "replay-receipt": ReplayReceipt,
    "example": Example,
    "item-demand": ItemDemand,
}


def json_schemas() -> dict[str, dict[str, object]]:
    """File stem -> schema."""
    return {name: msgspec.json.schema(record) for name, record in RECORDS.items()}


def main(folder: Path) -> None:
    """Writes one file a record."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, schema in json_schemas().items():
        (folder / f"{name}.json").write_text(json.dumps(schema, indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
