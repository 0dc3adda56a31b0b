# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A gRPC application with the standard health service, and calls to its methods. Messages are plain bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from concurrent import futures

# The lab starts processes while gRPC threads run; without fork support gRPC stays out of that.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

CALL_SECONDS = 5.0
_SERVICE = "lab.Echo"


class GrpcApp:
    """Echoes one message or a stream of them, its name in front; while `serving` is false it is sick and says so.

    `calls` says when a call arrived (Unix time). They end with the status `failing` and `trailers` while that is set.
    """

    def __init__(self, name: str = "", health_service: str = "") -> None:
        self.name = name
        self.address = ""
        self.port = 0
        self.taken: list[bytes] = []
        self.calls: list[float] = []
        self.failing: grpc.StatusCode | None = None
        self.trailers: tuple[tuple[str, str], ...] = ()
        self._health_service = health_service
        self._health = health.HealthServicer()
        self._server: grpc.Server | None = None
        self.serving = True

    @property
    def serving(self) -> bool:
        return self._serving

    @serving.setter
    def serving(self, value: bool) -> None:
        self._serving = value
        status = health_pb2.HealthCheckResponse.SERVING if value else health_pb2.HealthCheckResponse.NOT_SERVING
        self._health.set(self._health_service, status)

    def start(self, address: str, port: int = 0) -> None:
        self._server = grpc.server(futures.ThreadPoolExecutor(max_workers=8))
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        self._server.add_generic_rpc_handlers(
            [
                grpc.method_handlers_generic_handler(
                    _SERVICE,
                    {
                        "Unary": grpc.unary_unary_rpc_method_handler(self._unary),
                        "Stream": grpc.stream_stream_rpc_method_handler(self._stream),
                    },
                )
            ]
        )
        self.address = address
        self.port = self._server.add_insecure_port(f"{address}:{port}")
        self._server.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.stop(None).wait()
            self._server = None

    def _unary(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        self.calls.append(time.time())
        if self.failing is not None:
            context.set_trailing_metadata(self.trailers)
            context.abort(self.failing, "told to fail")
        if not self.serving:
            context.abort(grpc.StatusCode.UNAVAILABLE, "sick")
        self.taken.append(message)
        return self.name.encode() + b":" + message

    def _stream(self, messages: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        for message in messages:
            yield self._unary(message, context)


class GrpcClient:
    """Calls to an Echo service behind one address, over one connection."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._channel = grpc.insecure_channel("{}:{}".format(*address))

    def __enter__(self) -> GrpcClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self._channel.close()

    def unary(self, message: bytes) -> bytes:
        """The answer, or the name of the status of a call that failed."""
        try:
            return bytes(self._channel.unary_unary(f"/{_SERVICE}/Unary")(message, timeout=CALL_SECONDS))
        except grpc.RpcError as error:
            return str(error.code().name).encode()

    def stream(self, messages: Iterable[bytes]) -> Iterator[bytes]:
        yield from self._channel.stream_stream(f"/{_SERVICE}/Stream")(iter(messages), timeout=CALL_SECONDS)
