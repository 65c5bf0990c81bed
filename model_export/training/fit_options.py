"""Hyper-parameters of a training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FitOptions:
    """Hyper-parameters; docs/train.md says what they were chosen by."""

    encoder: str = "weighted-sum"
    width: int = 128
    window: int = 20
    scale: float = 16.0
    dropout: float = 0.5
    item_dropout: float = 0.0  # share of the steps whose item,
    kind_dropout: float = 0.0  # and of those whose event type is hidden from the encoder (model_export/data/windows.py)
    epochs: int = 10
    patience: int = 3
    batch: int = 512  # steps
    learning_rate: float = 4e-3
    weight_decay: float = 1e-5
    negatives: int = 0  # 0: the softmax is over all items
    average: float = 0.5  # epochs that the running average of weights looks back on; 0: the last weights
    bf16_products: bool = True  # where the CPU has them: sums and weights stay float32
    personal: float = 1.0  # weights of the tasks: the next item of this shopper,
    session: float = 0.0  # what becomes of an item in this session (model_export/models/session_task.py),
    search: float = 0.0  # the item of a query (model_export/models/search_task.py),
    rating: float = 0.0  # and what an item will be rated with (model_export/models/rating_task.py)
    heads: bool = True  # copies and followers beside the encoder; to learn them one user in 32 is kept from it
    lora_rank: int = 0  # of the adapters beside a given encoder's products; 0: all of it is trained on
    seed: int = 7
