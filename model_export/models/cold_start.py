"""Cold start: items without events get a vector from their titles, by the head of the search task."""

from collections.abc import Sequence

import torch

from model_export.models.encoders import NextItem
from model_export.models.search_task import SearchTask, text_vectors
from operators.model.query_tower import words_of
from operators.shopper.features import Vocabulary

RAREST = 0.1  # share of the known items: a cold item gets the mean bias of the rarest


def add_cold_items(model: NextItem, words: Vocabulary, cold_items: Sequence[tuple[str, str]]) -> Vocabulary:
    """Adds rows for these (id, title) to the trained `model` and returns the vocabulary with them at the end.

    `words`: most frequent first. Without a search head or `cold_items` nothing changes.
    """
    if SearchTask.name not in model.tasks or not cold_items:
        return words
    with torch.inference_mode():
        vectors = text_vectors(model, [words_of(title) for _, title in cold_items])
        rarest = model.bias[-max(int(RAREST * len(words)), 1) :].mean()
    model.grow(vectors.clone(), rarest.expand(len(cold_items)).clone())
    return Vocabulary([*words.item_ids, *(item for item, _ in cold_items)])
