"""Messages over a Unix socket, each after its length: the form of `multiprocessing.Connection`.

Unlike that one it can send and receive without waiting. With two batches in flight both ends may be writing at once, and
would wait for each other for ever.
"""

import contextlib
import socket
import struct

from pipelines.scoring.wire import LARGEST

_SIZE = struct.Struct("!i")
SEND_BUFFER = 4 * 2**20  # asked for; the kernel gives as much as net.core.wmem_max allows


class MessageSocket:
    """One end. Its socket may block, or not: then `send` and `receive` do what is possible at once.

    All methods raise `OSError` or `EOFError` where the other end has gone or sends no message.
    """

    def __init__(self, end: socket.socket) -> None:
        # a whole answer should fit: else the scorer waits until the operator reads
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
        self._end = end
        self._unsent: list[memoryview] = []
        self._size, self._content = bytearray(_SIZE.size), bytearray()
        self._read = 0  # bytes of both

    def fileno(self) -> int:
        """Of the socket; -1 after `close`."""
        return self._end.fileno()

    def send(self, message: bytes) -> bool:
        """Sends a message after what is unsent. Returns whether all has gone; `flush` sends the rest."""
        self._unsent += [memoryview(_SIZE.pack(len(message))), memoryview(message)]
        return self.flush()

    def flush(self) -> bool:
        """Sends what is unsent. Returns whether all has gone."""
        while self._unsent:
            try:
                sent = self._end.sendmsg(self._unsent)
            except BlockingIOError:
                return False
            while self._unsent and sent >= len(self._unsent[0]):
                sent -= len(self._unsent.pop(0))
            if sent:
                self._unsent[0] = self._unsent[0][sent:]
        return True

    @property
    def has_unsent(self) -> bool:
        """Whether `flush` has something to send."""
        return bool(self._unsent)

    def receive(self) -> bytearray | None:
        """The next message; None where it is not there as a whole."""
        try:
            if self._read < _SIZE.size:
                self._fill(self._size, 0)
                (size,) = _SIZE.unpack(self._size)
                if not 0 <= size <= LARGEST:
                    raise OSError(f"bad message length: {size} bytes")
                self._content = bytearray(size)
            self._fill(self._content, _SIZE.size)
        except BlockingIOError:
            return None
        message, self._content, self._read = self._content, bytearray(), 0
        return message

    def close(self) -> None:
        """Closes the socket; wakes a thread that waits for it."""
        with contextlib.suppress(OSError):  # the other end has gone
            self._end.shutdown(socket.SHUT_RDWR)
        self._end.close()

    def _fill(self, buffer: bytearray, begins: int) -> None:
        """Reads until a buffer is full; `begins`: its place in the message."""
        with memoryview(buffer) as view:
            while (at := self._read - begins) < len(buffer):
                count = self._end.recv_into(view[at:])
                if count == 0:
                    raise EOFError
                self._read += count
