# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings: what is wrong with a mesh, where exactly, and in which words.

The tables have rows of a finding, as the user sees it but for file and place and maybe cut short, and a text with just
this one mistake. In the text `▸` marks the place that the finding must name; it is taken out before the text is read.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Callable

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import (
    CODES,
    Finding,
    Severity,
    Source,
    did_you_mean,
    format_path,
)

Load = Callable[..., api.Universe]
Rows = list[tuple[str, str]]

MARK = "▸"


def place_of(text: str) -> str:
    """Line and column of the mark, from 1."""
    before = text[: text.index(MARK)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def documents(*texts: str) -> str:
    return "---\n".join(texts)


def mesh(members: str = "", name: str = "default") -> str:
    return f"type: Mesh\nname: {name}\nskipCreatingInitialPolicies: ['*']\n{members}\n"


def policy(default: str = "{tcp: {}}", top: str = "{kind: Mesh}", to: str = "{kind: Mesh}") -> str:
    return f"""\
type: MeshHealthCheck
mesh: default
name: hc
spec:
  targetRef: {top}
  to:
  - targetRef: {to}
    default: {default}
"""


def retry(default: str = "{tcp: {maxConnectAttempt: 3}}", top: str = "{kind: Mesh}", to: str = "{kind: Mesh}") -> str:
    """A MeshRetry, otherwise like `policy`."""
    return policy(default, top, to).replace("MeshHealthCheck", "MeshRetry")


def enveloped(line: str) -> str:
    """A policy without items in which `line` takes the place of the one that begins with the same key."""
    lines = {"type": "type: MeshHealthCheck", "mesh": "mesh: default", "name": "name: hc"}
    lines[line.removeprefix(MARK).partition(":")[0]] = line
    return "\n".join(lines.values()) + "\nspec: {targetRef: {kind: Mesh}}\n"


def dataplane(networking: str, name: str = "web-1", mesh: str = "default") -> str:
    return f"type: Dataplane\nmesh: {mesh}\nname: {name}\nnetworking: {{{networking}}}\n"


def inbound(members: str, name: str = "web-1") -> str:
    """A sidecar with one inbound, with what every inbound needs unless `members` say it."""
    needed = {"port": "80", "serviceAddress": "127.0.0.1", "tags": "{kuma.io/service: web}"}
    written = set(re.findall(r"\w+(?=:)", members))
    rest = "".join(f", {key}: {value}" for key, value in needed.items() if key not in written)
    return dataplane(f"address: 192.0.2.1, inbound: [{{{members}{rest}}}]", name)


def gateway(members: str = "") -> str:
    """A delegated gateway; `members` are further ones of its `networking`."""
    return dataplane(f"address: 192.0.2.1, gateway: {{{TAGS}}}, {members}")


TAGS = "tags: {kuma.io/service: web}"
INBOUND = f"inbound: [{{port: 80, serviceAddress: 127.0.0.1, {TAGS}}}]"
WEB = dataplane(f"address: 192.0.2.1, {INBOUND}")


def web(members: str) -> str:
    """A sidecar that offers `web` on port 80, with its application on the same port of loopback."""
    return dataplane(f"address: 192.0.2.1, {INBOUND}, {members}")


SOURCE: Rows = [
    ("MESH002 a tab", "type: Mesh\n▸\tname: x\n"),
    ("MESH003 name: this key stands in line 2 already", "type: Mesh\nname: a\n▸name: b\n"),
    ("MESH004 nested more than 100 levels deep", "type: " + "[" * 99 + "▸" + "[" * 50 + "]" * 149),
    ("MESH006 name: .inf", "type: Mesh\nname: ▸.inf\n"),
    ("MESH007 must be a mapping", "▸- type: Mesh\n"),
]

KINDS: Rows = [
    ("MESH008 type: unknown kind 'MeshBanana'", "▸type: MeshBanana\nname: x\n"),
    ("MESH008 type: unknown kind 'MeshHealthChek'; did you mean 'MeshHealthCheck'?", "▸type: MeshHealthChek\n"),
    ("MESH008 type: unknown kind 'MeshTimout'; did you mean 'MeshTimeout'?", "▸type: MeshTimout\n"),
    ("MESH008 type: unknown kind 'dataplane'; did you mean 'Dataplane'?", "▸type: dataplane\n"),
    ("MESH009 type: not supported yet: MeshAccessLog", "name: x\n▸type: MeshAccessLog\n"),
    ("MESH009 type: not supported yet: HealthCheck", "▸type: HealthCheck\nname: x\n"),
    (
        "MESH009 kind: not supported yet: Dataplane in Kubernetes form",
        "▸kind: Dataplane\napiVersion: kuma.io/v1alpha1\n",
    ),
    ("MESH009 kind: not supported yet: Dataplane in Kubernetes form", "▸kind: Dataplane\nname: default\n"),
    ("MESH011 type: must be set", "▸name: x\nmesh: default\n"),
    ("MESH012 type: must be a string, not a list", "▸type: [Mesh]\n"),
]

ENVELOPES: Rows = [
    ("MESH011 name: must be set", "▸type: Mesh\nskipCreatingInitialPolicies: ['*']\n"),
    ("MESH012 name: must be a string, not a number", enveloped("▸name: 5")),
    ("MESH023 name: must not be empty", enveloped("▸name: ''")),
    *[
        ("MESH023 name: must consist of a-z, 0-9, '-' and '.', and begin and end with", enveloped(f"▸name: {name}"))
        for name in ("Hc", "h_c", "-hc", "hc-", "hc.", "a..b", "a b", r'"hc\n"', "\u00e4")
    ],
    ("MESH023 name: must not be longer than 253 characters", enveloped(f"▸name: {'n' * 254}")),
    ("MESH023 name: must not be longer than 63 characters", mesh(name="m" * 64).replace("name", "▸name")),
    ("MESH011 mesh: must name the mesh", "▸type: MeshHealthCheck\nname: hc\nspec: {targetRef: {kind: Mesh}}\n"),
    ("MESH011 mesh: must name the mesh", enveloped("▸mesh: ''")),
    ("MESH012 mesh: must be a string, not null", enveloped("▸mesh:")),
    ("MESH023 mesh: must consist of a-z, 0-9, '-', '_' and '.'", enveloped("▸mesh: Default")),
    ("MESH010 mesh: unknown field", mesh("▸mesh: default")),
    ("MESH012 labels: must be a mapping, not a list", enveloped("▸labels: []")),
    ("MESH012 labels.a: must be a string, not a number", enveloped("labels: {▸a: 5}")),
    *[
        (f'MESH027 labels["{key}"]: must be a name such as team', enveloped(f"labels: {{▸'{key}': c}}"))
        for key in ("a b", "", "/a", "A/a", "a/b/c", "a/", ".a", "a/" + "b" * 64, "b" * 254 + "/a")
    ],
    *[
        ("MESH027 labels.a: must be up to 63 letters", enveloped(f"labels: {{▸a: {value}}}"))
        for value in ("b c", "-b", "b" * 64, "b/c")
    ],
    ('MESH027 labels["kuma.io/origin"]: must be global or zone', enveloped("labels: {▸kuma.io/origin: local}")),
    ("MESH010 labls: unknown field; did you mean 'labels'?", enveloped("▸labls: {}")),
]

TARGET_KINDS = "Mesh, MeshSubset, MeshGateway, MeshService, MeshServiceSubset, MeshHTTPRoute"
UNNAMED = {"MeshService": "", "MeshServiceSubset": ", tags: {a: b}"}
WRONG_TAGS = [
    ("MESH024", ".a: must consist of letters, digits and . - _ :", "▸a: '*'"),
    ("MESH024", ".a: must consist of letters, digits and . - _ :", "▸a: b/c"),
    ("MESH024", ".a: must consist of letters, digits and . - _ :", r'▸a: "b\n"'),
    ("MESH024", ".a: must not be empty", "▸a: ''"),
    ("MESH024", '["a b"]: must have a name of letters, digits and . - _ : /', "▸a b: c"),
    ("MESH012", ".a: must be a string, not a number", "▸a: 1"),
    ("MESH012", ".a: must be a string, not null", "▸a: null"),
]

TARGET_REFS: Rows = [
    ("MESH011 spec.targetRef.kind: must be set", "▸type: MeshHealthCheck\nmesh: default\nname: hc\n"),
    ("MESH012 spec: must be a mapping, not null", "type: MeshHealthCheck\nmesh: default\nname: hc\n▸spec:\n"),
    (
        "MESH011 spec.targetRef: must be set",
        enveloped("").replace("spec: {targetRef: {kind: Mesh}}", "▸spec: {to: []}"),
    ),
    ("MESH011 spec.to[0].targetRef: must be set", policy().replace("targetRef: {kind: Mesh}\n    d", "▸d")),
    ("MESH011 spec.targetRef.kind: must be set", policy(top="{}").replace("targetRef", "▸targetRef", 1)),
    (f"MESH013 spec.targetRef.kind: must be one of {TARGET_KINDS}", policy(top="{▸kind: ''}")),
    (f"MESH013 spec.targetRef.kind: must be one of {TARGET_KINDS}", policy(top="{▸kind: Dataplane}")),
    (
        f"MESH013 spec.to[0].targetRef.kind: must be one of {TARGET_KINDS}; did you mean 'MeshService'?",
        policy(to="{▸kind: meshservice}"),
    ),
    (
        "MESH020 spec.targetRef.kind: must be one of Mesh, MeshSubset, MeshService, MeshServiceSubset here",
        policy(top="{▸kind: MeshHTTPRoute, name: r}"),
    ),
    ("MESH020 spec.to[0].targetRef.kind: must be one of Mesh, MeshService here", policy(to="{▸kind: MeshSubset}")),
    ("MESH009 spec.targetRef.kind: not supported yet: builtin gateways", policy(top="{▸kind: MeshGateway, name: g}")),
    *[
        (
            f"MESH020 spec.targetRef.{field.partition(':')[0]}: must not be set with kind {kind}",
            policy(top=f"{{kind: {kind}{needed}, ▸{field}}}"),
        )
        for kind, needed, fields in [
            ("Mesh", "", ["name: web", "mesh: default", "tags: {a: b}"]),
            ("MeshSubset", "", ["name: web", "mesh: default"]),
            ("MeshService", ", name: web", ["mesh: default", "tags: {a: b}", "proxyTypes: [Sidecar]"]),
            ("MeshServiceSubset", ", name: web", ["mesh: default", "proxyTypes: [Sidecar]"]),
        ]
        for field in fields
    ],
    *[
        (
            f"MESH020 spec.targetRef.name: must be set with kind {kind}",
            policy(top=f"{{kind: {kind}{tags}}}").replace("targetRef", "▸targetRef", 1),
        )
        for kind, tags in UNNAMED.items()
    ],
    *[
        (
            "MESH020 spec.to[0].targetRef.name: must consist of a-z, 0-9",
            policy(to=f"{{kind: MeshService, ▸name: {name}}}"),
        )
        for name in ("Backend", "a/b", "a b", "'*'", r'"a\n"')
    ],
    ("MESH015 spec.targetRef.proxyTypes: must have at least one item", policy(top="{kind: Mesh, ▸proxyTypes: []}")),
    (
        "MESH013 spec.targetRef.proxyTypes[1]: must be one of Sidecar, Gateway; did you mean 'Sidecar'?",
        policy(top="{kind: Mesh, proxyTypes: [Sidecar, ▸sidecar]}"),
    ),
    *[
        (f"{code} spec.targetRef.tags{finding}", policy(top=f"{{kind: MeshSubset, tags: {{{tag}}}}}"))
        for code, finding, tag in WRONG_TAGS
    ],
    (
        "MESH024 spec.targetRef.tags: must not have a tag without a name",
        policy(top="{kind: MeshServiceSubset, name: web, ▸tags: {'': b}}"),
    ),
    (
        "MESH010 spec.to[0].targetRef.tag: unknown field; did you mean 'tags'?",
        policy(to="{kind: MeshService, name: backend, ▸tag: {}}"),
    ),
]


def conf(finding: str, default: str) -> tuple[str, str]:
    """A row about `spec.to[0].default`."""
    code, rest = finding.split(" ", 1)
    return f"{code} spec.to[0].default{rest}", policy(default)


def header(finding: str, written: str) -> tuple[str, str]:
    """A row about the second of the headers to set."""
    code, rest = finding.split(" ", 1)
    headers = f"[{{name: a, value: b}}, {written}]"
    return conf(
        f"{code} .http.requestHeadersToAdd.set[1]{rest}", f"{{http: {{requestHeadersToAdd: {{set: {headers}}}}}}}"
    )


HEALTH_CHECKS: Rows = [
    *[
        conf(f"{code} .{field}: {says}", f"{{▸{field}: {value}, tcp: {{}}}}")
        for fields, rows in [
            (
                ("interval", "timeout", "initialJitter", "intervalJitter", "noTrafficInterval"),
                [
                    ("0s", "MESH021", "must be greater than zero"),
                    ("-1s", "MESH021", "must be greater than zero"),
                    ("soon", "MESH022", "is not a duration such as 500ms, 10s, 1m30s"),
                    ("'5'", "MESH022", "is not a duration such as 500ms, 10s, 1m30s"),
                    ("5", "MESH012", "must be a string, not a number"),
                    ("null", "MESH012", "must be a string, not null"),
                ],
            ),
            (
                ("unhealthyThreshold", "healthyThreshold"),
                [
                    ("0", "MESH021", "must be greater than zero"),
                    ("-1", "MESH021", "must be greater than zero"),
                    ("2147483648", "MESH021", "must be"),
                    ("1.5", "MESH012", "must be a whole number, not a number"),
                    ("'1'", "MESH012", "must be a whole number, not a string"),
                    ("true", "MESH012", "must be a whole number, not true or false"),
                ],
            ),
            (
                ("intervalJitterPercent",),
                [("-1", "MESH021", "must be between 0 and 100"), ("101", "MESH021", "must be between 0 and 100")],
            ),
            (
                ("healthyPanicThreshold",),
                [
                    ("-1", "MESH021", "must be between 0 and 100"),
                    ("'100.1'", "MESH021", "must be between 0 and 100"),
                    ("'1e9'", "MESH021", "must be between 0 and 100"),
                    ("many", "MESH021", "must be a number, for example 62.5 in quotes"),
                    ("nan", "MESH021", "must be a number, for example 62.5 in quotes"),
                    ("62.9", "MESH012", "must be a whole number or a string, not a number"),
                ],
            ),
            (
                ("failTrafficOnPanic", "alwaysLogHealthCheckFailures", "reuseConnection"),
                [("'true'", "MESH012", "must be true or false, not a string")],
            ),
            (
                ("eventLogPath",),
                [("a.log", "MESH014", "must be an absolute path"), ("''", "MESH014", "must be an absolute path")],
            ),
        ]
        for field in fields
        for value, code, says in rows
    ],
    conf("MESH014 .http.path: must not be empty", "{http: {▸path: ''}}"),
    conf("MESH014 .http.path: must be one line", r'{http: {▸path: "/a\n"}}'),
    conf("MESH014 .grpc.authority: must be one line", r'{grpc: {▸authority: "a\tb"}}'),
    conf("MESH014 .grpc.serviceName: must be one line", r'{grpc: {▸serviceName: "a\nb"}}'),
    header("MESH014 .value: must be one line", r'{name: a, ▸value: "b\nc"}'),
    conf("MESH016 .http.path: must not hold control characters", r'{http: {▸path: "/a\x01b"}}'),
    conf("MESH021 .http.expectedStatuses[1]: must be between 100 and 599", "{http: {expectedStatuses: [200, ▸99]}}"),
    conf("MESH021 .http.expectedStatuses[1]: must be between 100 and 599", "{http: {expectedStatuses: [200, ▸600]}}"),
    conf("MESH012 .http.expectedStatuses[0]: must be a whole number", "{http: {expectedStatuses: [▸'204']}}"),
    header("MESH014 .name: must consist of lower-case letters", "{▸name: Accept, value: x}"),
    header("MESH014 .name: must consist of lower-case letters", "{▸name: a b, value: x}"),
    header("MESH014 .name: must consist of lower-case letters", r'{▸name: "a\n", value: x}'),
    header("MESH014 .name: must not be empty", "{▸name: '', value: x}"),
    header("MESH014 .name: must not be longer than 256 characters", f"{{▸name: {'a' * 257}, value: x}}"),
    header("MESH011 .name: must be set", "▸{value: x}"),
    header("MESH011 .value: must be set", "▸{name: a}"),
    header("MESH202 .name: must not be host", "{▸name: host, value: x}"),
    header("MESH010 .append: unknown field", "{name: a, value: b, ▸append: true}"),
    conf(
        "MESH015 .http.requestHeadersToAdd.add: must not have more than 16 items",
        f"{{http: {{requestHeadersToAdd: {{▸add: [{', '.join(['{name: a, value: b}'] * 17)}]}}}}}}",
    ),
    conf("MESH026 .tcp.send: is not base64", "{tcp: {▸send: 'PING!'}}"),
    conf("MESH026 .tcp.send: is not base64", "{tcp: {▸send: UElORw}}"),
    conf("MESH026 .tcp.send: is not base64", "{tcp: {▸send: p\u00efng}}"),
    conf("MESH026 .tcp.receive[1]: is not base64", "{tcp: {receive: [UE9ORw==, ▸'?']}}"),
    conf("MESH012 .tcp: must be a mapping, not null", "{▸tcp: }"),
    conf("MESH010 .intervall: unknown field; did you mean 'interval'?", "{▸intervall: 5s, tcp: {}}"),
    conf("MESH010 .http.pth: unknown field; did you mean 'path'?", "{http: {▸pth: /}}"),
    conf("MESH010 .HTTP: unknown field; did you mean 'http'?", "{▸HTTP: {}, tcp: {}}"),
    (
        "MESH201 spec.to[0].default: must have at least one of http, tcp, grpc",
        policy("{interval: 5s}").replace("default:", "▸default:"),
    ),
    (
        "MESH201 spec.to[0].default: must have at least one of http, tcp, grpc",
        policy().replace("    default: {tcp: {}}\n", "").replace("- targetRef", "- ▸targetRef"),
    ),
    ("MESH012 spec.to: must be a list, not a mapping", enveloped("").replace("Mesh}}", "Mesh}, ▸to: {}}")),
    ("MESH010 spec.from: unknown field", enveloped("").replace("Mesh}}", "Mesh}, ▸from: []}")),
]


def retried(finding: str, default: str) -> tuple[str, str]:
    """A row about `spec.to[0].default` of a MeshRetry."""
    return re.sub(r"(MESH\d{3}) ", r"\1 spec.to[0].default", finding, count=1), retry(default)


def nested(path: str, value: str) -> str:
    """A configuration with one field: `{http: {▸numRetries: 3}}` for `http.numRetries`."""
    *sections, field = path.split(".")
    opened = "".join(f"{{{section}: " for section in sections)
    return f"{opened}{{▸{field}: {value}}}{'}' * len(sections)}"


def reset_header(finding: str, written: str) -> tuple[str, str]:
    """A row about the second of the reset headers."""
    code, rest = finding.split(" ", 1)
    headers = f"[{{name: retry-after, format: Seconds}}, {written}]"
    return retried(
        f"{code} .grpc.rateLimitedBackOff.resetHeaders[1]{rest}",
        f"{{grpc: {{rateLimitedBackOff: {{resetHeaders: {headers}}}}}}}",
    )


def matches(finding: str, written: str) -> Rows:
    """Rows about the second of the matches on headers, of requests and of responses."""
    return [
        retried(
            re.sub(r"(MESH\d{3}) ", rf"\1 .http.{field}[1]", finding, count=1),
            f"{{http: {{{field}: [{{name: x-a, value: b}}, {written}]}}}}",
        )
        for field in ("retriableRequestHeaders", "retriableResponseHeaders")
    ]


def predicate(finding: str, written: str) -> tuple[str, str]:
    """A row about the second of the predicates of `hostSelection`."""
    return retried(
        re.sub(r"(MESH\d{3}) ", r"\1 .http.hostSelection[1]", finding, count=1),
        f"{{http: {{hostSelection: [{{predicate: OmitPreviousPriorities}}, {written}]}}}}",
    )


CONDITIONS = "Canceled, DeadlineExceeded, Internal, ResourceExhausted, Unavailable"
NOTHING_RETRIED = "must have at least one field that says what is retried"

RETRIES: Rows = [
    *[
        (
            f"MESH009 spec.targetRef.kind: not supported yet: {what} ({kind})",
            retry(top=f"{{▸kind: {kind}, name: a}}"),
        )
        for kind, what in [("MeshGateway", "builtin gateways"), ("MeshHTTPRoute", "routes")]
    ],
    *[
        ("MESH020 spec.to[0].targetRef.kind: must be one of Mesh, MeshService here", retry(to=f"{{▸kind: {kind}}}"))
        for kind in ("MeshSubset", "MeshServiceSubset, name: web", "MeshHTTPRoute, name: a", "MeshGateway, name: a")
    ],
    (
        "MESH015 spec.to: must have at least one item",
        enveloped("type: MeshRetry").replace("spec", "▸spec"),
    ),
    (
        "MESH015 spec.to: must have at least one item",
        enveloped("type: MeshRetry").replace("Mesh}}", "Mesh}, ▸to: []}"),
    ),
    (
        "MESH210 spec.to[0].default: must have at least one of tcp, http, grpc",
        retry("{}").replace("default:", "▸default:"),
    ),
    (
        "MESH210 spec.to[0].default: must have at least one of tcp, http, grpc",
        retry("HERE").replace("    default: HERE\n", "").replace("- targetRef", "- ▸targetRef"),
    ),
    retried("MESH210 .tcp: must have maxConnectAttempt", "{▸tcp: {}, http: {numRetries: 1}}"),
    *[
        row
        for section in ("http", "grpc")
        for row in (
            retried(f"MESH210 .{section}: {NOTHING_RETRIED}", f"{{▸{section}: {{}}, tcp: {{maxConnectAttempt: 1}}}}"),
            retried(
                f"MESH210 .{section}.backOff: must have baseInterval or maxInterval",
                f"{{{section}: {{numRetries: 1, ▸backOff: {{}}}}}}",
            ),
            retried(
                f"MESH011 .{section}.rateLimitedBackOff.resetHeaders: must be set",
                f"{{{section}: {{▸rateLimitedBackOff: {{maxInterval: 1s}}}}}}",
            ),
        )
    ],
    # How often to look for a host is no reason for a retry.
    retried(f"MESH210 .http: {NOTHING_RETRIED}", "{▸http: {hostSelectionMaxAttempts: 3}}"),
    *[
        retried(f"{code} .{field}: {says}", nested(field, value))
        for field in ("http.numRetries", "grpc.numRetries", "tcp.maxConnectAttempt")
        for value, code, says in [
            ("-1", "MESH021", "must be between 0 and 2147483647"),
            ("2147483648", "MESH021", "must be between 0 and 2147483647"),
            ("1.5", "MESH012", "must be a whole number, not a number"),
            ("'3'", "MESH012", "must be a whole number, not a string"),
            ("null", "MESH012", "must be a whole number, not null"),
        ]
    ],
    *[
        retried(f"{code} .{section}.{field}: {says}", nested(f"{section}.{field}", value))
        for section in ("http", "grpc")
        for field in ("perTryTimeout", "backOff.baseInterval", "backOff.maxInterval")
        for value, code, says in [
            ("1 s", "MESH022", "is not a duration such as 500ms, 10s, 1m30s"),
            ("5m3", "MESH022", "is not a duration such as 500ms, 10s, 1m30s"),
            ("''", "MESH022", "is not a duration such as 500ms, 10s, 1m30s"),
            ("15", "MESH012", "must be a string, not a number"),
        ]
    ],
    *[
        row
        for section in ("http", "grpc")
        for value in ("0s", "-1s")
        for row in (
            retried(
                f"MESH021 .{section}.backOff.baseInterval: must be greater than zero",
                nested(f"{section}.backOff.baseInterval", value),
            ),
            retried(
                f"MESH021 .{section}.rateLimitedBackOff.maxInterval: must be greater than zero",
                f"{{{section}: {{rateLimitedBackOff: {{resetHeaders: [], ▸maxInterval: {value}}}}}}}",
            ),
            retried(
                f"warning: MESH213 .{section}.backOff.maxInterval: must be greater than zero for Envoy: the default",
                nested(f"{section}.backOff.maxInterval", value),
            ),
        )
    ],
    *[
        retried(
            f"warning: MESH213 .{section}.perTryTimeout: is less than no time at all: the default 15s is used",
            nested(f"{section}.perTryTimeout", "-1s"),
        )
        for section in ("http", "grpc")
    ],
    retried(
        "warning: MESH213 .tcp.maxConnectAttempt: is less than the one attempt that Envoy makes in any case",
        "{tcp: {▸maxConnectAttempt: 0}}",
    ),
    *[
        retried(f"MESH211 .http.retryOn[1]: unknown condition {says}", f"{{http: {{retryOn: [5xx, ▸{written}]}}}}")
        for written, says in [
            ("5xxx", "'5xxx'; did you mean '5xx'?"),
            ("gateway-error", "'gateway-error'; did you mean 'GatewayError'?"),
            ("RESET", "'RESET'; did you mean 'Reset'?"),
            ("HttpMethodGett", "'HttpMethodGett'; did you mean 'HttpMethodGet'"),
            ("'499'", "'499'; did you mean '429' or '409'?"),
            ("499", "'499'; did you mean '429' or '409'?"),
            ("'0503'", "'0503'; did you mean '503'?"),
            ("Canceled", "'Canceled'; write a name such as GatewayError, or a status such as 503"),
            ("''", "''; write a name such as GatewayError, or a status such as 503"),
        ]
    ],
    *[
        retried(
            f"MESH012 .http.retryOn[0]: must be a string or a whole number, not {says}",
            f"{{http: {{retryOn: [▸{written}]}}}}",
        )
        for written, says in [("503.5", "a number"), ("true", "true or false"), ("null", "null"), ("[5xx]", "a list")]
    ],
    retried("MESH012 .http.retryOn: must be a list, not a string", "{http: {▸retryOn: 5xx}}"),
    *[
        retried(
            f"MESH013 .grpc.retryOn[1]: must be one of {CONDITIONS}{says}",
            f"{{grpc: {{retryOn: [Internal, ▸{written}]}}}}",
        )
        for written, says in [
            ("cancelled", "; did you mean 'Canceled'?"),
            ("deadline-exceeded", "; did you mean 'DeadlineExceeded'?"),
            ("5xx", ""),
        ]
    ],
    reset_header("MESH011 .name: must be set", "▸{format: Seconds}"),
    reset_header("MESH011 .format: must be set", "▸{name: x-a}"),
    reset_header("MESH014 .name: must not be empty", "{▸name: '', format: Seconds}"),
    reset_header("MESH014 .name: must consist of lower-case letters", "{▸name: Retry-After, format: Seconds}"),
    reset_header(
        "MESH013 .format: must be one of Seconds, UnixTimestamp; did you mean 'Seconds'?",
        "{name: x-a, ▸format: seconds}",
    ),
    reset_header("MESH010 .value: unknown field", "{name: x-a, format: Seconds, ▸value: 3}"),
    *matches("MESH011 .name: must be set", "▸{value: b}"),
    *matches("MESH014 .name: must not be empty", "{▸name: '', value: b}"),
    *matches("MESH014 .name: must consist of lower-case letters", "{▸name: X-A, value: b}"),
    *matches("MESH014 .name: must not be longer than 256 characters", f"{{▸name: {'a' * 257}, value: b}}"),
    *matches("MESH014 .value: must be one line", r'{name: x-b, ▸value: "a\nb"}'),
    *matches("MESH012 .value: must be a string, not a number", "{name: x-b, ▸value: 3}"),
    *matches(
        "MESH013 .type: must be one of Exact, Present, RegularExpression, Absent, Prefix; did you mean 'Prefix'?",
        "{name: x-b, ▸type: prefix, value: b}",
    ),
    *[
        row
        for without in ("▸{name: x-b%s}", "{name: x-b%s, ▸value: ''}")
        for kind, taken in [
            ("", "the empty value only"),
            (", type: Exact", "the empty value only"),
            (", type: RegularExpression", "the empty value only"),
            (", type: Prefix", "any value"),
        ]
        for row in matches(
            f"warning: MESH213 .value: is not set, and the match takes {taken}", without.replace("%s", kind)
        )
    ],
    *[
        row
        for kind in ("Present", "Absent")
        for row in matches(
            f"warning: MESH054 .value: has no effect: a match of type {kind} looks at no value",
            f"{{name: x-b, type: {kind}, ▸value: b}}",
        )
    ],
    *[
        row
        for expression, says in [
            ("a(", "missing ), unterminated subpattern"),
            ("'[z-a]'", "bad character range z-a"),
            ("a)", "unbalanced parenthesis"),
            ("'[a'", "unterminated character set"),
        ]
        for row in matches(
            f"warning: MESH219 .value: is no regular expression for Envoy: {says}",
            f"{{name: x-b, type: RegularExpression, ▸value: {expression}}}",
        )
    ],
    predicate("MESH011 .predicate: must be set", "▸{tags: {a: b}}"),
    predicate(
        "MESH013 .predicate: must be one of OmitPreviousHosts, OmitHostsWithTags, OmitPreviousPriorities; "
        "did you mean 'OmitPreviousHosts'?",
        "{▸predicate: OmitPreviousHost}",
    ),
    predicate("MESH212 .tags: must be set with predicate OmitHostsWithTags", "▸{predicate: OmitHostsWithTags}"),
    predicate(
        "MESH212 .tags: must be set with predicate OmitHostsWithTags", "{predicate: OmitHostsWithTags, ▸tags: {}}"
    ),
    predicate("MESH012 .tags.a: must be a string, not a number", "{predicate: OmitHostsWithTags, tags: {▸a: 1, b: c}}"),
    predicate(
        "warning: MESH054 .updateFrequency: has no effect with predicate OmitHostsWithTags",
        "{predicate: OmitHostsWithTags, tags: {a: b}, ▸updateFrequency: 3}",
    ),
    predicate(
        "warning: MESH054 .tags: has no effect with predicate OmitPreviousHosts",
        "{predicate: OmitPreviousHosts, ▸tags: {a: b}}",
    ),
    predicate("MESH010 .tag: unknown field; did you mean 'tags'?", "{predicate: OmitPreviousHosts, ▸tag: {}}"),
    predicate(
        "MESH212 .predicate: must not be OmitPreviousPriorities a second time", "{▸predicate: OmitPreviousPriorities}"
    ),
    *[
        retried(
            f"{code} .http.hostSelection[0].updateFrequency: {says}",
            f"{{http: {{hostSelection: [{{predicate: OmitPreviousPriorities, ▸updateFrequency: {value}}}]}}}}",
        )
        for value, code, says in [
            ("0", "MESH212", "must be greater than zero"),
            ("-1", "MESH212", "must be greater than zero"),
            ("1.5", "MESH012", "must be a whole number, not a number"),
            ("2147483648", "MESH021", "must be between -2147483648 and 2147483647"),
        ]
    ],
    *[
        retried(
            f"{code} .http.hostSelectionMaxAttempts: {says}",
            f"{{http: {{numRetries: 1, ▸hostSelectionMaxAttempts: {value}}}}}",
        )
        for value, code, says in [
            ("1.5", "MESH012", "must be a whole number, not a number"),
            ("9223372036854775808", "MESH021", "must be between -9223372036854775808 and 9223372036854775807"),
        ]
    ],
    retried(
        "MESH010 .http.numretries: unknown field; did you mean 'numRetries'?",
        "{http: {▸numretries: 3, retryOn: [5xx]}}",
    ),
    retried("MESH010 .grpc.hostSelection: unknown field", "{grpc: {numRetries: 3, ▸hostSelection: []}}"),
    retried("MESH010 .TCP: unknown field; did you mean 'tcp'?", "{▸TCP: {}, http: {numRetries: 3}}"),
    retried("MESH012 .http: must be a mapping, not null", "{▸http: }"),
]

AT_INBOUND = "networking.inbound[0]"
AT_OUTBOUND = "networking.outbound[0]"
PROTOCOL = "kuma.io/protocol"
SERVICE_TAG = 'tags["kuma.io/service"]'
PROTOCOL_TAG = f'tags["{PROTOCOL}"]'

ADDRESSES: Rows = [
    (f"MESH025 networking.{field}: {says}", text.replace("HERE", f"▸{field}: {address!r}"))
    for field, text in [
        ("address", dataplane(f"HERE, gateway: {{{TAGS}}}")),
        ("advertisedAddress", gateway("HERE")),
    ]
    for address, says in [
        ("0.0.0.0", "must be an address that others can reach, not 0.0.0.0 or ::"),
        ("::", "must be an address that others can reach, not 0.0.0.0 or ::"),
        ("web.example", "must be an IP address (host names, which a control plane resolves, are not supported yet)"),
        ("fe80::1%eth0", "must be an IP address"),
        ("192.0.2.256", "must be an IP address"),
    ]
]

ADMIN_PORTS: Rows = [
    (
        f"MESH021 networking.admin.port: must differ from the {says}",
        dataplane(f"address: 192.0.2.1, admin: {{▸port: 9901}}, {listening}"),
    )
    for says, listening in [
        (f"ports of {AT_INBOUND}", f"inbound: [{{port: 9901, address: 127.0.0.1, servicePort: 1, {TAGS}}}]"),
        (f"ports of {AT_INBOUND}", f"inbound: [{{port: 80, serviceAddress: 127.0.0.1, servicePort: 9901, {TAGS}}}]"),
        (f"port of {AT_OUTBOUND}", f"gateway: {{{TAGS}}}, outbound: [{{port: 9901, {TAGS}}}]"),
        (f"port of {AT_OUTBOUND}", f"gateway: {{{TAGS}}}, outbound: [{{address: '::', port: 9901, {TAGS}}}]"),
    ]
]

DATAPLANES: Rows = [
    ("MESH011 networking: must be set", "▸type: Dataplane\nmesh: default\nname: x\n"),
    ("MESH011 networking: must be set", "type: Dataplane\nmesh: default\nname: x\n▸networking: null\n"),
    ("MESH012 networking: must be a mapping, not a list", "type: Dataplane\nmesh: default\nname: x\n▸networking: []\n"),
    ("MESH025 networking.address: must be set", dataplane(INBOUND).replace("networking", "▸networking")),
    *ADDRESSES,
    ("MESH028 networking: must have at least one inbound", dataplane("address: 192.0.2.1").replace("net", "▸net")),
    ("MESH028 networking.inbound: cannot be set for a gateway", gateway(f"▸{INBOUND}")),
    (
        "MESH009 networking.gateway.type: not supported yet: builtin gateways",
        dataplane(f"address: 192.0.2.1, gateway: {{▸type: BUILTIN, {TAGS}}}"),
    ),
    (
        "MESH013 networking.gateway.type: must be one of DELEGATED, BUILTIN; did you mean 'DELEGATED'?",
        dataplane(f"address: 192.0.2.1, gateway: {{▸type: delegated, {TAGS}}}"),
    ),
    (
        "MESH024 networking.gateway.tags: must have the tag kuma.io/service",
        dataplane("address: 192.0.2.1, gateway: {▸tags: {a: b}}"),
    ),
    (
        f'MESH024 networking.gateway.tags["{PROTOCOL}"]: must be tcp, or be left out',
        dataplane(f"address: 192.0.2.1, gateway: {{tags: {{kuma.io/service: edge, ▸{PROTOCOL}: http}}}}"),
    ),
    *[
        (
            f"{code} networking.gateway.tags{finding}",
            dataplane(f"address: 192.0.2.1, gateway: {{tags: {{kuma.io/service: edge, {tag}}}}}"),
        )
        for code, finding, tag in WRONG_TAGS
    ],
    *[
        (f"{code} {AT_INBOUND}.{field}: {says}", inbound(f"▸{field}: {port}"))
        for field in ("port", "servicePort")
        for port, code, says in [
            ("-1", "MESH021", "must be a port, 1 to 65535"),
            ("65536", "MESH021", "must be a port, 1 to 65535"),
            ("'65536'", "MESH021", "must be a port, 1 to 65535"),
            ("http", "MESH012", "must be a whole number, not a string"),
            ("' 80'", "MESH012", "must be a whole number, not a string"),
            ("80.5", "MESH012", "must be a whole number, not a number"),
        ]
    ],
    (f"MESH021 {AT_INBOUND}.port: must be a port", inbound("▸port: 0")),
    (
        f"MESH021 {AT_INBOUND}.port: must be a port",
        dataplane(f"address: 192.0.2.1, inbound: [▸{{servicePort: 80, serviceAddress: 127.0.0.1, {TAGS}}}]"),
    ),
    (f"MESH025 {AT_INBOUND}.address: must be an IP address", inbound("▸address: web")),
    (f"MESH025 {AT_INBOUND}.serviceAddress: must be an IP address", inbound("▸serviceAddress: localhost")),
    (f"MESH021 {AT_INBOUND}.serviceAddress: must differ", inbound("▸serviceAddress: 192.0.2.1")),
    (
        f"MESH021 {AT_INBOUND}.serviceAddress: must differ",
        inbound("servicePort: 80, address: '::1', ▸serviceAddress: '::1'"),
    ),
    (
        f"MESH013 {AT_INBOUND}.{PROTOCOL_TAG}: must be one of grpc, http, http2, kafka, tcp; did you mean 'http'?",
        inbound(f"tags: {{kuma.io/service: web, ▸{PROTOCOL}: htttp}}"),
    ),
    (f"MESH024 {AT_INBOUND}.{SERVICE_TAG}: must be set", inbound("▸tags: {a: b}")),
    *[
        (f"{code} {AT_INBOUND}.tags{finding}", inbound(f"tags: {{kuma.io/service: web, {tag}}}"))
        for code, finding, tag in WRONG_TAGS
    ],
    (
        f"MESH013 {AT_INBOUND}.state: must be one of Ready, NotReady, Ignored; did you mean 'Ignored'?",
        inbound("▸state: Ignore"),
    ),
    (f"MESH012 {AT_INBOUND}.health: must be a mapping, not a string", inbound("▸health: ready")),
    (f"MESH012 {AT_INBOUND}.health.ready: must be true or false, not a string", inbound("health: {▸ready: 'yes'}")),
    (f"MESH009 {AT_INBOUND}.serviceProbe: not supported yet: service probes", inbound("▸serviceProbe: {tcp: {}}")),
    (f"MESH010 {AT_INBOUND}.srvicePort: unknown field; did you mean 'servicePort'?", inbound("▸srvicePort: 8080")),
    (f"MESH012 {AT_INBOUND}: must be a mapping, not null", dataplane("address: 192.0.2.1, inbound: [▸null]")),
    *[
        (f"MESH021 {AT_OUTBOUND}.port: must be a port, 1 to 65535", gateway(f"outbound: [{{▸port: {port}, {TAGS}}}]"))
        for port in (0, -1, 65536)
    ],
    (f"MESH021 {AT_OUTBOUND}.port: must be a port, 1 to 65535", gateway(f"outbound: [▸{{{TAGS}}}]")),
    (f"MESH025 {AT_OUTBOUND}.address: must be an IP", gateway(f"outbound: [{{port: 1, ▸address: localhost, {TAGS}}}]")),
    (f"MESH024 {AT_OUTBOUND}.tags: must have the tag kuma.io/service", gateway("outbound: [▸{port: 1}]")),
    (f"MESH024 {AT_OUTBOUND}.tags: must have the tag kuma.io/service", gateway("outbound: [{port: 1, ▸tags: {a: b}}]")),
    *[
        (
            f"{code} {AT_OUTBOUND}.tags{finding}",
            gateway(f"outbound: [{{port: 1, tags: {{kuma.io/service: web, {tag}}}}}]"),
        )
        for code, finding, tag in WRONG_TAGS
    ],
    (
        f'MESH009 {AT_OUTBOUND}.tags["kuma.io/mesh"]: not supported yet: services of other meshes',
        gateway("outbound: [{port: 1, tags: {kuma.io/service: web, ▸kuma.io/mesh: other}}]"),
    ),
    (
        f"MESH009 {AT_OUTBOUND}.service: not supported yet: outbounds by name of service",
        gateway("outbound: [{port: 1, ▸service: web, tags: {kuma.io/service: web}}]"),
    ),
    (
        f"MESH009 {AT_OUTBOUND}.backendRef: not supported yet: outbounds by backendRef",
        gateway(f"outbound: [{{port: 1, {TAGS}, ▸backendRef: {{kind: MeshService}}}}]"),
    ),
    (f"MESH010 {AT_OUTBOUND}.name: unknown field", gateway(f"outbound: [{{port: 1, {TAGS}, ▸name: web}}]")),
    *ADMIN_PORTS,
    ("MESH021 networking.admin.port: must be a port, 1 to 65535", gateway("admin: {▸port: 65536}")),
    (
        "MESH009 networking.transparentProxying.directAccessServices: not supported yet: direct access to services",
        gateway("transparentProxying: {▸directAccessServices: [web]}"),
    ),
    (
        "MESH021 networking.transparentProxying.redirectPortInbound: must be a port, 1 to 65535",
        gateway("transparentProxying: {▸redirectPortInbound: 65536, redirectPortOutbound: 15001}"),
    ),
    (
        "MESH013 networking.transparentProxying.ipFamilyMode: must be one of",
        gateway("transparentProxying: {▸ipFamilyMode: ipv4}"),
    ),
    ("MESH009 metrics: not supported yet: metrics backends", gateway() + "▸metrics: {type: prometheus}\n"),
    ("MESH009 probes: not supported yet: virtual probes", gateway() + "▸probes: {port: 9000}\n"),
    ("MESH010 networking.inbounds: unknown field; did you mean 'inbound'?", gateway("▸inbounds: []")),
    # Fields are named as the user spelt them, not as the schema does.
    (f"MESH021 {AT_INBOUND}.service_port: must be a port, 1 to 65535", inbound("▸service_port: 70000")),
    (
        "MESH009 networking.transparent_proxying.direct_access_services: not supported yet",
        gateway("transparent_proxying: {▸direct_access_services: []}"),
    ),
    (
        f"MESH010 {AT_INBOUND}.service_port: unknown field; did you mean 'servicePort'?",
        inbound("servicePort: 8080, ▸service_port: 8081"),
    ),
]

MESHES: Rows = [
    *[
        (f"MESH009 {field}: not supported yet", mesh(f"▸{field}: {{}}"))
        for field in ("constraints", "logging", "metrics", "mtls", "routing", "tracing")
    ],
    ("MESH010 mtl: unknown field; did you mean 'mtls'?", mesh("▸mtl: {}")),
    (
        "MESH012 networking.outbound.passthrough: must be true or false, not a string",
        mesh("networking: {outbound: {▸passthrough: 'false'}}"),
    ),
    (
        "MESH012 skip_creating_initial_policies: must be a list, not a string",
        "type: Mesh\nname: default\n▸skip_creating_initial_policies: all\n",
    ),
    *[
        (
            f"warning: MESH038 skipCreatingInitialPolicies[1]: skips nothing: '{name}' is no kind of policy{hint}",
            f"type: Mesh\nname: default\nskipCreatingInitialPolicies: [MeshRetry, ▸{name}]\n",
        )
        for name, hint in [("MeshTimeouts", "; did you mean 'MeshTimeout'?"), ("all", "")]
    ],
    *[
        (
            "notice: MESH052 networking.outbound.passthrough: has no effect",
            mesh(f"networking: {{outbound: {{▸passthrough: {value}}}}}"),
        )
        for value in ("true", "false")
    ],
]

PORTS: Rows = [
    (
        "warning: MESH034 networking.outbound[1].port: 127.0.0.1:1 is also that of networking.outbound[0]",
        web(f"outbound: [{{port: 1, {TAGS}}}, {{▸port: 1, {TAGS}}}]"),
    ),
    (
        "warning: MESH034 networking.inbound[1].port: 192.0.2.1:80 is also that of networking.inbound[0]",
        dataplane(
            "address: 192.0.2.1, inbound: ["
            f"{{port: 80, servicePort: 1, serviceAddress: 127.0.0.1, {TAGS}}}, "
            f"{{▸port: 80, servicePort: 2, serviceAddress: 127.0.0.1, {TAGS}}}]"
        ),
    ),
    (
        f"warning: MESH034 {AT_OUTBOUND}.port: 192.0.2.1:80 is also that of networking.inbound[0]",
        web(f"outbound: [{{▸port: 80, address: 192.0.2.1, {TAGS}}}]"),
    ),
    (
        f"warning: MESH034 {AT_OUTBOUND}.port: 127.0.0.1:80 is also that of networking.inbound[0]",
        dataplane(
            "address: 192.0.2.1, inbound: ["
            f"{{port: 80, address: 0.0.0.0, servicePort: 1, serviceAddress: 127.0.0.1, {TAGS}}}], "
            f"outbound: [{{▸port: 80, {TAGS}}}]"
        ),
    ),
    (
        f"warning: MESH034 {AT_OUTBOUND}.port: is where the application of networking.inbound[0] listens",
        web(f"outbound: [{{▸port: 80, {TAGS}}}]"),
    ),
    (
        "warning: MESH034 networking.inbound[1].port: is where the application of networking.inbound[0] listens",
        dataplane(
            "address: 192.0.2.1, inbound: ["
            f"{{port: 80, servicePort: 81, serviceAddress: 127.0.0.1, {TAGS}}}, "
            f"{{▸port: 81, address: 127.0.0.1, servicePort: 82, {TAGS}}}]"
        ),
    ),
    (
        f"warning: MESH035 {AT_INBOUND}.port: leads to itself: the application would have to listen on 127.0.0.1:80",
        dataplane(f"address: 127.0.0.1, inbound: [{{▸port: 80, {TAGS}}}]"),
    ),
]

RESOURCES: Rows = [
    *[
        (
            f"MESH030 name: this {kind} is also in mesh.yaml:{line}:1",
            documents(text, text.replace("\nname", "\n▸name")),
        )
        for kind, text, line in [
            ("Mesh", mesh(), 2),
            ("Dataplane", WEB, 3),
            ("MeshHealthCheck", policy(), 3),
            ("MeshRetry", retry(), 3),
        ]
    ],
    ("MESH031 mesh: there is no Mesh 'east'", WEB.replace("mesh: default", "▸mesh: east")),
    (
        "MESH031 mesh: there is no Mesh 'prd'; did you mean 'prod'?",
        documents(mesh(name="prod"), policy().replace("mesh: default", "▸mesh: prd")),
    ),
    (
        f"warning: MESH033 {AT_OUTBOUND}.{SERVICE_TAG}: nobody offers the service 'database'",
        web("outbound: [{port: 1, tags: {▸kuma.io/service: database}}]"),
    ),
    (
        f"warning: MESH033 {AT_OUTBOUND}.{SERVICE_TAG}: nobody offers the service 'wep'; did you mean 'web'?",
        web("outbound: [{port: 1, tags: {▸kuma.io/service: wep}}]"),
    ),
    (
        f"warning: MESH033 {AT_OUTBOUND}.{SERVICE_TAG}: nobody offers the service 'web'",
        documents(
            mesh(name="other"),
            WEB.replace("default", "other"),
            gateway("outbound: [{port: 1, tags: {▸kuma.io/service: web}}]"),
        ),
    ),
    (
        f"notice: MESH051 {AT_INBOUND}.serviceAddress: the application listens on 192.0.2.1:8080, where it can be",
        dataplane(f"address: 192.0.2.1, inbound: [▸{{port: 80, servicePort: 8080, {TAGS}}}]"),
    ),
    (
        f"notice: MESH051 {AT_INBOUND}.serviceAddress: the application listens on 0.0.0.0:8080, where it can be",
        inbound("▸serviceAddress: 0.0.0.0, servicePort: 8080"),
    ),
    (
        f"notice: MESH053 {AT_INBOUND}.{PROTOCOL_TAG}: 'log' is proxied as plain TCP",
        documents(
            inbound(f"tags: {{kuma.io/service: log, {PROTOCOL}: kafka}}", "log-2"),
            inbound(f"tags: {{kuma.io/service: log, ▸{PROTOCOL}: KAFKA}}", "log-1"),
        ),
    ),
]


def kubernetes_retry(metadata: str) -> str:
    """A MeshRetry in Kubernetes form."""
    head = f"apiVersion: kuma.io/v1alpha1\nkind: MeshRetry\nmetadata: {{name: r, {metadata}}}\n"
    return head + retry().partition("name: hc\n")[2]


def kubernetes_service(port: str, annotations: str = "") -> str:
    """A Service of which the mesh calls the one port `s_default_svc_80`."""
    head = f"apiVersion: v1\nkind: Service\nmetadata: {{name: s, annotations: {{{annotations}}}}}\n"
    return f"{head}spec: {{ports: [{{port: 80, {port}}}]}}\n"


HINT = "80.service.kuma.io/protocol"
HINTED = inbound("tags: {kuma.io/service: s_default_svc_80}")
CLIENT = gateway("outbound: [{port: 1, tags: {kuma.io/service: api}}]")
HTTP_API = inbound(f"tags: {{kuma.io/service: api, {PROTOCOL}: http}}", "api-1")

# What is valid, and yet not what it seems to be; test_lint.py and test_kubernetes.py have more.
ADVICE: Rows = [
    ("MESH029 metadata.namespace: must be kuma-system or kong-mesh-system", kubernetes_retry("▸namespace: default")),
    (
        f'warning: MESH036 metadata.annotations["{HINT}"]: says tcp, but the port\'s appProtocol says http',
        documents(HINTED, kubernetes_service("appProtocol: http", f"▸{HINT}: tcp")),
    ),
    (
        f"warning: MESH036 {AT_INBOUND}.{PROTOCOL_TAG}: says http, which counts, but the Service in mesh.yaml:9:27",
        documents(
            inbound(f"tags: {{kuma.io/service: s_default_svc_80, ▸{PROTOCOL}: http}}"),
            kubernetes_service("appProtocol: tcp"),
        ),
    ),
    (
        f"warning: MESH037 {AT_INBOUND}.{PROTOCOL_TAG}: 'api' speaks http on api-1 and tcp on api-2: tcp to the mesh",
        documents(HTTP_API, inbound("▸tags: {kuma.io/service: api}", "api-2")),
    ),
    (
        "warning: MESH054 spec.to[0].default.grpc: has no effect: the service speaks http ('api', and",
        documents(CLIENT, HTTP_API, retry("{▸grpc: {numRetries: 1}}")),
    ),
    (
        "warning: MESH055 spec.targetRef: selects none of the dataplanes",
        documents(WEB, retry(top="{kind: MeshService, name: wep}").replace("targetRef", "▸targetRef", 1)),
    ),
    (
        "warning: MESH056 spec.to[0].targetRef.name: no dataplane offers the service 'wep'; did you mean 'web'?",
        documents(WEB, retry(to="{kind: MeshService, ▸name: wep}")),
    ),
    (
        "warning: MESH057 spec.to[0]: has no effect: all of it is overridden by spec.to[1]",
        documents(
            WEB,
            retry(to="{kind: MeshService, name: web}").replace("- targetRef", "- ▸targetRef")
            + "  - {targetRef: {kind: Mesh}, default: {tcp: {maxConnectAttempt: 2}}}\n",
        ),
    ),
    (
        "warning: MESH058 spec.ports[0].appProtocol: 'htp' is no protocol of the mesh; did you mean 'http'?",
        documents(HINTED, kubernetes_service("▸appProtocol: htp")),
    ),
    (
        "notice: MESH059 spec.ports[0].appProtocol: nobody offers the service 's_default_svc_80'",
        documents(WEB, kubernetes_service("▸appProtocol: http")),
    ),
    *[
        (
            f"warning: {code} spec.to[0].default.http.{field}: {says}",
            documents(CLIENT, HTTP_API, retry(f"{{http: {{{conf}}}}}")),
        )
        for code, field, says, conf in [
            (
                "MESH214",
                "backOff.baseInterval",
                "is above maxInterval, 1s",
                "backOff: {▸baseInterval: 2s, maxInterval: 1s}",
            ),
            ("MESH216", "numRetries", "means up to 11 requests for one, 25ms apart at first", "▸numRetries: 10"),
            (
                "MESH217",
                "retryOn",
                "names methods only, so that the default conditions apply",
                "▸retryOn: [HttpMethodGet]",
            ),
        ]
    ],
]

TABLES = [SOURCE, KINDS, ENVELOPES, TARGET_REFS, HEALTH_CHECKS, RETRIES, DATAPLANES, MESHES, PORTS, RESOURCES, ADVICE]


@pytest.mark.parametrize(
    ("finding", "text"), [pytest.param(finding, text, id=finding) for table in TABLES for finding, text in table]
)
def test_one_mistake_one_finding(load_files: Load, finding: str, text: str) -> None:
    [found] = load_files({"mesh.yaml": text.replace(MARK, "", 1)}).findings

    assert str(found).startswith(f"mesh.yaml:{place_of(text)}: {finding}")


FILES: Rows = [
    ("MESH001", "none.yaml"),
    ("MESH005", "empty"),
]


@pytest.mark.parametrize(("code", "path"), FILES)
def test_nothing_to_read(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, code: str, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()

    [finding] = api.load(paths=[path]).findings
    assert str(finding).startswith(f"{path}: {code} ")


def test_every_code_is_shown_by_a_row() -> None:
    shown = {
        code for table in [*TABLES, FILES] for finding, _text in table for code in re.findall(r"MESH\d{3}", finding)
    }

    # Codes from MESH100 on belong to the border with Ansible, some others to `test_findings_traffic.py`.
    elsewhere = ("MESH060", "MESH1", "MESH203", "MESH215", "MESH218", "MESH22", "MESH23", "MESH24", "MESH25", "MESH26")
    assert shown == {code for code in CODES if not code.startswith(elsewhere)}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(WEB, id="sidecar"),
        pytest.param(gateway(), id="delegated gateway"),
        pytest.param(gateway("inbound: [], outbound: null, admin: {port: 0}"), id="what is unset in other words"),
        pytest.param(mesh("mtls: null\nnetworking: {outbound: {passthrough: null}}"), id="null"),
        pytest.param(inbound("service_port: 8080, service_probe: null, health: {ready: true}"), id="snake_case"),
        pytest.param(inbound("port: '600', servicePort: '0'"), id="numbers in texts"),
        pytest.param(inbound(f"tags: {{kuma.io/service: web, {PROTOCOL}: HTTP2}}"), id="protocol in upper case"),
        pytest.param(dataplane(f"address: '2001:db8::1', {INBOUND}"), id="IPv6"),
        pytest.param(mesh(name="m" * 63), id="the longest name of a mesh"),
        pytest.param(enveloped(f"name: {'n' * 253}"), id="the longest name"),
        pytest.param(enveloped("name: a.b-c.0"), id="name with points"),
        pytest.param(enveloped("labels: {example.com/team: A_b.c, empty: '', kuma.io/origin: zone}"), id="labels"),
        pytest.param(policy(top="{kind: Mesh, name: '', mesh: '', tags: {}}"), id="empty fields of a targetRef"),
        pytest.param(policy(top="{kind: MeshService, name: a_b.c-1}"), id="name of a service"),
        pytest.param(enveloped("").replace("Mesh}}", "MeshSubset}, to: []}"), id="neither tags nor items"),
        pytest.param(policy("{healthyPanicThreshold: '62.9', http: {disabled: yes}}"), id="decimal in quotes"),
        pytest.param(policy("{tcp: {send: '', receive: ['']}}"), id="empty payloads"),
        pytest.param(documents(policy(), retry()), id="policies of two kinds with one name"),
        pytest.param(retry("{http: {retryOn: [5xx, 5XX, Reset, HttpMethodGet, '503', 503]}}"), id="conditions"),
        pytest.param(
            retry("{http: {numRetries: 0, perTryTimeout: 0s, retryOn: []}}"), id="zero, no time, no condition"
        ),
        pytest.param(
            retry("{http: {retriableRequestHeaders: [{name: x-a, value: b}, {name: x-a, type: Absent}]}}"),
            id="matches on headers",
        ),
        *[
            pytest.param(
                retry(
                    "{http: {retriableRequestHeaders: "
                    f"[{{name: x-a, type: RegularExpression, value: '{expression}'}}]}}}}"
                ),
                id=f"expression {expression}",
            )
            # The last three mean nothing to Python, but something to Envoy.
            for expression in ("s[0-9]{2}|", "(?i:a)b", r"\pN+", r"\Qa(\E", "(?<n>a)")
        ],
        pytest.param(
            retry("{http: {hostSelection: [{predicate: OmitPreviousHosts}, {predicate: OmitPreviousPriorities}]}}"),
            id="predicates without anything else",
        ),
        pytest.param(
            documents(mesh(name="a"), mesh(name="b"), WEB.replace("default", "a"), WEB.replace("default", "b")),
            id="one name in two meshes",
        ),
        pytest.param(
            web(f"outbound: [{{port: 81, {TAGS}}}, {{port: 81, address: 127.0.0.2, {TAGS}}}]"),
            id="one port on two addresses",
        ),
    ],
)
def test_no_finding(load_files: Load, text: str) -> None:
    assert [str(finding) for finding in load_files({"mesh.yaml": text}).findings] == []


