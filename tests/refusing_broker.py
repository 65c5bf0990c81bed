"""A broker that knows no SASL mechanism, and that hangs up with its answer."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

SASL_HANDSHAKE, API_VERSIONS = 17, 18
UNSUPPORTED_VERSION, UNSUPPORTED_SASL_MECHANISM = 35, 33
SUPPORTED = ((SASL_HANDSHAKE, 0, 1), (API_VERSIONS, 0, 0))  # key, lowest version, highest version


@contextlib.contextmanager
def refusing_broker() -> Iterator[str]:
    """The address of the broker, which ends with the block."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            with connection, contextlib.suppress(OSError, struct.error):
                while _answer(connection):
                    pass


def _answer(connection: socket.socket) -> bool:
    """Answers one request; False after the refusal."""
    (size,) = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))
    key, version, correlation = struct.unpack(">hhi", connection.recv(size, socket.MSG_WAITALL)[:8])
    if key == API_VERSIONS:
        body = struct.pack(">hi", UNSUPPORTED_VERSION if version else 0, len(SUPPORTED))
        body += b"".join(struct.pack(">hhh", *supported) for supported in SUPPORTED)
    else:
        body = struct.pack(">hi", UNSUPPORTED_SASL_MECHANISM, 0)
    connection.sendall(struct.pack(">ii", 4 + len(body), correlation) + body)
    return key == API_VERSIONS
