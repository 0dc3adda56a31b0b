# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dataplane's release: the files that its Envoy reads, their digests, and one document that holds them all.

Fragments are serialised once and spliced into every release that has them; what is left per dataplane is joining,
filling in tokens and hashing. The document has one resource a line, so that a change of it reads well.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

from .envoy import bootstrap, files, names, tokens, type_urls
from .fragments import ClusterKey, Fragment, Placed, RouteKey
from .model.dataplane import Dataplane
from .model.policies import Maker
from .proxy import Proxy, Target

FORMAT = 1

_encode = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


def canonical(value: object) -> bytes:
    """Canonical JSON: members sorted, no white space, ASCII."""
    return _encode(value).encode("ascii")


def template(value: object) -> bytes:
    """Canonical JSON with tokens in it. A byte that JSON never has marks them, so that no text can look like one."""
    text = canonical(value)
    if b"\\\\" in text:
        return _BACKSLASH_OR_MARK.sub(lambda found: found[1] or _MARK, text)
    return text.replace(b"\\u0001", _MARK)


# Of a text that holds the characters of an escaped mark, the backslash is escaped itself.
_BACKSLASH_OR_MARK = re.compile(rb"(\\\\)|\\u0001")
_MARK = tokens.MARK.encode()
_NEXT_LINE = b",\n"

# The longest name that a file system takes is 255 bytes; the suffix and what apply puts beside a file need room.
_LONGEST_FILE_NAME = 200

_SORTS = {
    type_urls.CLUSTER: "cluster",
    type_urls.CLUSTER_LOAD_ASSIGNMENT: "endpoint",
    type_urls.LISTENER: "listener",
}


@dataclass(frozen=True, eq=False)
class Release:
    """A release. `document` is the artifact's bytes, `digests` has one SHA-256 per file, `id` tells releases apart."""

    mesh: str
    dataplane: str
    id: str
    digests: Mapping[str, str]
    document: bytes


class _Name(NamedTuple):
    """The name of a file, and the same in JSON."""

    text: str
    key: bytes


class _File(NamedTuple):
    """A file, as members of the document: under `digests` and under `files`. Sorted by name."""

    name: str
    digest: str
    digest_member: bytes
    file_member: bytes


class _Piece(NamedTuple):
    """A fragment in JSON, with tokens. `line` goes into LDS or CDS, `routes` are split off from it into RDS files.

    Endpoints hold no tokens, so their file is complete. `reads` is the name of those that a cluster finds in a file.
    """

    line: bytes
    routes: tuple[tuple[_Name, bytes], ...] = ()
    endpoints: _File | None = None
    reads: str | None = None


def file_name(name: str) -> str:
    """The name of a resource as that of a file; a very long one ends in a hash."""
    if len(name) <= _LONGEST_FILE_NAME:
        return name
    return f"{name[: _LONGEST_FILE_NAME - 33]}-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def release_id(digests: Mapping[str, str]) -> str:
    """The id of a release: a hash over the digests of its files, in the order of their names."""
    listing = "\n".join(f"{name} {digests[name]}" for name in sorted(digests))
    return hashlib.sha256(listing.encode()).hexdigest()[:32]


