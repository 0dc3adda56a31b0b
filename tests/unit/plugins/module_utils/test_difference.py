# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs is shown resource by resource, without what may be a secret."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.meshsmith.universal.plugins.module_utils import _difference

Resource = dict[str, Any]


def cluster(headers: dict[str, str] | None = None, send: str = "", receive: tuple[str, ...] = ()) -> Resource:
    listed = [{"header": {"key": key, "value": value}} for key, value in (headers or {}).items()]
    return {
        "name": "backend",
        "healthChecks": [
            {"httpHealthCheck": {"path": "/", "requestHeadersToAdd": listed}},
            {"tcpHealthCheck": {"send": {"text": send}, "receive": [{"text": text} for text in receive]}},
        ],
    }


def shown(before: Resource | None, after: Resource | None) -> Resource:
    (entry,) = _difference.difference(
        {"cluster/backend": before} if before else {}, {"cluster/backend": after} if after else {}
    )
    return entry


def test_every_resource_counts_once() -> None:
    before = {"a": {"x": 1}, "b": {"x": 1}, "c": {"x": 1}}
    after = {"b": {"x": 1}, "c": {"x": 2}, "d": {"x": 1}}
    assert _difference.changes(before, after) == {"added": ["d"], "changed": ["c"], "removed": ["a"]}
    entries = _difference.difference(before, after)
    assert [(entry["before_header"], entry["before"], entry["after"]) for entry in entries] == [
        ("a", '{\n  "x": 1\n}\n', ""),
        ("c", '{\n  "x": 1\n}\n', '{\n  "x": 2\n}\n'),
        ("d", "", '{\n  "x": 1\n}\n'),
    ]


def test_secrets_are_hidden_and_changes_of_them_shown() -> None:
    before = cluster({"x-token": "s3cr3t", "x-kuma-tags": "&a=b&"}, send="aa01", receive=("aa02", "aa03"))
    after = cluster({"x-token": "s3cr3t-2", "X-Kuma-Tags": "&a=c&"}, send="aa01", receive=("aa02", "aa04"))
    entry = shown(before, after)
    text = json.dumps(entry)
    assert "s3cr3t" not in text
    assert "aa0" not in text
    assert "&a=b&" in entry["before"]
    assert "&a=c&" in entry["after"]
    assert "(hidden, changed)" not in entry["before"]
    assert entry["before"].count("(hidden)") == 4
    assert entry["after"].count("(hidden)") == 2
    assert entry["after"].count("(hidden, changed)") == 2


def test_a_change_of_nothing_but_secrets_is_never_empty() -> None:
    # Swapped, so that every single value was there before.
    entry = shown(cluster(receive=("aa02", "aa03")), cluster(receive=("aa03", "aa02")))
    assert entry["before"] != entry["after"]
    assert "aa0" not in json.dumps(entry)


def test_a_new_resource_shows_no_secrets() -> None:
    assert "s3cr3t" not in json.dumps(shown(None, cluster({"x-token": "s3cr3t"})))
    assert "s3cr3t" not in json.dumps(shown(cluster({"x-token": "s3cr3t"}), None))


def test_long_diffs_are_cut() -> None:
    long = shown(None, {"lines": list(range(5000))})["after"]
    assert long.count("\n") == _difference.MAX_LINES + 1
    assert "more lines not shown" in long
    many = _difference.difference({}, {f"cluster/{number:04}": {"x": number} for number in range(500)})
    assert len(many) == _difference.MAX_RESOURCES + 1
    assert many[-1]["after"] == "400 more resources differ and are not shown\n"


def test_words_without_secrets() -> None:
    resource = cluster({"x-token": "s3cr3t", "x-short": "ok"}, send="aa01")
    assert _difference.scrubbed("took s3cr3t and aa01", resource) == "took (hidden) and (hidden)"


def test_of_a_sensitive_release_only_names_are_shown() -> None:
    before = {"cluster/a": {"name": "a", "altStatName": "secret"}, "cluster/b": {"name": "b"}}
    after = {"cluster/a": {"name": "a", "altStatName": "another"}, "cluster/c": {"name": "secret"}}

    entries = _difference.difference(before, after, names_only=True)

    assert [entry["before_header"] for entry in entries] == ["cluster/a", "cluster/b", "cluster/c"]
    assert "secret" not in str(entries)
    assert "another" not in str(entries)
    assert all(entry["before"] != entry["after"] for entry in entries)
