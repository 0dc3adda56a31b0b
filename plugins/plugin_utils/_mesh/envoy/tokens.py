# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between two proxies that share a fragment stands in it as a token, filled in when fragments are joined.

Tokens hold a control character, which decoding keeps out of every text of the user, so no input can look like one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# Stands at both ends of a token.
MARK = "\x01"

# The value of the header x-kuma-tags: who sends the request.
SOURCE_TAGS = f"{MARK}source-tags{MARK}"
# The name and the service that an Envoy gives for itself.
NODE_ID = f"{MARK}node-id{MARK}"
NODE_CLUSTER = f"{MARK}node-cluster{MARK}"
# The directory on the host below which everything lives.
MESH_ROOT = f"{MARK}mesh-root{MARK}"

# What tells two clusters or route configurations apart that are the same otherwise; releases fill them in first.
SERVICE = f"{MARK}service{MARK}"
CLUSTER = f"{MARK}cluster{MARK}"
STAT_NAME = f"{MARK}stat-name{MARK}"
FILE = f"{MARK}file{MARK}"


def fill(value: Any, values: Mapping[str, str]) -> Any:
    """A copy of a resource with its tokens replaced."""
    if isinstance(value, dict):
        return {key: fill(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, values) for item in value]
    if isinstance(value, str) and MARK in value:
        for token, text in values.items():
            value = value.replace(token, text)
    return value


def source_tags(tag_set: Mapping[str, tuple[str, ...]]) -> str:
    """The header's value (Kuma: `tags.Serialize`): `&key=v1,v2&` for each key, keys and values sorted."""
    return "".join(f"&{key}={','.join(values)}&" for key, values in tag_set.items())
