# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A release document is used whole and unchanged, or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.module_utils import _release
from ansible_collections.meshsmith.universal.plugins.module_utils._errors import DocumentError

ROOT = "/etc/envoy/mesh"
Document = dict[str, Any]


def source(key: str) -> Document:
    return {"pathConfigSource": {"path": f"{ROOT}/live/{key}.json"}}


def document() -> Document:
    files: Document = {
        "bootstrap": {
            "admin": {"address": {"pipe": {"path": f"{ROOT}/run/admin.sock"}}},
            "dynamicResources": {"cdsConfig": source("cds"), "ldsConfig": source("lds")},
        },
        "cds": {"resources": [{"name": "backend", "edsClusterConfig": {"edsConfig": source("eds/backend")}}]},
        "eds/backend": {"resources": [{"clusterName": "backend"}]},
        "lds": {
            "resources": [{"name": "outbound:127.0.0.1:1", "rds": {"configSource": source("rds/outbound:127.0.0.1:1")}}]
        },
        "rds/outbound:127.0.0.1:1": {"resources": [{"name": "outbound:backend"}]},
    }
    origin = {"kind": "MeshHealthCheck", "name": "hc", "file": "mesh/hc.yaml", "path": "spec.to[0].default"}
    return seal(
        {
            "dataplane": "web-1",
            "files": files,
            "format": 1,
            "mesh": "default",
            "origins": {"cluster/backend": [origin]},
            "revision": None,
        }
    )


def seal(content: Document) -> Document:
    """Digests as the written rule has them, not as the code under test computes them."""
    content["digests"] = {}
    for key, file in content["files"].items():
        file.pop("versionInfo", None)
        text = json.dumps(file, sort_keys=True, separators=(",", ":"))
        content["digests"][key] = hashlib.sha256(text.encode()).hexdigest()
        if key != "bootstrap":
            file["versionInfo"] = content["digests"][key]
    listing = "\n".join(f"{key} {content['digests'][key]}" for key in sorted(content["digests"]))
    content["id"] = hashlib.sha256(listing.encode()).hexdigest()[:32]
    return content


def parse(content: object) -> _release.Release:
    return _release.parse(json.dumps(content).encode())


def test_a_whole_document() -> None:
    release = parse(document())
    assert (release.mesh, release.dataplane) == ("default", "web-1")
    assert release.policies() == [{"kind": "MeshHealthCheck", "name": "hc", "file": "mesh/hc.yaml"}]
    _release.check_paths(release, ROOT)
    assert sorted(_release.resources(release.files)) == [
        "bootstrap",
        "cluster/backend",
        "endpoint/backend",
        "listener/outbound:127.0.0.1:1",
        "route/outbound:127.0.0.1:1",
    ]


def test_files_on_disk_carry_their_digest() -> None:
    release = parse(document())
    for key, digest in release.digests.items():
        data = release.data(key)
        assert json.loads(data) == release.files[key]
        assert _release.matches(key, data, digest)
        assert not _release.matches(key, data.replace(b"backend", b"backand").replace(b"admin", b"nimda"), digest) or (
            b"backend" not in data and b"admin" not in data
        )
        assert not _release.matches(key, data[:-1], digest)
        assert not _release.matches(key, data + b"\n", digest)


def test_resources_are_described_by_their_policies() -> None:
    release = parse(document())
    assert (
        release.describe("cluster/backend") == "cluster backend (MeshHealthCheck hc in mesh/hc.yaml spec.to[0].default)"
    )
    assert release.describe("listener/inbound:10.0.0.1:80") == "listener inbound:10.0.0.1:80"
    release.origins["cluster/backend"] *= 7
    assert release.describe("cluster/backend").endswith("; 2 more)")


def edited(content: Document) -> None:
    content["files"]["cds"]["resources"][0]["name"] = "other"


def other_version(content: Document) -> None:
    content["files"]["cds"]["versionInfo"] = "0" * 64


def other_digest(content: Document) -> None:
    content["digests"]["cds"] = content["files"]["cds"]["versionInfo"] = "0" * 64


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (edited, "cds does not match its digest"),
        (other_version, "cds does not match its digest"),
        (other_digest, "cds does not match its digest"),
        (lambda content: content["files"]["bootstrap"].update(node={}), "bootstrap does not match its digest"),
        (lambda content: content.update(id="0" * 32), "its id does not belong to its digests"),
        (lambda content: content["digests"].pop("cds"), "digests for other files than it holds"),
        (lambda content: content.update(format=2), "has format 2; this version reads 1"),
        (lambda content: content.pop("origins"), "no valid member 'origins'"),
        (lambda content: content.update(files=[]), "no valid member 'files'"),
        (lambda content: content["files"]["cds"].pop("resources"), "file cds .* named resources"),
        (lambda content: content["files"]["lds"]["resources"].append({}), "file lds .* named resources"),
        (lambda content: content["origins"].update({"cluster/backend": ["hc"]}), "where cluster/backend comes from"),
    ],
)
def test_what_was_changed_is_refused(change: Callable[[Document], None], words: str) -> None:
    content = document()
    change(content)
    with pytest.raises(DocumentError, match=words):
        parse(content)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[]", b"null", b"[" * 100_000])
def test_what_is_no_document_is_refused(data: bytes) -> None:
    with pytest.raises(DocumentError):
        _release.parse(data)


@pytest.mark.parametrize(
    "key",
    ["", "eds", "eds/", "eds/..", "eds/.", "eds/a/b", "../cds", "/etc/passwd", "eds/../../evil", "sds/a", "eds/a\0b"],
)
def test_keys_stay_below_the_release(key: str) -> None:
    content = document()
    content["files"][key] = content["files"]["eds/backend"]
    with pytest.raises(DocumentError, match="names a file that cannot be"):
        parse(seal(content))


@pytest.mark.parametrize("key", ["bootstrap", "cds", "lds"])
def test_needed_files(key: str) -> None:
    content = document()
    del content["files"][key]
    with pytest.raises(DocumentError, match=f"lacks {key}"):
        parse(seal(content))


def test_a_release_reads_what_it_holds_below_its_root() -> None:
    with pytest.raises(DocumentError, match="compiled for another mesh_root"):
        _release.check_paths(parse(document()), "/srv/mesh")
    content = document()
    content["files"]["eds/unread"] = {"resources": [{"clusterName": "unread"}]}
    with pytest.raises(DocumentError, match="files that no resource reads: eds/unread"):
        _release.check_paths(parse(seal(content)), ROOT)
    content = document()
    del content["files"]["eds/backend"]
    with pytest.raises(DocumentError, match=r"it reads /etc/envoy/mesh/live/eds/backend\.json"):
        _release.check_paths(parse(seal(content)), ROOT)
    content = document()
    content["files"]["bootstrap"]["admin"]["address"]["pipe"]["path"] = "/run/admin.sock"
    with pytest.raises(DocumentError, match=r"has its admin socket at /run/admin\.sock"):
        _release.check_paths(parse(seal(content)), ROOT)
