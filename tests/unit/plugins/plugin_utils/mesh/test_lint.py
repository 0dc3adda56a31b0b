# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Advice: what is told about a mesh that is valid, where and in which words, and the nearest mesh that says nothing.

In the texts each `▸` marks the place of a finding, in the order of the findings; they are taken out before the text is
read. What is listed is all that is found.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import Severity

Load = Callable[..., api.Universe]
Row = tuple[str, str, list[str]]

MARK = "▸"
GOLDEN = pathlib.Path(__file__).parent / "golden"
DEMO = pathlib.Path(__file__).parents[5] / "playbooks" / "files" / "demo" / "mesh"


def documents(*texts: str) -> str:
    return "---\n".join(texts)


def dataplane(name: str, *members: str, mesh: str = "default") -> str:
    head = f"type: Dataplane\nmesh: {mesh}\nname: {name}\nnetworking:\n  address: 192.0.2.1\n"
    return head + "".join(f"  {member}\n" for member in members)


def gateway(service: str, *members: str) -> str:
    """A delegated gateway."""
    return dataplane(f"{service}-1", f"gateway: {{tags: {{kuma.io/service: {service}}}}}", *members)


def offers(*inbounds: str) -> str:
    """`inbound` of a dataplane; of each what comes after its ports."""
    listed = [f"{{port: {80 + number}, serviceAddress: 127.0.0.1, {one}}}" for number, one in enumerate(inbounds)]
    return f"inbound: [{', '.join(listed)}]"


def consumes(*services: str) -> str:
    """`outbound` of a dataplane; after the name of a service there may be more tags."""
    listed = [f"{{port: {10001 + number}, tags: {{kuma.io/service: {one}}}}}" for number, one in enumerate(services)]
    return f"outbound: [{', '.join(listed)}]"


def speaks(protocol: str, service: str = "backend") -> str:
    """The tags of an inbound; more members may follow them."""
    return f"tags: {{kuma.io/service: {service}, kuma.io/protocol: {protocol}}}"


def web(*services: str) -> str:
    """A sidecar that consumes these services."""
    return dataplane("web-1", offers(speaks("http", "web")), consumes(*services))


def backend(number: int = 1, inbound: str = speaks("http")) -> str:
    return dataplane(f"backend-{number}", offers(inbound))


DB = dataplane("db-1", offers(speaks("tcp", "db")))
OTHER = "type: Mesh\nname: other\nskipCreatingInitialPolicies: ['*']\n"


def item(default: str, service: str = "") -> str:
    """An item of `to`, for one service or for all."""
    target = f"kind: MeshService, name: {service}" if service else "kind: Mesh"
    return f"{{targetRef: {{{target}}}, default: {default}}}"


def policy(*items: str, kind: str = "MeshRetry", name: str = "a", top: str = "targetRef: {kind: Mesh}") -> str:
    listed = "".join(f"  - {one}\n" for one in items)
    return f"type: {kind}\nmesh: default\nname: {name}\nspec:\n  {top}\n  to:\n{listed}"


def checks(*items: str, name: str = "a") -> str:
    """A MeshHealthCheck."""
    return policy(*items, kind="MeshHealthCheck", name=name)


def places(text: str) -> list[str]:
    """Line and column of the marks, from 1."""
    before = ["".join(text.split(MARK)[: part + 1]) for part in range(text.count(MARK))]
    return [f"{one.count(chr(10)) + 1}:{len(one) - one.rfind(chr(10))}" for one in before]


def warnings(universe: api.Universe) -> list[str]:
    return [str(finding) for finding in universe.findings if finding.severity is Severity.WARNING]


# --- protocols of a service -------------------------------------------------------------------------------------------


def odd(protocol: str) -> str:
    return speaks(protocol).replace("kuma.io/protocol", "▸kuma.io/protocol")


def disagree(said: str, inbound: int = 0) -> list[str]:
    return [f"MESH037 networking.inbound[{inbound}].tags[\"kuma.io/protocol\"]: 'backend' speaks {said} to the mesh"]


UNTAGGED = "tags: {kuma.io/service: backend}"

