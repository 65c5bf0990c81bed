"""Brokers that refuse a client in ways that a real one does seldom, or only on a busy machine."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterator

METADATA, SASL_HANDSHAKE, API_VERSIONS = 3, 17, 18
UNSUPPORTED_VERSION, UNSUPPORTED_SASL_MECHANISM = 35, 33
SUPPORTED = ((METADATA, 0, 1), (SASL_HANDSHAKE, 0, 1), (API_VERSIONS, 0, 0))  # key, lowest version, highest version


@contextlib.contextmanager
def refusing_broker(*, then_silent: bool = False) -> Iterator[str]:
    """The address of a broker that ends with the block. It knows no SASL mechanism, and hangs up with that answer; it hangs
    up at a request without a login. `then_silent`: it does so to the first client and answers no later one."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, then_silent), daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def _serve(server: socket.socket, then_silent: bool) -> None:
    silenced = list[socket.socket]()
    with contextlib.suppress(OSError):
        while True:
            connection, _ = server.accept()
            if then_silent and silenced:
                silenced.append(connection)
                continue
            with connection, contextlib.suppress(OSError, struct.error):
                while _answer(connection):
                    pass
            silenced.append(connection)


def _answer(connection: socket.socket) -> bool:
    """Answers one request; False after a refusal."""
    (size,) = struct.unpack(">i", connection.recv(4, socket.MSG_WAITALL))
    key, version, correlation = struct.unpack(">hhi", connection.recv(size, socket.MSG_WAITALL)[:8])
    if key == API_VERSIONS:
        body = struct.pack(">hi", UNSUPPORTED_VERSION if version else 0, len(SUPPORTED))
        body += b"".join(struct.pack(">hhh", *supported) for supported in SUPPORTED)
    elif key == SASL_HANDSHAKE:
        body = struct.pack(">hi", UNSUPPORTED_SASL_MECHANISM, 0)
    else:
        return False
    connection.sendall(struct.pack(">ii", 4 + len(body), correlation) + body)
    return key == API_VERSIONS
