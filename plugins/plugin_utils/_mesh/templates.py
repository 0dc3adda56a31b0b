# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A team's own Envoy resources: what a template sees of the mesh, and what it came to, read and checked.

How templates are rendered is not known here. Places in a rendered text become places in its template.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from . import source
from .decode.reader import Reader
from .envoy import bootstrap, constraints, names, protos, reading, type_urls
from .findings import Code, Finding, Path, Severity, Source, code, did_you_mean, format_path
from .index import Index
from .model import field_name
from .model.dataplane import Dataplane
from .model.policies import Maker
from .patches import StepError
from .source import Document

if TYPE_CHECKING:
    from .proxy import Compiler, Target

NOT_A_RESOURCE = code(
    "MESH261",
    Severity.ERROR,
    "a template yields what is no resource of a release",
    "Each document is a mapping with `@type`, which names a listener, a cluster or a cluster's endpoints, and a name.",
)
NOT_ITS_TYPE = code(
    "MESH262",
    Severity.ERROR,
    "a resource of a template is not as its type says",
    "Correct the field or its value; Envoy's API reference describes the type that `@type` names.",
)
NAME_TAKEN = code(
    "MESH263",
    Severity.ERROR,
    "a template gives a resource the name of another one",
    "Give it a name of its own. To change a resource that a dataplane has, use a MeshProxyPatch.",
)
SOCKET_TAKEN = code(
    "MESH264",
    Severity.ERROR,
    "a listener of a template listens where another one does",
    "Give it a port of its own; Envoy would refuse it.",
)
OTHER_SOURCE = code(
    "MESH265",
    Severity.ERROR,
    "a resource of a template would be read from elsewhere",
    "Write routes inline and leave `eds_config` out; the release puts them into files of its own.",
)
ENDPOINTS = code(
    "MESH266",
    Severity.ERROR,
    "endpoints and clusters of a template do not go together",
    "A cluster with `type: EDS` takes the endpoints of its name, or those that its `service_name` names; "
    "a ClusterLoadAssignment is for a cluster of the templates.",
)
NO_CLUSTER = code(
    "MESH267",
    Severity.WARNING,
    "a resource of a template leads to a cluster that the dataplane does not have",
    "Correct the name, add the cluster to a template, or give the dataplane an outbound to the service.",
)
YIELDS_NOTHING = code(
    "MESH268",
    Severity.WARNING,
    "a template yields nothing for any dataplane",
    "Correct its condition, or remove the file. Let the names of files that others import begin with `_`.",
)

# What a release can carry, and the member that names it.
_NAMES = {
    type_urls.CLUSTER: "name",
    type_urls.CLUSTER_LOAD_ASSIGNMENT: "clusterName",
    type_urls.LISTENER: "name",
}

# Members that lead out of a release.
_ELSEWHERE: Mapping[str | int, str] = {
    "rds": "write the routes inline as routeConfig: the release puts them into a file of their own",
    "edsConfig": "leave it out: the release says where endpoints come from",
    "pathConfigSource": "a release reads no files but its own",
}


@dataclass(frozen=True, eq=False)
class Rendered:
    """What a template, a file of this name and text, came to; `lines` has the line of the template for each line."""

    file: str
    template: str
    text: str
    lines: Sequence[int]

    def told(self, finding: Finding) -> Finding:
        """A finding about the text, as one about the template."""
        return replace(finding, source=self._source(finding.source.line or 1, finding.source.column or 1))

    def _source(self, line: int, column: int) -> Source:
        written = self.lines[min(line, len(self.lines)) - 1]
        before = self.text.split("\n")[line - 1][: column - 1] if line <= len(self.lines) else ""
        same = self.template.split("\n")[written - 1].startswith(before)
        return Source(self.file, written, column if same else 1)


