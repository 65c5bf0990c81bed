"""Messages over a socket, in pieces, and what is no message."""

import socket
import struct
from collections.abc import Iterator
from multiprocessing.connection import Connection

import pytest

from pipelines.scoring.message_socket import MessageSocket
from pipelines.scoring.wire import LARGEST

Ends = tuple[MessageSocket, socket.socket]


@pytest.fixture
def ends() -> Iterator[Ends]:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    end = MessageSocket(ours)
    with theirs:
        yield end, theirs
    end.close()


def test_a_message_is_whole_or_not_there(ends: Ends) -> None:
    end, theirs = ends
    assert end.receive() is None
    for byte in struct.pack("!i", 3) + b"ab":
        theirs.send(bytes([byte]))
        assert end.receive() is None
    theirs.send(b"c" + struct.pack("!i", 0) + struct.pack("!i", 1) + b"d")
    assert [end.receive() for _ in range(4)] == [b"abc", b"", b"d", None]


def test_what_the_socket_does_not_take_is_sent_later_and_in_order(ends: Ends) -> None:
    end, theirs = ends
    messages = [bytes([number]) * 20_000_000 for number in range(3)]
    assert [end.send(message) for message in messages] == [False] * 3
    there, received = MessageSocket(theirs), []
    theirs.setblocking(False)
    while len(received) < 3:
        end.flush()
        if (message := there.receive()) is not None:
            received.append(message)
    assert received == messages and not end.has_unsent


def test_the_form_is_that_of_multiprocessing(ends: Ends) -> None:
    end, theirs = ends
    with Connection(theirs.detach()) as connection:
        assert end.send(b"hello")
        assert connection.recv_bytes() == b"hello"
        connection.send_bytes(b"x" * 50_000)
        assert end.receive() == b"x" * 50_000


@pytest.mark.parametrize("size", [-1, LARGEST + 1])
def test_a_length_that_no_message_has_is_an_error(ends: Ends, size: int) -> None:
    end, theirs = ends
    theirs.send(struct.pack("!i", size))
    with pytest.raises(OSError, match="bad message length"):
        end.receive()


def test_an_end_in_the_middle_of_a_message_is_an_end(ends: Ends) -> None:
    end, theirs = ends
    theirs.send(struct.pack("!i", 5) + b"ab")
    assert end.receive() is None
    theirs.close()
    with pytest.raises(EOFError):
        end.receive()
    with pytest.raises(OSError):
        end.send(b"x")


def test_a_socket_that_is_closed_twice_has_no_number(ends: Ends) -> None:
    end, _ = ends
    end.close()
    end.close()
    assert end.fileno() == -1
