# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Type URLs of the Envoy messages that are generated."""

from __future__ import annotations

_PREFIX = "type.googleapis.com/envoy."

CLUSTER = _PREFIX + "config.cluster.v3.Cluster"
CLUSTER_LOAD_ASSIGNMENT = _PREFIX + "config.endpoint.v3.ClusterLoadAssignment"
LISTENER = _PREFIX + "config.listener.v3.Listener"
ROUTE_CONFIGURATION = _PREFIX + "config.route.v3.RouteConfiguration"

FILE_ACCESS_LOG = _PREFIX + "extensions.access_loggers.file.v3.FileAccessLog"
GRPC_STATS = _PREFIX + "extensions.filters.http.grpc_stats.v3.FilterConfig"
HEALTH_CHECK_EVENT_FILE_SINK = _PREFIX + "extensions.health_check.event_sinks.file.v3.HealthCheckEventFileSink"
HTTP_CONNECTION_MANAGER = _PREFIX + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
HTTP_PROTOCOL_OPTIONS = _PREFIX + "extensions.upstreams.http.v3.HttpProtocolOptions"
KAFKA_BROKER = _PREFIX + "extensions.filters.network.kafka_broker.v3.KafkaBroker"
OMIT_HOST_METADATA = _PREFIX + "extensions.retry.host.omit_host_metadata.v3.OmitHostMetadataConfig"
PREVIOUS_HOSTS = _PREFIX + "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
PREVIOUS_PRIORITIES = _PREFIX + "extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig"
ROUTER = _PREFIX + "extensions.filters.http.router.v3.Router"
TCP_PROXY = _PREFIX + "extensions.filters.network.tcp_proxy.v3.TcpProxy"
