# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The release document: what one host is to run, and the proof that nobody changed it on the way.

Private to this collection. Runs on the controller (in the action `apply`) and on the hosts.

A document holds `files` (key -> content), a digest for every file, an `id` made from the digests, and `origins`, which
say per resource which policies made it. A file's key is also its path: `eds/backend` lies on disk as
`eds/backend.json`.
"""

from __future__ import annotations

import hashlib
import json
import re

from ansible_collections.meshsmith.universal.plugins.module_utils._errors import DocumentError

FORMAT = 1
REQUIRED_FILES = ("bootstrap", "cds", "lds")
MAX_NAMED = 5

_MEMBERS = {
    "dataplane": str,
    "digests": dict,
    "files": dict,
    "format": int,
    "id": str,
    "mesh": str,
    "origins": dict,
}
_HEX_ID = re.compile(r"[0-9a-f]{32}\Z")
_FOLDER_KEY = re.compile(r"(eds|rds)/([^/\x00]{1,240})\Z")


def canonical(value):
    """Return the bytes that digests are taken over: JSON with sorted keys, no white space, ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def release_id(digests):
    """Return the id that belongs to these digests (key -> hex)."""
    listing = "\n".join(f"{key} {digests[key]}" for key in sorted(digests))
    return hashlib.sha256(listing.encode("utf-8")).hexdigest()[:32]


def is_release_id(text):
    """Say whether the text has the form of a release id."""
    return bool(_HEX_ID.match(text))


def check_keys(keys):
    """Raise DocumentError when a key could name a file outside of its release, or when a needed one is missing."""
    for key in keys:
        if key in REQUIRED_FILES:
            continue
        match = _FOLDER_KEY.match(key)
        if not match or match.group(2) in (".", ".."):
            raise DocumentError(f"the release document names a file that cannot be: {key!r}")
    missing = [key for key in REQUIRED_FILES if key not in keys]
    if missing:
        raise DocumentError(f"the release document lacks {', '.join(missing)}")


def _digest(key, content):
    if key == "bootstrap":
        return hashlib.sha256(canonical(content)).hexdigest()
    return hashlib.sha256(canonical({"resources": content["resources"]})).hexdigest()


def matches(key, data, digest):
    """Say whether `data`, a file as this collection writes it, has the digest. Nothing is parsed.

    A file on disk is canonical JSON, in which `versionInfo` (the digest itself) comes last, as a suffix to cut off.
    """
    if key == "bootstrap":
        return hashlib.sha256(data).hexdigest() == digest
    suffix = f',"versionInfo":"{digest}"}}'.encode("ascii")
    return data.endswith(suffix) and hashlib.sha256(data[: -len(suffix)] + b"}").hexdigest() == digest


class Release:
    """One verified release document.

    `files` maps keys to contents, `digests` keys to hex digests, `origins` labels (`cluster/backend`) to policies. Of a
    `sensitive` one, made of a mesh with encrypted values, resources are shown by name only.
    """

    def __init__(self, document):
        self.id = document["id"]
        self.mesh = document["mesh"]
        self.dataplane = document["dataplane"]
        self.digests = document["digests"]
        self.files = document["files"]
        self.origins = document["origins"]
        self.sensitive = document.get("sensitive") is True

    def data(self, key):
        """Return the bytes of a file as they go to disk."""
        return canonical(self.files[key])

    def data_by_key(self):
        """Return key -> bytes of all files."""
        return {key: self.data(key) for key in self.files}

    def policies(self):
        """Return the policies that took part, each once, as dicts of kind, name and file."""
        seen = {}
        for origins in self.origins.values():
            for origin in origins:
                policy = {"kind": origin["kind"], "name": origin["name"], "file": origin["file"]}
                seen[tuple(policy.values())] = policy
        return [seen[key] for key in sorted(seen)]

    def describe(self, label):
        """Return a resource and where it comes from: `cluster backend (MeshHealthCheck hc in mesh/hc.yaml spec)`."""
        words = label.replace("/", " ", 1)
        origins = [
            f"{origin['kind']} {origin['name']} in {origin['file']} {origin['path']}".rstrip()
            for origin in self.origins.get(label, [])
        ]
        if len(origins) > MAX_NAMED:
            origins[MAX_NAMED:] = [f"{len(origins) - MAX_NAMED} more"]
        return f"{words} ({'; '.join(origins)})" if origins else words