class Serialiser:
    """Makes releases of the proxies of one mesh. Keeps what they share in serialised form."""

    def __init__(self) -> None:
        self._pieces: dict[Fragment, _Piece] = {}
        # Fragments may differ in one of the two alone.
        self._listeners: dict[object, bytes] = {}
        self._routes: dict[RouteKey, bytes] = {}
        # Many clusters and route configurations differ in names alone.
        self._shapes: dict[object, bytes] = {}
        self._bootstraps: dict[int | None, bytes] = {}
        self._told: dict[Placed, tuple[_Piece, list[bytes]]] = {}
        self._by_makers: dict[tuple[Maker, ...], bytes] = {}
        self._by_maker: dict[Maker, bytes] = {}

    def release(self, proxy: Proxy, target: Target, revision: str | None = None, sensitive: bool = False) -> Release:
        """The release of a proxy for a host.

        `revision` names the state of the mesh it was made from; of a `sensitive` one, diffs show names only.
        """
        fill = _filler(proxy, target)
        made = [self._bootstrap(proxy, fill)]
        origins: list[bytes] = []
        lines: dict[str, list[bytes]] = {type_url: [] for type_url in _SORTS}
        routes: list[tuple[_Name, bytes]] = []
        read: set[str | None] = set()
        for type_url, named in proxy.resources.items():
            for name in sorted(named):
                placed = named[name]
                piece, told = self._told.get(placed) or self._tell(placed)
                lines[type_url].append(piece.line)
                routes += piece.routes
                read.add(piece.reads)
                # Envoy would never read those of a cluster that a patch has removed.
                if piece.endpoints is not None and name in read:
                    made.append(piece.endpoints)
                origins += told
        if routes:
            # Filled in together: JSON has no line feeds of its own, so that they can be told apart again.
            filled = fill(b"\n".join([content for _name, content in routes])).split(b"\n")
            made += [_file(name, content) for (name, _unfilled), content in zip(routes, filled, strict=True)]
        made.append(_file(_CDS, fill(_NEXT_LINE.join(lines[type_urls.CLUSTER]))))
        made.append(_file(_LDS, fill(_NEXT_LINE.join(lines[type_urls.LISTENER]))))
        return _release(proxy.dataplane, sorted(made), sorted(origins), revision, sensitive)

    def _tell(self, placed: Placed) -> tuple[_Piece, list[bytes]]:
        """A resource in JSON, and the lines of its origins."""
        piece = self._piece(placed.fragment)
        told = (piece, self._origin(placed, piece) if placed.makers else [])
        if placed.fragment.shared:
            self._told[placed] = told
        return told

    def _piece(self, fragment: Fragment) -> _Piece:
        piece = self._pieces.get(fragment)
        if piece is None:
            piece = self._serialise(fragment)
            if fragment.shared:
                self._pieces[fragment] = piece
        return piece

    def _bootstrap(self, proxy: Proxy, fill: Callable[[bytes], bytes]) -> _File:
        admin_port = proxy.dataplane.admin_port
        if admin_port not in self._bootstraps:
            self._bootstraps[admin_port] = template(bootstrap.bootstrap(admin_port))
        content = fill(self._bootstraps[admin_port])
        return _member(_BOOTSTRAP, hashlib.sha256(content).hexdigest(), content)

    def _serialise(self, fragment: Fragment) -> _Piece:
        if isinstance(fragment.key, ClusterKey):
            return _Piece(self._cluster(fragment.key), reads=fragment.key.name)
        if fragment.type_url == type_urls.CLUSTER:
            cluster = _typed(fragment.type_url, fragment.resource())
            return _Piece(template(files.cluster(cluster, file_name)), reads=files.endpoints(cluster))
        if fragment.type_url == type_urls.CLUSTER_LOAD_ASSIGNMENT:
            content = canonical(_typed(fragment.type_url, fragment.resource()))
            return _Piece(b"", endpoints=_file(_name(f"eds/{file_name(fragment.name)}"), content))
        if fragment.route is None:
            listener, routes = files.split_listener(_typed(fragment.type_url, fragment.resource()), file_name)
            return _Piece(
                template(listener),
                tuple(
                    (_name(f"rds/{file}"), template(_typed(type_urls.ROUTE_CONFIGURATION, route)))
                    for file, route in routes.items()
                ),
            )
        line = self._listeners.get(fragment.key)
        if line is None:
            listener = files.listener(fragment.build(fragment.key), fragment.route.name, file_name)
            line = self._listeners[fragment.key] = template(_typed(fragment.type_url, listener))
        return _Piece(line, ((_name(f"rds/{file_name(fragment.name)}"), self._route(fragment.route)),))

    def _cluster(self, key: ClusterKey) -> bytes:
        stat_name = names.stat(key.name)
        shape = (key._replace(name=tokens.CLUSTER), stat_name == key.name)
        text = self._shapes.get(shape)
        if text is None:
            resource = _typed(type_urls.CLUSTER, shape[0].fragment().resource())
            resource["altStatName"] = tokens.STAT_NAME
            if stat_name == key.name:
                del resource["altStatName"]
            text = self._shapes[shape] = template(files.cluster(resource, lambda _name: tokens.FILE))
        text = _put(text, tokens.CLUSTER, key.name)
        return _put(_put(text, tokens.STAT_NAME, stat_name), tokens.FILE, file_name(key.name))

    def _route(self, key: RouteKey) -> bytes:
        content = self._routes.get(key)
        if content is None:
            shape = key._replace(service=tokens.SERVICE, cluster=tokens.CLUSTER)
            text = self._shapes.get(shape)
            if text is None:
                text = template(_typed(type_urls.ROUTE_CONFIGURATION, shape.resource()))
                self._shapes[shape] = text
            content = _put(_put(text, tokens.SERVICE, key.service), tokens.CLUSTER, key.cluster)
            self._routes[key] = content
        return content

    def _origin(self, placed: Placed, piece: _Piece) -> list[bytes]:
        """Which items of policies made a resource, and the routes that were split off from it."""
        labels = [(_SORTS[placed.fragment.type_url], placed.fragment.name)]
        labels += [("route", file.text[len("rds/") :]) for file, _route in piece.routes]
        makers = self._makers(placed.makers)
        return [b'"%s/%s":%s' % (sort.encode(), _escaped(name), makers) for sort, name in labels]

    def _makers(self, makers: tuple[Maker, ...]) -> bytes:
        """What made a resource, in JSON. The cluster, the listener and the routes of a service often have the same."""
        found = self._by_makers.get(makers)
        if found is None:
            found = self._by_makers[makers] = b"[" + b",".join([self._maker(maker) for maker in makers]) + b"]"
        return found

    def _maker(self, maker: Maker) -> bytes:
        found = self._by_maker.get(maker)
        if found is None:
            found = self._by_maker[maker] = canonical(maker._asdict())
        return found


