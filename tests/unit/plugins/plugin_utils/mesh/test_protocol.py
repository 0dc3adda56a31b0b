# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocols: what tags say, and what a service speaks whose endpoints do not agree."""

from __future__ import annotations

import itertools

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.protocol import Protocol, combine

# Kuma's table, but that an untagged endpoint (last row and column) counts as tcp; a control plane says unknown there.
TAGS = ("http", "http2", "grpc", "kafka", "tcp", None)
TABLE = {
    "http": ("http", "tcp", "tcp", "tcp", "tcp", "tcp"),
    "http2": ("tcp", "http2", "http2", "tcp", "tcp", "tcp"),
    "grpc": ("tcp", "http2", "grpc", "tcp", "tcp", "tcp"),
    "kafka": ("tcp", "tcp", "tcp", "kafka", "tcp", "tcp"),
    "tcp": ("tcp", "tcp", "tcp", "tcp", "tcp", "tcp"),
    None: ("tcp", "tcp", "tcp", "tcp", "tcp", "tcp"),
}


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [(one, other, both) for one in TAGS for other, both in zip(TAGS, TABLE[one], strict=True)],
)
def test_two_endpoints(one: str | None, other: str | None, both: str) -> None:
    assert combine([Protocol.of_tag(one), Protocol.of_tag(other)]) is Protocol(both)


def test_several_endpoints_are_combined_in_any_grouping() -> None:
    known = [Protocol.of_tag(tag) for tag in TAGS]
    for one, two, three in itertools.product(known, repeat=3):
        assert (
            combine([one, two, three]) is combine([combine([one, two]), three]) is combine([one, combine([two, three])])
        )


def test_a_service_without_endpoints_has_no_protocol() -> None:
    assert combine([]) is Protocol.UNKNOWN


@pytest.mark.parametrize("tag", ["http2", "HTTP2", "Http2"])
def test_the_case_of_a_tag_does_not_matter(tag: str) -> None:
    assert Protocol.of_tag(tag) is Protocol.HTTP2


def test_which_protocols_are_read_as_http() -> None:
    assert [protocol.value for protocol in Protocol if protocol.is_http] == ["http", "http2", "grpc"]
