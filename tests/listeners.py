"""The sockets that processes of this machine listen on."""

import socket
from collections.abc import Iterable
from dataclasses import dataclass

import psutil

from operators.configuration.loopback import is_loopback


@dataclass(frozen=True)
class Listener:
    """One TCP socket that listens, or a UDP socket that anybody may send to."""

    process: str
    kind: str  # tcp or udp
    host: str
    port: int

    @property
    def reachable(self) -> bool:
        """From other machines: the wildcard addresses, and any that is not loopback."""
        return not is_loopback(self.host)


def family(pid: int) -> list[psutil.Process]:
    """A process and all that it has started."""
    head = psutil.Process(pid)
    return [head, *head.children(recursive=True)]


def listeners(processes: Iterable[psutil.Process]) -> list[Listener]:
    """All of them, IPv4 and IPv6."""
    found = []
    for process in processes:
        for one in process.net_connections("inet"):
            stream = one.type == socket.SOCK_STREAM
            if one.laddr and (one.status == psutil.CONN_LISTEN if stream else not one.raddr):
                found.append(Listener(process.name(), "tcp" if stream else "udp", one.laddr.ip, one.laddr.port))
    return found


def calls_out(processes: Iterable[psutil.Process]) -> list[str]:
    """The other machines that processes are connected to, or ask a name server for."""
    found = []
    for process in processes:
        for one in process.net_connections("inet"):
            if one.raddr and not is_loopback(one.raddr.ip):
                found.append(f"{process.name()} -> {one.raddr.ip}:{one.raddr.port}")
    return found


def machine_addresses() -> list[str]:
    """Addresses of this machine that are not 127.0.0.1. All of 127.0.0.0/8 is this machine, and a socket on the wildcard
    address answers at 127.0.0.2 too, one on 127.0.0.1 does not."""
    own = [a.address for addresses in psutil.net_if_addrs().values() for a in addresses if a.family == socket.AF_INET]
    return ["127.0.0.2", *(address for address in own if not address.startswith("127."))]


def answers(host: str, port: int) -> bool:
    """Whether something takes a connection there."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex((host, port)) == 0
