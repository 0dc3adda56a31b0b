# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tags, as dataplanes carry them and targets select by them (Kuma 2.7, `validators.go`)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..findings import Path, Severity, code
from .reader import Reader

WRONG_TAG = code(
    "MESH024",
    Severity.ERROR,
    "a tag is missing or has characters that Kuma refuses",
    "Every inbound, outbound and gateway names its service in `kuma.io/service`.",
)

_KEY = re.compile(r"[a-zA-Z0-9.\-_:/]+", re.ASCII)
_VALUE = re.compile(r"[a-zA-Z0-9.\-_:]+", re.ASCII)


def check_tags(reader: Reader, at: Path, tags: Mapping[str, str]) -> None:
    """Report tags whose name or value Kuma refuses."""
    for key in sorted(tags):
        path = (*at, key)
        if not key:
            reader.report(WRONG_TAG, at, "must not have a tag without a name")
        elif not _KEY.fullmatch(key):
            reader.report(WRONG_TAG, path, "must have a name of letters, digits and . - _ : /")
        if not tags[key]:
            reader.report(WRONG_TAG, path, "must not be empty")
        elif not is_tag_value(tags[key]):
            reader.report(WRONG_TAG, path, "must consist of letters, digits and . - _ :")


def is_tag_value(text: str) -> bool:
    """Whether a tag may have this value."""
    return _VALUE.fullmatch(text) is not None
