"""Starts a Python module as a process that reads its order from stdin."""

import subprocess
import sys

import msgspec


def start(module: str, order: msgspec.Struct) -> "subprocess.Popen[str]":
    """Starts `python -m module` with `order` as JSON on stdin; its stdout is piped.

    A command line would be readable by all users of the machine, and too short for a vocabulary.
    """
    command = [sys.executable, "-m", module]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(order).decode())
    process.stdin.close()
    process.stdin = None  # `communicate` would write to it
    return process
