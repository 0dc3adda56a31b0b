# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for every mesh: order does not matter, merging is the written rule, nothing handed out ever changes.

With HYPOTHESIS_PROFILE=ci there are many more examples, always the same ones.
"""

from __future__ import annotations

import copy
import datetime
import json
import os
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api

Resource = dict[str, Any]

THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "ci"


def examples(few: int, many: int) -> settings:
    """How many examples a test takes: a few, or many and reproducible ones for CI."""
    if THOROUGH:
        return settings(
            max_examples=many,
            derandomize=True,
            database=None,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        )
    return settings(max_examples=few, deadline=None, suppress_health_check=[HealthCheck.too_slow])


# --- meshes -----------------------------------------------------------------------------------------------------------

SERVICES = ("svc-a", "svc-b", "svc-c", "svc-d")
PROTOCOLS = ("tcp", "http", "http2", "grpc", "kafka")
VERSIONS = ("v1", "v2")
DURATIONS = ("25ms", "1s", "10s", "1m30s", "1h0m0s")

services = st.sampled_from(SERVICES)
versions = st.sampled_from(VERSIONS)
durations = st.sampled_from(DURATIONS)
thresholds = st.integers(1, 9)


def optional(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Resource]:
    return st.fixed_dictionaries({}, optional=members)


headers = st.lists(
    st.fixed_dictionaries({"name": st.sampled_from(("x-a", "accept")), "value": st.sampled_from(("1", "a,b", ""))}),
    max_size=2,
    unique_by=lambda header: header["name"],
)
payloads = st.sampled_from(("cGluZw==", "cG9uZw=="))
sections = optional(
    http=optional(
        disabled=st.booleans(),
        path=st.sampled_from(("/", "/health")),
        expectedStatuses=st.lists(st.sampled_from((200, 204, 404)), max_size=2),
        requestHeadersToAdd=optional(set=headers, add=headers),
    ),
    tcp=optional(disabled=st.booleans(), send=payloads, receive=st.lists(payloads, max_size=2)),
    grpc=optional(disabled=st.booleans(), serviceName=st.sampled_from(("", "health")), authority=st.just("a.example")),
).filter(bool)
fields = optional(
    interval=durations,
    timeout=durations,
    unhealthyThreshold=thresholds,
    healthyThreshold=thresholds,
    initialJitter=durations,
    intervalJitter=durations,
    intervalJitterPercent=st.integers(0, 100),
    healthyPanicThreshold=st.sampled_from((0, 30, "62.5", "12.3")),
    failTrafficOnPanic=st.booleans(),
    noTrafficInterval=durations,
    eventLogPath=st.sampled_from(("/tmp/a.log", "/tmp/b.log")),
    alwaysLogHealthCheckFailures=st.booleans(),
    reuseConnection=st.booleans(),
)
health_checks = st.builds(lambda some, others: {**some, **others}, fields, sections)

matches = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from(("x-a", "x-b"))},
        optional={
            "type": st.sampled_from(("Exact", "Prefix", "RegularExpression", "Present", "Absent")),
            "value": st.sampled_from(("1", "a+", "")),
        },
    ),
    max_size=2,
)
predicates = st.lists(
    st.one_of(
        st.just({"predicate": "OmitPreviousHosts"}),
        st.fixed_dictionaries(
            {"predicate": st.just("OmitPreviousPriorities")}, optional={"updateFrequency": thresholds}
        ),
        st.fixed_dictionaries(
            {
                "predicate": st.just("OmitHostsWithTags"),
                "tags": st.dictionaries(st.sampled_from(("version", "kuma.io/service")), versions, min_size=1),
            }
        ),
    ),
    max_size=3,
    unique_by=lambda one: one["predicate"],
)
reset_headers = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(("retry-after", "x-ratelimit-reset")),
            "format": st.sampled_from(("Seconds", "UnixTimestamp")),
        }
    ),
    max_size=2,
)
about_requests = {
    "numRetries": st.integers(0, 9),
    "perTryTimeout": st.sampled_from((*DURATIONS, "0s", "-1s")),
    "backOff": optional(baseInterval=durations, maxInterval=st.sampled_from((*DURATIONS, "0s"))).filter(bool),
    "rateLimitedBackOff": st.fixed_dictionaries({"resetHeaders": reset_headers}, optional={"maxInterval": durations}),
}
retries = optional(
    http=optional(
        **about_requests,
        retryOn=st.lists(
            st.sampled_from(("5xx", "5XX", "Reset", "HttpMethodGet", "HttpMethodPut", "429", "503", 503)), max_size=4
        ),
        retriableRequestHeaders=matches,
        retriableResponseHeaders=matches,
        hostSelection=predicates,
        hostSelectionMaxAttempts=st.integers(0, 5),
    ).filter(lambda section: section.keys() - {"hostSelectionMaxAttempts"}),
    grpc=optional(
        **about_requests, retryOn=st.lists(st.sampled_from(("Canceled", "Internal", "Unavailable")), max_size=2)
    ).filter(bool),
    tcp=st.builds(lambda attempts: {"maxConnectAttempt": attempts}, st.integers(0, 5)),
).filter(bool)

timers = st.sampled_from((*DURATIONS, "0s"))
timeouts = optional(
    connectionTimeout=durations,
    idleTimeout=timers,
    http=optional(
        requestTimeout=timers,
        streamIdleTimeout=timers,
        maxStreamDuration=timers,
        maxConnectionDuration=timers,
        requestHeadersTimeout=timers,
    ).filter(lambda section: section.keys() - {"requestHeadersTimeout"}),
).filter(bool)

limits = optional(
    maxConnections=thresholds,
    maxConnectionPools=thresholds,
    maxPendingRequests=thresholds,
    maxRetries=thresholds,
    maxRequests=thresholds,
)
consecutive = optional(consecutive=thresholds)
volumes = {"minimumHosts": thresholds, "requestVolume": thresholds}
detectors = optional(
    totalFailures=consecutive,
    gatewayFailures=consecutive,
    localOriginFailures=consecutive,
    successRate=optional(**volumes, standardDeviationFactor=st.sampled_from((1, 2, "1.9", "0.0005"))),
    failurePercentage=optional(**volumes, threshold=st.integers(0, 100)),
).filter(bool)
circuit_breakers = optional(
    connectionLimits=limits,
    outlierDetection=st.fixed_dictionaries(
        {"detectors": detectors},
        optional={
            "disabled": st.booleans(),
            "interval": durations,
            "baseEjectionTime": durations,
            "maxEjectionPercent": st.integers(0, 100),
            "splitExternalAndLocalErrors": st.booleans(),
        },
    ),
).filter(bool)


def to_items(confs: st.SearchStrategy[Resource]) -> st.SearchStrategy[Resource]:
    return st.fixed_dictionaries(
        {
            "targetRef": st.one_of(
                st.just({"kind": "Mesh"}),
                st.builds(lambda name: {"kind": "MeshService", "name": name}, services),
            ),
            "default": confs,
        }
    )


proxy_types = st.one_of(
    st.just({}), st.builds(lambda kind: {"proxyTypes": [kind]}, st.sampled_from(("Sidecar", "Gateway")))
)
top_targets = st.one_of(
    st.builds(lambda types: {"kind": "Mesh", **types}, proxy_types),
    st.builds(
        lambda version, types: {"kind": "MeshSubset", "tags": {"version": version}, **types}, versions, proxy_types
    ),
    st.builds(lambda name: {"kind": "MeshService", "name": name}, services),
    st.builds(
        lambda name, version: {"kind": "MeshServiceSubset", "name": name, "tags": {"version": version}},
        services,
        versions,
    ),
)
labels = st.one_of(
    st.just({}), st.builds(lambda origin: {"kuma.io/origin": origin}, st.sampled_from(("zone", "global")))
)


def from_items(confs: st.SearchStrategy[Resource]) -> st.SearchStrategy[Resource]:
    return st.fixed_dictionaries({"targetRef": st.just({"kind": "Mesh"}), "default": confs})


def both_lists(confs: st.SearchStrategy[Resource]) -> st.SearchStrategy[Resource]:
    """`to` and `from`, of which at least one has an item."""
    lists = {"to": st.lists(to_items(confs), max_size=3), "from": st.lists(from_items(confs), max_size=2)}
    return st.fixed_dictionaries({"to": lists["to"]}, optional={"from": lists["from"]}).filter(
        lambda spec: spec["to"] or spec.get("from")
    )


KINDS = ("MeshTimeout", "MeshCircuitBreaker", "MeshHealthCheck", "MeshRetry")
LISTS = {
    "MeshTimeout": both_lists(timeouts),
    "MeshCircuitBreaker": both_lists(circuit_breakers),
    "MeshHealthCheck": st.fixed_dictionaries({"to": st.lists(to_items(health_checks), max_size=3)}),
    "MeshRetry": st.fixed_dictionaries({"to": st.lists(to_items(retries), min_size=1, max_size=3)}),
}


@st.composite
def policies(draw: st.DrawFn) -> list[Resource]:
    identities = st.tuples(st.sampled_from(KINDS), st.sampled_from("abcdefgh"))
    return [
        {
            "type": kind,
            "mesh": "default",
            "name": name,
            "labels": draw(labels),
            "spec": {"targetRef": draw(top_targets), **draw(LISTS[kind])},
        }
        for kind, name in draw(st.lists(identities, max_size=8, unique=True))
    ]


@st.composite
def dataplanes(draw: st.DrawFn) -> list[Resource]:
    found = []
    for number in range(draw(st.integers(1, 4))):
        tags = st.fixed_dictionaries(
            {"kuma.io/service": services},
            optional={"kuma.io/protocol": st.sampled_from(PROTOCOLS), "version": versions},
        )
        networking: Resource = {"address": f"192.0.2.{number + 1}"}
        if draw(st.booleans()) or number == 0:
            offered = draw(st.lists(tags, min_size=1, max_size=2))
            # Of their own, shared, and that of another inbound.
            applications = [draw(st.sampled_from((port, 18080, 8080))) for port in (8080, 8081)]
            networking["inbound"] = [
                {
                    "port": 8080 + index,
                    "servicePort": applications[index],
                    "serviceAddress": "127.0.0.1",
                    "tags": one,
                }
                for index, one in enumerate(offered)
            ]
        else:
            networking["gateway"] = {"tags": {"kuma.io/service": draw(services), "version": draw(versions)}}
        used = draw(
            st.lists(
                st.builds(
                    lambda name, extra: {"kuma.io/service": name, **extra},
                    services,
                    st.sampled_from(({}, {"version": "v1"})),
                ),
                max_size=4,
            )
        )
        networking["outbound"] = [{"port": 10001 + index, "tags": one} for index, one in enumerate(used)]
        found.append({"type": "Dataplane", "mesh": "default", "name": f"dp-{number}", "networking": networking})
    return found


MESH: Resource = {"type": "Mesh", "name": "default", "skipCreatingInitialPolicies": ["*"]}
meshes = st.builds(lambda proxies, rules: [copy.deepcopy(MESH), *proxies, *rules], dataplanes(), policies())
skipped = st.lists(st.sampled_from(("MeshTimeout", "MeshCircuitBreaker", "MeshRetry", "*")), max_size=2)
meshes_with_initial_policies = st.builds(
    lambda mesh, kinds: [{**mesh[0], "skipCreatingInitialPolicies": kinds}, *mesh[1:]], meshes, skipped
)


def load(documents: Iterable[tuple[str, Resource]]) -> api.Universe:
    """Documents of named files, in the order given."""
    universe = api.load(documents=[api.document(value, file=file) for file, value in documents])
    assert not universe.errors, "\n".join(map(str, universe.errors))
    return universe


def releases(universe: api.Universe, order: Iterable[api.DataplaneId] | None = None) -> dict[str, bytes]:
    return {one.name: api.compile_release(universe, one).document for one in order or universe.dataplanes}


# --- order ------------------------------------------------------------------------------------------------------------


FILES = st.sampled_from(("a.yaml", "b.yaml", "sub/c.yaml"))


@st.composite
def arranged(draw: st.DrawFn) -> tuple[list[tuple[str, Resource]], list[tuple[str, Resource]]]:
    """The documents of a mesh, spread over files, in two orders."""
    documents = [(draw(FILES), document) for document in draw(meshes_with_initial_policies)]
    return documents, draw(st.permutations(documents))


@examples(40, 500)
@given(arranged())
def test_no_order_changes_a_byte(orders: tuple[list[tuple[str, Resource]], list[tuple[str, Resource]]]) -> None:
    one, other = map(load, orders)

    # The hosts come in the opposite order as well.
    assert releases(one) == releases(other, reversed(other.dataplanes))


@examples(10, 100)
@given(arranged())
def test_no_order_of_files_changes_a_byte(
    tmp_path_factory: Any, orders: tuple[list[tuple[str, Resource]], list[tuple[str, Resource]]]
) -> None:
    found = []
    directory: Path = tmp_path_factory.mktemp("mesh")
    for documents in orders:
        files: dict[str, list[Resource]] = {}
        for file, document in documents:
            files.setdefault(file, []).append(document)
        for file, content in files.items():
            (directory / file).parent.mkdir(exist_ok=True)
            (directory / file).write_text(yaml.safe_dump_all(content))
        found.append(releases(api.load(paths=[str(directory / file) for file in files])))
        found.append(releases(api.load(paths=[str(directory)])))

    assert found == [found[0]] * 4


@examples(20, 250)
@given(meshes)
def test_compiling_twice_gives_the_same_bytes(documents: list[Resource]) -> None:
    universe = load(("mesh.yaml", document) for document in documents)
    first = releases(universe)

    assert releases(universe) == first
    assert releases(load(("mesh.yaml", document) for document in copy.deepcopy(documents))) == first


# --- what is handed out stays as it is --------------------------------------------------------------------------------


@examples(20, 250)
@given(meshes_with_initial_policies)
def test_what_is_handed_out_never_changes(documents: list[Resource]) -> None:
    universe = load(("mesh.yaml", document) for document in documents)
    handed_out = [api.compile_proxy(universe, dataplane) for dataplane in universe.dataplanes]
    before = json.dumps(handed_out)

    releases(universe)
    for dataplane in universe.dataplanes:
        api.compile_proxy(universe, dataplane, api.Target(root="/srv/other", envoy_has_kafka=True))
        for service in SERVICES:
            api.health_checks(universe, dataplane, service)
            api.retry_policy(universe, dataplane, service)
            api.timeouts(universe, dataplane, service)
            api.circuit_breakers(universe, dataplane, service)
            for kind in KINDS:
                api.effective(universe, kind, dataplane, service)

    assert json.dumps(handed_out) == before


@examples(20, 250)
@given(meshes_with_initial_policies)
def test_whoever_changes_what_was_handed_out_changes_nothing_else(documents: list[Resource]) -> None:
    universe = load(("mesh.yaml", document) for document in documents)
    first = releases(universe)

    for dataplane in universe.dataplanes:
        spoil(api.compile_proxy(universe, dataplane))
        for service in SERVICES:
            spoil(api.health_checks(universe, dataplane, service))
            spoil(api.retry_policy(universe, dataplane, service))
            spoil(api.timeouts(universe, dataplane, service))
            spoil(api.circuit_breakers(universe, dataplane, service))
            for kind in KINDS:
                spoil(api.effective(universe, kind, dataplane, service))

    assert releases(universe) == first


def spoil(value: Any) -> None:
    """Empty everything that can be changed, however deep."""
    for member in list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []:
        spoil(member)
    if isinstance(value, (dict, list)):
        value.clear()


# --- merging ----------------------------------------------------------------------------------------------------------

RANK = {"Mesh": 0, "MeshSubset": 1, "MeshService": 2, "MeshServiceSubset": 3}
ORIGINS = {"global": 0, None: 1, "zone": 2}
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
# Durations as Envoy gets them.
EMITTED = {
    "0s": "0s",
    "25ms": "0.025s",
    "1s": "1s",
    "10s": "10s",
    "15s": "15s",
    "1m30s": "90s",
    "1h": "3600s",
    "1h0m0s": "3600s",
    "2h": "7200s",
}


@examples(100, 1500)
@given(meshes, services, st.sampled_from(KINDS))
def test_merging_is_the_written_rule(documents: list[Resource], service: str, kind: str) -> None:
    universe = load(("mesh.yaml", document) for document in documents)
    rules = [document for document in documents if document["type"] == kind]
    proxies = {document["name"]: document for document in documents if document["type"] == "Dataplane"}

    for dataplane in universe.dataplanes:
        written = expected_conf(rules, proxies[dataplane.name], service)
        found = api.effective(universe, kind, dataplane, service)["conf"]

        assert plain(found or {}) == plain(written or {})


@examples(50, 500)
@given(meshes, services, st.sampled_from(KINDS))
def test_every_field_names_the_policy_that_set_it(documents: list[Resource], service: str, kind: str) -> None:
    universe = load(("mesh.yaml", document) for document in documents)
    rules = {document["name"]: document for document in documents if document["type"] == kind}

    for dataplane in universe.dataplanes:
        answer = api.effective(universe, kind, dataplane, service)
        for path, field in answer["fields"].items():
            for place in (field, *field["losers"]):
                policy = place.get("policy", place)
                index = int(policy["path"].removeprefix("spec.to[").partition("]")[0])
                written = as_serialised(rules[policy["name"]]["spec"]["to"][index]["default"])
                assert policy["path"].startswith(f"spec.to[{index}].default")
                assert leaf(member(written, path)) == leaf(place["value"])
            assert leaf(member(answer["conf"], path)) == leaf(field["value"])


def expected_conf(rules: list[Resource], proxy: Resource, service: str) -> Resource | None:
    """A service's conf, straight from the rule: items of the policies by precedence, folded as JSON merge patches."""
    selecting = [rule for rule in by_precedence(rules) if selects(rule["spec"]["targetRef"], proxy["networking"])]
    items = [item for rule in selecting for item in rule["spec"]["to"]]
    about = [item for item in items if item["targetRef"].get("name", service) == service]
    conf: Resource = {}
    for item in about:
        conf = merge_patch(conf, as_serialised(item["default"]))
    return conf if about else None


