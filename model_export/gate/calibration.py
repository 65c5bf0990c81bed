"""The line on calibration: whether predicted probabilities are the shares that come true."""

from model_export.gate.report import Line, judged
from operators.model.model_bundle import ModelBundle

HEAD = "p_click"


def calibration_line(candidate: ModelBundle) -> Line:
    """Passes where the bundle serves no probability. One that does is refused: the gate cannot judge it yet."""
    served = HEAD in candidate.manifest.get("outputs", [])
    return judged(
        "calibration",
        not served,
        f"a {HEAD} that the gate can compare with clicks, or none",
        f"a {HEAD} that it cannot" if served else f"{HEAD} is not served",
        "use the Liveshelf version that made the bundle",
    )