PROTOCOLS: list[Row] = [
    (
        "one of each",
        documents(backend(1), backend(2, odd("tcp"))),
        disagree("http on backend-1 and tcp on backend-2: tcp"),
    ),
    (
        "the smaller number is blamed, whatever the order",
        documents(backend(1, odd("grpc")), backend(2), backend(3)),
        disagree("http on backend-2, backend-3 and grpc on backend-1: tcp"),
    ),
    (
        "what they have in common may be more than tcp",
        documents(backend(1, speaks("grpc")), backend(2, odd("http2"))),
        disagree("grpc on backend-1 and http2 on backend-2: http2"),
    ),
    (
        "three protocols",
        documents(backend(1), backend(2, speaks("kafka")), backend(3, odd("tcp"))),
        disagree("http on backend-1 and kafka on backend-2 and tcp on backend-3: tcp"),
    ),
    (
        "no tag is tcp",
        documents(backend(1), backend(2), backend(3, f"▸{UNTAGGED}")),
        disagree("http on backend-1, backend-2 and tcp on backend-3: tcp"),
    ),
    (
        "two inbounds of one dataplane",
        dataplane("backend-1", offers(speaks("http"), odd("tcp"))),
        disagree("http on backend-1 and tcp on backend-1: tcp", inbound=1),
    ),
    (
        "a dataplane is named once, and not more than five are named",
        documents(
            dataplane("backend-0", offers(speaks("http"), speaks("http"))),
            *(backend(number) for number in range(1, 6)),
            backend(9, odd("tcp")),
        ),
        disagree("http on backend-0, backend-1, backend-2, backend-3, backend-4 and others and tcp on backend-9: tcp"),
    ),
    ("one protocol, in any case", documents(backend(1), backend(2, speaks("HTTP"))), []),
    ("tcp, and no tag", documents(backend(1, speaks("tcp")), backend(2, UNTAGGED)), []),
    ("one that is not ready", documents(backend(1), backend(2, f"{speaks('tcp')}, state: NotReady")), []),
    ("one that is sick", documents(backend(1), backend(2, f"{speaks('tcp')}, health: {{ready: false}}")), []),
    ("another service", documents(backend(1), backend(2, speaks("tcp", "other"))), []),
    ("another mesh", documents(backend(), OTHER, dataplane("x", offers(speaks("tcp")), mesh="other")), []),
]

# --- items of `to` ----------------------------------------------------------------------------------------------------

TCP = "{tcp: {maxConnectAttempt: 3}}"
TCP_BACKEND = backend(1, speaks("tcp"))


def names_nothing(name: str, hint: str = "", at: int = 0) -> list[str]:
    return [f"MESH056 spec.to[{at}].targetRef.name: no dataplane offers the service '{name}'{hint}"]


def naming(service: str) -> str:
    return item(TCP, service).replace("name:", "▸name:")


NAMES: list[Row] = [
    (
        "a misspelt name",
        documents(TCP_BACKEND, policy(naming("bakend"))),
        names_nothing("bakend", "; did you mean 'backend'?"),
    ),
    (
        "a name unlike any other, in the second item",
        documents(TCP_BACKEND, policy(item(TCP, "backend"), naming("x"))),
        names_nothing("x", at=1),
    ),
    ("a delegated gateway", documents(gateway("edge"), policy(naming("edge"))), names_nothing("edge")),
    (
        "a service of another mesh",
        documents(TCP_BACKEND, OTHER, dataplane("x", offers(speaks("tcp", "x")), mesh="other"), policy(naming("x"))),
        names_nothing("x"),
    ),
    ("a service", documents(TCP_BACKEND, policy(item(TCP, "backend"))), []),
    *[
        (
            f"a service whose only endpoint is there, but out of service: {state}",
            documents(gateway("web"), backend(1, f"{speaks('tcp')}, {state}"), policy(item(TCP, "backend"))),
            [],
        )
        for state in ("state: NotReady", "state: Ignored", "health: {ready: false}")
    ],
    ("every service", documents(TCP_BACKEND, policy(item(TCP))), []),
    ("a mesh without dataplanes", policy(item(TCP, "x")), []),
]


def shadowed(by: str, at: int = 0) -> list[str]:
    return [f"MESH057 spec.to[{at}]: has no effect: all of it is overridden by {by}"]


MORE_TCP = "{tcp: {maxConnectAttempt: 5}}"
BOTH = "{tcp: {maxConnectAttempt: 5}, http: {numRetries: 1}}"