def parse(data):
    """Return the Release in the bytes of a document; raise DocumentError when it is not exactly what was compiled."""
    try:
        document = json.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as reason:
        raise DocumentError(f"the release document is not whole: {reason}") from reason
    if not isinstance(document, dict):
        raise DocumentError("the release document is not a JSON object")
    found = document.get("format")
    if found != FORMAT:
        raise DocumentError(f"the release document has format {found!r}; this version reads {FORMAT}")
    for member, kind in _MEMBERS.items():
        if not isinstance(document.get(member), kind):
            raise DocumentError(f"the release document has no valid member {member!r}")
    release = Release(document)
    _check_origins(release.origins)
    check_keys(release.files)
    if set(release.files) != set(release.digests):
        raise DocumentError("the release document lists digests for other files than it holds")
    for key in sorted(release.files):
        _check_file(key, release.files[key], release.digests[key])
    if release_id(release.digests) != release.id:
        raise DocumentError("the release document was changed: its id does not belong to its digests")
    return release


def well_formed(key, content):
    """Say whether the content of a file has the form that its key asks for."""
    if key == "bootstrap":
        return isinstance(content, dict)
    return (
        isinstance(content, dict)
        and set(content) == {"resources", "versionInfo"}
        and isinstance(content["resources"], list)
        and all(
            isinstance(resource, dict) and isinstance(resource.get(_name_member(key)), str)
            for resource in content["resources"]
        )
    )


def _check_file(key, content, digest):
    if not well_formed(key, content):
        raise DocumentError(f"file {key} of the release document does not consist of a version and named resources")
    if _digest(key, content) != digest or content.get("versionInfo", digest) != digest:
        raise DocumentError(f"the release document was changed: {key} does not match its digest")


def _check_origins(origins):
    for label, policies in origins.items():
        well_formed = isinstance(policies, list) and all(
            isinstance(policy, dict)
            and all(isinstance(policy.get(member), str) for member in ("kind", "name", "file", "path"))
            for policy in policies
        )
        if not well_formed:
            raise DocumentError(f"the release document does not say properly where {label} comes from")


def _name_member(key):
    return "clusterName" if key.startswith("eds/") else "name"


def label(key, resource):
    """Return how messages and results call a resource of the file `key`; also its key in `origins`.

    Routes are called after their listener, which is also the name of their file.
    """
    if key.startswith("rds/"):
        return "route/" + key[len("rds/") :]
    kind = {"cds": "cluster", "lds": "listener"}.get(key, "endpoint")
    return f"{kind}/{resource[_name_member(key)]}"


def resources(files):
    """Return label -> resource over all files (key -> content); the bootstrap counts as one resource."""
    found = {}
    for key, content in files.items():
        if key == "bootstrap":
            found[key] = content
        else:
            for resource in content["resources"]:
                found[label(key, resource)] = resource
    return found


def check_paths(release, root):
    """Raise DocumentError unless what the release reads lies below this mesh root, and is exactly what it holds."""
    live = root + "/live/"
    used = {"bootstrap"}
    for path in _config_paths(release.files):
        key = path[len(live) : -len(".json")]
        if path != live + key + ".json" or key not in release.files:
            raise DocumentError(
                f"the release was compiled for another mesh_root: it reads {path}, the root here is {root}"
            )
        used.add(key)
    unused = sorted(set(release.files) - used)
    if unused:
        raise DocumentError(f"the release document holds files that no resource reads: {', '.join(unused)}")
    admin = release.files["bootstrap"].get("admin", {})
    socket = admin.get("address", {}).get("pipe", {}).get("path") if isinstance(admin, dict) else None
    if socket != root + "/run/admin.sock":
        raise DocumentError(f"the release has its admin socket at {socket}, not at {root}/run/admin.sock")


def _config_paths(value):
    """Yield the path of every `pathConfigSource` below a value."""
    if isinstance(value, list):
        for item in value:
            yield from _config_paths(item)
    elif isinstance(value, dict):
        for key, item in value.items():
            if key == "pathConfigSource":
                yield item.get("path") if isinstance(item, dict) and isinstance(item.get("path"), str) else ""
            else:
                yield from _config_paths(item)