@dataclass(frozen=True, eq=False)
class OwnResource:
    """One Envoy resource of a template, in proto3 JSON as Envoy's types spell it. Dataplanes may share it."""

    type_url: str
    name: str
    resource: Mapping[str, Any]
    rendered: Rendered
    document: Document

    @property
    def template(self) -> str:
        """What the template is called: `status` for `templates/status.yaml.j2`."""
        return self.rendered.file.rpartition("/")[2].partition(".")[0]

    @property
    def maker(self) -> Maker:
        """What names it as what made a resource."""
        return Maker("template", self.template, self.rendered.file, f"line {self.source.line}")

    @cached_property
    def source(self) -> Source:
        """Where the template names the resource."""
        return self.finding(NAME_TAKEN, (), "").source

    def finding(self, code: Code, path: Path, message: str) -> Finding:
        """A finding about a part of the resource, or about all of it, where it is named."""
        written = _as_written(self.document.value, path)
        place = written or _as_written(self.document.value, (_NAMES[self.type_url],))
        found = self.document.finding(code, place, message, _kind(self.type_url), self.name)
        return self.rendered.told(replace(found, path=format_path(written)))


# --- reading ----------------------------------------------------------------------------------------------------------


_Yield = tuple[list[OwnResource], list[Finding]]


def read(rendered: Rendered, tags: Mapping[str, Callable[[str], str]] | None = None) -> _Yield:
    """The resources in a rendered text; none where it is empty. `tags` makes values of YAML tags, as in `source`."""
    documents, findings = source.parse(source.Text(rendered.file, rendered.text.encode()), tags)
    found = [own for document in documents if (own := _resource(document, rendered, findings)) is not None]
    return found, [rendered.told(finding) for finding in findings]


def _resource(document: Document, rendered: Rendered, findings: list[Finding]) -> OwnResource | None:
    reader = Reader(document, findings)
    value: Any = document.value
    type_url = value.get("@type")
    if not isinstance(type_url, str) or type_url not in _NAMES:
        reader.report(NOT_A_RESOURCE, ("@type",), _wrong_type(type_url))
        return None
    reader.kind = _kind(type_url)
    named = _as_written(value, (_NAMES[type_url],))
    name = value.get(named[0])
    if not isinstance(name, str) or not name:
        reader.report(NOT_A_RESOURCE, named, "must be the name of the resource")
        return None
    reader.name = name
    if not reader.is_plain(value):
        return None
    resource = _message(reader, protos.type_name(type_url), value)
    for path, part in _parts(resource):
        if path and path[-1] in _ELSEWHERE:
            reader.report(OTHER_SOURCE, _as_written(value, path), _ELSEWHERE[path[-1]])
        if isinstance(part, dict) and "@type" in part:
            for inside, words in _violations(json.dumps(part)):
                reader.report(NOT_ITS_TYPE, _as_written(value, (*path, *inside)), words)
        if path[-1:] == ("routeConfig",) and isinstance(part, dict):
            # In a file of its own it needs one.
            part.setdefault("name", name)
    if not reader.sound:
        return None
    if resource.get("type") == "EDS":
        resource.setdefault("edsClusterConfig", {})
    return OwnResource(type_url, name, resource, rendered, document)


def _message(reader: Reader, message: str, value: Mapping[str, Any]) -> dict[str, Any]:
    """The value as its type spells it; empty where it is not what the type says."""
    resource, mistakes = reading.read(message, _untyped(value))
    for mistake in mistakes:
        reader.report(NOT_ITS_TYPE, mistake.path, mistake.message)
    if mistakes:
        return {}
    try:
        parsed = protos.parse(message, resource)
        resource = protos.to_json(parsed)
    except protos.NotAMessage as error:
        reader.report(NOT_ITS_TYPE, (), str(error))
        return {}
    for path, words in constraints.violations(parsed):
        reader.report(NOT_ITS_TYPE, _as_written(value, path), words)
    return resource


@lru_cache(maxsize=1024)
def _violations(text: str) -> tuple[tuple[Path, str], ...]:
    """The rules that a message in a field for any message breaks. Dataplanes often have the same one."""
    value = json.loads(text)
    return tuple(constraints.violations(protos.parse(protos.type_name(value["@type"]), _untyped(value))))


def _untyped(value: Mapping[str, Any]) -> dict[str, Any]:
    return {key: member for key, member in value.items() if key != "@type"}


def _wrong_type(type_url: object) -> str:
    known = ", ".join(_NAMES)
    if not isinstance(type_url, str):
        return f"must be one of {known}"
    if type_url == type_urls.ROUTE_CONFIGURATION:
        return "routes stand inline in their listener, as routeConfig"
    return f"must be one of {known}, not {type_url}{did_you_mean(type_url, _NAMES)}"


