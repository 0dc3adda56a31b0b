# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What differs between two sets of resources, and how it may be shown.

Private to this collection. Header values and TCP payloads can hold credentials, so they never leave the host: they are
shown as hidden, and a hidden value that changed is shown as changed.
"""

from __future__ import annotations

import json

HIDDEN = "(hidden)"
HIDDEN_CHANGED = "(hidden, changed)"
SHOWN_HEADERS = ("x-kuma-tags",)
MAX_RESOURCES = 100
MAX_LINES = 400

_HEADER_LISTS = ("requestHeadersToAdd", "responseHeadersToAdd", "initialMetadata")
_PAYLOAD_MEMBERS = ("text", "binary")


def changes(before, after):
    """Return the labels of added, changed and removed resources, sorted, as a dict of three lists."""
    return {
        "added": sorted(label for label in after if label not in before),
        "changed": sorted(label for label in after if label in before and after[label] != before[label]),
        "removed": sorted(label for label in before if label not in after),
    }


def secrets(value):
    """Return the set of all values below `value` that must not be shown, each with the name it goes by."""
    found = set()
    _redact(value, lambda name, text: found.add((name, text)) or text)
    return found


def scrubbed(text, value):
    """Return a text of Envoy's without the secrets below `value`; very short values would tear its words apart."""
    for secret in sorted((found for _name, found in secrets(value) if len(found) > 3), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    return text


def redacted(value, known=None):
    """Return a copy in which secret values are hidden; those not in `known` (the former's `secrets`) as changed."""
    return _redact(value, lambda name, text: HIDDEN if known is None or (name, text) in known else HIDDEN_CHANGED)


def _redact(value, replace):
    if isinstance(value, list):
        return [_redact(item, replace) for item in value]
    if not isinstance(value, dict):
        return value
    copy = {}
    for key, item in value.items():
        if key in _HEADER_LISTS and isinstance(item, list):
            copy[key] = [_redact_header(option, replace) for option in item]
        elif key == "tcpHealthCheck":
            copy[key] = _redact_payloads(item, replace)
        else:
            copy[key] = _redact(item, replace)
    return copy


def _redact_header(option, replace):
    header = option.get("header") if isinstance(option, dict) else None
    if not isinstance(header, dict) or str(header.get("key", "")).lower() in SHOWN_HEADERS:
        return option
    hidden = {
        member: replace(str(header.get("key")), value)
        if member in ("value", "rawValue") and isinstance(value, str)
        else value
        for member, value in header.items()
    }
    return dict(option, header=hidden)


def _redact_payloads(value, replace, name="tcp"):
    if isinstance(value, list):
        return [_redact_payloads(item, replace, name) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        key: replace(name, item)
        if key in _PAYLOAD_MEMBERS and isinstance(item, str)
        else _redact_payloads(item, replace, key if key in ("send", "receive") else name)
        for key, item in value.items()
    }


def _text(value):
    lines = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False).split("\n")
    if len(lines) > MAX_LINES:
        lines[MAX_LINES:] = [f"... {len(lines) - MAX_LINES} more lines not shown"]
    return "\n".join(lines) + "\n"


def difference(before, after, names_only=False):
    """Return Ansible's `diff` of label -> resource before and after: one redacted entry for each that differs."""
    listed = changes(before, after)
    labels = sorted(listed["added"] + listed["changed"] + listed["removed"])
    entries = []
    for label in labels[:MAX_RESOURCES]:
        entry = {"before_header": label, "after_header": label, "before": "", "after": ""}
        if names_only:
            entry["before"] = HIDDEN + "\n" if label in before else ""
            entry["after"] = HIDDEN_CHANGED + "\n" if label in after else ""
            entries.append(entry)
            continue
        if label in before:
            entry["before"] = _text(redacted(before[label]))
        if label in after:
            entry["after"] = _text(redacted(after[label], secrets(before[label]) if label in before else None))
            if label in before and entry["before"] == entry["after"]:
                entry["after"] = _text(redacted(after[label], set()))
        entries.append(entry)
    if len(labels) > MAX_RESOURCES:
        more = f"{len(labels) - MAX_RESOURCES} more resources differ and are not shown\n"
        entries.append({"before_header": "...", "after_header": "...", "before": "", "after": more})
    return entries
