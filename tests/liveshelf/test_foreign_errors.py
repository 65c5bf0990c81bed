"""What libraries and the system raise reaches people as one of our errors; what is a bug of ours does not."""

import errno
import json
import os
import tomllib
import xmlrpc.client
from pathlib import Path

import httpx
import msgspec
import pyarrow
import pytest
from kafka.errors import KafkaTimeoutError

from liveshelf.terminal.foreign_errors import FIXES, as_liveshelf_error
from operators.errors import StackError

REQUEST = httpx.Request("GET", "https://shop:hush@flink.example.com/jobs")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StackError("a", "b", "c"), "expected a; came b. Next: c."),
        (KafkaTimeoutError("no answer"), "kafka.bootstrap"),
        (httpx.ConnectError("refused", request=REQUEST), "an answer from https://flink.example.com/jobs"),
        (httpx.ReadTimeout("slow"), "over HTTP"),
        (xmlrpc.client.Fault(10, "BAD_NAME: kafkaa"), "BAD_NAME: kafkaa"),
        (msgspec.ValidationError("Expected `str`"), "liveshelf validate"),
        (json.JSONDecodeError("Expecting value", "x", 0), "UTF-8"),
        (tomllib.TOMLDecodeError("Invalid value"), "UTF-8"),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), "UTF-8"),
        (pyarrow.ArrowInvalid("Parquet magic bytes not found"), "docs/train.md"),
        (ModuleNotFoundError("No module named 'scipy'", name="scipy.sparse"), "make train-deps"),
        (ImportError("Using SOCKS proxy, but the 'socksio' package is not installed."), "unset ALL_PROXY"),
        (OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE)), "a port that is free"),
        (FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "none[old].jsonl"), r"none\[old\].jsonl"),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/x"), "Permission denied.*the right"),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "free the disk"),
        (ConnectionResetError(errno.ECONNRESET, "reset"), "a connection that holds"),
    ],
    ids=lambda case: type(case).__name__ if isinstance(case, Exception) else "",
)
def test_an_error_of_others_is_said_with_what_to_do(error: Exception, expected: str) -> None:
    liveshelf_error = as_liveshelf_error(error)
    assert liveshelf_error is not None
    with pytest.raises(type(liveshelf_error), match=expected):
        raise liveshelf_error
    assert "hush" not in str(liveshelf_error) and liveshelf_error.fix


@pytest.mark.parametrize(
    "error",
    [
        ValueError("x"), KeyError("x"), ZeroDivisionError(), ImportError("cannot import name"), OSError("x"),
        ModuleNotFoundError("No module named 'operators.gone'", name="operators.gone"),
    ],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_a_bug_of_our_own_stays_one(error: Exception) -> None:
    assert as_liveshelf_error(error) is None


@pytest.mark.parametrize("number", FIXES)
def test_what_the_system_refuses_names_the_path(number: int) -> None:
    assert "/some/where" in str(as_liveshelf_error(OSError(number, os.strerror(number), "/some/where")))


def test_a_path_that_is_really_no_file(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError) as raised:
        tmp_path.read_text()
    assert str(tmp_path) in str(as_liveshelf_error(raised.value)) and "name a file" in str(
        as_liveshelf_error(raised.value)
    )
