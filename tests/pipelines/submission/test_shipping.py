"""A submission carries what a TaskManager runs: the kernel, its rooms and the jar of the Java half, not how that is made."""

from pathlib import Path

from pipelines.submission.shipping import stage
from tests.builders import write_bundle


def test_the_jar_of_the_java_half_is_shipped_and_its_sources_are_not(tmp_path: Path) -> None:
    ship = tmp_path / "ship"
    marker = stage(ship, write_bundle(tmp_path / "bundle"))
    files = {str(path.relative_to(ship)) for path in ship.rglob("*") if path.is_file()}
    assert {name for name in files if "/bridge/" in name} == {"pipelines/job/bridge/liveshelf-bridge.jar"}
    assert {marker, "bundle/model.onnx", "operators/errors.py", "pipelines/job/recommend.py"} <= files
    assert not [name for name in files if "__pycache__" in name]