def test_all_mistakes_are_found_in_one_run_and_sorted_by_place(load_files: Load) -> None:
    universe = load_files(
        {
            "b.yaml": documents(policy("{interval: 0s, timeout: soon}"), "type: Nonsense\n"),
            "a.yaml": dataplane("address: here, inbound: [{port: 0}]"),
        }
    )

    assert [str(finding).split(": ")[:2] for finding in universe.findings] == [
        ["a.yaml:4:14", "MESH025 networking.address"],
        ["a.yaml:4:39", 'MESH024 networking.inbound[0].tags["kuma.io/service"]'],
        ["a.yaml:4:40", "MESH021 networking.inbound[0].port"],
        ["b.yaml:8:15", "MESH021 spec.to[0].default.interval"],
        ["b.yaml:8:29", "MESH022 spec.to[0].default.timeout"],
        ["b.yaml:10:1", "MESH008 type"],
    ]


def test_duplicates_name_the_place_of_the_first_in_another_file(load_files: Load) -> None:
    universe = load_files({"mesh/b.yaml": WEB, "mesh/a.yaml": "# A comment\n" + WEB})

    assert [str(finding) for finding in universe.findings] == [
        "mesh/b.yaml:3:1: MESH030 name: this Dataplane is also in mesh/a.yaml:4:1"
    ]


