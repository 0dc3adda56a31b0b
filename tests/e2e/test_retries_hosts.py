# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which instance of a service MeshRetry sends a request to the second time.

Envoy takes the instances in turn. So that this alone never leads a retry to where it has to go, the turn of a retry is
made to be that of a sick instance; the services without `hostSelection` show that it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from lab.http_apps import Answer, HttpApp, Request
from lab.polling import eventually
from lab.services import ServicesLab

ATTEMPTS = 8
V1, V2 = {"version": "v1"}, {"version": "v2"}
OMIT_V1 = {"predicate": "OmitHostsWithTags", "tags": V1}

Conf = dict[str, Any]

# Services with a sick instance and one that is well.
PAIRS: dict[str, Conf] = {
    "any": {},
    "not-previous": {"hostSelection": [{"predicate": "OmitPreviousHosts"}]},
}
# Services with three sick instances v1 and then one v2 that is well.
VERSIONS: dict[str, Conf] = {
    "any-version": {},
    "not-v1-by-default-attempts": {"hostSelection": [OMIT_V1]},
    "not-v1": {"hostSelection": [OMIT_V1], "hostSelectionMaxAttempts": 10},
    "not-v3": {"hostSelection": [{**OMIT_V1, "tags": {"version": "v3"}}], "hostSelectionMaxAttempts": 10},
    "not-previous-nor-v1": {
        "hostSelection": [{"predicate": "OmitPreviousHosts"}, OMIT_V1],
        "hostSelectionMaxAttempts": 10,
    },
}
PRIORITIES = {"hostSelection": [{"predicate": "OmitPreviousPriorities"}], "numRetries": 2}


@pytest.fixture(scope="module")
def mesh() -> Iterator[ServicesLab]:
    with ServicesLab() as lab:
        for service, conf in PAIRS.items():
            lab.add(service, HttpApp("sick"))
            lab.add(service, HttpApp("well"))
            lab.retry(service, http={"numRetries": 1, **conf})
        for service, conf in VERSIONS.items():
            for tags in (V1, V1, V1, V2):
                lab.add(service, HttpApp("sick" if tags == V1 else "well"), tags=tags)
            lab.retry(service, http={"numRetries": 1, **conf})
        lab.add("priorities", HttpApp("well"))
        lab.retry("priorities", http=PRIORITIES)
        lab.start()
        yield lab


def wait_for_the_first_turn(mesh: ServicesLab, service: str) -> None:
    """Until the next turn is that of the service's first instance; nobody is sick yet."""
    for app in mesh.apps[service]:
        app.reply = lambda _request: Answer(200)
    eventually(lambda: mesh.web.get(service).body == "well")


def answers(mesh: ServicesLab, service: str) -> list[int]:
    return [mesh.web.get(service).status for _attempt in range(ATTEMPTS)]


@pytest.mark.parametrize(("service", "status"), [("any", 503), ("not-previous", 200)])
def test_previous_hosts(mesh: ServicesLab, service: str, status: int) -> None:
    sick, _well = mesh.apps[service]
    meanwhile = []

    def fail_after_the_turn_of_the_other(_request: Request) -> Answer:
        meanwhile.append(mesh.web.get(service).body)
        return Answer(503)

    wait_for_the_first_turn(mesh, service)
    sick.reply = fail_after_the_turn_of_the_other
    assert answers(mesh, service) == [status] * ATTEMPTS
    # Every request was the sick one's first, and without `hostSelection` its second time too.
    assert meanwhile == ["well"] * (ATTEMPTS if status == 200 else 2 * ATTEMPTS)


@pytest.mark.parametrize(
    ("service", "statuses"),
    [
        ("any-version", {200, 503}),
        ("not-v3", {200, 503}),
        # Looks for another instance once, and finds the third of the sick ones.
        ("not-v1-by-default-attempts", {200, 503}),
        ("not-v1", {200}),
        ("not-previous-nor-v1", {200}),
    ],
)
def test_hosts_with_tags(mesh: ServicesLab, service: str, statuses: set[int]) -> None:
    wait_for_the_first_turn(mesh, service)
    first, *others, _well = mesh.apps[service]
    for app in (first, *others):
        app.reply = lambda _request: Answer(503)
    before = len(first.taken), sum(len(app.taken) for app in others)

    assert set(answers(mesh, service)) == statuses

    tried = len(first.taken) - before[0], sum(len(app.taken) for app in others) - before[1]
    if statuses == {200}:
        # A first try goes to any instance, a retry to none with the tags.
        assert tried == (ATTEMPTS, 0)
    else:
        assert all(tried)


def test_previous_priorities(mesh: ServicesLab) -> None:
    app = mesh.app("priorities")
    left = iter([Answer(503), Answer(503)])
    app.reply = lambda _request: next(left, Answer(200))

    assert mesh.web.get("priorities").status == 200
    assert len(app.taken) == 3
    assert mesh.retry_policy("priorities")["retryPriority"]["typedConfig"]["updateFrequency"] == 2
