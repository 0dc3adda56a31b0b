# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Policy kinds, one module each, and the table of them in the order in which Kuma applies them (`ordered.go`).

MeshProxyPatch is not in the table: its policies are not merged, and change what all the others have made.
"""

from __future__ import annotations

from . import meshcircuitbreaker, meshhealthcheck, meshretry, meshtimeout
from .policy_kind import Kinds

POLICY_KINDS: Kinds = {
    kind.name: kind
    for kind in (
        meshtimeout.KIND,
        meshcircuitbreaker.KIND,
        meshhealthcheck.KIND,
        meshretry.KIND,
    )
}