def by_precedence(rules: list[Resource]) -> list[Resource]:
    found = sorted(rules, key=lambda rule: rule["name"], reverse=True)
    found.sort(key=lambda rule: ORIGINS[rule["labels"].get("kuma.io/origin")])
    return sorted(found, key=lambda rule: RANK[rule["spec"]["targetRef"]["kind"]])


def selects(target: Resource, networking: Resource) -> bool:
    proxy_type = "Gateway" if "gateway" in networking else "Sidecar"
    if proxy_type not in target.get("proxyTypes", [proxy_type]):
        return False
    wanted = {**({"kuma.io/service": target["name"]} if "name" in target else {}), **target.get("tags", {})}
    targets = [networking["gateway"]] if "gateway" in networking else networking["inbound"]
    return any(wanted.items() <= one["tags"].items() for one in targets)


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2, without its removal of members: a resource has no null."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        merged[name] = merge_patch(merged.get(name), value)
    return merged


def as_serialised(conf: Resource) -> Resource:
    """An empty list of headers to set or add is as if it were not written; other empty lists count.

    Statuses to retry on are texts.
    """
    conf = copy.deepcopy(conf)
    conditions = conf.get("http", {}).get("retryOn", [])
    conditions[:] = map(str, conditions)
    modifier = conf.get("http", {}).get("requestHeadersToAdd", {})
    for operation in [name for name, content in modifier.items() if not content]:
        del modifier[operation]
    return conf