SHADOWS: list[Row] = [
    (
        "every service after one",
        documents(TCP_BACKEND, policy("▸" + item(TCP, "backend"), item(MORE_TCP))),
        shadowed("spec.to[1]"),
    ),
    (
        "a service twice",
        documents(TCP_BACKEND, policy("▸" + item(TCP, "backend"), item(MORE_TCP, "backend"))),
        shadowed("spec.to[1]"),
    ),
    (
        "every service twice, the first in the middle",
        documents(TCP_BACKEND, DB, policy(item(TCP, "backend"), "▸" + item(TCP, "db"), item(MORE_TCP, "db"))),
        shadowed("spec.to[2]", at=1),
    ),
    (
        "a list is one field",
        documents(
            web("backend"),
            backend(),
            policy("▸" + item("{http: {retryOn: [5xx, Reset]}}", "backend"), item("{http: {retryOn: []}}")),
        ),
        shadowed("spec.to[1]"),
    ),
    (
        "two items that make up for it together",
        documents(
            web("backend"),
            backend(),
            policy(
                "▸" + item("{http: {numRetries: 1, retryOn: [5xx]}}", "backend"),
                item("{http: {numRetries: 2}}", "backend"),
                item("{http: {retryOn: [Reset]}}"),
            ),
        ),
        shadowed("spec.to[1] and spec.to[2]"),
    ),
    (
        "an item that makes up for it after one that says something else",
        documents(TCP_BACKEND, policy("▸" + item(TCP), item("{http: {numRetries: 1}}"), item(MORE_TCP))),
        shadowed("spec.to[2]"),
    ),
    (
        "an empty section",
        documents(TCP_BACKEND, checks("▸" + item("{tcp: {}}", "backend"), item("{tcp: {send: UElORw==}}"))),
        shadowed("spec.to[1]"),
    ),
    ("one service after all", documents(TCP_BACKEND, policy(item(TCP), item(MORE_TCP, "backend"))), []),
    (
        "one after another",
        documents(TCP_BACKEND, DB, policy(item(TCP, "backend"), item(MORE_TCP, "db"))),
        [],
    ),
    (
        "one field is left",
        documents(
            web("backend"),
            backend(),
            policy(
                item("{http: {numRetries: 1, retryOn: [5xx], perTryTimeout: 1s}}", "backend"),
                item("{http: {numRetries: 2}}"),
                item("{http: {retryOn: [Reset]}}"),
            ),
        ),
        [],
    ),
    (
        "a field of the section is left",
        documents(TCP_BACKEND, checks(item("{tcp: {send: UElORw==}}", "backend"), item("{tcp: {}}"))),
        [],
    ),
    (
        "another policy",
        documents(TCP_BACKEND, policy(item(TCP, "backend"), name="b"), policy(item(MORE_TCP, "backend"))),
        [],
    ),
]

# --- policies that select nothing -------------------------------------------------------------------------------------

SELECTS_NOTHING = ["MESH055 spec.targetRef: selects none of the dataplanes"]
CONSUMER = dataplane(
    "web-1",
    offers("tags: {kuma.io/service: web, version: v1}", "tags: {kuma.io/service: admin, stage: test}"),
    consumes("backend"),
)


def selecting(target_ref: str, mark: str = "", name: str = "a") -> str:
    return policy(item(TCP), name=name, top=f"{mark}targetRef: {{{target_ref}}}")


