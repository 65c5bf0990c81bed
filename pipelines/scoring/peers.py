"""The peer of a Unix socket, from the kernel, and the time-outs of its connection."""

import socket
import struct
from typing import NamedTuple

_credentials = struct.Struct("iII")


class Peer(NamedTuple):
    """The process at the other end. `pid` is 0 where it runs in another PID namespace."""

    pid: int
    uid: int
    gid: int


def peer_of(end: socket.socket) -> Peer:
    """SO_PEERCRED. A server gets the process that connected; a client gets the process that called `listen` last."""
    return Peer(*_credentials.unpack(end.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _credentials.size)))


def set_patience(end: socket.socket, which: int, seconds: float) -> None:
    """`which`: SO_RCVTIMEO or SO_SNDTIMEO; past it there is a `BlockingIOError`."""
    end.setsockopt(socket.SOL_SOCKET, which, struct.pack("@ll", int(seconds), int(seconds % 1 * 1e6)))
