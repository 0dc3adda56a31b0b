# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only door to the core. Adapters import this module and `findings`, nothing else of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from . import check, hints, index, initial, lint, source, vips
from .decode import decode
from .envoy import cluster, listener, tokens, type_urls
from .explain import as_data, destination_as_data, inbounds_as_data, modifications_as_data
from .explain import text as explanation_text
from .findings import Finding, Severity, did_you_mean, format_path
from .kinds import POLICY_KINDS, meshproxypatch
from .kinds.meshproxypatch import NOT_APPLICABLE
from .model.dataplane import SERVICE_TAG, Dataplane, Outbound
from .model.virtual_ips import DEFAULT_CIDR, virtual_network
from .patches import StepError
from .proxy import Compiler, Proxy, Target
from .release import Release, Serialiser
from .routes import Destination
from .source import Document
from .templates import OwnResource

__all__ = [
    "DataplaneId",
    "Document",
    "MeshError",
    "Release",
    "Target",
    "Universe",
    "circuit_breakers",
    "compile_proxy",
    "compile_release",
    "document",
    "effective",
    "explain",
    "explanation_text",
    "find_dataplane",
    "health_checks",
    "host_names",
    "line_of",
    "load",
    "matched_policies",
    "passthrough",
    "retry_policy",
    "timeouts",
    "virtual_ips",
]


DEFAULT_TARGET = Target()