SELECTIONS: list[Row] = [
    *[
        (
            f"{target_ref} selects nothing",
            documents(CONSUMER, TCP_BACKEND, selecting(target_ref, MARK)),
            SELECTS_NOTHING,
        )
        for target_ref in (
            "kind: MeshService, name: wep",
            "kind: MeshSubset, tags: {version: v2}",
            "kind: MeshServiceSubset, name: web, tags: {version: v2}",
            # Each is there, but not on one inbound.
            "kind: MeshSubset, tags: {version: v1, stage: test}",
            "kind: MeshServiceSubset, name: web, tags: {stage: test}",
            "kind: Mesh, proxyTypes: [Gateway]",
        )
    ],
    *[
        (f"{target_ref} selects something", documents(CONSUMER, TCP_BACKEND, selecting(target_ref)), [])
        for target_ref in (
            "kind: MeshService, name: web",
            # A proxy that consumes nothing is selected all the same.
            "kind: MeshService, name: backend",
            "kind: MeshSubset, tags: {version: v1}",
            "kind: MeshSubset",
            "kind: MeshServiceSubset, name: admin, tags: {stage: test}",
            "kind: Mesh, proxyTypes: [Sidecar, Gateway]",
        )
    ],
    (
        "a delegated gateway",
        documents(gateway("edge", consumes("backend")), TCP_BACKEND, selecting("kind: Mesh, proxyTypes: [Gateway]")),
        [],
    ),
    (
        "an inbound that is ignored selects nothing",
        documents(
            web("backend"),
            backend(1, f"{speaks('tcp')}, state: Ready"),
            backend(2, "tags: {kuma.io/service: backend, stage: old}, state: Ignored"),
            selecting("kind: MeshSubset, tags: {stage: old}", MARK),
        ),
        SELECTS_NOTHING,
    ),
    (
        "one policy of two",
        documents(
            CONSUMER,
            TCP_BACKEND,
            selecting("kind: MeshService, name: web"),
            selecting("kind: MeshService, name: x", MARK, name="b"),
        ),
        SELECTS_NOTHING,
    ),
    (
        "what selects nothing is not blamed for more",
        documents(
            CONSUMER,
            TCP_BACKEND,
            policy(item("{http: {numRetries: 10}}"), top="▸targetRef: {kind: MeshService, name: x}"),
        ),
        SELECTS_NOTHING,
    ),
    (
        "a shadow",
        documents(
            CONSUMER,
            TCP_BACKEND,
            selecting("kind: MeshService, name: x").replace("spec", "labels: {kuma.io/effect: shadow}\nspec", 1),
        ),
        [],
    ),
    ("a mesh without dataplanes", selecting("kind: MeshService, name: x"), []),
]

# --- settings that have no effect -------------------------------------------------------------------------------------

HTTP_MESH = documents(web("backend"), backend())
TWO_ENDPOINTS = documents(web("backend"), backend(1), backend(2))
PREVIOUS = "{http: {▸hostSelection: [{predicate: OmitPreviousHosts}]}}"
UNMARKED_PREVIOUS = PREVIOUS.replace(MARK, "")
VERSIONS = documents(
    backend(1, speaks("http").replace("}", ", version: v1}")),
    backend(2, speaks("http").replace("}", ", version: v2}")),
)


def unused(field: str, why: str, general: bool = False) -> str:
    example = " ('backend', and so for every other it applies to)" if general else ""
    return f"MESH054 spec.to[0].default.{field}: has no effect{why}{example}"


SPEAKS_HTTP = ": the service speaks http"
SINGLE = ": there is a single endpoint, which gets every retry"