def test_a_mesh_with_errors_compiles_nothing(load_files: Load) -> None:
    universe = load_files({"web.yaml": WEB, "hc.yaml": policy("{}")})

    with pytest.raises(api.MeshError, match=r"^hc\.yaml:8:5: MESH201 .*$") as raised:
        api.compile_release(universe, api.DataplaneId("default", "web-1"))
    assert raised.value.findings == universe.findings


def test_what_refers_to_a_resource_with_errors_is_not_blamed_for_it(load_files: Load) -> None:
    universe = load_files({"mesh.yaml": mesh("mtls: {}", name="prod"), "web.yaml": WEB.replace("default", "prod")})

    assert [finding.code for finding in universe.findings] == ["MESH009"]


@pytest.mark.parametrize(
    ("code", "path", "source", "text"),
    [
        ("MESH021", "spec.x", Source("a.yaml", 3, 9), "a.yaml:3:9: MESH021 spec.x: told"),
        ("MESH002", "", Source("a.yaml", 1, 1), "a.yaml:1:1: MESH002 told"),
        ("MESH001", "", Source("a.yaml"), "a.yaml: MESH001 told"),
        ("MESH033", "x", Source("a.yaml", 1, 1), "a.yaml:1:1: warning: MESH033 x: told"),
        ("MESH051", "name", Source("mesh variable"), "mesh variable: notice: MESH051 name: told"),
    ],
)
def test_findings_as_text(code: str, path: str, source: Source, text: str) -> None:
    assert str(Finding(code, CODES[code].severity, path, "told", source)) == text