class MeshError(Exception):
    """The mesh cannot be compiled, or does not hold what was asked for. The text is that of the findings."""

    def __init__(self, message: str, findings: Sequence[Finding] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class DataplaneId(NamedTuple):
    """What tells dataplanes apart."""

    mesh: str
    name: str


@dataclass(frozen=True, eq=False)
class _Compiled:
    """What compiling the dataplanes of one mesh shares."""

    compiler: Compiler
    serialiser: Serialiser = field(default_factory=Serialiser)


@dataclass(frozen=True, eq=False)
class Universe:
    """All meshes of one input, checked. `findings` are sorted by source."""

    findings: tuple[Finding, ...]
    indexes: Mapping[str, index.Index]
    _compiled: Mapping[str, _Compiled] = field(repr=False)

    @property
    def errors(self) -> tuple[Finding, ...]:
        return tuple(one for one in self.findings if one.severity is Severity.ERROR)

    @property
    def dataplanes(self) -> tuple[DataplaneId, ...]:
        return tuple(DataplaneId(mesh, name) for mesh, one in self.indexes.items() for name in one.dataplanes)

    def compiled(self, mesh: str) -> _Compiled:
        """The compiler of a mesh. MeshError if the input has errors."""
        if self.errors:
            raise MeshError("\n".join(str(one) for one in self.errors), self.findings)
        return self._compiled[mesh]

    def dataplane(self, dataplane: DataplaneId) -> Dataplane:
        return self.indexes[dataplane.mesh].dataplanes[dataplane.name]


def document(value: object, file: str) -> Document:
    """A document that came from a variable: `file` says which, in findings."""
    return Document(value, file, 0, None)


def load(
    paths: Iterable[str] = (),
    documents: Iterable[Document] = (),
    *,
    read: Callable[[str], bytes] | None = None,
    tags: Mapping[str, Callable[[str], str]] | None = None,
) -> Universe:
    """Read, decode and check a mesh. Never raises for a user's mistake: what is wrong is in the result's findings.

    `paths` are files and directories, `read` opens a file (for example a vaulted one), `tags` make values of YAML tags.
    """
    found = list(documents)
    paths = list(paths)
    findings: list[Finding] = []
    if paths:
        files, unreadable = source.find_files(paths)
        texts, unread = source.read_files(files) if read is None else source.read_files(files, read)
        findings += [*unreadable, *unread]
        for text in texts:
            parsed, broken = source.parse(text, tags or {})
            found += parsed
            findings += broken
    resources, undecoded = decode(found)
    findings += [*undecoded, *check.duplicates(resources), *hints.apply(resources), *initial.apply(resources)]
    indexes = index.build(resources)
    compiled: dict[str, _Compiled] = {}
    if not any(one.severity is Severity.ERROR for one in findings):
        # What refers to a resource that did not decode would only be blamed for its absence.
        findings += check.meshes(resources)
        for mesh, one in indexes.items():
            compiled[mesh] = _Compiled(Compiler(one))
            findings += [*check.dataplanes(one), *vips.check(one), *lint.protocols(one), *lint.targets(one)]
            findings += lint.policies(compiled[mesh].compiler)
    findings += lint.meshes(resources.meshes, resources.dataplanes)
    findings += lint.workloads(resources.dataplanes)
    findings += lint.kafka(resources.dataplanes)
    return Universe(tuple(sorted(findings, key=lambda one: one.sort_key)), indexes, compiled)


def find_dataplane(universe: Universe, name: str, mesh: str | None = None) -> DataplaneId:
    """The dataplane of this name, in whichever mesh or in the one that is named. MeshError for none or several."""
    meshes = [one for one, index in universe.indexes.items() if name in index.dataplanes and mesh in (None, one)]
    found = [DataplaneId(one, name) for one in meshes]
    if len(found) == 1:
        return found[0]
    if found:
        raise MeshError(f"dataplane '{name}' is in several meshes: {', '.join(one.mesh for one in found)}")
    hint = did_you_mean(name, [one.name for one in universe.dataplanes])
    raise MeshError(f"there is no dataplane '{name}'" + (f" in mesh '{mesh}'" if mesh else "") + hint)


def compile_proxy(
    universe: Universe, dataplane: DataplaneId, target: Target = DEFAULT_TARGET, own: Sequence[OwnResource] = ()
) -> dict[str, dict[str, Any]]:
    """`{type URL: {name: resource}}` in proto3 JSON, the shape of Kuma's inspect API (`_config`). MeshError.

    `own` are resources of templates, which join those that are made of the mesh.
    """
    return _proxy(universe, dataplane, target, own).all_resources(target)


def compile_release(
    universe: Universe,
    dataplane: DataplaneId,
    target: Target = DEFAULT_TARGET,
    revision: str | None = None,
    sensitive: bool = False,
    own: Sequence[OwnResource] = (),
) -> Release:
    """The release of one dataplane. MeshError if the input has errors.

    `sensitive` says that values of the input were encrypted: the release then asks to be shown by names only. `own` are
    resources of templates, which join those that are made of the mesh.
    """
    proxy = _proxy(universe, dataplane, target, own)
    return universe.compiled(dataplane.mesh).serialiser.release(proxy, target, revision, sensitive)


def _proxy(universe: Universe, dataplane: DataplaneId, target: Target, own: Sequence[OwnResource]) -> Proxy:
    compiler = universe.compiled(dataplane.mesh).compiler
    try:
        return compiler.proxy(universe.dataplane(dataplane), target, own)
    except StepError as problem:
        # Checks of the mesh know neither the host nor the templates.
        document = problem.step.policy.document
        policy = problem.step.policy
        found = document.finding(NOT_APPLICABLE, problem.error.path, str(problem.error), policy.kind, policy.name)
        raise MeshError(str(found), [found]) from None


def matched_policies(universe: Universe, dataplane: DataplaneId) -> list[dict[str, str]]:
    """The policies that select a dataplane, by kind and precedence, low to high: kind, name, file."""
    compiler = universe.compiled(dataplane.mesh).compiler
    resource = universe.dataplane(dataplane)
    policies = [
        selection.rules.policies[position] for selection in compiler.select(resource) for position in selection.policies
    ]
    return [
        {"kind": policy.kind, "name": policy.name, "file": policy.document.file}
        for policy in (*policies, *compiler.patches.select(resource))
    ]


def line_of(text: bytes, kind: str, name: str, path: str) -> int | None:
    """The line at which a part of a policy stands in the text of its file; None where the text does not have it.

    Kind, name and path are those that a release has in its origins.
    """
    documents, _findings = source.parse(source.Text("", text))
    resources, _findings = decode(documents)
    for policy in resources.policies:
        if (policy.kind, policy.name) == (kind, name):
            parts = [item.path for item in (*policy.to, *policy.from_)]
            parts += [modification.path for modification in policy.modifications]
            position = next((policy.document.position(one) for one in parts if format_path(one) == path), None)
            return position[0] if position else None
    return None


def health_checks(
    universe: Universe, dataplane: DataplaneId, service: str, tags: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """Envoy `health_checks` of the cluster through which a dataplane reaches a service, or its subset with `tags`."""
    resource, _listener = _towards(universe, dataplane, service, tags)
    values = {tokens.SOURCE_TAGS: tokens.source_tags(universe.dataplane(dataplane).tag_set())}
    checks: list[dict[str, Any]] = tokens.fill(resource.get("healthChecks", []), values)
    return checks


def retry_policy(
    universe: Universe, dataplane: DataplaneId, service: str, tags: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Envoy `retry_policy` of the route through which a dataplane reaches a service, or its subset with `tags`.

    Of a service that is proxied as TCP `{"maxConnectAttempts": …}`; empty where nothing is tried again.
    """
    _cluster, resource = _towards(universe, dataplane, service, tags)
    for action in listener.route_actions(resource):
        policy: dict[str, Any] = action.get("retryPolicy", {})
        return policy
    proxies = listener.filters_of(resource, listener.TCP_PROXY)
    return {key: proxy[key] for proxy in proxies for key in ("maxConnectAttempts",) if key in proxy}


def timeouts(
    universe: Universe, dataplane: DataplaneId, service: str, tags: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The timeouts between a dataplane and a service, or its subset with `tags`, by the names of MeshTimeout.

    Durations are in Envoy's form, `15s`. What Envoy is not told is left out.
    """
    resource, listening = _towards(universe, dataplane, service, tags)
    found = {"connectionTimeout": resource.get("connectTimeout")}
    options = cluster.common_http_options(resource)
    found.update({key: options.get(key) for key in ("idleTimeout", "maxStreamDuration", "maxConnectionDuration")})
    for proxy in listener.filters_of(listening, listener.TCP_PROXY):
        found["idleTimeout"] = proxy.get("idleTimeout")
    for manager in listener.filters_of(listening, listener.HTTP_CONNECTION_MANAGER):
        found["requestHeadersTimeout"] = manager.get("requestHeadersTimeout")
    for action in listener.route_actions(listening):
        found.update(requestTimeout=action.get("timeout"), streamIdleTimeout=action.get("idleTimeout"))
    return {key: value for key, value in sorted(found.items()) if value is not None}


def circuit_breakers(
    universe: Universe, dataplane: DataplaneId, service: str, tags: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """Envoy `circuit_breakers` and `outlier_detection` of the cluster through which a dataplane reaches a service.

    `{"circuitBreakers": {…}, "outlierDetection": {…}}`, without what no policy sets.
    """
    resource, _listener = _towards(universe, dataplane, service, tags)
    return {key: resource[key] for key in ("circuitBreakers", "outlierDetection") if key in resource}


def host_names(universe: Universe, dataplane: DataplaneId) -> dict[str, str]:
    """The names of services, such as `backend.mesh`, with the virtual IPs at which a dataplane reaches them.

    Empty for a dataplane whose traffic is not redirected.
    """
    mesh, resource = universe.indexes[dataplane.mesh], universe.dataplane(dataplane)
    if resource.transparent_proxying is None:
        return {}
    reachable = {outbound.service for outbound in mesh.outbounds(resource)}
    return {
        name: outbound.address
        # Which names are free depends on all services, reachable or not.
        for service, names in vips.host_names(mesh.virtual_outbounds).items()
        for outbound in [mesh.virtual_outbounds[service]]
        if service in reachable
        for name in names
    }


def passthrough(universe: Universe, dataplane: DataplaneId, target: Target = DEFAULT_TARGET) -> dict[str, Any]:
    """What becomes of a dataplane's redirected traffic that is not of the mesh.

    `{"transparent": …, "passthrough": …, "listeners": […], "clusters": […], "connectTimeout": …, "idleTimeout": …}`:
    whether traffic is redirected, whether outbound traffic may leave the mesh, the names of what handles it in Envoy,
    and its timeouts, before any MeshProxyPatch. Without redirection there is only the first, which is false.
    """
    compiler = universe.compiled(dataplane.mesh).compiler
    fragments = [key.fragment() for key in compiler.passthrough(universe.dataplane(dataplane), target)]
    if not fragments:
        return {"transparent": False}
    return {
        "transparent": True,
        "passthrough": compiler.index.passthrough,
        "listeners": sorted(one.name for one in fragments if one.type_url == type_urls.LISTENER),
        "clusters": sorted(one.name for one in fragments if one.type_url == type_urls.CLUSTER),
        "connectTimeout": cluster.PASSTHROUGH_CONNECT_TIMEOUT,
        "idleTimeout": listener.TCP_IDLE_TIMEOUT,
    }


def _towards(
    universe: Universe, dataplane: DataplaneId, service: str, tags: Mapping[str, str] | None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The cluster through which a dataplane reaches a service, and a listener for it, wherever that listens."""
    compiler = universe.compiled(dataplane.mesh).compiler
    wanted = _destination_tags(service, tags)
    goal, offered = compiler.destination(wanted), compiler.index.service(service)
    anywhere = Outbound("127.0.0.1", 1, wanted, ())
    applied = compiler.applied(compiler.select(universe.dataplane(dataplane)), offered)
    found = compiler.outbound(anywhere, True, offered, goal, applied, DEFAULT_TARGET)
    return found.cluster.fragment.resource(), found.listener.fragment.resource()


def _destination_tags(service: str, tags: Mapping[str, str] | None) -> dict[str, str]:
    return dict(sorted({**(tags or {}), SERVICE_TAG: service}.items()))


def effective(universe: Universe, kind: str, dataplane: DataplaneId, service: str | None = None) -> dict[str, Any]:
    """What the policies of a kind merge to for a service, and where each field comes from.

    `{"conf": {…}, "fields": {"http.path": {"value": …, "policy": {…}, "losers": […]}}}`; both are empty where no
    policy applies. Of MeshProxyPatch, which is about the whole proxy, the modifications in the order in which they are
    carried out: `{"modifications": [{"modification": {…}, "policy": {…}}]}`.
    """
    kinds = (*POLICY_KINDS, meshproxypatch.KIND.name)
    if kind not in kinds:
        raise MeshError(f"there is no policy kind '{kind}'{did_you_mean(kind, kinds)}")
    compiler = universe.compiled(dataplane.mesh).compiler
    if kind == meshproxypatch.KIND.name:
        return {"modifications": modifications_as_data(compiler, universe.dataplane(dataplane))}
    if service is None:
        raise MeshError(f"what policies of kind {kind} say is about a service: name one")
    selections = compiler.select(universe.dataplane(dataplane))
    selection = next(one for one in selections if one.rules.kind.name == kind)
    merged = selection.merged(service)
    if merged is None or merged.conf is None:
        return {"conf": {}, "fields": {}}
    return as_data(merged, selection.layers(service))


def explain(
    universe: Universe,
    dataplane: DataplaneId,
    service: str | None = None,
    tags: Mapping[str, str] | None = None,
    target: Target = DEFAULT_TARGET,
) -> dict[str, Any]:
    """Every field of every kind for the inbounds and the destinations of a dataplane, or for one destination.

    `{"mesh": …, "dataplane": …, "inbounds": […], "destinations": […], "modifications": […]}`, of each destination
    `service`, `tags` of a subset, `protocol`, `cluster`, the number of `endpoints`, `outbounds` as `address:port`, and
    by name under `kinds` what `effective` has, with two more members in each field: `envoy`, a list of
    `{"resource": …, "field": …}`, and `no_effect`, a reason or null. Of each inbound `service`, `address`, `port`,
    `protocol` and `kinds`. MeshError for a service that the dataplane has no outbound for. Modifications are those of
    `effective` for MeshProxyPatch, which is about the whole proxy.
    """
    compiler = universe.compiled(dataplane.mesh).compiler
    resource = universe.dataplane(dataplane)
    outbounds: dict[Destination, list[Outbound]] = {}
    for outbound in compiler.index.outbounds(resource):
        outbounds.setdefault(compiler.destination(outbound.tags), []).append(outbound)
    if service is not None:
        wanted = None if tags is None else compiler.destination(_destination_tags(service, tags))
        found = {goal: those for goal, those in outbounds.items() if goal.service == service and wanted in (None, goal)}
        if not found:
            known = [goal.service for goal in outbounds]
            hint = "" if service in known else did_you_mean(service, known)
            subset = " with these tags" if service in known else ""
            raise MeshError(f"dataplane '{dataplane.name}' has no outbound for the service '{service}'{subset}{hint}")
        outbounds = found
    return {
        "mesh": dataplane.mesh,
        "dataplane": dataplane.name,
        "inbounds": inbounds_as_data(compiler, resource, target) if service is None else [],
        "destinations": [
            destination_as_data(compiler, resource, goal, those, target) for goal, those in outbounds.items()
        ],
        "modifications": modifications_as_data(compiler, resource),
    }


def virtual_ips(
    universe: Universe, mesh: str | None = None, cidr: str | None = None, forget: bool = False
) -> vips.Assignment:
    """Who is to have which virtual IP in a mesh, which may be left out where there is only one.

    Without `cidr` the range stays what it is. MeshError for a mesh that is not there, and for a range that is of no use
    or too small. Errors of the mesh are no reason: a missing or shared address is one of them.
    """
    if mesh is None and len(universe.indexes) > 1:
        raise MeshError(f"there are several meshes, one has to be named: {', '.join(universe.indexes)}")
    if mesh is None:
        mesh = next(iter(universe.indexes), "default")
    found = universe.indexes.get(mesh)
    if found is None:
        raise MeshError(f"there is no mesh '{mesh}'{did_you_mean(mesh, universe.indexes)}")
    table = found.virtual_ips
    offered = {service for dataplane in found.dataplanes.values() for service in dataplane.offered_services}
    try:
        network = virtual_network(cidr) if cidr is not None else DEFAULT_CIDR if table is None else table.cidr
        return vips.assign(mesh, network, offered, {} if table is None else table.services, forget)
    except ValueError as error:
        raise MeshError(f"cidr {error}") from error
    except vips.RangeExhaustedError as error:
        raise MeshError(str(error)) from error