UNUSED: list[Row] = [
    *[
        row
        for kind, conf in [
            ("MeshRetry", "{http: {numRetries: 1}, tcp: {maxConnectAttempt: 1}}"),
            ("MeshHealthCheck", "{http: {}, tcp: {}, grpc: {}}"),
        ]
        for row in [
            (
                f"{kind} for every service has sections for protocols to come",
                documents(HTTP_MESH, policy(item(conf), kind=kind)),
                [],
            ),
            (
                f"{kind} for one service has a section that is not for its protocol",
                documents(
                    HTTP_MESH,
                    policy(item(conf, "backend").replace("tcp:", "▸tcp:").replace("grpc:", "▸grpc:"), kind=kind),
                ),
                [unused(name, SPEAKS_HTTP) for name in ("tcp", "grpc") if name in conf],
            ),
        ]
    ],
    *[
        row
        for kind, conf in [("MeshRetry", "{▸grpc: {numRetries: 1}}"), ("MeshHealthCheck", "{▸grpc: {}}")]
        for row in [
            (
                f"{kind} for every service with nothing for the protocols of the mesh",
                documents(HTTP_MESH, policy(item(conf), kind=kind)),
                [unused("grpc", SPEAKS_HTTP, general=True)],
            ),
            (
                f"{kind} for one service with nothing for its protocol",
                documents(HTTP_MESH, policy(item(conf, "backend"), kind=kind)),
                [unused("grpc", SPEAKS_HTTP)],
            ),
            (
                f"{kind} for every service, of which one of many speaks the protocol",
                documents(
                    web("backend", "db", "calls"),
                    backend(),
                    DB,
                    dataplane("calls-1", offers(speaks("grpc", "calls"))),
                    policy(item(conf.replace(MARK, "")), kind=kind),
                ),
                [],
            ),
            (
                f"{kind} for services that nobody consumes",
                documents(gateway("edge"), backend(), policy(item(conf.replace(MARK, "")), kind=kind)),
                [],
            ),
        ]
    ],
    (
        "every section, where none is for the protocol",
        documents(
            web("db"),
            DB,
            policy(item("{▸http: {numRetries: 1}, ▸grpc: {numRetries: 1}}")),
        ),
        [
            f"MESH054 spec.to[0].default.{name}: has no effect: the service speaks tcp "
            "('db', and so for every other it applies to)"
            for name in ("http", "grpc")
        ],
    ),
    (
        "a service without endpoints speaks nothing for now",
        documents(
            web("backend").replace("kuma.io/service: backend", "▸kuma.io/service: backend"),
            backend(1, f"{speaks('http')}, state: NotReady"),
            policy(item("{grpc: {numRetries: 1}}", "backend")),
        ),
        ["MESH033 networking.outbound[0].tags[\"kuma.io/service\"]: nobody offers the service 'backend'"],
    ),
    (
        "the check that takes over from one that is disabled",
        documents(HTTP_MESH, checks(item("{http: {disabled: true}, tcp: {}}", "backend"))),
        [],
    ),
    (
        "the check that would take over from one that is not disabled",
        documents(HTTP_MESH, checks(item("{http: {disabled: false}, ▸tcp: {}}", "backend"))),
        [unused("tcp", SPEAKS_HTTP)],
    ),
    (
        "disabled by a policy with more to say",
        documents(
            HTTP_MESH,
            checks(item("{tcp: {}}", "backend"), name="b"),
            checks(item("{http: {disabled: true}}", "backend"), name="a"),
        ),
        [],
    ),
    ("a choice of two hosts", documents(TWO_ENDPOINTS, policy(item(UNMARKED_PREVIOUS, "backend"))), []),
    (
        "a choice of one host",
        documents(HTTP_MESH, policy(item(PREVIOUS, "backend"))),
        [unused("http.hostSelection", SINGLE)],
    ),
    (
        "a choice of one host, whatever the service",
        documents(HTTP_MESH, policy(item(PREVIOUS))),
        [unused("http.hostSelection", SINGLE, general=True)],
    ),
    (
        "the second host is not ready",
        documents(HTTP_MESH, backend(2, f"{speaks('http')}, state: NotReady"), policy(item(PREVIOUS, "backend"))),
        [unused("http.hostSelection", SINGLE)],
    ),
    (
        "a choice of one host in a part of the service",
        documents(web("backend, version: v1"), VERSIONS, policy(item(PREVIOUS, "backend"))),
        [unused("http.hostSelection", SINGLE)],
    ),
    (
        "a choice of one host in a part of the service, of two in all of it",
        documents(web("backend, version: v1", "backend"), VERSIONS, policy(item(UNMARKED_PREVIOUS, "backend"))),
        [],
    ),
    (
        "a choice of one host for one service, of two for another",
        documents(
            web("backend", "other"),
            backend(),
            *(dataplane(f"other-{number}", offers(speaks("http", "other"))) for number in (1, 2)),
            policy(item(UNMARKED_PREVIOUS)),
        ),
        [],
    ),
    (
        "a choice that nothing limits",
        documents(TWO_ENDPOINTS, policy(item("{http: {numRetries: 1, ▸hostSelectionMaxAttempts: 3}}", "backend"))),
        [unused("http.hostSelectionMaxAttempts", " without hostSelection")],
    ),
    (
        "a choice that another policy limits, for one of the proxies",
        documents(
            TWO_ENDPOINTS,
            gateway("edge", consumes("backend")),
            policy(item("{http: {numRetries: 1, hostSelectionMaxAttempts: 3}}", "backend")),
            policy(item(UNMARKED_PREVIOUS, "backend"), name="b", top="targetRef: {kind: MeshService, name: edge}"),
        ),
        [],
    ),
    (
        "each policy is told where it says so",
        documents(
            HTTP_MESH,
            policy(item("{▸tcp: {maxConnectAttempt: 1}, http: {numRetries: 1}}", "backend"), name="b"),
            policy(item("{http: {numRetries: 2}}", "backend"), item(TCP.replace("tcp", "▸tcp"), "backend")),
        ),
        [unused("tcp", SPEAKS_HTTP), unused("tcp", SPEAKS_HTTP).replace("to[0]", "to[1]")],
    ),
]