def plain(value: Any) -> Any:
    """Equal for what means the same: the panic threshold is a number, whether written as text or not."""
    if isinstance(value, dict):
        return {
            key: Decimal(str(member)) if key == "healthyPanicThreshold" else plain(member)
            for key, member in value.items()
        }
    return value


def leaf(value: Any) -> Any:
    """A section such as `tcp` is a field of its own, that of being there; numbers may be written as text."""
    if isinstance(value, dict):
        return {}
    return value if isinstance(value, (bool, list)) else str(value)


def member(value: Any, path: str) -> Any:
    for step in path.split("."):
        value = value[step]
    return value


# --- initial policies -------------------------------------------------------------------------------------------------


@examples(50, 500)
@given(meshes, services, st.sampled_from(("MeshTimeout", "MeshCircuitBreaker", "MeshRetry")))
def test_initial_policies_fill_in_what_no_policy_of_the_same_reach_says(
    documents: list[Resource], service: str, kind: str
) -> None:
    """What a user's policies say stays as it is; the initial ones only add to it."""
    without = load(("mesh.yaml", document) for document in documents)
    universe = load(
        [("mesh.yaml", {"type": "Mesh", "name": "default"}), *(("mesh.yaml", one) for one in documents[1:])]
    )

    for dataplane in universe.dataplanes:
        mine = api.effective(without, kind, dataplane, service)
        both = api.effective(universe, kind, dataplane, service)
        # Section by section, leaf by leaf.
        for path, field in mine["fields"].items():
            assert leaf(both["fields"][path]["value"]) == leaf(field["value"])
            assert both["fields"][path]["policy"] == field["policy"]
        initial = [one for path, one in both["fields"].items() if path not in mine["fields"]]
        assert {one["policy"]["file"] for one in initial} <= {"initial policy of Kuma 2.7"}
        assert both["fields"]


