"""A champion that learned the old walks."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from model_export.bundles.export import export_bundle
from model_export.data.dataset import examples
from model_export.data.searches import Searches, titles
from model_export.models.search_task import SearchTask
from model_export.training.fit import fit
from model_export.training.fit_options import FitOptions
from model_export.training.training import Training
from operators.records.contracts import CatalogueItem
from operators.shopper.features import Vocabulary
from tests.model_export.follow.shop import ITEMS, walks

OLD_USERS = 240
FIT = FitOptions(
    encoder="pair-sum", width=32, window=10, dropout=0.0, learning_rate=1e-2, batch=1024, epochs=6, search=0.2,
    bf16_products=False,
)  # fmt: skip


@pytest.fixture(scope="session")
def champion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Knows the items p0 to p39 by walks with a stride of 1, and their titles."""
    words = Vocabulary([f"p{number}" for number in range(ITEMS)])
    known = examples(walks(OLD_USERS), words, window=FIT.window)
    sold = [
        CatalogueItem(item_id=item, title=f"{('mug', 'lamp')[row % 2]} {row}")
        for row, item in enumerate(words.item_ids)
    ]
    task = SearchTask(FIT.search, titles(sold, words), Searches.of([]), Searches.of([]))
    model = fit(Training(known, ITEMS, FIT, [task]), None, lambda _: None).model
    trained_on = {"from_ms": int(known.time_ms.min()), "to_ms": int(known.time_ms.max()) + 1}
    facts = {"name": "walks", "hop": FIT.hop, "trained_on": trained_on, "settings": asdict(FIT), "metrics": {}}
    folder = tmp_path_factory.mktemp("champion") / "bundle"
    export_bundle(model, words, known, known.where(np.flatnonzero(known.features.length > 0)), folder, facts)
    return folder