# --- what a kind advises against --------------------------------------------------------------------------------------


def advice(field: str, message: str) -> str:
    return f"{field.replace(' ', ' spec.to[0].default.', 1)}: {message}"


ABOVE = advice("MESH214 http.backOff.baseInterval", "is above maxInterval, 1s")
MANY = advice("MESH216 http.numRetries", "means up to 11 requests for one, 25ms apart at first")
METHODS = advice(
    "MESH217 http.retryOn",
    "names methods only, so that the default conditions apply: gateway-error, connect-failure, refused-stream",
)


def high(default: str) -> str:
    """A policy that overrides others."""
    return policy(item(default, "backend"), name="high", top="targetRef: {kind: MeshService, name: web}")


ADVICE: list[Row] = [
    (
        "a base interval above the maximum",
        documents(HTTP_MESH, policy(item("{http: {backOff: {▸baseInterval: 2s, maxInterval: 1s}}}"))),
        [ABOVE],
    ),
    (
        "a base interval above the maximum of another policy",
        documents(
            HTTP_MESH,
            policy(item("{http: {backOff: {▸baseInterval: 2s}}}")),
            high("{http: {backOff: {maxInterval: 1s}}}"),
        ),
        [ABOVE],
    ),
    (
        "a base interval of another policy above the maximum",
        documents(
            HTTP_MESH,
            policy(item("{http: {backOff: {baseInterval: 500ms, maxInterval: 1s}}}")),
            high("{http: {backOff: {▸baseInterval: 2s}}}"),
        ),
        [ABOVE],
    ),
    (
        "a base interval above a maximum that is overridden",
        documents(
            HTTP_MESH,
            policy(item("{http: {backOff: {baseInterval: 2s, maxInterval: 1s}}}")),
            high("{http: {backOff: {maxInterval: 2s}}}"),
        ),
        [],
    ),
    (
        "a base interval that nobody wrote",
        documents(HTTP_MESH, policy(item("{http: {backOff: {maxInterval: 1ms}}}"))),
        [],
    ),
    (
        # Envoy would refuse it: what the API server writes in counts as much as what the user writes.
        "a base interval that nobody wrote, in Kubernetes form",
        documents(
            HTTP_MESH,
            policy(item("{http: {▸backOff: {maxInterval: 24ms}}}")).replace(
                "type: MeshRetry\nmesh: default\nname: a\n",
                "apiVersion: kuma.io/v1alpha1\nkind: MeshRetry\nmetadata: {name: a}\n",
            ),
        ),
        [ABOVE.replace("1s", "24ms")],
    ),
    (
        "intervals of a section that is not in use",
        documents(
            HTTP_MESH,
            policy(item("{http: {numRetries: 1}, grpc: {backOff: {baseInterval: 2s, maxInterval: 1s}}}")),
        ),
        [],
    ),
    (
        "intervals for a service that nobody consumes",
        documents(gateway("edge"), backend(), policy(item("{http: {backOff: {baseInterval: 2s, maxInterval: 1s}}}"))),
        [],
    ),
    ("ten retries", documents(HTTP_MESH, policy(item("{http: {▸numRetries: 10}}", "backend"))), [MANY]),
    ("nine retries", documents(HTTP_MESH, policy(item("{http: {numRetries: 9}}", "backend"))), []),
    (
        # The example of the product's documentation.
        "ten retries at leisure",
        documents(
            HTTP_MESH,
            policy(
                item(
                    "{http: {numRetries: 10, backOff: {baseInterval: 15s, maxInterval: 20m}, retryOn: [5xx]}}",
                    "backend",
                )
            ),
        ),
        [],
    ),
    (
        "ten retries, at leisure by another policy",
        documents(
            HTTP_MESH,
            policy(item("{http: {numRetries: 10}}")),
            high("{http: {backOff: {baseInterval: 15s}}}"),
        ),
        [],
    ),
    (
        "ten retries for one proxy at leisure, for another not",
        documents(
            HTTP_MESH,
            gateway("edge", consumes("backend")),
            policy(item("{http: {▸numRetries: 10}}")),
            high("{http: {backOff: {baseInterval: 15s}}}"),
        ),
        [MANY],
    ),
    (
        "once, however many proxies and destinations it concerns",
        documents(
            web("backend", "backend, version: v1", "other"),
            gateway("edge", consumes("backend")),
            VERSIONS,
            dataplane("other-1", offers(speaks("http", "other"))),
            policy(item("{http: {▸numRetries: 10}}")),
        ),
        [MANY],
    ),
    (
        "methods only",
        documents(HTTP_MESH, policy(item("{http: {▸retryOn: [HttpMethodGet]}}", "backend"))),
        [METHODS],
    ),
    (
        "methods and a condition",
        documents(HTTP_MESH, policy(item("{http: {retryOn: [HttpMethodGet, 5xx]}}", "backend"))),
        [],
    ),
    (
        "methods only, overridden",
        documents(HTTP_MESH, policy(item("{http: {retryOn: [HttpMethodGet]}}")), high("{http: {retryOn: [5xx]}}")),
        [],
    ),
]


