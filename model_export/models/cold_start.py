"""Items that nobody met yet get a place by their titles: where the search task was learned, a text has one among the items."""

from collections.abc import Sequence

import torch

from model_export.models.encoders import NextItem
from model_export.models.search_task import SearchTask, place_of
from operators.model.query_tower import words_of
from operators.shopper.features import Vocabulary

RAREST = 0.1  # share of the known items: a cold item gets the mean bias of the rarest


def welcome(model: NextItem, words: Vocabulary, cold_items: Sequence[tuple[str, str]]) -> Vocabulary:
    """The vocabulary with these (id, title) behind it, and their rows in the trained `model`.

    `words` are by frequency, the most frequent first. Without a search head or `cold_items` nothing changes.
    """
    if SearchTask.name not in model.tasks or not cold_items:
        return words
    with torch.inference_mode():
        vectors = place_of(model, [words_of(title) for _, title in cold_items])
        rarest = model.bias[-max(int(RAREST * len(words)), 1) :].mean()
    model.grow(vectors.clone(), rarest.expand(len(cold_items)).clone())
    return Vocabulary([*words.item_ids, *(item for item, _ in cold_items)])
