"""The line on calibration: whether predicted probabilities are the shares that come true."""

from model_export.gate.report import Line, judged
from operators.model.model_bundle import ModelBundle

FILE = "click_calibration.npy"  # a bundle that has it serves `p_click`


def calibration_line(candidate: ModelBundle) -> Line:
    """Passes where the bundle serves no probability. One that does is refused: the gate cannot judge it yet."""
    served = FILE in candidate.manifest["files"]
    return judged(
        "calibration",
        not served,
        "a p_click that the gate can compare with outcomes, or none",
        "one that it cannot" if served else "p_click is not served",
        "judge it with a Liveshelf version whose gate can",
    )