def _kind(type_url: str) -> str:
    return type_url.rpartition(".")[2]


def _as_written(value: Any, path: Path) -> Path:
    """A path that has the names of a message, in the names that were written."""
    written: list[str | int] = []
    for part in path:
        if isinstance(value, dict) and part not in value:
            part = next((key for key in value if field_name(key) == part), part)
        written.append(part)
        inside = isinstance(value, dict) and part in value
        value = value[part] if inside or (isinstance(value, list) and isinstance(part, int)) else None
    return tuple(written)


def _parts(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """All that a message consists of, from the outside in."""
    yield path, value
    if isinstance(value, dict):
        for key, member in value.items():
            yield from _parts(member, (*path, key))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _parts(item, (*path, position))


# --- together with what the dataplane has -----------------------------------------------------------------------------


def check(compiler: Compiler, dataplane: Dataplane, target: Target, own: Sequence[OwnResource]) -> list[Finding]:
    """What keeps resources of templates from joining those that a dataplane has without them."""
    if not own:
        return []
    known = {type_url: set(named) for type_url, named in compiler.unpatched(dataplane, target).items()}
    if dataplane.admin_port is not None:
        known[type_urls.CLUSTER].add(bootstrap.ADMIN)
        known[type_urls.LISTENER].add(bootstrap.ADMIN)
    return [
        *_taken(own, known),
        *_sockets(own, [*_listening(compiler, dataplane)]),
        *_endpoints(own, known[type_urls.CLUSTER_LOAD_ASSIGNMENT]),
        *_clusters(own, known[type_urls.CLUSTER], lambda: _patched_clusters(compiler, dataplane, target, own)),
    ]


def _patched_clusters(
    compiler: Compiler, dataplane: Dataplane, target: Target, own: Sequence[OwnResource]
) -> Collection[str]:
    """The clusters that are there after MeshProxyPatch, which may add some."""
    try:
        return compiler.proxy(dataplane, target, own).resources[type_urls.CLUSTER].keys()
    except StepError:
        # What is wrong with the policy is told where it is written.
        return ()


def _taken(own: Iterable[OwnResource], known: Mapping[str, Collection[str]]) -> Iterator[Finding]:
    first: dict[tuple[str, str], OwnResource] = {}
    for one in own:
        other = first.setdefault((one.type_url, one.name), one)
        if one.name in known[one.type_url]:
            yield one.finding(NAME_TAKEN, (), f"the dataplane has a {_kind(one.type_url)} '{one.name}' already")
        elif other is not one:
            yield one.finding(NAME_TAKEN, (), f"this {_kind(one.type_url)} is also in {other.source}")


def _listening(compiler: Compiler, dataplane: Dataplane) -> Iterator[tuple[str, int, str]]:
    """Address and port of what listens on the host of a dataplane already, and what that is."""
    for inbound in dataplane.inbounds:
        if inbound.has_listener:
            yield inbound.address, inbound.port, f"the inbound of {inbound.service}"
    for outbound in compiler.index.outbounds(dataplane):
        yield outbound.address, outbound.port, f"the outbound to {outbound.service}"
    ports = dataplane.transparent_proxying
    if ports is not None:
        for port in (ports.redirect_port_inbound, ports.redirect_port_outbound):
            yield names.ANY_ADDRESS["ipv4"], port, "redirected traffic"
    if dataplane.admin_port is not None:
        yield "127.0.0.1", dataplane.admin_port, "Envoy's admin interface"


def _sockets(own: Iterable[OwnResource], listening: list[tuple[str, int, str]]) -> Iterator[Finding]:
    anywhere = names.ANY_ADDRESS.values()
    for one in own:
        for path, socket in _addresses(one):
            address, port = socket.get("address", ""), socket.get("portValue")
            for taken, taken_port, by in listening:
                if port == taken_port and (address == taken or address in anywhere or taken in anywhere):
                    yield one.finding(SOCKET_TAKEN, path, f"{address}:{port} is taken by {by}")
                    break
            if port:
                listening.append((address, port, f"the listener {one.name} in {one.source}"))


def _addresses(own: OwnResource) -> Iterator[tuple[Path, Mapping[str, Any]]]:
    """The TCP sockets of a listener. Other resources have none."""
    if own.type_url == type_urls.LISTENER:
        more = [
            (("additionalAddresses", position, "address"), each.get("address", {}))
            for position, each in enumerate(own.resource.get("additionalAddresses", ()))
        ]
        for path, address in ((("address",), own.resource.get("address", {})), *more):
            socket = address.get("socketAddress", {})
            if socket and socket.get("protocol", "TCP") == "TCP":
                yield path, socket


def _endpoints(own: Iterable[OwnResource], known: Collection[str]) -> Iterator[Finding]:
    """Clusters without the endpoints that they name, and endpoints that no cluster takes."""
    given = {one.name: one for one in own if one.type_url == type_urls.CLUSTER_LOAD_ASSIGNMENT}
    taken = set()
    for one in own:
        if one.type_url == type_urls.CLUSTER and one.resource.get("type") == "EDS":
            wanted = one.resource["edsClusterConfig"].get("serviceName") or one.name
            taken.add(wanted)
            if wanted not in known and wanted not in given:
                hint = did_you_mean(wanted, [*known, *given])
                yield one.finding(ENDPOINTS, ("type",), f"there is no ClusterLoadAssignment '{wanted}'{hint}")
    for name, one in given.items():
        if name not in taken:
            yield one.finding(ENDPOINTS, (), f"no cluster of a template has `type: EDS` and takes '{name}'")


def _clusters(
    own: Sequence[OwnResource], known: Collection[str], patched: Callable[[], Collection[str]]
) -> Iterator[Finding]:
    """Routes and TCP proxies that lead nowhere."""
    known = {*known, *(one.name for one in own if one.type_url == type_urls.CLUSTER)}
    missing = [(one, *place) for one in own for place in _references(one.resource) if place[1] not in known]
    added = patched() if missing else ()
    for one, path, name in missing:
        if name not in added:
            message = f"the dataplane has no cluster '{name}'{did_you_mean(name, known)}"
            yield one.finding(NO_CLUSTER, path, message)


def _references(resource: Mapping[str, Any]) -> Iterator[tuple[Path, str]]:
    """The clusters that routes and TCP proxies lead to."""
    for path, part in _parts(resource):
        if isinstance(part, dict) and (path[-1:] == ("route",) or part.get("@type") == type_urls.TCP_PROXY):
            if isinstance(part.get("cluster"), str):
                yield (*path, "cluster"), part["cluster"]
            for position, each in enumerate(part.get("weightedClusters", {}).get("clusters", ())):
                if "name" in each:
                    yield (*path, "weightedClusters", "clusters", position, "name"), each["name"]


# --- all templates ----------------------------------------------------------------------------------------------------

# What a template comes to with some variables, or what keeps it from being rendered.
Render = Callable[[str, Mapping[str, Any]], Rendered | Finding]


class Templates:
    """What the templates with these names yield for dataplanes. `tags` makes values of YAML tags, as in `source`."""

    def __init__(self, files: Sequence[str], render: Render, tags: Mapping[str, Callable[[str], str]]) -> None:
        self._files = files
        self._render = render
        self._tags = tags
        self._yields: dict[tuple[Dataplane, Target], _Yield] = {}
        # By file and text: dataplanes for which a template comes to the same share its resources.
        self._read: dict[tuple[str, str], _Yield] = {}

    def own(self, compiler: Compiler, dataplane: Dataplane, target: Target) -> list[OwnResource]:
        """The resources for a dataplane, in the order of the templates."""
        return self._of(compiler, dataplane, target)[0] if self._files else []

    def findings(self, dataplanes: Iterable[tuple[Compiler, Dataplane, Target]], every: bool) -> list[Finding]:
        """What is wrong with what they yield for these dataplanes, which may be all that there are."""
        about: dict[Finding, list[Dataplane]] = {}
        silent = dict.fromkeys(self._files)
        for compiler, dataplane, target in dataplanes:
            own, wrong = self._of(compiler, dataplane, target)
            for file in (*(one.rendered.file for one in own), *(finding.source.file for finding in wrong)):
                silent.pop(file, None)
            for finding in wrong or check(compiler, dataplane, target, own):
                about.setdefault(finding, []).append(dataplane)
        found = [replace(finding, message=f"{finding.message} ({_said(about[finding])})") for finding in about]
        return found + [_yields_nothing(file) for file in silent if every]

    def _of(self, compiler: Compiler, dataplane: Dataplane, target: Target) -> _Yield:
        found = self._yields.get((dataplane, target))
        if found is None:
            found = self._yields[dataplane, target] = ([], [])
            for file in self._files:
                own, wrong = self._one(file, variables(compiler, dataplane, target))
                found[0].extend(own)
                found[1].extend(wrong)
        return found

    def _one(self, file: str, given: Mapping[str, Any]) -> _Yield:
        rendered = self._render(file, given)
        if isinstance(rendered, Finding):
            return [], [rendered]
        found = self._read.get((file, rendered.text))
        if found is None:
            found = self._read[file, rendered.text] = read(rendered, self._tags)
        return found


def _said(dataplanes: Sequence[Dataplane]) -> str:
    """The dataplanes that a finding is about, or the first of them."""
    others = len(dataplanes) - 1
    return f"dataplane '{dataplanes[0].name}'" + (f" and {others} other{'s' if others > 1 else ''}" if others else "")


def _yields_nothing(file: str) -> Finding:
    return Finding(
        YIELDS_NOTHING.id, YIELDS_NOTHING.severity, "", "it yields nothing for any dataplane", Source(file, 1, 1)
    )


# --- what a template sees ---------------------------------------------------------------------------------------------


def variables(compiler: Compiler, dataplane: Dataplane, target: Target) -> dict[str, Any]:
    """What a template is rendered with for a dataplane. All but `services` is made anew for each rendering."""
    return {
        "dataplane": _dataplane(compiler, dataplane),
        "services": Services(compiler.index),
        "target": asdict(target),
    }


def _dataplane(compiler: Compiler, dataplane: Dataplane) -> dict[str, Any]:
    """A Dataplane as its resource has it, with all defaults; of each outbound also the cluster that it leads to."""
    ports = dataplane.transparent_proxying
    return {
        "name": dataplane.name,
        "mesh": dataplane.mesh,
        "networking": {
            "address": dataplane.address,
            "inbound": [
                {
                    "address": inbound.address,
                    "port": inbound.port,
                    "serviceAddress": inbound.workload_address,
                    "servicePort": inbound.workload_port,
                    "state": inbound.state.value,
                    "tags": dict(inbound.tags),
                }
                for inbound in dataplane.inbounds
            ],
            "outbound": [
                {
                    "address": outbound.address,
                    "port": outbound.port,
                    "tags": dict(outbound.tags),
                    "cluster": compiler.destination(outbound.tags).cluster,
                }
                for outbound in compiler.index.outbounds(dataplane)
            ],
            "gateway": None if dataplane.gateway_tags is None else {"tags": dict(dataplane.gateway_tags)},
            "admin": {"port": dataplane.admin_port},
            "transparentProxying": None
            if ports is None
            else {
                "redirectPortInbound": ports.redirect_port_inbound,
                "redirectPortOutbound": ports.redirect_port_outbound,
                "ipFamilyMode": ports.ip_family_mode.value,
            },
        },
        "tags": {tag: list(values) for tag, values in dataplane.tag_set().items()},
    }


class Services(Mapping[str, Any]):
    """The services of a mesh by name: `{"protocol": …, "endpoints": [{"address": …, "port": …, "tags": {…}}]}`.

    Each is made when it is asked for: a template may do with it as it likes.
    """

    def __init__(self, index: Index) -> None:
        self._services = index.services

    def __getitem__(self, name: str) -> dict[str, Any]:
        service = self._services[name]
        endpoints = [
            {"address": address, "port": port, "tags": dict(tags)} for address, port, tags in service.endpoints
        ]
        return {"protocol": service.protocol.value, "endpoints": endpoints}

    def __iter__(self) -> Iterator[str]:
        return iter(self._services)

    def __len__(self) -> int:
        return len(self._services)
