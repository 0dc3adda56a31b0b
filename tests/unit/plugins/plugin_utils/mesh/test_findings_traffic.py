# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about MeshTimeout and MeshCircuitBreaker, and about policies of several kinds that do not go together.

As in `test_findings.py`: rows of a finding, maybe cut short, and a text with just this one mistake; `▸` marks it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import CODES

Load = Callable[..., api.Universe]
Rows = list[tuple[str, str]]

MARK = "▸"
KINDS = ("MeshTimeout", "MeshCircuitBreaker")
LISTS = ("to", "from")


def place_of(text: str) -> str:
    """Line and column of the mark, from 1."""
    before = text[: text.index(MARK)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def policy(
    kind: str, default: str, *, list_: str = "to", top: str = "{kind: Mesh}", target: str = "{kind: Mesh}"
) -> str:
    return f"""\
type: {kind}
mesh: default
name: a
spec:
  targetRef: {top}
  {list_}:
  - targetRef: {target}
    default: {default}
"""


VALID = {"MeshTimeout": "{idleTimeout: 1s}", "MeshCircuitBreaker": "{connectionLimits: {}}"}


def nested(path: str, value: str) -> str:
    """A configuration with one field: `{http: {▸requestTimeout: 3s}}` for `http.requestTimeout`."""
    *sections, field = path.split(".")
    opened = "".join(f"{{{section}: " for section in sections)
    return f"{opened}{{▸{field}: {value}}}{'}' * len(sections)}"


# --- both kinds -------------------------------------------------------------------------------------------------------

TARGETS: Rows = [
    row
    for kind in KINDS
    for row in [
        ("MESH011 spec.targetRef: must be set", f"type: {kind}\nmesh: default\nname: a\n▸spec: {{to: []}}\n"),
        (
            "MESH015 spec: must have at least one item in from or to",
            f"type: {kind}\nmesh: default\nname: a\n▸spec: {{targetRef: {{kind: Mesh}}}}\n",
        ),
        (
            "MESH015 spec: must have at least one item in from or to",
            f"type: {kind}\nmesh: default\nname: a\n▸spec: {{targetRef: {{kind: Mesh}}, to: [], from: []}}\n",
        ),
        (
            "MESH009 spec.targetRef.kind: not supported yet: builtin gateways",
            policy(kind, VALID[kind], top="{▸kind: MeshGateway, name: edge}"),
        ),
        *[
            (
                "MESH020 spec.to[0].targetRef.kind: must be one of Mesh, MeshService here",
                policy(kind, VALID[kind], target=f"{{▸kind: {target}}}"),
            )
            for target in ("MeshSubset", "MeshServiceSubset, name: web", "MeshHTTPRoute, name: route")
        ],
        *[
            (
                "MESH020 spec.from[0].targetRef.kind: must be one of Mesh here",
                policy(kind, VALID[kind], list_="from", target=f"{{▸kind: {target}}}"),
            )
            for target in ("MeshSubset", "MeshService, name: web", "MeshServiceSubset, name: web")
        ],
        *[
            row
            for list_ in LISTS
            for row in [
                (
                    f"MESH011 spec.{list_}[0].targetRef: must be set",
                    policy(kind, VALID[kind], list_=list_).replace(
                        "- targetRef: {kind: Mesh}\n    default", "- ▸default"
                    ),
                ),
                (
                    f"MESH010 spec.{list_}[0].targetRef.kinds: unknown field; did you mean 'kind'?",
                    policy(kind, VALID[kind], list_=list_, target="{kind: Mesh, ▸kinds: Mesh}"),
                ),
                (
                    f"MESH012 spec.{list_}[0].default: must be a mapping, not null",
                    policy(kind, "", list_=list_).replace("default:", "▸default:"),
                ),
                (
                    f"MESH012 spec.{list_}[0].default: must be a mapping, not a list",
                    policy(kind, "[]", list_=list_).replace("default:", "▸default:"),
                ),
            ]
        ],
    ]
] + [
    (
        "MESH009 spec.targetRef.kind: not supported yet: routes (MeshHTTPRoute)",
        policy("MeshTimeout", VALID["MeshTimeout"], top="{▸kind: MeshHTTPRoute, name: route}"),
    ),
    (
        "MESH020 spec.targetRef.kind: must be one of Mesh, MeshSubset, MeshService, MeshServiceSubset here",
        policy("MeshCircuitBreaker", VALID["MeshCircuitBreaker"], top="{▸kind: MeshHTTPRoute, name: route}"),
    ),
]

# --- MeshTimeout ------------------------------------------------------------------------------------------------------

NO_TIMEOUT = "must have at least one of connectionTimeout, idleTimeout, http"
NO_HTTP = "must have at least one of requestTimeout, streamIdleTimeout, maxStreamDuration, maxConnectionDuration"
HTTP_FIELDS = tuple(
    f"http.{name}"
    for name in (
        "requestTimeout",
        "streamIdleTimeout",
        "maxStreamDuration",
        "maxConnectionDuration",
        "requestHeadersTimeout",
    )
)


def timeout(finding: str, default: str, list_: str = "to") -> tuple[str, str]:
    """A row about `default` of the first item of a list of a MeshTimeout."""
    at = rf"\1 spec.{list_}[0].default"
    return re.sub(r"(MESH\d{3}) ", at, finding, count=1), policy("MeshTimeout", default, list_=list_)


def beside(path: str, value: str) -> str:
    """As `nested`, with another timeout beside `requestHeadersTimeout`, which is none by itself."""
    text = nested(path, value)
    return text.replace("▸requestHeaders", "requestTimeout: 1s, ▸requestHeaders")


TIMEOUTS: Rows = [
    *[
        row
        for list_ in LISTS
        for row in [
            (
                f"MESH220 spec.{list_}[0].default: {NO_TIMEOUT}",
                policy("MeshTimeout", "{}", list_=list_).replace("default:", "▸default:"),
            ),
            (
                f"MESH220 spec.{list_}[0].default: {NO_TIMEOUT}",
                policy("MeshTimeout", "HERE", list_=list_)
                .replace("    default: HERE\n", "")
                .replace("- targetRef", "- ▸targetRef"),
            ),
            timeout(f"MESH220 .http: {NO_HTTP}", "{idleTimeout: 1s, ▸http: {}}", list_),
            # Kuma does not count it either, nor does one beside `http` help.
            timeout(f"MESH220 .http: {NO_HTTP}", "{idleTimeout: 1s, ▸http: {requestHeadersTimeout: 1s}}", list_),
            timeout("MESH012 .http: must be a mapping, not a string", "{idleTimeout: 1s, ▸http: 15s}", list_),
            *[
                timeout(f"MESH012 .{field}: must be a string, not {says}", beside(field, value), list_)
                for field in ("connectionTimeout", "idleTimeout", *HTTP_FIELDS)
                for value, says in [("15", "a number"), ("null", "null"), ("[]", "a list"), ("true", "true or false")]
            ],
            *[
                timeout(f"MESH022 .{field}: is not a duration such as 500ms, 10s, 1m30s", beside(field, value), list_)
                for field in ("connectionTimeout", "idleTimeout", *HTTP_FIELDS)
                for value in ("1 s", "'15'", "''", "soon")
            ],
            *[
                timeout(
                    "MESH021 .connectionTimeout: must be greater than zero", nested("connectionTimeout", value), list_
                )
                for value in ("0s", "-1s")
            ],
            *[
                timeout(f"MESH021 .{field}: must not be negative", beside(field, "-1ns"), list_)
                for field in ("idleTimeout", *HTTP_FIELDS)
            ],
        ]
    ],
    timeout(
        "MESH010 .connectTimeout: unknown field; did you mean 'connectionTimeout'?",
        "{▸connectTimeout: 5s, idleTimeout: 1s}",
    ),
    timeout(
        "MESH010 .http.requesttimeout: unknown field; did you mean 'requestTimeout'?",
        "{http: {▸requesttimeout: 5s, maxStreamDuration: 1s}}",
    ),
    timeout("MESH010 .http.idleTimeout: unknown field", "{http: {▸idleTimeout: 5s, maxStreamDuration: 1s}}"),
    timeout("MESH010 .tcp: unknown field", "{▸tcp: {idleTimeout: 5s}, idleTimeout: 1s}"),
]

# --- MeshCircuitBreaker -----------------------------------------------------------------------------------------------

NO_DETECTOR = (
    "must have at least one of totalFailures, gatewayFailures, localOriginFailures, successRate, failurePercentage"
)
DETECTORS = "outlierDetection.detectors"
COUNTS = (
    *[
        f"connectionLimits.{name}"
        for name in ("maxConnections", "maxConnectionPools", "maxPendingRequests", "maxRetries", "maxRequests")
    ],
    *[f"{DETECTORS}.{name}.consecutive" for name in ("totalFailures", "gatewayFailures", "localOriginFailures")],
    *[
        f"{DETECTORS}.{detector}.{name}"
        for detector in ("successRate", "failurePercentage")
        for name in ("minimumHosts", "requestVolume")
    ],
)
FACTOR = f"{DETECTORS}.successRate.standardDeviationFactor"


def breaker(finding: str, default: str, list_: str = "to") -> tuple[str, str]:
    """A row about `default` of the first item of a list of a MeshCircuitBreaker."""
    at = rf"\1 spec.{list_}[0].default"
    return re.sub(r"(MESH\d{3}) ", at, finding, count=1), policy("MeshCircuitBreaker", default, list_=list_)


def detection(member: str) -> str:
    return f"{{outlierDetection: {{{member}, detectors: {{totalFailures: {{consecutive: 5}}}}}}}}"


CIRCUIT_BREAKERS: Rows = [
    *[
        row
        for list_ in LISTS
        for row in [
            (
                f"MESH230 spec.{list_}[0].default: must have connectionLimits or outlierDetection",
                policy("MeshCircuitBreaker", "{}", list_=list_).replace("default:", "▸default:"),
            ),
            (
                f"MESH230 spec.{list_}[0].default: must have connectionLimits or outlierDetection",
                policy("MeshCircuitBreaker", "HERE", list_=list_)
                .replace("    default: HERE\n", "")
                .replace("- targetRef", "- ▸targetRef"),
            ),
            *[
                breaker(f"MESH230 .{DETECTORS}: {NO_DETECTOR}", f"{{{written}}}", list_)
                for written in (
                    "▸outlierDetection: {}",
                    "connectionLimits: {}, ▸outlierDetection: {interval: 1s}",
                    "▸outlierDetection: {disabled: true}",
                    "outlierDetection: {▸detectors: {}}",
                    "outlierDetection: {disabled: true, ▸detectors: {}}",
                )
            ],
            *[
                breaker(f"{code} .{field}: {says}", nested(field, value), list_)
                for field in COUNTS
                for value, code, says in [
                    ("0", "MESH021", "must be "),
                    ("-1", "MESH021", "must be "),
                    ("4294967296", "MESH021", "must be between 1 and 4294967295"),
                    ("1.5", "MESH012", "must be a whole number, not a number"),
                    ("'3'", "MESH012", "must be a whole number, not a string"),
                    ("null", "MESH012", "must be a whole number, not null"),
                ]
            ],
            *[
                breaker(
                    f"MESH021 .outlierDetection.{name}: must be greater than zero",
                    detection(f"▸{name}: {value}"),
                    list_,
                )
                for name in ("interval", "baseEjectionTime")
                for value in ("0s", "-1s")
            ],
        ]
    ],
    *[
        breaker(f"{code} .outlierDetection.{name}: {says}", detection(f"▸{name}: {value}"))
        for name in ("interval", "baseEjectionTime")
        for value, code, says in [
            ("10", "MESH012", "must be a string, not a number"),
            ("10 s", "MESH022", "is not a duration such as 500ms, 10s, 1m30s"),
        ]
    ],
    *[
        breaker(f"{code} .{field}: {says}", text)
        for field, text_of in [
            ("outlierDetection.maxEjectionPercent", lambda value: detection(f"▸maxEjectionPercent: {value}")),
            (
                f"{DETECTORS}.failurePercentage.threshold",
                lambda value: nested(f"{DETECTORS}.failurePercentage.threshold", value),
            ),
        ]
        for value, code, says in [
            ("-1", "MESH021", "must be between 0 and 100"),
            ("101", "MESH021", "must be between 0 and 100"),
            ("10.5", "MESH012", "must be a whole number, not a number"),
            ("'10'", "MESH012", "must be a whole number, not a string"),
        ]
        for text in [text_of(value)]
    ],
    *[
        breaker(f"MESH012 .outlierDetection.{name}: must be true or false, not {says}", detection(f"▸{name}: {value}"))
        for name in ("disabled", "splitExternalAndLocalErrors")
        for value, says in [("'true'", "a string"), ("1", "a number"), ("null", "null")]
    ],
    *[
        breaker(f"MESH021 .{FACTOR}: must be greater than zero", nested(FACTOR, value))
        for value in ("0", "-1", "'0'", "'-1.9'", "'0.0'")
    ],
    *[
        breaker(f"MESH021 .{FACTOR}: must be a number", nested(FACTOR, value))
        for value in ("''", "much", "'1,9'", "'1.9 '")
    ],
    *[
        breaker(f"MESH012 .{FACTOR}: must be a whole number or a string, not {says}", nested(FACTOR, value))
        for value, says in [("1.9", "a number"), ("true", "true or false"), ("null", "null")]
    ],
    *[
        breaker(f"MESH012 .{field}: must be a mapping, not {says}", nested(field, value))
        for field, value, says in [
            ("connectionLimits", "1024", "a number"),
            ("outlierDetection", "true", "true or false"),
            (DETECTORS, "[totalFailures]", "a list"),
            (f"{DETECTORS}.totalFailures", "5", "a number"),
            (f"{DETECTORS}.successRate", "null", "null"),
        ]
    ],
    *[
        breaker(f"MESH010 .{field}: unknown field{hint}", text)
        for field, text, hint in [
            (
                "connectionLimits.maxConnection",
                nested("connectionLimits.maxConnection", "1"),
                "; did you mean 'maxConnec",
            ),
            ("outlierDetection.healthyPanicThreshold", detection("▸healthyPanicThreshold: 50"), ""),
            (f"{DETECTORS}.totalFailures.threshold", nested(f"{DETECTORS}.totalFailures.threshold", "1"), ""),
            (f"{DETECTORS}.successRate.consecutive", nested(f"{DETECTORS}.successRate.consecutive", "1"), ""),
        ]
    ],
]

# --- policies where they apply ----------------------------------------------------------------------------------------

BACKEND = """\
type: Dataplane
mesh: default
name: backend-1
networking:
  address: 192.0.2.1
  inbound: [{port: 80, PORTSserviceAddress: 127.0.0.1, tags: {kuma.io/service: backend, kuma.io/protocol: PROTOCOL}}]
  outbound: [{port: 10001, tags: {kuma.io/service: backend}}]
"""


def together(*policies: str, protocol: str = "http", ports: str = "") -> str:
    """A dataplane that offers and consumes `backend`, and policies."""
    return "---\n".join([BACKEND.replace("PROTOCOL", protocol).replace("PORTS", ports), *policies])


ADMIN = "{port: 81, serviceAddress: 127.0.0.1, tags: {kuma.io/service: admin, side: internal}}"


def named(name: str, text: str) -> str:
    return text.replace("name: a\n", f"name: {name}\n")


CHECKS = policy("MeshHealthCheck", "{interval: 10s, http: {}}")
NEVER_FIRES = (
    "warning: MESH232 spec.to[0].default.outlierDetection.detectors: holds no detector that can fire: totalFailures"
)
RATES_NEVER_FIRE = NEVER_FIRES.replace(
    "totalFailures", "successRate needs 5 hosts, and there are 1; failurePercentage needs 2 hosts, and there are 1"
)
LIMITED = policy("MeshCircuitBreaker", "{connectionLimits: {maxRetries: 2}}")


def detecting(detectors: str, members: str = "") -> str:
    """A MeshCircuitBreaker whose outlier detection may eject everything."""
    text = "{outlierDetection: {maxEjectionPercent: 100, MEMBERS▸detectors: {DETECTORS}}}"
    return policy("MeshCircuitBreaker", text.replace("MEMBERS", members).replace("DETECTORS", detectors))


MERGED: Rows = [
    (
        "warning: MESH203 spec.to[0].default.healthyPanicThreshold: is never reached: the service is not checked, and",
        together(policy("MeshHealthCheck", "{▸healthyPanicThreshold: 50, http: {disabled: true}}")),
    ),
    (
        "warning: MESH203 spec.to[0].default.healthyPanicThreshold: is never reached: the service is not checked, and",
        together(
            policy("MeshHealthCheck", "{▸healthyPanicThreshold: 50, http: {disabled: true}}"),
            policy("MeshCircuitBreaker", "{outlierDetection: {disabled: true, detectors: {totalFailures: {}}}}"),
        ),
    ),
    *[
        (
            f"warning: MESH218 spec.to[0].default.{section}.numRetries: is above maxRetries, 2: under load retries are",
            together(policy("MeshRetry", f"{{{section}: {{▸numRetries: 3}}}}"), LIMITED, protocol=protocol),
        )
        for section, protocol in [("http", "http"), ("http", "http2"), ("grpc", "grpc")]
    ],
    (
        "warning: MESH218 spec.to[0].default.http.numRetries: is above maxRetries, 3: under load retries are",
        together(
            policy("MeshRetry", "{http: {▸numRetries: 4}}"),
            policy("MeshCircuitBreaker", "{connectionLimits: {maxConnections: 1}}"),
        ),
    ),
    (
        "warning: MESH215 spec.to[0].default.http.perTryTimeout: never comes into force: the whole request times out",
        together(
            policy("MeshRetry", "{http: {▸perTryTimeout: 3s}}"),
            policy("MeshTimeout", "{http: {requestTimeout: 3s}}"),
        ),
    ),
    # Of a MeshTimeout that does not say it, a request times out after 15s.
    (
        "warning: MESH215 spec.to[0].default.http.perTryTimeout: never comes into force: the whole request times out",
        together(
            policy("MeshRetry", "{http: {▸perTryTimeout: 15s}}"), policy("MeshTimeout", "{connectionTimeout: 1s}")
        ),
    ),
    (
        "warning: MESH221 spec.to[0].default.idleTimeout: is below the interval of checks, 10s",
        together(policy("MeshTimeout", "{▸idleTimeout: 9s}"), CHECKS),
    ),
    (
        "warning: MESH231 spec.to[0].default.outlierDetection.maxEjectionPercent: is 0: no host is ever ejected",
        together(
            policy(
                "MeshCircuitBreaker",
                "{outlierDetection: {▸maxEjectionPercent: 0, detectors: {totalFailures: {consecutive: 5}}}}",
            )
        ),
    ),
    # The place is that of the policy that says it.
    (
        "warning: MESH231 spec.to[0].default.outlierDetection.maxEjectionPercent: is 0: no host is ever ejected",
        together(
            policy(
                "MeshCircuitBreaker",
                "{outlierDetection: {▸maxEjectionPercent: 0, detectors: {totalFailures: {}}}}",
            ),
            named(
                "b", policy("MeshCircuitBreaker", "{outlierDetection: {detectors: {totalFailures: {consecutive: 5}}}}")
            ),
        ),
    ),
    (
        f"{NEVER_FIRES} has no number",
        together(detecting("totalFailures: {}")),
    ),
    (
        f"{NEVER_FIRES} sees no answers of a service that is not http",
        together(detecting("totalFailures: {consecutive: 1}", "splitExternalAndLocalErrors: true, "), protocol="tcp"),
    ),
    (
        RATES_NEVER_FIRE,
        together(detecting("successRate: {}, failurePercentage: {minimumHosts: 2}")),
    ),
    *[
        (
            "warning: MESH054 spec.to[0].default.http: has no effect: the service speaks tcp",
            together(policy("MeshTimeout", text, target="{kind: MeshService, name: backend}"), protocol="tcp"),
        )
        for text in ("{▸http: {requestTimeout: 1s}}", "{idleTimeout: 1s, ▸http: {requestTimeout: 1s}}")
    ],
    *[
        (
            f"warning: MESH054 spec.{list_}[0].default.{field}: has no effect on a service that speaks grpc",
            together(policy("MeshTimeout", f"{{connectionTimeout: 1s, {text[1:]}", list_=list_), protocol="grpc"),
        )
        for list_ in LISTS
        for field in ("idleTimeout", "http.maxStreamDuration", "http.maxConnectionDuration")
        for text in [nested(field, "1s")]
        if list_ == "from" or "." in field
    ],
    (
        "warning: MESH054 spec.from[0].default.connectionLimits: has no effect on the application of an inbound whose",
        together(
            policy("MeshCircuitBreaker", "{▸connectionLimits: {maxConnections: 1}}", list_="from"),
            ports="servicePort: 8080, ",
        ),
    ),
    *[
        (
            "warning: MESH060 spec.targetRef: also changes the inbound 192.0.2.1:80 of backend-1: no MeshTimeout",
            together(policy("MeshTimeout", "{idleTimeout: 1s}", list_=list_, top=top))
            .replace("inbound: [", f"inbound: [{ADMIN}, ")
            .replace(f"targetRef: {top}", f"▸targetRef: {top}"),
        )
        for list_ in LISTS
        for top in ("{kind: MeshService, name: admin}", "{kind: MeshSubset, tags: {side: internal}}")
    ],
    (
        "warning: MESH057 spec.from[0]: has no effect: all of it is overridden by spec.from[1]",
        together(
            policy("MeshTimeout", "{idleTimeout: 1s}", list_="from").replace("- targetRef", "- ▸targetRef")
            + "  - {targetRef: {kind: Mesh}, default: {idleTimeout: 2s}}\n"
        ),
    ),
]

TABLES = [TARGETS, TIMEOUTS, CIRCUIT_BREAKERS, MERGED]


@pytest.mark.parametrize(
    ("finding", "text"), [pytest.param(finding, text, id=finding) for table in TABLES for finding, text in table]
)
def test_one_mistake_one_finding(load_files: Load, finding: str, text: str) -> None:
    [found] = load_files({"mesh.yaml": text.replace(MARK, "", 1)}).findings

    assert str(found).startswith(f"mesh.yaml:{place_of(text)}: {finding}")


def test_every_code_of_these_kinds_is_shown_by_a_row() -> None:
    shown = {code for table in TABLES for finding, _text in table for code in re.findall(r"MESH\d{3}", finding)}

    together = {"MESH203", "MESH215", "MESH218"}
    assert shown >= together | {code for code in CODES if code.startswith(("MESH22", "MESH23"))}


@pytest.mark.parametrize(
    "text",
    [
        *[
            pytest.param(policy(kind, VALID[kind], list_=list_), id=f"{kind}, {list_}")
            for kind in KINDS
            for list_ in LISTS
        ],
        *[pytest.param(policy(kind, VALID[kind]) + "  from: []\n", id=f"{kind} with an empty list") for kind in KINDS],
        *[
            pytest.param(policy("MeshTimeout", nested(field, "0s").replace(MARK, "")), id=f"{field}, switched off")
            for field in ("idleTimeout", *HTTP_FIELDS[:-1])
        ],
        pytest.param(policy("MeshTimeout", "{http: {requestHeadersTimeout: 0s, requestTimeout: 0s}}"), id="no headers"),
        pytest.param(
            policy("MeshCircuitBreaker", "{outlierDetection: {disabled: true, detectors: {totalFailures: {}}}}"),
            id="an empty detector that is disabled",
        ),
        *[
            pytest.param(policy("MeshCircuitBreaker", nested(FACTOR, value).replace(MARK, "")), id=f"factor {value}")
            for value in ("1", "'1'", "'1.9'", "'0.0005'", "2147483")
        ],
        pytest.param(
            together(policy("MeshRetry", "{http: {numRetries: 2, perTryTimeout: 2s}}"), LIMITED), id="as many retries"
        ),
        pytest.param(
            together(
                policy("MeshRetry", "{http: {perTryTimeout: 1h}}"),
                policy("MeshTimeout", "{http: {requestTimeout: 0s}}"),
            ),
            id="requests that never time out",
        ),
        pytest.param(together(policy("MeshTimeout", "{idleTimeout: 10s}"), CHECKS), id="idle for one interval"),
        pytest.param(
            together(policy("MeshHealthCheck", "{healthyPanicThreshold: 50, http: {}}")), id="a panic threshold"
        ),
        pytest.param(
            together(policy("MeshCircuitBreaker", "{connectionLimits: {maxConnections: 1}}", list_="from")),
            id="one port",
        ),
        # For services of all protocols it is written once.
        pytest.param(
            together(policy("MeshTimeout", "{idleTimeout: 1s, http: {requestTimeout: 1s}}"), protocol="tcp"),
            id="http beside what is of use",
        ),
        pytest.param(
            together(policy("MeshTimeout", "{idleTimeout: 1s, http: {requestTimeout: 1s}}"), protocol="grpc"),
            id="idleTimeout beside what is of use",
        ),
    ],
)
def test_no_finding(load_files: Load, text: str) -> None:
    assert [str(finding) for finding in load_files({"mesh.yaml": text}).findings] == []