TABLES = [PROTOCOLS, NAMES, SHADOWS, SELECTIONS, UNUSED, ADVICE]


@pytest.mark.parametrize(
    ("text", "findings"), [pytest.param(text, findings, id=name) for table in TABLES for name, text, findings in table]
)
def test_advice(load_files: Load, text: str, findings: list[str]) -> None:
    universe = load_files({"mesh.yaml": text.replace(MARK, "")})

    assert universe.errors == ()
    assert warnings(universe) == [
        f"mesh.yaml:{place}: warning: {finding}" for place, finding in zip(places(text), findings, strict=True)
    ]


TOO_LONG = advice("MESH215 http.perTryTimeout", "never comes into force: the whole request times out after 10s")
NO_ROOM = advice("MESH215 http.perTryTimeout", "leaves no room for 4 tries: the whole request times out after 10s")

TIMEOUTS: list[Row] = [
    ("a try longer than the request", policy(item("{http: {▸perTryTimeout: 10s}}", "backend")), [TOO_LONG]),
    ("tries for which there is no time", policy(item("{http: {▸perTryTimeout: 3s, numRetries: 3}}")), [NO_ROOM]),
    (
        "tries for which there is no time, by two policies",
        documents(policy(item("{http: {▸perTryTimeout: 3s}}")), high("{http: {numRetries: 3}}")),
        [NO_ROOM],
    ),
    ("tries for which there is time", policy(item("{http: {perTryTimeout: 2500ms, numRetries: 3}}")), []),
    ("tries without a limit", policy(item("{http: {perTryTimeout: 0s, numRetries: 9}}")), []),
    ("the default, 15s, which nobody wrote", policy(item("{http: {numRetries: 3}}")), []),
    (
        "a section that is not in use",
        policy(item("{http: {numRetries: 3}, grpc: {perTryTimeout: 1m}}")),
        [],
    ),
]


@pytest.mark.parametrize(
    ("text", "findings"), [pytest.param(text, findings, id=name) for name, text, findings in TIMEOUTS]
)
def test_advice_where_requests_time_out(load_files: Load, text: str, findings: list[str]) -> None:
    text = documents(HTTP_MESH, text)
    timeout = policy(item("{http: {requestTimeout: 10s}}", "backend"), kind="MeshTimeout")

    assert warnings(load_files({"mesh.yaml": text.replace(MARK, "")})) == []
    assert warnings(load_files({"mesh.yaml": documents(text.replace(MARK, ""), timeout)})) == [
        f"mesh.yaml:{place}: warning: {finding}" for place, finding in zip(places(text), findings, strict=True)
    ]


def test_advice_names_the_file_of_the_policy_that_it_is_about(load_files: Load) -> None:
    universe = load_files(
        {
            "mesh/dataplanes.yaml": HTTP_MESH,
            "mesh/base.yaml": policy(item("{http: {backOff: {baseInterval: 2s}}}")),
            "mesh/maximum.yaml": high("{http: {backOff: {maxInterval: 1s}}}"),
        }
    )

    [finding] = universe.findings
    assert (finding.code, finding.kind, finding.name, finding.source.file) == (
        "MESH214",
        "MeshRetry",
        "a",
        "mesh/base.yaml",
    )


