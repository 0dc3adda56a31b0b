# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Findings about MeshProxyPatch.

As in `test_findings.py`: rows of a finding, maybe cut short, and a text with just this one mistake; `▸` marks it, also
inside of a `value` that is written as a block.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import CODES

Load = Callable[..., api.Universe]
Rows = list[tuple[str, str]]

MARK = "▸"
AT = "spec.default.appendModifications[0]"
TYPE = "type.googleapis.com/envoy.extensions.filters"
ECHO = f"{{name: echo, typedConfig: {{'@type': {TYPE}.network.echo.v3.Echo}}}}"
VALUES = {
    "cluster": "name: added",
    "listener": "name: added",
    "networkFilter": ECHO,
    "httpFilter": "{name: added}",
    "virtualHost": "{name: added, domains: ['*']}",
}
PATCHES = {
    "cluster": "name: b",
    "listener": "name: b",
    "networkFilter": f'{{typedConfig: {{"@type": {TYPE}.network.echo.v3.Echo}}}}',
    "httpFilter": f'{{typedConfig: {{"@type": {TYPE}.http.cors.v3.Cors}}}}',
    "virtualHost": "name: b",
}
ONE_OF = "must have exactly one of cluster, listener, networkFilter, httpFilter, virtualHost"
ANY_TYPE = 'typedConfig["@type"]'
RESOURCES = ("cluster", "listener", "virtualHost")
FILTERS = ("networkFilter", "httpFilter")


