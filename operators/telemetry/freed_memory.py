"""What a process frees goes back to the system: two calls of the C library, without effect where it has none of them."""

import contextlib
import ctypes

M_MMAP_THRESHOLD = -3  # mallopt(3)
LARGE_BYTES = 256 * 1024


def give_back_memory() -> None:
    """Returns freed pages to the system; glibc keeps them otherwise."""
    with contextlib.suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def give_back_large_blocks() -> None:
    """From now on a block of 256 KiB or more is mapped by itself and unmapped when it is freed.

    By itself glibc does so up to the first such block that is freed. Then it takes larger ones from the heap, and what a
    process makes anew every few minutes, such as the table of a large dict, leaves holes that the heap grows around. For
    processes that seldom allocate such blocks: each costs a system call and its page faults.
    """
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").mallopt(M_MMAP_THRESHOLD, LARGE_BYTES)