def test_findings_as_data(load_files: Load) -> None:
    [finding] = load_files({"hc.yaml": policy("{}")}).findings

    assert finding.as_dict() == {
        "code": "MESH201",
        "severity": "error",
        "path": "spec.to[0].default",
        "message": "must have at least one of http, tcp, grpc",
        "file": "hc.yaml",
        "line": 8,
        "column": 5,
        "kind": "MeshHealthCheck",
        "name": "hc",
    }


def test_what_came_from_a_variable_has_no_lines() -> None:
    resource = {"type": "Mesh", "name": "default", "mtls": {}, "skipCreatingInitialPolicies": ["*"]}

    [finding] = api.load(documents=[api.document(resource, "the variable mesh_source")]).findings
    assert str(finding) == "the variable mesh_source: MESH009 mtls: not supported yet: mutual TLS"
    assert finding.severity is Severity.ERROR


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ((), ""),
        (("spec", "to", 0, "default"), "spec.to[0].default"),
        (("tags", "kuma.io/zone"), 'tags["kuma.io/zone"]'),
        (("a b", 1, 2), '["a b"][1][2]'),
        (('a"\\', "x-y"), '["a\\"\\\\"].x-y'),
    ],
)
def test_paths(path: tuple[str | int, ...], text: str) -> None:
    assert format_path(path) == text


@pytest.mark.parametrize(
    ("word", "hint"),
    [("intervl", "; did you mean 'interval'?"), ("INTERVAL", "; did you mean 'interval'?"), ("zebra", ""), ("", "")],
)
def test_hints(word: str, hint: str) -> None:
    assert did_you_mean(word, ["interval", "timeout"]) == hint