def place_of(text: str) -> str:
    """Line and column of the mark, from 1."""
    before = text[: text.index(MARK)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def policy(items: str, top: str = "{kind: Mesh}") -> str:
    return f"""\
type: MeshProxyPatch
mesh: default
name: a
spec:
  targetRef: {top}
  default:
    appendModifications: {items}
"""


def modification(part: str, members: str) -> str:
    """A policy with one modification, in flow style."""
    return policy(f"[{{{part}: {{{members}}}}}]")


def patch(part: str, members: str) -> str:
    return modification(part, f"operation: Patch, match: {{name: a}}, {members}")


def value(part: str, text: str, operation: str = "Patch", match: str = "{name: a}") -> str:
    """A policy with one modification whose value is a block."""
    matched = f"match: {match}, " if match else ""
    return policy(
        f"\n    - {part}:\n        operation: {operation}\n"
        + (f"        match: {match}\n" if matched else "")
        + "        value: |\n"
        + textwrap.indent(textwrap.dedent(text), " " * 10)
    )


def json_patch(part: str, members: str) -> str:
    return patch(part, f"jsonPatches: [{{{members}}}]")


SHAPE: Rows = [
    (
        "MESH011 spec.targetRef: must be set",
        "type: MeshProxyPatch\nmesh: default\nname: a\n▸spec: {default: {appendModifications: []}}\n",
    ),
    (
        "MESH011 spec.default: must be set",
        "type: MeshProxyPatch\nmesh: default\nname: a\n▸spec: {targetRef: {kind: Mesh}}\n",
    ),
    (
        "MESH011 spec.default.appendModifications: must be set",
        "type: MeshProxyPatch\nmesh: default\nname: a\nspec: {targetRef: {kind: Mesh}, ▸default: {}}\n",
    ),
    (
        "MESH015 spec.default.appendModifications: must have at least one item",
        policy("[]").replace("append", "▸append"),
    ),
    (
        "MESH010 spec.default.appendModification: unknown field; did you mean 'appendModifications'?",
        policy("[{cluster: {operation: Remove}}]\n    ▸appendModification: []"),
    ),
    (
        "MESH009 spec.targetRef.kind: not supported yet: builtin gateways (MeshGateway)",
        policy("[{cluster: {operation: Remove}}]", "{▸kind: MeshGateway, name: edge}"),
    ),
    (
        "MESH020 spec.targetRef.kind: must be one of Mesh, MeshSubset, MeshService, MeshServiceSubset here",
        policy("[{cluster: {operation: Remove}}]", "{▸kind: MeshHTTPRoute, name: route}"),
    ),
    *[
        (f"MESH012 {AT}: must be a mapping, not {what}", policy(f"[▸{item}]"))
        for item, what in (("null", "null"), ("[]", "a list"), ("cluster", "a string"))
    ],
    (
        f"MESH252 {AT}: {ONE_OF}, has 0 of them",
        policy("[▸{}]"),
    ),
    (
        f"MESH252 {AT}: {ONE_OF}, has 2 of them",
        policy("[▸{cluster: {operation: Remove}, listener: {operation: Remove}}]"),
    ),
    (
        f"MESH010 {AT}.clusters: unknown field; did you mean 'cluster'?",
        policy("[{cluster: {operation: Remove}, ▸clusters: {}}]"),
    ),
    (f"MESH011 {AT}.virtualHost.match: must be set", policy("[{▸virtualHost: {operation: Remove}}]")),
    *[
        row
        for part in VALUES
        for row in [
            (f"MESH012 {AT}.{part}: must be a mapping, not null", policy(f"[{{▸{part}: }}]")),
            (f"MESH011 {AT}.{part}.operation: must be set", policy(f"[{{▸{part}: {{match: {{}}}}}}]")),
            (f"MESH013 {AT}.{part}.operation: must be one of ", modification(part, "▸operation: Put, match: {}")),
            (
                f"MESH012 {AT}.{part}.operation: must be a string, not null",
                modification(part, "▸operation: , match: {}"),
            ),
            (f"MESH010 {AT}.{part}.match.id: unknown field", modification(part, "operation: Remove, match: {▸id: a}")),
            (
                f"MESH012 {AT}.{part}.match.name: must be a string",
                modification(part, "operation: Remove, match: {▸name: 1}"),
            ),
            (f"MESH012 {AT}.{part}.value: must be a string, not a mapping", patch(part, "▸value: {name: a}")),
            (f"MESH012 {AT}.{part}.jsonPatches: must be a list", patch(part, "▸jsonPatches: {}")),
        ]
    ],
    *[
        (
            f"MESH013 {AT}.{part}.operation: must be one of Add, Remove, Patch; did you mean 'Add'?",
            modification(part, "▸operation: add, match: {}"),
        )
        for part in RESOURCES
    ],
    *[
        (
            f"MESH013 {AT}.{part}.operation: must be one of Remove, Patch, AddFirst, AddBefore, AddAfter, AddLast",
            modification(part, "▸operation: Add"),
        )
        for part in FILTERS
    ],
    (
        f"MESH010 {AT}.cluster.match.tags: unknown field",
        modification("cluster", "operation: Remove, match: {▸tags: {}}"),
    ),
    (
        f"MESH012 {AT}.listener.match.tags.a: must be a string, not a number",
        modification("listener", "operation: Remove, match: {tags: {▸a: 1}}"),
    ),
]

TOGETHER: Rows = [
    *[
        row
        for part in VALUES
        for row in [
            (
                f"MESH252 {AT}.{part}: must have one of value and jsonPatches, not both",
                policy(
                    f"[{{▸{part}: {{operation: Patch, match: {{name: a}}, value: '{PATCHES[part]}', "
                    "jsonPatches: [{op: add, path: /name, value: b}]}}]"
                ),
            ),
            (
                f"MESH252 {AT}.{part}: must have value or jsonPatches to patch something",
                policy(f"[{{▸{part}: {{operation: Patch, match: {{name: a}}}}}}]"),
            ),
            (
                f"MESH252 {AT}.{part}: must have value or jsonPatches to patch something",
                policy(f"[{{▸{part}: {{operation: Patch, match: {{name: a}}, jsonPatches: []}}}}]"),
            ),
            (
                f"MESH252 {AT}.{part}.value: must not be set to remove something",
                modification(part, "operation: Remove, match: {}, ▸value: 'name: a'"),
            ),
            (
                f"warning: MESH054 {AT}.{part}.jsonPatches: has no effect with Remove",
                modification(part, "operation: Remove, match: {}, ▸jsonPatches: [{op: remove, path: /name}]"),
            ),
        ]
    ],
    *[
        row
        for part in ("cluster", "listener")
        for row in [
            (
                f"MESH252 {AT}.{part}.match: must not be set to add a {part}",
                modification(part, f"operation: Add, ▸match: {{}}, value: '{VALUES[part]}'"),
            ),
            (
                f"MESH252 {AT}.{part}.value: must be set: it is what is added",
                policy(f"[{{▸{part}: {{operation: Add}}}}]"),
            ),
        ]
    ],
    (
        f"MESH252 {AT}.virtualHost.match.name: must not be set to add a virtual host",
        value("virtualHost", VALUES["virtualHost"], "Add", "{▸name: a}"),
    ),
    *[
        row
        for part in FILTERS
        for operation, where in (("AddBefore", "before"), ("AddAfter", "after"))
        for row in [
            (
                f"MESH252 {AT}.{part}.match.name: must be set: the filter {where} which this one is put",
                value(part, VALUES[part], operation, "").replace(f"- {part}", f"- ▸{part}"),
            ),
            (
                f"MESH252 {AT}.{part}.match.name: must be set",
                value(part, VALUES[part], operation, "{}").replace("match", "▸match"),
            ),
            (f"MESH252 {AT}.{part}.match.name: must be set", value(part, VALUES[part], operation, "{▸name: ''}")),
            (
                f"MESH252 {AT}.{part}.value: must be set",
                policy(f"[{{▸{part}: {{operation: {operation}, match: {{name: a}}}}}}]"),
            ),
        ]
    ],
    *[
        (
            f"MESH252 {AT}.{part}.match.name: must be set: the filter to patch",
            modification(part, "operation: Patch, ▸match: {origin: inbound}, jsonPatches: [{op: remove, path: /name}]"),
        )
        for part in FILTERS
    ],
    *[
        (
            f"warning: MESH054 {AT}.{part}.match.name: has no effect with {operation}",
            value(part, VALUES[part], operation, "{▸name: a}"),
        )
        for part in FILTERS
        for operation in ("AddFirst", "AddLast")
    ],
]

VALUE: Rows = [
    (
        f"MESH250 {AT}.cluster.value: did not find expected ',' or ']' while parsing a flow sequence",
        value("cluster", "a: [1\nb▸: 2\n"),
    ),
    (f"MESH250 {AT}.cluster.value: a second `: ` in one value", value("cluster", "name: a▸: b\n")),
    (f"MESH003 {AT}.cluster.value: name: this key stands in line 1 already", value("cluster", "name: a\n▸name: b\n")),
    (f"MESH250 {AT}.cluster.value: must be the fields of a Cluster", value("cluster", "▸- name: a\n")),
    (f"MESH250 {AT}.networkFilter.value: must be the fields of a Filter", value("networkFilter", "▸echo\n")),
    (
        f"MESH250 {AT}.cluster.value: must be the fields of a Cluster, in one YAML document",
        value("cluster", "name: a\n---\nname: b\n").replace("value", "▸value"),
    ),
    (
        f"MESH016 {AT}.cluster.value: name: must not hold control characters",
        value("cluster", '▸name: "\\x01source-tags\\x01"\n'),
    ),
    # The names of fields, in both spellings and in messages of any depth.
    (
        f"MESH010 {AT}.cluster.value: connectTimout: Cluster has no such field; did you mean 'connectTimeout'?",
        value("cluster", "name: a\n▸connectTimout: 1s\n"),
    ),
    (
        f"MESH010 {AT}.cluster.value: connect_timout: Cluster has no such field; did you mean 'connect_timeout'?",
        value("cluster", "▸connect_timout: 1s\n"),
    ),
    (
        f"MESH010 {AT}.cluster.value: circuit_breakers.thresholds[1].max_connection: Thresholds has no",
        value("cluster", "circuit_breakers:\n  thresholds:\n  - max_retries: 1\n  - ▸max_connection: 1\n"),
    ),
    (
        f"MESH010 {AT}.networkFilter.value: typedConfig.statsPrefix: TcpProxy has no such field",
        value(
            "networkFilter",
            f"name: a\ntypedConfig:\n  '@type': {TYPE}.network.tcp_proxy.v3.TcpProxy\n  ▸statsPrefix: a\n",
        ),
    ),
    (
        f"MESH250 {AT}.cluster.value: connect_timeout: cannot stand beside connectTimeout, one of",
        value("cluster", "connectTimeout: 1s\n▸connect_timeout: 2s\n"),
    ),
    (
        f"MESH250 {AT}.virtualHost.value: routes[0].redirect: cannot stand beside route",
        value("virtualHost", "routes:\n- route: {cluster: a}\n  ▸redirect: {}\n"),
    ),
    # Types.
    (f"MESH250 {AT}.cluster.value: lbPolicy: must be one of ROUND_ROBIN, ", value("cluster", "▸lbPolicy: RING\n")),
    (f"MESH250 {AT}.cluster.value: lbPolicy: must be one of ROUND_ROBIN, ", value("cluster", "▸lbPolicy: true\n")),
    (
        f"MESH250 {AT}.cluster.value: connectTimeout: must be a duration such as 1.5s, not 'soon'",
        value("cluster", "▸connectTimeout: soon\n"),
    ),
    (
        f"MESH250 {AT}.cluster.value: connectTimeout: must be a duration such as 1.5s, not a number",
        value("cluster", "▸connectTimeout: 5\n"),
    ),
    (
        f"MESH250 {AT}.cluster.value: perConnectionBufferLimitBytes: must be a whole number from 0 to",
        value("cluster", "▸perConnectionBufferLimitBytes: -1\n"),
    ),
    (
        f"MESH250 {AT}.cluster.value: ignoreHealthOnHostRemoval: must be true or false, not 'no'",
        value("cluster", "▸ignoreHealthOnHostRemoval: 'no'\n"),
    ),
    (f"MESH250 {AT}.cluster.value: name: must be a string, not 5", value("cluster", "▸name: 5\n")),
    (
        f"MESH250 {AT}.cluster.value: dnsResolvers: must be a list, not a mapping",
        value("cluster", "▸dnsResolvers: {}\n"),
    ),
    (
        f"MESH250 {AT}.cluster.value: healthChecks[1]: must be a mapping, not null",
        value("cluster", "healthChecks:\n- timeout: 1s\n-▸\n"),
    ),
    (
        f"MESH250 {AT}.cluster.value: circuitBreakers: must be a mapping, not a list",
        value("cluster", "▸circuitBreakers: []\n"),
    ),
    (
        f"MESH250 {AT}.cluster.value: metadata.filterMetadata: must be a mapping, not a string",
        value("cluster", "metadata:\n  ▸filterMetadata: a\n"),
    ),
    (
        f"MESH250 {AT}.cluster.value: metadata.filterMetadata.a: must be a mapping, not a number",
        value("cluster", "metadata:\n  filterMetadata:\n    ▸a: 1\n"),
    ),
    # Messages of any type.
    (
        f"MESH250 {AT}.networkFilter.value: type.googleapis.com/google.protobuf.StringValue configures no filter",
        value(
            "networkFilter",
            "name: a\n▸typedConfig: {'@type': type.googleapis.com/google.protobuf.StringValue, value: b}\n",
        ),
    ),
    (
        (
            f"MESH250 {AT}.networkFilter.value: {ANY_TYPE}: there is no Envoy type envoy.extensions.filters.network"
            ".echo.v3.Eco; did you mean 'envoy.extensions.filters.network.echo.v3.Echo'?"
        ),
        value("networkFilter", f"name: a\ntypedConfig:\n  ▸'@type': {TYPE}.network.echo.v3.Eco\n"),
    ),
    (
        f"MESH250 {AT}.networkFilter.value: {ANY_TYPE}: there is no Envoy type os.path",
        value("networkFilter", "name: a\ntypedConfig:\n  ▸'@type': os.path\n"),
    ),
    (
        f"MESH250 {AT}.networkFilter.value: typedConfig: must have `@type`",
        value("networkFilter", "name: a\n▸typedConfig:\n  statPrefix: a\n"),
    ),
]

NO_EFFECT: Rows = [
    (
        f"warning: MESH054 {AT}.cluster.value: has no effect: there is nothing in it",
        value("cluster", "# nothing\n").replace("value", "▸value"),
    ),
    (
        f"warning: MESH054 {AT}.cluster.value: lb_policy: has no effect: it is what counts by default, which",
        value("cluster", "▸lb_policy: ROUND_ROBIN\n"),
    ),
    (
        f"warning: MESH054 {AT}.cluster.value: circuitBreakers.thresholds: has no effect",
        value("cluster", "circuitBreakers:\n  ▸thresholds: []\n"),
    ),
    (
        f"warning: MESH054 {AT}.networkFilter.value: has no effect: only typedConfig of a filter is patched",
        value("networkFilter", "▸name: a\n"),
    ),
    (
        f"warning: MESH054 {AT}.networkFilter.value: has no effect: only typedConfig of a filter is patched",
        value("networkFilter", "▸name: a\ntypedConfig: {}\n"),
    ),
    (
        f"warning: MESH054 {AT}.networkFilter.value: name: has no effect: only typedConfig of a filter is patched",
        value("networkFilter", f"▸name: b\ntypedConfig: {{'@type': {TYPE}.network.echo.v3.Echo}}\n"),
    ),
    (
        f"warning: MESH054 {AT}.httpFilter.value: is_optional: has no effect: only typedConfig of a filter is patched",
        value("httpFilter", f"▸is_optional: true\ntyped_config: {{'@type': {TYPE}.http.cors.v3.Cors}}\n"),
    ),
    (
        f"warning: MESH054 {AT}.networkFilter.value: typed_config.stat_prefix: has no effect",
        value(
            "networkFilter",
            f"name: a\ntyped_config:\n  '@type': {TYPE}.network.tcp_proxy.v3.TcpProxy\n  ▸stat_prefix: ''\n",
        ),
    ),
]

ADDED: Rows = [
    (
        f"MESH251 {AT}.cluster.value: name: must not be empty",
        value("cluster", "▸type: STATIC\n", "Add", ""),
    ),
    (
        f"MESH251 {AT}.listener.value: name: must not be empty",
        value("listener", "▸bindToPort: true\n", "Add", ""),
    ),
    (
        f"MESH251 {AT}.cluster.value: connect_timeout: must be greater than 0s",
        value("cluster", "name: a\n▸connect_timeout: 0s\n", "Add", ""),
    ),
    (
        f"MESH251 {AT}.networkFilter.value: name: must not be empty",
        value("networkFilter", "▸{}\n", "AddFirst", ""),
    ),
    (
        f"MESH251 {AT}.virtualHost.value: domains: must have at least 1 item",
        value("virtualHost", "▸name: a\n", "Add", "{}"),
    ),
    (
        f"MESH251 {AT}.virtualHost.value: routes[0].match: must have one of prefix, path, ",
        value("virtualHost", "name: a\ndomains: [a]\nroutes:\n- ▸match: {}\n  route: {cluster: a}\n", "Add", "{}"),
    ),
]

JSON_PATCHES: Rows = [
    *[
        row
        for part in VALUES
        for row in [
            (f"MESH011 {AT}.{part}.jsonPatches[0].path: must be set", patch(part, "jsonPatches: [▸{op: remove}]")),
            (f"MESH011 {AT}.{part}.jsonPatches[0].op: must be set", patch(part, "jsonPatches: [▸{path: /name}]")),
            (
                f"MESH013 {AT}.{part}.jsonPatches[0].op: must be one of add, remove, replace, move, copy",
                json_patch(part, "▸op: test, path: /name, value: a"),
            ),
            (
                f"MESH253 {AT}.{part}.jsonPatches[0].from: must not be set with add",
                json_patch(part, "op: add, ▸from: /name, path: /name, value: a"),
            ),
            (
                f"MESH253 {AT}.{part}.jsonPatches[0].from: must be set with move",
                json_patch(part, "op: move, path: /name").replace("[{op", "[▸{op"),
            ),
            (
                f"MESH253 {AT}.{part}.jsonPatches[0].from: must be set with copy",
                json_patch(part, "op: copy, ▸from: '', path: /name"),
            ),
            (
                f"MESH253 {AT}.{part}.jsonPatches[0].value: must not be set with remove",
                json_patch(part, "op: remove, path: /name, ▸value: a"),
            ),
            (
                f"MESH253 {AT}.{part}.jsonPatches[0].value: must be set with replace",
                json_patch(part, "op: replace, path: /name").replace("[{op", "[▸{op"),
            ),
            (
                f"MESH253 {AT}.{part}.jsonPatches[0].path: must not be the root, which cannot be removed",
                json_patch(part, "op: remove, ▸path: ''"),
            ),
            (
                f"MESH253 {AT}.{part}.jsonPatches[0].path: must not be the root, which cannot be removed",
                json_patch(part, "op: remove, ▸path: /"),
            ),
            (
                f"MESH253 {AT}.{part}.jsonPatches[0].path: must begin with '/'",
                json_patch(part, "op: add, ▸path: name, value: a"),
            ),
            (
                f"MESH253 {AT}.{part}.jsonPatches[0].path: must begin with '/'",
                json_patch(part, "op: add, ▸path: /a~2, value: a"),
            ),
        ]
    ],
    (
        f"MESH010 {AT}.cluster.jsonPatches[0].path: /connectTimout: Cluster has no such field; did you mean",
        json_patch("cluster", "op: add, ▸path: /connectTimout, value: 1s"),
    ),
    (
        f"MESH010 {AT}.cluster.jsonPatches[0].from: /connectTimout: Cluster has no such field",
        json_patch("cluster", "op: copy, ▸from: /connectTimout, path: /connectTimeout"),
    ),
    (
        f"MESH010 {AT}.cluster.jsonPatches[0].path: /circuitBreakers/thresholds/0/max: Thresholds has no such field",
        json_patch("cluster", "op: add, ▸path: /circuitBreakers/thresholds/0/max, value: 1"),
    ),
    (
        f"MESH010 {AT}.cluster.jsonPatches[0].path: /connectTimeout/seconds: there is nothing below a value",
        json_patch("cluster", "op: add, ▸path: /connectTimeout/seconds, value: 1"),
    ),
    (
        f"MESH010 {AT}.cluster.jsonPatches[0].path: /name/a: there is nothing below a value",
        json_patch("cluster", "op: add, ▸path: /name/a, value: 1"),
    ),
    (
        f"MESH253 {AT}.cluster.jsonPatches[0].path: /connect_timeout: in the JSON that is patched it is connectTimeout",
        json_patch("cluster", "op: replace, ▸path: /connect_timeout, value: 1s"),
    ),
    (
        f"MESH253 {AT}.cluster.jsonPatches[0].from: /connect_timeout: in the JSON that is patched it is connectTimeout",
        json_patch("cluster", "op: move, ▸from: /connect_timeout, path: /dnsRefreshRate"),
    ),
]

ROWS = [*SHAPE, *TOGETHER, *VALUE, *NO_EFFECT, *ADDED, *JSON_PATCHES]


@pytest.mark.parametrize(("finding", "text"), ROWS)
def test_one_mistake_one_finding(load_files: Load, finding: str, text: str) -> None:
    universe = load_files({"mesh.yaml": text.replace(MARK, "")})

    findings = [str(one) for one in universe.findings]
    assert len(findings) == 1, findings
    assert findings[0].startswith(f"mesh.yaml:{place_of(text)}: {finding}")


def mesh(*items: str) -> str:
    """A proxy of a service, an outbound to it, and a policy for all with modifications."""
    return f"""\
type: Mesh
name: default
skipCreatingInitialPolicies: ['*']
---
type: Dataplane
mesh: default
name: web-1
networking:
  address: 192.0.2.1
  inbound: [{{port: 80, servicePort: 8080, serviceAddress: 127.0.0.1, tags: {{kuma.io/service: web}}}}]
  outbound: [{{port: 10000, tags: {{kuma.io/service: web}}}}]
---
{policy("".join(f"{chr(10)}    - {item}" for item in items))}"""


def patched(members: str) -> str:
    return f"cluster: {{operation: Patch, match: {{name: web}}, {members}}}"


APPLIED: Rows = [
    (
        f"MESH254 {AT}.cluster.jsonPatches[1].path: cannot be applied to web: it would be left without a name",
        mesh(patched("jsonPatches: [{op: add, path: /altStatName, value: a}, {op: remove, ▸path: /name}]")),
    ),
    (
        (
            f"MESH254 {AT}.cluster.jsonPatches[0].path: cannot be applied to web: /connectTimeout is not there to be "
            "replaced; `add` sets it either way (dataplane 'web-1')"
        ),
        mesh(patched("jsonPatches: [{op: replace, ▸path: /connectTimeout, value: 1s}]")),
    ),
    (
        f"MESH254 {AT}.cluster.jsonPatches[1].path: cannot be applied to web: connect_timeout: cannot stand beside",
        mesh(
            patched(
                "jsonPatches: [{op: add, path: /connectTimeout, value: 1s}, "
                "{op: add, ▸path: /connect_timeout, value: 1s}]"
            )
        ),
    ),
    (
        (
            f"MESH254 {AT}.networkFilter.value: cannot be applied to outbound:127.0.0.1:10000: its filter "
            "envoy.filters.network.tcp_proxy is a envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, the value is "
            "a envoy.extensions.filters.network.echo.v3.Echo (dataplane 'web-1')"
        ),
        mesh(
            "networkFilter: {operation: Patch, match: {name: envoy.filters.network.tcp_proxy, origin: outbound}, "
            f"▸value: '{PATCHES['networkFilter']}'}}"
        ),
    ),
    (
        f"warning: MESH255 {AT}.cluster: matches nothing on any proxy that the policy selects",
        mesh("▸cluster: {operation: Remove, match: {name: backend}}"),
    ),
]


@pytest.mark.parametrize(("finding", "text"), APPLIED)
def test_what_cannot_be_applied_is_found_when_the_mesh_is_loaded(load_files: Load, finding: str, text: str) -> None:
    universe = load_files({"mesh.yaml": text.replace(MARK, "")})

    findings = [str(one) for one in universe.findings]
    assert len(findings) == 1, findings
    assert findings[0].startswith(f"mesh.yaml:{place_of(text)}: {finding}")


def test_every_code_is_shown_by_a_row() -> None:
    shown = {finding.removeprefix("warning: ").partition(" ")[0] for finding, _text in (*ROWS, *APPLIED)}
    assert shown >= {code for code in CODES if code.startswith("MESH25")}


KUBERNETES = """\
apiVersion: kuma.io/v1alpha1
kind: MeshProxyPatch
metadata:
  name: a
  namespace: kong-mesh-system
  labels: {kuma.io/mesh: default}
spec:
  targetRef: {kind: Mesh}
  default:
    appendModifications:
    - cluster:
        operation: Patch
        value: |
          connectTimeout: 1s
          ▸conectTimeout: 1s
"""


def test_places_in_kubernetes_form(load_files: Load) -> None:
    universe = load_files({"mesh.yaml": KUBERNETES.replace(MARK, "")})

    findings = [str(one) for one in universe.findings]
    assert len(findings) == 1
    assert findings[0].startswith(f"mesh.yaml:{place_of(KUBERNETES)}: MESH010 {AT}.cluster.value: conectTimeout: ")


BAD = "connectTimeout: 1s\n\nconectTimeout: 1s\n"
WRITTEN = """\
type: MeshProxyPatch
mesh: default
name: a
spec:
  targetRef: {kind: Mesh}
  default:
    appendModifications:
    - cluster:
        operation: Patch
"""


@pytest.mark.parametrize(
    ("member", "place"),
    [
        ("        value: |\n          connectTimeout: 1s\n\n          conectTimeout: 1s\n", "13:11"),
        ("        value: |2-  # a comment\n          connectTimeout: 1s\n\n          conectTimeout: 1s\n", "13:11"),
        ("        value: &one |\n         connectTimeout: 1s\n         \n         conectTimeout: 1s\n", "13:10"),
        ("        value: |\n            connectTimeout: 1s\n            lbConfig: |\n              a\n", "12:13"),
        ('        value: "connectTimeout: 1s\\nconectTimeout: 1s\\n"\n', "10:9"),
        ("        value: >\n          connectTimeout: 1s\n\n          conectTimeout: 1s\n", "10:9"),
        ("        value: {}\n", "10:9"),
    ],
)
def test_places_in_a_value_are_those_in_the_file_where_its_lines_stand_there(
    load_files: Load, member: str, place: str
) -> None:
    universe = load_files({"mesh.yaml": WRITTEN + member})

    assert [str(one.source) for one in universe.findings] == [f"mesh.yaml:{place}"]


def test_a_value_from_a_variable_has_no_lines() -> None:
    spec = {
        "targetRef": {"kind": "Mesh"},
        "default": {"appendModifications": [{"cluster": {"operation": "Patch", "value": BAD}}]},
    }
    resource = {"type": "MeshProxyPatch", "mesh": "default", "name": "a", "spec": spec}

    (finding,) = api.load(documents=[api.document(resource, "variable")]).findings
    assert str(finding).startswith(f"variable: MESH010 {AT}.cluster.value: conectTimeout: Cluster has no such field")
