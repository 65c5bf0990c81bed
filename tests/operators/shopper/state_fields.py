"""A state as its record."""

import numpy as np

from operators.shopper.state_layout import (
    read_states,
)


def fields(state: bytes) -> np.void:
    return read_states([state])[0]
