# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A new kind of policy: a schema, a dataclass and a row in the table of kinds, and everything else works."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api, kinds
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import type_urls
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import CODES
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.kinds.policy_kind import (
    Effects,
    PolicyKind,
    Problem,
)
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.model.target_ref import TargetKind
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.protocol import Protocol
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.proxy import Compiler, Proxy

Load = Callable[..., api.Universe]


@dataclass(frozen=True)
class Color:
    name: str | None = None
    shades: tuple[int, ...] | None = None


@dataclass(frozen=True)
class BannerConf:
    banner_text: str | None = None
    color: Color | None = None


SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "required": ["targetRef"],
    "properties": {
        "targetRef": {"$ref": "target_ref.json"},
        "to": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["targetRef"],
                "properties": {
                    "targetRef": {"$ref": "target_ref.json"},
                    "default": {
                        "type": "object",
                        "additionalProperties": False,
                        "properties": {
                            "bannerText": {"type": "string"},
                            "color": {
                                "type": "object",
                                "properties": {
                                    "name": {"type": "string"},
                                    "shades": {"type": "array", "items": {"type": "integer"}},
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}


def check(conf: BannerConf) -> Iterator[Problem]:
    if conf.color is not None and conf.color.name == "mauve":
        yield Problem(CODES["MESH013"], ("color", "name"), "must not be mauve")


def on_connection_manager(manager: dict[str, Any], conf: BannerConf, protocol: Protocol) -> None:
    manager["banner"] = {"text": conf.banner_text, "protocol": protocol.value}


@pytest.fixture
def mesh_banner(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> PolicyKind:
    """The kind MeshBanner, which is allowed for MeshSubset and writes a banner into outbound connection managers."""
    (tmp_path / "meshbanner.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    kind = PolicyKind(
        name="MeshBanner",
        schema=str(tmp_path / "meshbanner"),
        conf=BannerConf,
        top=frozenset({TargetKind.MESH, TargetKind.MESH_SUBSET}),
        to=frozenset({TargetKind.MESH, TargetKind.MESH_SERVICE}),
        check=check,
        outbound=Effects(connection_manager=on_connection_manager),
    )
    monkeypatch.setitem(kinds.POLICY_KINDS, kind.name, kind)  # type: ignore[misc]
    return kind


MESH = """\
type: Dataplane
mesh: default
name: web-1
networking:
  address: 192.0.2.1
  inbound:
  - {port: 80, serviceAddress: 127.0.0.1, tags: {kuma.io/service: web, kuma.io/protocol: http, stage: test}}
  outbound:
  - {port: 10001, tags: {kuma.io/service: web}}
---
type: MeshHealthCheck
mesh: default
name: hc
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: Mesh}
    default: {http: {}}
"""
BANNERS = """\
type: MeshBanner
mesh: default
name: general
spec:
  targetRef: {kind: Mesh}
  to:
  - targetRef: {kind: Mesh}
    default: {bannerText: general, color: {name: red, shades: [1, 2]}}
---
type: MeshBanner
mesh: default
name: special
spec:
  targetRef: {kind: MeshSubset, tags: {stage: test}}
  to:
  - targetRef: {kind: MeshService, name: web}
    default: {bannerText: special, color: {shades: [3]}}
"""
WEB = api.DataplaneId("default", "web-1")
LISTENER = "outbound:127.0.0.1:10001"


@pytest.fixture
def universe(load_files: Load, mesh_banner: PolicyKind) -> api.Universe:
    universe = load_files({"mesh.yaml": MESH, "banners.yaml": BANNERS})
    assert universe.findings == ()
    assert mesh_banner.name in universe.indexes["default"].policies
    return universe


def test_the_kind_is_unknown_without_its_row(load_files: Load) -> None:
    findings = load_files({"mesh.yaml": MESH, "banners.yaml": BANNERS}).errors

    assert [finding.code for finding in findings] == ["MESH008", "MESH008"]


@pytest.mark.usefixtures("mesh_banner")
@pytest.mark.parametrize(
    ("replaced", "by", "finding"),
    [
        (
            "bannerText: general",
            "banerText: x",
            "8:15: MESH010 spec.to[0].default.banerText: unknown field; did you mean",
        ),
        ("[1, 2]", "[1, x]", "8:67: MESH012 spec.to[0].default.color.shades[1]: must be a whole number"),
        ("name: red", "name: mauve", "8:44: MESH013 spec.to[0].default.color.name: must not be mauve"),
        ("Subset", "Service", "14:15: MESH020 spec.targetRef.kind: must be one of Mesh, MeshSubset here"),
        ("name: special", "name: general", "12:1: MESH030 name: this MeshBanner is also in banners.yaml:3:1"),
        ("mesh: default", "mesh: other", "2:1: MESH031 mesh: there is no Mesh 'other'"),
    ],
)
def test_it_is_checked_like_every_other(load_files: Load, replaced: str, by: str, finding: str) -> None:
    universe = load_files({"mesh.yaml": MESH, "banners.yaml": BANNERS.replace(replaced, by, 1)})

    assert str(universe.findings[0]).startswith(f"banners.yaml:{finding}")


def test_it_is_matched_and_merged_like_every_other(universe: api.Universe) -> None:
    effective = api.effective(universe, "MeshBanner", WEB, "web")

    assert effective["conf"] == {"bannerText": "special", "color": {"name": "red", "shades": [3]}}
    assert {
        path: (field["policy"]["name"], [loser["name"] for loser in field["losers"]])
        for path, field in effective["fields"].items()
    } == {
        "bannerText": ("special", ["general"]),
        "color": ("special", ["general"]),
        "color.name": ("general", []),
        "color.shades": ("special", ["general"]),
    }
    assert [policy["name"] for policy in api.matched_policies(universe, WEB)] == ["hc", "general", "special"]


def manager_of(resources: dict[str, Any]) -> dict[str, Any]:
    [found] = resources[type_urls.LISTENER][LISTENER]["filterChains"][0]["filters"]
    config: dict[str, Any] = found["typedConfig"]
    return config


def test_it_takes_effect_where_it_says_and_nowhere_else(universe: api.Universe) -> None:
    with_banner = api.compile_proxy(universe, WEB)
    banner = manager_of(with_banner).pop("banner")
    index = universe.indexes["default"]
    without: Proxy = Compiler(index, {"MeshHealthCheck": kinds.POLICY_KINDS["MeshHealthCheck"]}).proxy(
        universe.dataplane(WEB), api.Target()
    )

    assert banner == {"text": "special", "protocol": "http"}
    assert with_banner == without.all_resources(api.Target())


def test_its_origins_are_in_the_release(universe: api.Universe) -> None:
    origins = json.loads(api.compile_release(universe, WEB).document)["origins"]

    def origin(kind: str, name: str, file: str) -> dict[str, str]:
        return {"kind": kind, "name": name, "file": file, "path": "spec.to[0].default"}

    banners = [origin("MeshBanner", "special", "banners.yaml"), origin("MeshBanner", "general", "banners.yaml")]
    assert origins == {
        "cluster/web": [origin("MeshHealthCheck", "hc", "mesh.yaml")],
        f"listener/{LISTENER}": banners,
        f"route/{LISTENER}": banners,
    }


def test_effects_come_in_the_order_of_the_table(universe: api.Universe, mesh_banner: PolicyKind) -> None:
    index = universe.indexes["default"]
    twice = replace(index, policies=dict.fromkeys(("A", "B"), index.policies["MeshBanner"]))

    def noting(name: str) -> PolicyKind:
        def note(manager: dict[str, Any], _conf: BannerConf, _protocol: Protocol) -> None:
            manager.setdefault("order", []).append(name)

        return replace(mesh_banner, name=name, outbound=Effects(connection_manager=note))

    for order in (["A", "B"], ["B", "A"]):
        compiler = Compiler(twice, {name: noting(name) for name in order})
        resources = compiler.proxy(universe.dataplane(WEB), api.Target()).all_resources(api.Target())
        assert manager_of(resources)["order"] == order
