from pathlib import Path

import pytest

from liveshelf.terminal.out_files import begins, check_out
from operators.errors import LiveshelfError

PNG = begins(b"\x89PNG")


def test_nothing_and_an_earlier_one_may_be_replaced(tmp_path: Path) -> None:
    check_out(None, "picture", PNG)
    check_out(tmp_path / "new.png", "picture", PNG)
    (tmp_path / "old.png").write_bytes(b"\x89PNG\r\n")
    check_out(tmp_path / "old.png", "picture", PNG)
    (tmp_path / "empty").touch()
    check_out(tmp_path / "empty", "picture", PNG)


def test_what_the_verb_did_not_write_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / "orders.csv").write_text("precious")
    with pytest.raises(LiveshelfError, match=r"orders\.csv; came a file that is no picture") as refused:
        check_out(tmp_path / "orders.csv", "picture", PNG)
    assert "Next: name another file" in str(refused.value)
    with pytest.raises(LiveshelfError, match="came a folder"):
        check_out(tmp_path, "picture", PNG)
    with pytest.raises(LiveshelfError, match="came a device"):
        check_out(Path("/dev/null"), "picture", PNG)
    with pytest.raises(LiveshelfError, match="mkdir -p"):
        check_out(tmp_path / "none" / "x.png", "picture", PNG)
