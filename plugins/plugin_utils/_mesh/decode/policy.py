# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""targetRef policies of any kind (Kuma 2.7, `ValidateTargetRef` and the validator of each kind)."""

from __future__ import annotations

import re
from typing import Any

from ..findings import Path, Severity, code, did_you_mean
from ..kinds.policy_kind import PolicyKind
from ..model.meshproxypatch import Modification
from ..model.policies import Item, Origin, Policy
from ..model.target_ref import ProxyType, TargetKind, TargetRef
from ..schema import MISSING, UNKNOWN_FIELD, UNSUPPORTED, WRONG_COUNT
from .conf import decode_conf
from .envelope import FIELDS, check_envelope, content
from .reader import Reader
from .tags import check_tags

TARGET_REF = code("MESH020", Severity.ERROR, "a targetRef does not fit its kind", "See the message for what fits.")

_NAME = re.compile(r"[0-9a-z.\-_]*", re.ASCII)


def decode_policy(reader: Reader, value: dict[str, Any], kind: PolicyKind) -> Policy | None:
    """A policy, or None where findings say why not."""
    fits = check_policy(reader, value)
    # Without `spec` Kuma misses the kind of target; the schema would miss its parent.
    spec = value.get("spec", {"targetRef": {}})
    if not reader.conforms(kind.schema, spec, ("spec",)):
        return None
    if kind.lists and not any(spec.get(name) for name in kind.lists):
        if len(kind.lists) == 1:
            reader.report(WRONG_COUNT, ("spec", *kind.lists), "must have at least one item")
        else:
            reader.report(WRONG_COUNT, ("spec",), f"must have at least one item in {' or '.join(kind.lists)}")
    target_ref = decode_target_ref(reader, ("spec", "targetRef"), spec["targetRef"], kind.top, kind.not_yet)
    to = _items(reader, ("spec", "to"), spec.get("to", []), kind, kind.to)
    from_ = _items(reader, ("spec", "from"), spec.get("from", []), kind, kind.from_)
    if not (fits and reader.sound) or target_ref is None:
        return None
    return make_policy(reader, value, target_ref, to, from_)


def check_policy(reader: Reader, value: dict[str, Any]) -> bool:
    """Report what is wrong around the `spec`; whether the envelope can be used."""
    for key in content(value):
        if key != "spec":
            reader.report(UNKNOWN_FIELD, (key,), f"unknown field{did_you_mean(key, (*FIELDS, 'spec'))}")
    return check_envelope(reader, value)


def make_policy(
    reader: Reader,
    value: dict[str, Any],
    target_ref: TargetRef,
    to: tuple[Item, ...] = (),
    from_: tuple[Item, ...] = (),
    modifications: tuple[Modification, ...] = (),
) -> Policy:
    """A policy of a sound document."""
    labels = value.get("labels", {})
    return Policy(
        kind=reader.kind,
        mesh=value["mesh"],
        name=reader.name,
        origin=Origin(labels.get("kuma.io/origin", "")),
        shadow=labels.get("kuma.io/effect") == "shadow",
        target_ref=target_ref,
        to=to,
        from_=from_,
        document=reader.document,
        modifications=modifications,
    )


def _items(
    reader: Reader, at: Path, items: list[Any], kind: PolicyKind, allowed: frozenset[TargetKind]
) -> tuple[Item, ...]:
    decoded = (_item(reader, (*at, index), item, kind, allowed) for index, item in enumerate(items))
    return tuple(item for item in decoded if item is not None)


def _item(
    reader: Reader, at: Path, item: dict[str, Any], kind: PolicyKind, allowed: frozenset[TargetKind]
) -> Item | None:
    target_ref = decode_target_ref(reader, (*at, "targetRef"), item["targetRef"], allowed)
    conf: Any = decode_conf(kind.conf, item.get("default", {}))
    for problem in kind.check(conf):
        reader.report(problem.code, (*at, "default", *problem.path), problem.message)
    return None if target_ref is None else Item(target_ref, conf, (*at, "default"))


def decode_target_ref(
    reader: Reader,
    at: Path,
    written: dict[str, Any],
    allowed: frozenset[TargetKind],
    not_yet: frozenset[str] = frozenset(),
) -> TargetRef | None:
    """A targetRef that may be of the kinds `allowed`, or None where findings say why not."""
    kind = _target_kind(reader, (*at, "kind"), written.get("kind", ""), allowed, not_yet)
    if kind is None:
        return None
    name, tags = written.get("name", ""), written.get("tags", {})
    named = kind in (TargetKind.MESH_SERVICE, TargetKind.MESH_SERVICE_SUBSET)
    tagged = kind in (TargetKind.MESH_SUBSET, TargetKind.MESH_SERVICE_SUBSET)
    refused = {
        "mesh": bool(written.get("mesh")),
        "name": bool(name) and not named,
        "tags": bool(tags) and not tagged,
        "proxyTypes": bool(written.get("proxyTypes")) and named,
    }
    for field, wrong in refused.items():
        if wrong:
            reader.report(TARGET_REF, (*at, field), f"must not be set with kind {kind.value}")
    if named and not name:
        reader.report(TARGET_REF, (*at, "name"), f"must be set with kind {kind.value}")
    elif named and not _NAME.fullmatch(name):
        reader.report(TARGET_REF, (*at, "name"), "must consist of a-z, 0-9, '.', '-' and '_'")
    if tagged:
        check_tags(reader, (*at, "tags"), tags)
    proxy_types = frozenset(ProxyType(proxy_type) for proxy_type in written.get("proxyTypes", ()))
    return TargetRef(kind, name or None, tuple(sorted(tags.items())), proxy_types)


def _target_kind(
    reader: Reader, at: Path, written: str, allowed: frozenset[TargetKind], not_yet: frozenset[str]
) -> TargetKind | None:
    if not written:
        reader.report(MISSING, at, "must be set")
    elif written in not_yet:
        what = {"MeshGateway": "builtin gateways (MeshGateway)", "MeshHTTPRoute": "routes (MeshHTTPRoute)"}[written]
        reader.report(UNSUPPORTED, at, f"not supported yet: {what}")
    elif written not in {kind.value for kind in allowed}:
        names = ", ".join(kind.value for kind in TargetKind if kind in allowed)
        reader.report(TARGET_REF, at, f"must be one of {names} here")
    else:
        return TargetKind(written)
    return None