def test_advice_on_what_has_no_text(load_resources: Load) -> None:
    target_ref = {"kind": "MeshService", "name": "x"}
    to = [{"targetRef": {"kind": "Mesh"}, "default": {"tcp": {"maxConnectAttempt": 3}}}]
    spec = {"targetRef": target_ref, "to": to}
    edge = {"address": "192.0.2.1", "gateway": {"tags": {"kuma.io/service": "edge"}}}

    universe = load_resources(
        {"type": "Dataplane", "mesh": "default", "name": "edge-1", "networking": edge},
        {"type": "MeshRetry", "mesh": "default", "name": "a", "spec": spec},
    )

    assert warnings(universe) == ["mesh: warning: MESH055 spec.targetRef: selects none of the dataplanes"]


def test_a_mesh_with_errors_gets_no_advice_on_what_the_errors_may_be_the_reason_for(load_files: Load) -> None:
    text = documents(web("backend"), backend(1, "tags: {}"), policy(item(TCP, "backend")))

    assert [finding.code for finding in load_files({"mesh.yaml": text}).findings] == ["MESH024"]


# --- meshes that are as they should be --------------------------------------------------------------------------------

# What goldens show is small, so that some of what they say is of no use there.
MEANT = {
    # Its services have two endpoints, and parts of them one.
    "circuit-breakers": ["MESH231"],
    "difference-06-untagged-service": ["MESH054"],
    "difference-16-kafka-filter": ["MESH054"],
    "difference-17-ignored-inbounds": ["MESH055"],
    "difference-21-update-frequency": ["MESH054"],
    # A circuit breaker finds an application by the port of the inbound.
    "inbound-policies": ["MESH054", "MESH060"],
    "protocols": ["MESH033"],
    "retries": ["MESH033"],
    "retry-merging": ["MESH054"],
    "several-inbounds": ["MESH033"],
    "several-meshes": ["MESH033"],
    "timeouts": ["MESH033"],
}


@pytest.mark.parametrize("directory", sorted(GOLDEN.iterdir()), ids=lambda directory: directory.name)
def test_goldens_have_no_warnings_but_those_that_are_meant(directory: pathlib.Path) -> None:
    universe = api.load(paths=[str(directory / "mesh")])

    found = [finding.code for finding in universe.findings if finding.severity is Severity.WARNING]
    assert found == MEANT.get(directory.name, [])


def test_the_demo_has_no_findings() -> None:
    universe = api.load(paths=[str(DEMO)])

    assert universe.dataplanes
    assert universe.findings == ()


def timeouts(name: str, top: str) -> str:
    return f"""\
type: MeshTimeout
mesh: default
name: {name}
spec:
  targetRef: {top}
  from:
  - targetRef: {{kind: Mesh}}
    default: {{http: {{requestTimeout: 1s}}}}
"""


def offering(name: str, service: str, protocol: str, version: str) -> str:
    tags = f"{{kuma.io/service: {service}, kuma.io/protocol: {protocol}, version: {version}}}"
    return f"""\
type: Dataplane
mesh: default
name: {name}
networking:
  address: 192.0.2.1
  inbound:
  - {{port: 80, servicePort: 8080, serviceAddress: 127.0.0.1, tags: {tags}}}
"""


def test_what_always_loses_where_it_fits_is_not_unused(load_files: Callable[..., api.Universe]) -> None:
    """`low` means nothing to db, and on api-2 another policy wins; but there its section is the right one."""
    low = timeouts("low", "{kind: MeshSubset, tags: {version: v2}}")
    high = timeouts("high", "{kind: MeshService, name: api}")
    db, loses = offering("db-1", "db", "tcp", "v2"), offering("api-2", "api", "http", "v2")
    text = "---\n".join([low, high, db, offering("api-1", "api", "http", "v1")])

    assert [one.code for one in load_files({"mesh.yaml": text}).findings] == ["MESH054"]
    assert load_files({"mesh.yaml": f"{text}---\n{loses}"}).findings == ()
