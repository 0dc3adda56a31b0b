# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Envoy says against a configuration, put in a form that can be read, compared and shown.

Private to this collection. Envoy's words hold random white space, come in several forms, and repeat the configuration,
which may hold secrets and is never shown.
"""

from __future__ import annotations

import re

from ansible_collections.meshsmith.universal.plugins.module_utils._errors import RefusedError

MAX_LENGTH = 500

_CONSTRAINT = re.compile(r"Proto constraint validation failed \((.*?)\)\s*$", re.DOTALL | re.MULTILINE)
_JSON_ERROR = re.compile(
    r"@ ?([A-Za-z0-9_.\[\]]+): message [\w.]+, near [\d:]+ \(offset \d+\): (.*?)\)(?: has unknown fields|: \{|$)"
)
_JSON_REASON = re.compile(r"\(INVALID_ARGUMENT: (.*?)\)(?:: \{|$)")
_FATAL = re.compile(r"\[critical\]\[main\] .* error `([^`]*)` initializing config")
_NEXT_LINE = re.compile(r"\n(?=\[\d{4}-\d\d-\d\d )")
_LOGGED = re.compile(r"(cluster|listener) '([^']*)' config rejected: (.*)")


def split(words):
    """Return (path, reason) of what Envoy says about a configuration, without the configuration that it repeats.

    `path` is `staticResources.clusters[1].healthChecks[0].timeout`, empty where Envoy names none.
    """
    constraint = _CONSTRAINT.search(words)
    if constraint:
        return _constraint_path(" ".join(constraint.group(1).split()))
    # Envoy puts its input after the reason, and random white space between the words.
    text = " ".join(words.split())
    found = _JSON_ERROR.search(text)
    if found:
        return found.group(1), found.group(2)
    found = _JSON_REASON.search(text)
    if found:
        return "", found.group(1)
    if "goo.gle/debug" in text:
        # The configuration in another form, and the reason behind it.
        text = text.rpartition("}")[2].lstrip(": ") or "it repeats the configuration and names no reason"
    return "", text.split(": {", 1)[0][:MAX_LENGTH]


def _constraint_path(text):
    """Make path and reason of `AValidationError.StaticResources: … | caused by BValidationError.Clusters[1]: …`."""
    steps = []
    reason = ""
    for part in text.split(" | caused by "):
        where, _colon, reason = part.partition(": ")
        member = where.partition("ValidationError.")[2]
        steps.append(member[:1].lower() + member[1:])
    return ".".join(step for step in steps if step), reason


def refusal_in(log):
    """Return the RefusedError for the last refusal in Envoy's own log, None where it holds none."""
    fatal = _FATAL.findall(log)
    if fatal:
        return RefusedError(None, _sentence(fatal[-1]))
    named = _LOGGED.findall(log)
    if named:
        kind, name, words = named[-1]
        return RefusedError(f"{kind}/{name}", _sentence(words))
    _before, found, words = log.rpartition("Filesystem config update ")
    if found and words.startswith(("rejected: ", "failed: ", "failure: ")):
        return RefusedError(None, _sentence(_NEXT_LINE.split(words.partition(": ")[2])[0]))
    return None


def _sentence(words):
    return ": ".join(part for part in split(words) if part)
