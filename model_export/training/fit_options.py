"""Hyper-parameters of a training."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FitOptions:
    """Hyper-parameters; docs/train.md says how they were chosen."""

    encoder: str = "weighted-sum"
    width: int = 128
    window: int = 20
    hop: int = 1  # steps by which the window moves on (operators.shopper.features.window_starts)
    scale: float = 16.0
    dropout: float = 0.5
    item_dropout: float = 0.0  # share of the steps whose item is hidden from the encoder (model_export/data/windows.py)
    kind_dropout: float = 0.0  # share of the steps whose event type is hidden
    epochs: int = 10
    patience: int = 3
    batch: int = 512  # steps
    learning_rate: float = 4e-3
    weight_decay: float = 1e-5
    negatives: int = 0  # of the sampled softmax; 0: the softmax is over all items
    average: float = 0.5  # epochs of the running average of weights; 0: the last weights
    bf16_products: bool = True  # if the CPU has bf16; sums and weights stay float32
    personal: float = 1.0  # weight of the task: the shopper's next item
    session: float = 0.0  # weight of the session task (model_export/models/session_task.py)
    search: float = 0.0  # weight of the search task (model_export/models/search_task.py)
    rating: float = 0.0  # weight of the rating task (model_export/models/rating_task.py)
    heads: bool = True  # copy head and transition head; they learn from one user in 32, whom the encoder does not see
    lora_rank: int = 0  # of the adapters beside a given encoder's matrices; 0: the training changes all weights
    seed: int = 7
