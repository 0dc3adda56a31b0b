# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged documents are judged as Kuma judges them, at the same places, and findings point into the document."""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.findings import Finding, Severity, format_path

from .conftest import FIGURE
from .exemptions import EXEMPTIONS, Exemption, Steps, changed_place, steps
from .facts import SERVICE_TAG
from .recordings import Mutation, Resource, mutations

MESH = {"type": "Mesh", "name": "default", "skipCreatingInitialPolicies": ["*"]}


@functools.cache
def _findings(name: str) -> tuple[Finding, ...]:
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "document.yaml")
        file.write_text(_text(mutations()[name]))
        beside = [MESH, *_virtual_ips(mutations()[name].document)]
        universe = api.load(paths=[str(file)], documents=[api.document(document, file="mesh") for document in beside])
    return tuple(finding for finding in universe.findings if finding.source.file == str(file))


def _virtual_ips(document: Resource) -> list[Resource]:
    """An address for each service of a Dataplane: a control plane would give it one."""
    services = _services(document) if document["type"] == "Dataplane" else ()
    addresses = {service: f"240.0.0.{number}" for number, service in enumerate(services)}
    return [{"type": "VirtualIPs", "mesh": document["mesh"], "services": addresses}] if addresses else []


def _services(value: Any) -> Iterator[str]:
    """What a damaged document has as names of services, wherever it has them."""
    if isinstance(value, dict):
        service = value.get(SERVICE_TAG)
        yield from (service,) if isinstance(service, str) and service else ()
    for member in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _services(member)


def _text(mutation: Mutation) -> str:
    return yaml.safe_dump(mutation.document, sort_keys=False)


@functools.cache
def _judge(name: str) -> tuple[list[str], set[Exemption]]:
    """What is judged otherwise than by Kuma, and which exemptions it takes that it is not more."""
    mutation = mutations()[name]
    errors = [finding for finding in _findings(name) if finding.severity is Severity.ERROR]
    rows = {finding: _exemption(mutation, steps(finding.path)) for finding in errors}
    own = [finding for finding, row in rows.items() if row is None]
    exempt = {row for row in rows.values() if row is not None}
    if not mutation.refused:
        return [f"Kuma accepts it, we say {finding}" for finding in own], exempt
    problems, needed = [], set()
    if not own:
        # Refused, but is it for what Kuma refuses?
        needed = exempt & {_exemption(mutation, changed_place(change)) for change in mutation.changed}
        if not needed:
            problems.append(f"Kuma refuses it: {mutation.detail}")
    places = {steps(finding.path) for finding in errors}
    for path, reason in mutation.invalid:
        if path and _place(mutation, path) not in places:
            row = _exemption(mutation, _place(mutation, path))
            if row in exempt:
                needed.add(row)
            else:
                problems.append(f"Kuma refuses {path}: {reason}; we say {[*map(str, errors)]}")
    return problems, needed


def _place(mutation: Mutation, path: str) -> Steps:
    """What Kuma means by a path: its own checks of a MeshRetry put a `conf` into it that no document has."""
    place = steps(path)
    return place[:4] + place[5:] if mutation.document["type"] == "MeshRetry" and place[4:5] == ("conf",) else place


def _exemption(mutation: Mutation, place: Steps) -> Exemption | None:
    return next((row for row in EXEMPTIONS if row.covers(mutation, place)), None)


@pytest.mark.parametrize("name", mutations())
def test_judges_like_kuma(name: str, record_property: Callable[[str, object], None]) -> None:
    mutation = mutations()[name]
    problems, used = _judge(name)

    assert not problems, f"{mutation.changed}\n{_text(mutation)}"
    how = ", ".join(sorted(exemption.name for exemption in used)) or "without exemption"
    record_property(f"{FIGURE}{mutation.document['type']} mutations judged alike, {how}", 1)


@pytest.mark.parametrize("name", mutations())
def test_findings_point_into_the_document(name: str) -> None:
    root = yaml.compose(_text(mutations()[name]))

    for finding in _findings(name):
        assert (finding.source.line, finding.source.column) in _places(root, finding.path), finding


@pytest.mark.parametrize("exemption", EXEMPTIONS, ids=lambda exemption: exemption.name)
def test_every_exemption_is_needed(exemption: Exemption) -> None:
    assert any(exemption in _judge(name)[1] for name in mutations())


def _places(root: yaml.Node, path: str) -> set[tuple[int, int]]:
    """Where the key and the value of the innermost node stand that there is on the way to `path`, counted from 1."""
    node, places, found = root, {_mark(root)}, ""
    while found != path:
        steps = [step for step in _members(node, found) if _leads_to(step[0], path)]
        if not steps:
            break
        found, key, node = steps[0]
        places = {_mark(key), _mark(node)}
    return places


def _leads_to(prefix: str, path: str) -> bool:
    return path == prefix or path.startswith((f"{prefix}.", f"{prefix}["))


def _members(node: yaml.Node, path: str) -> list[tuple[str, yaml.Node, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        return [(path + _step(key.value, path), key, value) for key, value in node.value]
    if isinstance(node, yaml.SequenceNode):
        return [(f"{path}[{index}]", value, value) for index, value in enumerate(node.value)]
    return []


def _step(member: str, path: str) -> str:
    text = format_path((member,))
    return f".{text}" if path and not text.startswith("[") else text


def _mark(node: Any) -> tuple[int, int]:
    return node.start_mark.line + 1, node.start_mark.column + 1
