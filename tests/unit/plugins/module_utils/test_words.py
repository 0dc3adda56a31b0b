# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Envoy says becomes a path and a reason, and nothing of the configuration that it repeats."""

from __future__ import annotations

import pytest

from ansible_collections.meshsmith.universal.plugins.module_utils import _words

# As Envoy 1.36 to 1.40 print them; the white space is different in every run.
CONSTRAINT = """ goo.gle/debugproto
static_resources {
  clusters {
    http_health_check { request_headers_to_add { header { key: "x" value: "s3cr3t" } } }
  }
}
: Proto constraint validation failed (BootstrapValidationError.StaticResources: embedded message failed validation | \
caused by StaticResourcesValidationError.Clusters[1]: embedded message failed validation | caused by \
ClusterValidationError.HealthChecks[0]: embedded message failed validation | caused by \
HealthCheckValidationError.Timeout: value is required)
"""
PATTERN = """ goo.gle/debugstr
clusters { name: "s3cr3t" }
: Proto constraint validation failed (HeaderValueValidationError.Value: \
value does not match regex pattern "^[^(\\x00)]*$")
"""
JSON = (
    " Unable to parse JSON as proto (INVALID_ARGUMENT: invalid   JSON in envoy.config.bootstrap.v3.Bootstrap @ "
    "staticResources.clusters[0].healthChecks[0].timeout:   message google.protobuf.Duration, near 1:228 "
    '(offset 227): duration must  start with an integer): {"value": "s3cr3t"}'
)
UNKNOWN_FIELD = (
    " Protobuf message (type envoy.config.bootstrap.v3.Bootstrap reason INVALID_ARGUMENT: invalid JSON   in "
    "envoy.config.bootstrap.v3.Bootstrap @  staticResources.clusters[0]: message envoy.config.cluster.v3.Cluster, "
    "near 1:481 (offset  480):  no   such field:   'nonsense') has unknown fields"
)
UNKNOWN_TYPE = (
    " Unable to parse JSON as proto (INVALID_ARGUMENT: could not find @type 'type.googleapis.com/nope.Nope'): "
    '{"value": "s3cr3t"}'
)


@pytest.mark.parametrize(
    ("words", "path", "reason"),
    [
        (CONSTRAINT, "staticResources.clusters[1].healthChecks[0].timeout", "value is required"),
        (PATTERN, "value", 'value does not match regex pattern "^[^(\\x00)]*$"'),
        (
            JSON,
            "staticResources.clusters[0].healthChecks[0].timeout",
            "duration must start with an integer",
        ),
        (
            UNKNOWN_FIELD,
            "staticResources.clusters[0]",
            "no such field: 'nonsense'",
        ),
        (
            UNKNOWN_TYPE,
            "",
            "could not find @type 'type.googleapis.com/nope.Nope'",
        ),
        (" cluster must support\n HTTP/2", "", "cluster must support HTTP/2"),
        (' something new: {"value": "s3cr3t"}', "", "something new"),
        (' goo.gle/debugonly a { b: "s3cr3t" }', "", "it repeats the configuration and names no reason"),
        (' goo.gle/debugonly a { b: "s3cr3t" } : no good', "", "no good"),
    ],
)
def test_path_and_reason(words: str, path: str, reason: str) -> None:
    assert _words.split(words) == (path, reason)


def test_a_long_reason_is_cut() -> None:
    assert len(_words.split("word " * 1000)[1]) == _words.MAX_LENGTH


LOG = """\
[2026-11-21 12:43:19.473][17809][warning][upstream] [lds_api.cc:89] lds: listener 'first' config rejected: cannot bind
[2026-11-21 12:43:19.473][17809][warning][upstream] [cds_api.cc:74] cds: cluster 'backend' config rejected: no good
[2026-11-21 12:43:19.473][17809][warning][config] [x.cc:81] Filesystem config update rejected: Error in cluster
"""
LOG_OF_A_FILE = """\
[2026-11-21 12:43:19.473][17809][warning][config] [x.cc:81] Filesystem config update rejected: goo.gle/debugstr
{ name: "s3cr3t" }
: Proto constraint validation failed (ClusterValidationError.HealthChecks[0]: embedded message failed validation | \
caused by HealthCheckValidationError.Timeout: value is required)
[2026-11-21 12:43:20.528][17809][info][upstream] [x.cc:31] cds: applied (nothing)
"""
LOG_OF_SOMETHING_ELSE = """\
[2026-11-21 12:43:19.473][17809][warning][config] [x.cc:81] Filesystem config update failed: unable to read
[2026-11-21 12:43:20.528][17809][info][upstream] [x.cc:31] cds: applied
"""
LOG_OF_A_FAILED_START = """\
[2026-11-21 13:26:32.798][1171][critical][main] [server.cc:449] error `cannot bind '10.0.0.1:22': in use` \
initializing config 'goo.gle/debugproto
node { id: "s3cr3t" }
"""


@pytest.mark.parametrize(
    ("log", "label", "words"),
    [
        (LOG, "cluster/backend", "no good"),
        (LOG_OF_A_FILE, None, "healthChecks[0].timeout: value is required"),
        (LOG_OF_A_FAILED_START, None, "cannot bind '10.0.0.1:22': in use"),
        (LOG_OF_SOMETHING_ELSE, None, "unable to read"),
    ],
)
def test_the_last_refusal_of_a_log(log: str, label: str | None, words: str) -> None:
    refusal = _words.refusal_in(log)
    assert refusal is not None
    assert (refusal.label, refusal.words) == (label, words)


def test_a_log_without_refusals() -> None:
    assert _words.refusal_in("[2026-11-21 12:43:20.528][17809][info][upstream] all is well\n") is None
