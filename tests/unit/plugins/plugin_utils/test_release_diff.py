# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Release documents as diffs."""

from __future__ import annotations

import json

from ansible_collections.meshsmith.universal.plugins.plugin_utils._release_diff import release_diff


def cluster(name, **members):
    return {"name": name, **members}


def document(*clusters, bootstrap=None):
    files = {
        "bootstrap": bootstrap or {"node": {"id": "default.web"}},
        "cds": {"resources": list(clusters), "versionInfo": str(hash(str(clusters)))},
        "eds/backend": {"resources": [{"clusterName": "backend"}], "versionInfo": "1"},
    }
    return json.dumps({"files": files}).encode()


def diff(before, after, lines=1000, bodies=True):
    return release_diff("default/web", before, after, lines, bodies)


def test_only_resources_that_differ_are_shown_by_name():
    entry = diff(
        document(cluster("a"), cluster("b", connectTimeout="5s"), cluster("gone")),
        document(cluster("a"), cluster("b", connectTimeout="7s"), cluster("new")),
    )
    assert entry["before_header"] == entry["after_header"] == "default/web"
    shown = {
        side: [line for line in entry[side].splitlines() if not line.startswith(" ")] for side in ("before", "after")
    }
    assert shown == {"before": ["cluster b", "cluster gone"], "after": ["cluster b", "cluster new"]}
    assert '    "connectTimeout": "5s",' in entry["before"].splitlines()
    assert '    "connectTimeout": "7s",' in entry["after"].splitlines()


def test_a_new_document_is_all_additions_and_one_that_goes_all_removals():
    entry = diff(None, document(cluster("a")))
    assert entry["before"] == ""
    names = [line for line in entry["after"].splitlines() if not line.startswith(" ")]
    assert names == ["bootstrap", "cluster a", "endpoints backend"]
    assert diff(document(cluster("a")), None)["after"] == ""


def header(value):
    return cluster(
        "a",
        healthChecks=[{"httpHealthCheck": {"requestHeadersToAdd": [{"header": {"key": "x-token", "value": value}}]}}],
    )


def test_values_that_may_be_secret_are_hidden_and_their_change_is_not():
    entry = diff(document(header("old-secret")), document(header("new-secret")))
    assert "secret" not in json.dumps(entry)
    assert entry["before"] != entry["after"]
    assert "(hidden values differ)" in entry["after"]


def test_without_bodies_only_names_are_shown():
    entry = diff(document(cluster("a", connectTimeout="5s")), document(cluster("a", connectTimeout="7s")), bodies=False)
    assert entry["before"] == "cluster a (hidden)\n"
    assert entry["after"] == "cluster a (hidden) (hidden values differ)\n"


def test_a_long_diff_is_cut_between_resources_and_lists_the_rest():
    before = document(*(cluster(f"c{n:02}", connectTimeout="5s") for n in range(40)))
    after = document(*(cluster(f"c{n:02}", connectTimeout="7s") for n in range(40)))
    entry = diff(before, after, lines=50)
    assert entry["before"].count("\n") + entry["after"].count("\n") <= 51
    last = entry["after"].splitlines()[-1]
    assert last.startswith("(35 more not shown: cluster c05, cluster c06,")
    assert last.endswith("cluster c24, …)")
    assert "c05" not in entry["before"]
