# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a host could not be brought to its release.

Private to this collection. The text of every one of them is a sentence for the user.
"""

from __future__ import annotations


class ApplyError(Exception):
    """The base of all of them. `facts` are members for the failed result, beside its message."""

    def __init__(self, message, **facts):
        super().__init__(message)
        self.facts = facts

    def add(self, sentence, **facts):
        """Append a sentence to the message, and facts to the facts."""
        self.args = (f"{self}. {sentence}",)
        self.facts.update(facts)


class DocumentError(ApplyError):
    """The release document must not be put on this host."""


class LayoutError(ApplyError):
    """The directories below the mesh root are not as they must be, or cannot be written."""


class EnvoyError(ApplyError):
    """The Envoy binary cannot run here, or its check cannot be made."""


class UnitError(ApplyError):
    """systemd does not know the unit, or cannot do what is asked."""


class AdminError(ApplyError):
    """Envoy listens on its admin socket, but does not answer as it should."""


class NotRunningError(AdminError):
    """Nothing listens on the admin socket."""


class NotAcknowledgedError(ApplyError):
    """Envoy neither applied nor refused a version in time."""


class RefusedError(ApplyError):
    """Envoy refuses a resource. `label` is its label (`cluster/backend`), None where it could not be found out."""

    def __init__(self, label, words):
        super().__init__(words)
        self.label = label
        self.words = words
