# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""As much of a Kafka broker as a client needs to produce records and to fetch them: one broker, one partition a topic.

Requests are read and answered without any Kafka library, so that the broker shares no code with the client.
"""

from __future__ import annotations

import io
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from typing import BinaryIO, TypeVar

from lab.tcp_apps import App

T = TypeVar("T")

_PRODUCE, _FETCH, _LIST_OFFSETS, _METADATA, _API_VERSIONS = 0, 1, 2, 3, 18
# The one version that the broker takes of each request: Kafka 0.11, the first with today's record batches.
_VERSIONS = {_PRODUCE: 3, _FETCH: 4, _LIST_OFFSETS: 1, _METADATA: 4, _API_VERSIONS: 0}
_UNSUPPORTED_VERSION = 35
_NODE = 1
_EARLIEST = -2
# Of a record batch: the offset of its first record, and how many records come after that one.
_BASE_OFFSET = struct.Struct(">q")
_LAST_OFFSET_DELTA = struct.Struct(">23xi")


class _Reader:
    """The fields of a request, one by one."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def numbers(self, form: str) -> tuple[int, ...]:
        return struct.unpack(f">{form}", self._stream.read(struct.calcsize(f">{form}")))

    def number(self, form: str) -> int:
        return self.numbers(form)[0]

    def text(self) -> str:
        """A string; one that is null counts as empty."""
        return self._stream.read(max(self.number("h"), 0)).decode()

    def blob(self) -> bytes:
        return self._stream.read(max(self.number("i"), 0))

    def array(self, item: Callable[[], T]) -> list[T]:
        return [item() for _index in range(max(self.number("i"), 0))]


def _numbers(form: str, *values: int) -> bytes:
    return struct.pack(f">{form}", *values)


def _text(value: str) -> bytes:
    return _numbers("h", len(value.encode())) + value.encode()


def _blob(value: bytes) -> bytes:
    return _numbers("i", len(value)) + value


def _array(items: Iterable[bytes]) -> bytes:
    items = list(items)
    return _numbers("i", len(items)) + b"".join(items)


class KafkaBroker(App):
    """Keeps the record batches of a topic and gives them out; `advertised` is where it tells clients to find it."""

    def __init__(self) -> None:
        super().__init__()
        self.advertised = ("", 0)
        self._batches: dict[str, list[bytes]] = {}
        self._ends: dict[str, int] = {}
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()
        super().stop()

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while (frame := _frame(stream)) is not None:
                connection.sendall(_blob(self._answer(_Reader(frame))))

    def _answer(self, request: _Reader) -> bytes:
        key, version, correlation = request.numbers("hhi")
        request.text()  # the client's name
        if _VERSIONS.get(key) == version:
            body = self._handlers()[key](request)
        elif key == _API_VERSIONS:
            # What every broker says to a client that is newer than itself; the client comes down to this version.
            body = _api_versions(_UNSUPPORTED_VERSION)
        else:
            raise ValueError(f"request {key} in version {version}")
        return _numbers("i", correlation) + body

    def _handlers(self) -> dict[int, Callable[[_Reader], bytes]]:
        return {
            _PRODUCE: self._produce,
            _FETCH: self._fetch,
            _LIST_OFFSETS: self._list_offsets,
            _METADATA: self._metadata,
            _API_VERSIONS: lambda _request: _api_versions(0),
        }

    def _metadata(self, request: _Reader) -> bytes:
        address, port = self.advertised
        node = _numbers("i", _NODE)
        broker = node + _text(address) + _numbers("ih", port, -1)
        partition = _numbers("hii", 0, 0, _NODE) + _array([node]) + _array([node])
        topics = [_numbers("h", 0) + _text(name) + b"\0" + _array([partition]) for name in request.array(request.text)]
        return _numbers("i", 0) + _array([broker]) + _text("lab") + node + _array(topics)

    def _produce(self, request: _Reader) -> bytes:
        request.text()  # the transaction
        request.numbers("hi")  # how many acknowledge, and how soon

        def partition(topic: str) -> bytes:
            index, batch = request.number("i"), request.blob()
            return _numbers("ihqq", index, 0, self._append(topic, batch), -1)

        return _array(_by_topic(request, partition)) + _numbers("i", 0)

    def _append(self, topic: str, batch: bytes) -> int:
        """Number the records of a batch on from the last one of the topic; the number of the first."""
        base = self._ends.get(topic, 0)
        (more,) = _LAST_OFFSET_DELTA.unpack_from(batch)
        self._batches.setdefault(topic, []).append(_BASE_OFFSET.pack(base) + batch[_BASE_OFFSET.size :])
        self._ends[topic] = base + more + 1
        return base

    def _list_offsets(self, request: _Reader) -> bytes:
        request.number("i")  # the replica

        def partition(topic: str) -> bytes:
            index, time = request.numbers("iq")
            return _numbers("ihqq", index, 0, -1, 0 if time == _EARLIEST else self._ends.get(topic, 0))

        return _array(_by_topic(request, partition))

    def _fetch(self, request: _Reader) -> bytes:
        _replica, wait_ms, _minimum, _maximum, _isolation = request.numbers("iiiib")
        found = 0

        def partition(topic: str) -> bytes:
            nonlocal found
            index, offset, _limit = request.numbers("iqi")
            records = b"".join(batch for batch in self._batches.get(topic, ()) if _last_offset(batch) >= offset)
            found += len(records)
            end = self._ends.get(topic, 0)
            return _numbers("ihqqi", index, 0, end, end, 0) + _blob(records)

        topics = _by_topic(request, partition)
        if not found:
            self._stopped.wait(wait_ms / 1000)
        return _numbers("i", 0) + _array(topics)


def _frame(stream: BinaryIO) -> bytes | None:
    """The next request, or None at the end of the connection."""
    size = stream.read(4)
    return stream.read(struct.unpack(">i", size)[0]) if len(size) == 4 else None


def _api_versions(error: int) -> bytes:
    ranges = [_numbers("hhh", key, version, version) for key, version in _VERSIONS.items()]
    return _numbers("h", error) + _array(ranges)


def _by_topic(request: _Reader, partition: Callable[[str], bytes]) -> list[bytes]:
    """For each topic of a request its name, and what `partition` makes of each of its partitions."""

    def topic() -> bytes:
        name = request.text()
        return _text(name) + _array(request.array(lambda: partition(name)))

    return request.array(topic)


def _last_offset(batch: bytes) -> int:
    (base,), (more,) = _BASE_OFFSET.unpack_from(batch), _LAST_OFFSET_DELTA.unpack_from(batch)
    return int(base + more)