# --- inbounds ---------------------------------------------------------------------------------------------------------


@examples(50, 500)
@given(meshes)
def test_what_is_said_of_inbounds_is_the_written_rule(documents: list[Resource]) -> None:
    universe = load(("mesh.yaml", document) for document in documents)
    rules = [document for document in documents if document["type"] == "MeshTimeout"]
    proxies = {document["name"]: document["networking"] for document in documents if document["type"] == "Dataplane"}

    for dataplane in universe.dataplanes:
        networking = proxies[dataplane.name]
        listeners = api.compile_proxy(universe, dataplane).get(LISTENER, {})
        for inbound in networking.get("inbound", []):
            listener = listeners[f"inbound:{networking['address']}:{inbound['port']}"]
            conf = inbound_conf(rules, networking, inbound)
            config = listener["filterChains"][0]["filters"][-1]["typedConfig"]
            if inbound["tags"].get("kuma.io/protocol") in ("http", "http2", "grpc"):
                timeout = config["routeConfig"]["virtualHosts"][0]["routes"][0]["route"]["timeout"]
                expected = "0s" if conf is None else conf.get("http", {}).get("requestTimeout", "15s")
            else:
                timeout = config["idleTimeout"]
                expected = "2h" if conf is None else conf.get("idleTimeout", "1h")
            assert timeout == EMITTED[expected]


