"""Scores micro-batches on the CPU with a bundle's incremental graph: it goes on from what the cache holds of a user's steps.

The graph gives the scores of all items, of which `operators.model.best_rows` takes the best. For a user without an entry it
reads all steps, as the full graph does.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from operators.errors import BundleError
from operators.model.batch_trimming import Answers, in_order, parts_by_steps, width_for
from operators.model.best_rows import best_rows
from operators.model.click_head import OUTPUT as CLICKS
from operators.model.encoder_cache import NOT_KEPT, EncoderCache, Kept
from operators.model.onnx_session import open_session, signature
from operators.shopper.features import Rows

log = logging.getLogger(__name__)
STEPS = {"items": "tensor(int32)", "kinds": "tensor(int32)", "length": "tensor(int32)"}
KNOWN = {"known": "tensor(int32)", "new": "tensor(int32)"}
STATE, KEYS = {"state": "tensor(float)"}, {"keys": "tensor(float)"}
INPUTS = STEPS | KNOWN | STATE  # and KEYS, where the encoder keeps something of each step
OUTPUTS, KEY_OUTPUTS = ["all_scores", "new_state"], ["new_keys"]
SPLIT_STEPS = 64  # as in `batch_trimming`, and measured with it
TOLERANCE = 1e-4  # between cached and full pass
_FIX = "export the bundle again with `liveshelf train`"


class IncrementalScorer:
    """The session of an incremental graph and its cache. One thread owns it."""

    def __init__(
        self,
        graph: bytes,
        options: ort.SessionOptions,
        window: int,
        top: int,
        cache_bytes: int,
        check_every: int,
        *,
        with_clicks: bool = False,
    ) -> None:
        """`top` scores a user; each `check_every`th request is compared with the full pass (0: none is). `with_clicks`: whether
        the graph has the output of the click head.

        Raises `BundleError` where the graph is another, and what ONNX Runtime raises.
        """
        self._session = open_session(graph, options, ["CPUExecutionProvider"])
        self._window, self._top, self._check_every = window, top, check_every
        self._clicks = [CLICKS] if with_clicks else []
        self._keyed = self._check_signature()
        widths = {node.name: node.shape[-1] for node in self._session.get_inputs()}
        self.cache = EncoderCache(cache_bytes, window, widths["state"], widths["keys"] if self._keyed else 0)
        self._unchecked = 0

    def score(self, inputs: dict[str, Rows], users: Sequence[str] | None = None) -> Answers:
        """As `operators.model.scorer.Scorer.answers`; without `users` the cache is neither read nor written."""
        if users is None:
            return self._passes(inputs, self._unkept(inputs))
        kept = self.cache.find(users, inputs["items"], inputs["kinds"])
        answers = self._passes(inputs, kept)
        if self._is_due(kept) and not self._is_right(inputs, kept, answers):
            self.cache.clear()
            return self._passes(inputs, self._unkept(inputs))
        return answers

    def check_golden(self, inputs: dict[str, Rows], golden: Mapping[str, npt.NDArray[Any]]) -> float:
        """The greatest difference from the golden scores [B, K] and click vectors, of the full pass and of one that goes on
        after half of the steps; NaN where either gives NaN."""
        full = self.score(inputs)
        users = [f"golden {number}" for number in range(len(full[0]))]
        half = np.maximum(inputs["length"] // 2, 1)
        behind = np.arange(self._window) >= half[:, None]
        self.score({name: np.where(behind, 0, inputs[name]) for name in ("items", "kinds")} | {"length": half}, users)
        resumed = self.score(inputs, users)
        self.cache.clear()
        self.cache.hits = self.cache.misses = 0
        places = {"scores": 0} | ({"clicks": 2} if self._clicks else {})
        worst = [
            np.abs(answers[place] - golden[name]).max(initial=0)
            for name, place in places.items()
            for answers in (full, resumed)
        ]
        return float(np.max(worst))  # Python's `max` would hide NaN

    def _passes(self, inputs: dict[str, Rows], kept: Kept) -> Answers:
        """One call of the graph for users with a like number of new steps."""
        parts = parts_by_steps(inputs["length"] - kept.known, SPLIT_STEPS)
        if len(parts) == 1:
            return self._pass(inputs, kept)
        of_parts = (({name: rows[part] for name, rows in inputs.items()}, kept.where(part)) for part in parts)
        return in_order(parts, [self._pass(*of_part) for of_part in of_parts])

    def _pass(self, inputs: dict[str, Rows], kept: Kept) -> Answers:
        length, known = inputs["length"], kept.known
        most = max(int((length - known).max()), 1)  # new steps of a user
        width = width_for(int(length.max()), self._window)
        feeds = {name: np.ascontiguousarray(inputs[name][:, :width]) for name in ("items", "kinds")}
        feeds |= {"length": length, "known": known}
        feeds["new"] = np.minimum(known[:, None] + np.arange(most, dtype=np.int32), width - 1)
        states, keys = self.cache.read(kept)
        feeds["state"] = states
        if self._keyed:
            feeds["keys"] = np.ascontiguousarray(keys)
        scores, state, *others = self._session.run(None, feeds)
        self.cache.store(kept, length, state, others.pop(0) if self._keyed else state[:, :0])
        return *best_rows(scores, self._top), *others

    def _unkept(self, inputs: dict[str, Rows]) -> Kept:
        """The full pass for all."""
        users = len(inputs["length"])
        return Kept(np.full(users, NOT_KEPT), np.zeros(users, np.int32), np.zeros((users, self._window), np.int32))

    def _is_due(self, kept: Kept) -> bool:
        self._unchecked += len(kept.known)
        return 0 < self._check_every <= self._unchecked and bool(kept.known.any())

    def _is_right(self, inputs: dict[str, Rows], kept: Kept, answers: Answers) -> bool:
        """Compares the scores of the first user with an entry with those of the full pass."""
        self._unchecked = 0
        user = np.array([kept.known.argmax()])
        one = {name: rows[user] for name, rows in inputs.items()}
        expected = self._passes(one, self._unkept(one))[0]
        difference = float(np.abs(answers[0][user] - expected).max())
        if difference <= TOLERANCE:
            return True
        self.cache.check_failures += 1
        log.error("scores from the encoder cache differ by %s from the full pass: the cache is emptied", difference)
        return False

    def _check_signature(self) -> bool:
        """Whether the encoder keeps something of each step."""
        inputs, outputs = signature(self._session)
        for keyed, ins, outs in ((False, INPUTS, OUTPUTS), (True, INPUTS | KEYS, OUTPUTS + KEY_OUTPUTS)):
            if (inputs, outputs) == (ins, outs + self._clicks):
                return keyed
        raise BundleError(f"an incremental graph {INPUTS} -> {OUTPUTS + self._clicks}", f"{inputs} -> {outputs}", _FIX)
