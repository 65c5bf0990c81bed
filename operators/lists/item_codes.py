"""Categories or brands as numbers by model row, for the caps of a list."""

import numpy as np
import numpy.typing as npt

SPARE_CODES = 1000  # how many codes of unused texts are kept


class ItemCodes:
    """`by_row` int32 [rows]: equal for items of the same text, 0 for those without one. One thread writes
    it. Renumbering replaces the whole array, so a reader's array stays consistent."""

    def __init__(self, rows: int) -> None:
        self.by_row = np.zeros(rows, dtype=np.int32)
        self._codes: dict[str, int] = {"": 0}

    def of(self, text: str) -> int:
        """The code of a text; 0 where no item has it."""
        return self._codes.get(text, 0)

    def rows(self, text: str) -> npt.NDArray[np.int32]:
        """The rows of a text; none of the empty one."""
        code = self.of(text)
        return np.flatnonzero(self.by_row == code).astype(np.int32) if code else np.zeros(0, dtype=np.int32)

    def put(self, row: int, text: str) -> None:
        """The text of an item from now on."""
        if len(self._codes) > len(self.by_row) + SPARE_CODES:  # a feed whose texts differ each time
            used, renumbered = np.unique(np.append(self.by_row, 0), return_inverse=True)
            used_codes = dict.fromkeys(used.tolist())
            texts = [text for text, code in self._codes.items() if code in used_codes]
            self._codes = {text: code for code, text in enumerate(texts)}
            self.by_row = renumbered[:-1].astype(np.int32)
        self.by_row[row] = self._codes.setdefault(text, len(self._codes))