def inbound_conf(rules: list[Resource], networking: Resource, inbound: Resource) -> Resource | None:
    """The conf of an inbound: the empty one where policies select the proxy, but not this inbound."""
    alone = {**networking, "inbound": [inbound]}
    selecting = [rule for rule in by_precedence(rules) if selects(rule["spec"]["targetRef"], alone)]
    items = [item for rule in selecting for item in rule["spec"].get("from", [])]
    conf: Resource = {}
    for item in items:
        conf = merge_patch(conf, item["default"])
    touched = any(selects(rule["spec"]["targetRef"], networking) for rule in rules)
    return conf if items or (touched and not selecting) else None


# --- retries ----------------------------------------------------------------------------------------------------------


@examples(50, 500)
@given(meshes, services)
def test_retries_are_such_as_envoy_takes(documents: list[Resource], service: str) -> None:
    universe = load(("mesh.yaml", document) for document in documents)

    for dataplane in universe.dataplanes:
        policy = api.retry_policy(universe, dataplane, service)
        conditions = policy.get("retryOn", "").split(",")
        assert ("retriable-status-codes" in conditions) == ("retriableStatusCodes" in policy)
        assert ("retriable-headers" in conditions) == ("retriableHeaders" in policy)
        assert policy.get("maxConnectAttempts", 1) > 0
        assert not policy.get("perTryTimeout", "0s").startswith("-")
        assert policy.get("retryBackOff", {"baseInterval": "1s"})["baseInterval"] != "0s"
        assert policy.get("retryBackOff", {}).get("maxInterval") != "0s"
        assert policy.get("rateLimitedRetryBackOff", {"resetHeaders": ["any"]})["resetHeaders"]
        for match in [*policy.get("retriableHeaders", []), *policy.get("retriableRequestHeaders", [])]:
            text = match.get("stringMatch", {"exact": ""})
            assert "exact" in text or text.get("prefix") or text["safeRegex"]["regex"]


