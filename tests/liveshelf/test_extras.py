"""The error for an optional package that is missing."""

import sys

from liveshelf.terminal.extras import missing_extra


def test_the_command_installs_into_the_python_that_runs() -> None:
    error = missing_extra("tokenizers")
    assert error.fix == f"{sys.executable} -m pip install 'liveshelf[text]'"
    assert missing_extra("torch").fix.startswith("make train-deps, or ")
