# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy resources as the protobuf messages that they stand for, and what tells two of them apart."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINTS = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"

# Importing a module is what makes its messages known, also those inside `google.protobuf.Any`.
_MODULES = (
    "envoy.config.cluster.v3.cluster_pb2",
    "envoy.config.endpoint.v3.endpoint_pb2",
    "envoy.config.listener.v3.listener_pb2",
    "envoy.extensions.filters.http.cors.v3.cors_pb2",
    "envoy.extensions.filters.http.grpc_stats.v3.config_pb2",
    "envoy.extensions.filters.http.health_check.v3.health_check_pb2",
    "envoy.extensions.filters.http.router.v3.router_pb2",
    "envoy.extensions.filters.network.echo.v3.echo_pb2",
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2",
    "envoy.extensions.health_check.event_sinks.file.v3.file_pb2",
    "envoy.extensions.retry.host.omit_host_metadata.v3.omit_host_metadata_config_pb2",
    "envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2",
    "envoy.extensions.retry.priority.previous_priorities.v3.previous_priorities_config_pb2",
    "envoy.extensions.upstreams.http.v3.http_protocol_options_pb2",
)


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


class Difference(NamedTuple):
    """One place where two values differ; `path` is written like `healthChecks[0].timeout`."""

    path: str
    ours: Any
    kuma: Any


def canonical(type_url: str, resource: dict[str, Any]) -> dict[str, Any]:
    """The resource read as its message and printed again: one spelling of names, durations and numbers, no defaults.

    Equal messages print equal; unlike the messages' own bytes that also holds inside `google.protobuf.Any`, whose maps
    have no order. Raises `json_format.ParseError` for what is not such a message.
    """
    message_type = descriptor_pool.Default().FindMessageTypeByName(type_url.rpartition("/")[2])
    message = json_format.ParseDict(resource, message_factory.GetMessageClass(message_type)())
    return json_format.MessageToDict(message)


def differences(ours: Any, kuma: Any, path: str = "") -> Iterator[Difference]:
    """Where two canonical values differ, innermost places first; a list of another length differs as a whole."""
    if isinstance(ours, dict) and isinstance(kuma, dict):
        for key in sorted(ours.keys() | kuma.keys()):
            member = f"{path}.{key}" if path and key.isidentifier() else key if not path else f'{path}["{key}"]'
            yield from differences(ours.get(key, ABSENT), kuma.get(key, ABSENT), member)
    elif isinstance(ours, list) and isinstance(kuma, list) and len(ours) == len(kuma):
        for index, pair in enumerate(zip(ours, kuma, strict=True)):
            yield from differences(*pair, f"{path}[{index}]")
    elif ours != kuma:
        yield Difference(path, ours, kuma)


def _declare_kafka_broker() -> None:
    """xds-protos has no contrib extensions. This is the one message of them that a mesh needs."""
    file = descriptor_pb2.FileDescriptorProto(
        name="contrib/envoy/extensions/filters/network/kafka_broker/v3/kafka_broker.proto",
        package="envoy.extensions.filters.network.kafka_broker.v3",
        syntax="proto3",
    )
    file.message_type.add(name="KafkaBroker").field.add(
        name="stat_prefix",
        json_name="statPrefix",
        number=1,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
        label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
    )
    descriptor_pool.Default().Add(file)


for _module in _MODULES:
    importlib.import_module(_module)
_declare_kafka_broker()