# --- bad input --------------------------------------------------------------------------------------------------------

# All that YAML 1.1 can stand for, not only what JSON has; texts and keys are often ones that mean something.
TEXTS = ("Mesh", "MeshService", "default", "1s", "-1s", "1e9", "10.0.0.1", "::1", "{{ x }}", "\x00", "\ud800")
KEYS = ("type", "name", "mesh", "spec", "to", "targetRef", "kind", "networking", "tags", "kuma.io/service")
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(TEXTS),
    st.binary(max_size=6),
    st.dates(),
    st.datetimes(timezones=st.sampled_from((None, datetime.UTC))),
)
keys = st.one_of(scalars, st.sampled_from(KEYS))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(keys, inner, max_size=3),
        st.sets(scalars, max_size=2),
    ),
    max_leaves=6,
)

WHOLE: list[Resource] = [
    MESH,
    {
        "type": "Dataplane",
        "mesh": "default",
        "name": "web",
        "labels": {"kuma.io/origin": "zone"},
        "networking": {
            "address": "192.0.2.1",
            "advertisedAddress": "192.0.2.2",
            "admin": {"port": 9901},
            "inbound": [
                {
                    "port": 8080,
                    "servicePort": 18080,
                    "serviceAddress": "127.0.0.1",
                    "address": "192.0.2.3",
                    "health": {"ready": True},
                    "state": "Ready",
                    "tags": {"kuma.io/service": "web", "kuma.io/protocol": "http"},
                }
            ],
            "outbound": [{"port": 10001, "address": "127.0.0.2", "tags": {"kuma.io/service": "api", "version": "v1"}}],
        },
    },
    {
        "type": "Dataplane",
        "mesh": "default",
        "name": "edge",
        "networking": {"address": "192.0.2.4", "gateway": {"type": "DELEGATED", "tags": {"kuma.io/service": "edge"}}},
    },
    {
        "type": "MeshHealthCheck",
        "mesh": "default",
        "name": "hc",
        "labels": {"kuma.io/effect": "shadow"},
        "spec": {
            "targetRef": {"kind": "MeshServiceSubset", "name": "web", "tags": {"version": "v1"}},
            "to": [
                {
                    "targetRef": {"kind": "MeshService", "name": "api"},
                    "default": {
                        "interval": "10s",
                        "intervalJitterPercent": 10,
                        "healthyPanicThreshold": "62.5",
                        "failTrafficOnPanic": True,
                        "eventLogPath": "/tmp/hc.log",
                        "http": {
                            "path": "/",
                            "expectedStatuses": [200],
                            "requestHeadersToAdd": {
                                "set": [{"name": "x-a", "value": "1"}],
                                "add": [{"name": "x-b", "value": "2"}],
                            },
                        },
                        "tcp": {"send": "cGluZw==", "receive": ["cG9uZw=="]},
                        "grpc": {"serviceName": "health", "authority": "a.example"},
                    },
                },
                {"targetRef": {"kind": "Mesh", "proxyTypes": ["Sidecar"]}, "default": {"tcp": {}}},
            ],
        },
    },
    {
        "type": "MeshRetry",
        "mesh": "default",
        "name": "retries",
        "spec": {
            "targetRef": {"kind": "Mesh"},
            "to": [
                {
                    "targetRef": {"kind": "MeshService", "name": "web"},
                    "default": {
                        "http": {
                            "numRetries": 3,
                            "perTryTimeout": "1s",
                            "backOff": {"baseInterval": "25ms", "maxInterval": "1s"},
                            "rateLimitedBackOff": {
                                "resetHeaders": [{"name": "retry-after", "format": "Seconds"}],
                                "maxInterval": "1m",
                            },
                            "retryOn": ["5xx", "HttpMethodGet", "503", 429],
                            "retriableRequestHeaders": [{"name": "x-a", "type": "Prefix", "value": "1"}],
                            "retriableResponseHeaders": [{"name": "x-b"}],
                            "hostSelection": [
                                {"predicate": "OmitHostsWithTags", "tags": {"version": "v1"}},
                                {"predicate": "OmitPreviousPriorities", "updateFrequency": 2},
                            ],
                            "hostSelectionMaxAttempts": 3,
                        },
                        "grpc": {"retryOn": ["Canceled"]},
                        "tcp": {"maxConnectAttempt": 3},
                    },
                },
            ],
        },
    },
    {
        "type": "MeshTimeout",
        "mesh": "default",
        "name": "timeouts",
        "spec": {
            "targetRef": {"kind": "MeshSubset", "tags": {"version": "v1"}},
            "to": [
                {
                    "targetRef": {"kind": "MeshService", "name": "web"},
                    "default": {"connectionTimeout": "1s", "http": {"requestTimeout": "1s"}},
                }
            ],
            "from": [
                {
                    "targetRef": {"kind": "Mesh"},
                    "default": {
                        "idleTimeout": "1s",
                        "http": {
                            "streamIdleTimeout": "0s",
                            "maxStreamDuration": "1m",
                            "maxConnectionDuration": "1h",
                            "requestHeadersTimeout": "1ms",
                        },
                    },
                }
            ],
        },
    },
    {
        "type": "MeshCircuitBreaker",
        "mesh": "default",
        "name": "circuit-breakers",
        "spec": {
            "targetRef": {"kind": "MeshService", "name": "web"},
            "to": [
                {
                    "targetRef": {"kind": "Mesh"},
                    "default": {
                        "connectionLimits": {"maxConnections": 1, "maxConnectionPools": 2, "maxRetries": 3},
                        "outlierDetection": {
                            "interval": "1s",
                            "baseEjectionTime": "1m",
                            "maxEjectionPercent": 50,
                            "splitExternalAndLocalErrors": True,
                            "detectors": {
                                "totalFailures": {"consecutive": 1},
                                "successRate": {"minimumHosts": 2, "standardDeviationFactor": "1.9"},
                                "failurePercentage": {"requestVolume": 3, "threshold": 50},
                            },
                        },
                    },
                }
            ],
            "from": [
                {
                    "targetRef": {"kind": "Mesh"},
                    "default": {"outlierDetection": {"disabled": True, "detectors": {"gatewayFailures": {}}}},
                }
            ],
        },
    },
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterable[tuple[Any, ...]]:
    """Where something can be damaged: every member, and in every mapping one that is not there yet."""
    if path:
        yield path
    if isinstance(value, dict):
        yield (*path, None)
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))


