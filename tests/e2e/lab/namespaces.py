# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts as network namespaces, and sockets in them that belong to any user. Needs root, iproute2 and nftables."""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator

WHY_NOT = (
    "needs root, to make network namespaces"
    if os.geteuid()
    else "needs the commands ip and nft"
    if not (shutil.which("ip") and shutil.which("nft"))
    else ""
)

_libc = ctypes.CDLL(None, use_errno=True)
_NEW_NETWORK = 0x40000000  # CLONE_NEWNET
_ORIGINAL_DESTINATION = 80  # SO_ORIGINAL_DST and IP6T_SO_ORIGINAL_DST
_SECONDS = 5.0


def run(*command: str, given: str = "") -> str:
    done = subprocess.run(command, input=given, check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
    return done.stdout


class Namespace:
    """A host with a network of its own."""

    def __init__(self, name: str) -> None:
        self.name = name
        run("ip", "netns", "add", name)
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command: str, given: str = "") -> str:
        return run("ip", "netns", "exec", self.name, *command, given=given)

    def remove(self) -> None:
        run("ip", "netns", "delete", self.name)

    def join(self, interface: str, other: Namespace, peer: str, networks: list[tuple[str, str]]) -> None:
        """Lay a cable; `networks` has for each the address here and there, with the length of its prefix."""
        run("ip", "link", "add", interface, "netns", self.name, "type", "veth", "peer", peer, "netns", other.name)
        for here, there in networks:
            for host, device, address in ((self, interface, here), (other, peer, there)):
                nodad = ["nodad"] if ":" in address else []
                host.run("ip", "address", "add", address, "dev", device, *nodad)
        self.run("ip", "link", "set", interface, "up")
        other.run("ip", "link", "set", peer, "up")

    @contextlib.contextmanager
    def entered(self, user: int = 0) -> Iterator[None]:
        """This thread is in the namespace, and files and sockets that it opens belong to the user."""
        with open("/proc/thread-self/ns/net") as former, open(f"/run/netns/{self.name}") as own:
            if _libc.setns(own.fileno(), _NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "setns")
            before = _libc.setfsuid(user)
            try:
                yield
            finally:
                _libc.setfsuid(before)
                _libc.setns(former.fileno(), _NEW_NETWORK)

    def socket(self, address: str, user: int = 0, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """A socket for the family of the address."""
        with self.entered(user):
            made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, kind)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.settimeout(_SECONDS)
        return made

    def listen(self, address: str, port: int) -> socket.socket:
        made = self.socket(address)
        if ":" in address:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind((address, port))
        made.listen()
        return made

    def connect(
        self, address: str, port: int, user: int = 0, source: str = "", wait: float = _SECONDS
    ) -> socket.socket:
        made = self.socket(address, user)
        made.settimeout(wait)
        try:
            if source:
                made.bind((source, 0))
            made.connect((address, port))
        except OSError:
            made.close()
            raise
        return made


def accept(listeners: list[socket.socket]) -> tuple[socket.socket, socket.socket]:
    """The listener that a connection reached, and the connection."""
    ready, _writable, _exceptional = select.select(listeners, [], [], _SECONDS)
    (reached,) = ready
    connection, _peer = reached.accept()
    connection.settimeout(_SECONDS)
    return reached, connection


def original_destination(connection: socket.socket) -> tuple[str, int]:
    """Where the client wanted to go before it was redirected."""
    if connection.family == socket.AF_INET:
        _family, port, address = struct.unpack_from(
            "!HH4s", connection.getsockopt(socket.SOL_IP, _ORIGINAL_DESTINATION, 16)
        )
    else:
        option = connection.getsockopt(socket.IPPROTO_IPV6, _ORIGINAL_DESTINATION, 28)
        _family, port, _flow, address = struct.unpack_from("!HHI16s", option)
    return socket.inet_ntop(connection.family, address), port