def _put(text: bytes, token: str, value: str) -> bytes:
    """A template with a text in place of a token."""
    return text.replace(token.encode(), _escaped(value))


@lru_cache(maxsize=100_000)
def _escaped(text: str) -> bytes:
    """What stands between the quotation marks of a text in JSON."""
    return canonical(text)[1:-1]


def _typed(type_url: str, resource: Mapping[str, Any]) -> dict[str, Any]:
    return {"@type": type_url, **resource}


def _file(name: _Name, lines: bytes) -> _File:
    """A file of resources. Its version is its digest, which leaves the version out."""
    # Canonical JSON has no line feeds of its own, so without them this is the file's canonical JSON.
    digest = hashlib.sha256(b'{"resources":[' + lines.replace(b"\n", b"") + b"]}").hexdigest()
    content = b'{"resources":[\n%s\n],"versionInfo":"%s"}' if lines else b'{"resources":[%s],"versionInfo":"%s"}'
    return _member(name, digest, content % (lines, digest.encode()))


def _member(name: _Name, digest: str, content: bytes) -> _File:
    return _File(name.text, digest, b'%s:"%s"' % (name.key, digest.encode()), name.key + b":" + content)


def _name(text: str) -> _Name:
    return _Name(text, canonical(text))


_BOOTSTRAP, _CDS, _LDS = _name("bootstrap"), _name("cds"), _name("lds")


def _filler(proxy: Proxy, target: Target) -> Callable[[bytes], bytes]:
    """Fills in the tokens of a template: the same as `tokens.fill` does in a resource."""
    values = {
        token.strip(tokens.MARK).encode(): canonical(value)[1:-1] for token, value in proxy.tokens(target).items()
    }

    def fill(text: bytes) -> bytes:
        parts = text.split(_MARK)
        parts[1::2] = [values[token] for token in parts[1::2]]
        return b"".join(parts)

    return fill


def _release(
    dataplane: Dataplane, files: list[_File], origins: list[bytes], revision: str | None, sensitive: bool
) -> Release:
    digests = {file.name: file.digest for file in files}
    identifier = release_id(digests)
    document = b"".join(
        (
            b'{"dataplane":%s,\n"digests":' % canonical(dataplane.name),
            _block([file.digest_member for file in files]),
            b',\n"files":',
            _block([file.file_member for file in files]),
            b',\n"format":%d,\n"id":"%s",\n"mesh":%s' % (FORMAT, identifier.encode(), canonical(dataplane.mesh)),
            b',\n"origins":',
            _block(origins),
            b',\n"revision":' + canonical(revision),
            b',\n"sensitive":true}\n' if sensitive else b"}\n",
        )
    )
    return Release(dataplane.mesh, dataplane.name, identifier, digests, document)


def _block(members: list[bytes]) -> bytes:
    return b"{\n" + _NEXT_LINE.join(members) + b"\n}" if members else b"{}"