def damaged(place: tuple[int, tuple[Any, ...]], key: Any, value: Any) -> Any:
    """One of the whole resources with `value` at the place, under `key` where the place is a new member."""
    index, path = place
    document = copy.deepcopy(WHOLE[index])
    holder: Any = document
    for step in path[:-1]:
        holder = holder[step]
    holder[key if path[-1] is None else path[-1]] = value
    return document


PLACES = [(index, path) for index, document in enumerate(WHOLE) for path in places(document)]
anything = st.one_of(values, st.builds(damaged, st.sampled_from(PLACES), keys, values))


@examples(300, 20_000)
@given(anything)
def test_validate_never_raises_on_any_value(value: Any) -> None:
    findings = api.load(documents=[api.document(value, file="some.yaml")]).findings

    json.dumps([finding.as_dict() for finding in findings])
    assert "\n" not in "".join(map(str, findings))


snippets = st.text(st.sampled_from("{}[]:-,&*!|>'\"#%@ \t\n?~a1.<"), max_size=60).map(str.encode)


@examples(100, 2_000)
@given(st.one_of(st.binary(max_size=200), snippets))
def test_validate_never_raises_on_any_file(data: bytes) -> None:
    universe = api.load(paths=[__file__], read=lambda _file: data)

    json.dumps([finding.as_dict() for finding in universe.findings])
    assert not universe.dataplanes
