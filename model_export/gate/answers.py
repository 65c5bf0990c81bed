"""What a bundle answers to the questions of a window, as the job serves it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from model_export.evaluation.served import Served, ranks_of_candidates
from model_export.gate.questions import Questions
from model_export.gate.report import Line, judged
from operators.errors import BundleError
from operators.shopper.features import Features, Rows, Vocabulary, features

LIST = 20


@dataclass(frozen=True)
class Answers:
    """Of B questions: `features`, the inputs; `scores` [B, K] and `rows` [B, K], best first; `rank`, int64 [B], of what the
    shopper wanted (`NEVER` outside the candidates); `warm`, bool [B]: the model scored the shopper.

    The others got the popular list: shoppers of whose history the bundle knows nothing, and those of `unusable`, bool [B].
    """

    features: Features
    scores: npt.NDArray[np.float32]
    rows: Rows
    rank: npt.NDArray[np.int64]
    warm: npt.NDArray[np.bool_]
    unusable: npt.NDArray[np.bool_]

    def lists(self, own: Vocabulary, words: Vocabulary) -> Rows:
        """int32 [B, 20]: the lists in rows of `words`, which knows all items of `own`."""
        row_in_words = np.array([0, *(words.row(item) for item in own.item_ids)], dtype=np.int32)
        lists: Rows = row_in_words[self.rows[:, :LIST]]
        return lists


def answers(served: Served, questions: Questions) -> Answers:
    """Raises `BundleError` where the graph raises."""
    bundle = served.bundle
    inputs = features(questions.states, bundle.vocabulary, bundle.window, bundle.hop)
    try:
        scores, rows = served.candidates(inputs)
    except Exception as error:  # ONNX Runtime raises classes of its own that share no base
        raise BundleError(
            "a graph that scores every shopper of the window", str(error)[:300], "export the bundle again"
        ) from error
    known = inputs.length > 0
    unusable = known & _unusable(scores, rows, len(bundle.vocabulary))
    rows[unusable] = np.resize(bundle.popular, rows.shape[1])
    scores[unusable] = -np.arange(rows.shape[1], dtype=np.float32)
    rank = ranks_of_candidates(scores, rows, questions.targets(bundle.vocabulary))
    return Answers(inputs, scores, rows, rank, known & ~unusable, unusable)


def answers_line(candidate: list[Answers]) -> Line:
    """Whether every answer can be served; one `Answers` for each window."""
    unusable = np.concatenate([one.unusable for one in candidate])
    count, users = int(unusable.sum()), len(unusable)
    return judged(
        "answers",
        not count,
        "finite falling scores of different items of the bundle for every question",
        f"NaN, infinity, an item twice, an unknown row or an unsorted list for {count} of {users}"
        if count
        else f"that for all {users}",
        "look for an epoch without a finite loss in training.jsonl, train again and export again",
        value=count,
        limit=0,
    )


def _unusable(scores: npt.NDArray[np.float32], rows: Rows, items: int) -> npt.NDArray[np.bool_]:
    """bool [B]: the answers that the job would not serve, or could not."""
    twice = (np.diff(np.sort(rows, axis=1), axis=1) == 0).any(axis=1)
    outside = ((rows < 1) | (rows > items)).any(axis=1)
    finite = np.isfinite(scores).all(axis=1)
    rising = (scores[:, 1:] > scores[:, :-1]).any(axis=1)
    unusable: npt.NDArray[np.bool_] = twice | outside | ~finite | rising
    return unusable
