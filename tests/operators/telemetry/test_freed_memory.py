"""Memory that a process frees, in processes of their own: the calls change a whole process."""

import platform
import subprocess
import sys

import pytest

from tests.places import ROOT

# after the first large block glibc takes such blocks from the heap; small ones at its end keep it from shrinking
PROGRAM = """
import ctypes, os
from benchmarks.faults.memory import memory_of
from operators.telemetry.freed_memory import give_back_large_blocks
{call}
bytearray(30_000_000)
large = [bytearray(b"x") * 1_000_000 for _ in range(40)]
libc = ctypes.CDLL("libc.so.6")
libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
small = [libc.malloc(100_000) for _ in range(20)]
before = memory_of(os.getpid()).anonymous
del large
print(before - memory_of(os.getpid()).anonymous)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_large_blocks_go_back_to_the_system_when_they_are_freed() -> None:
    given_back = []
    for call in ("", "give_back_large_blocks()"):
        command = [sys.executable, "-c", PROGRAM.format(call=call)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
        given_back.append(float(done.stdout))
    by_itself, as_asked = given_back
    assert by_itself < 10 < 35 < as_asked, given_back
