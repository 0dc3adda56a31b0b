# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the actions of this collection support; private to this collection."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode, and then says what a real run would do.
  diff_mode:
    description: Returns what has changed, or would change, when Ansible runs with C(--diff).
  idempotent:
    description: Run again with the same input, it changes nothing.
  action_group:
    description: >-
      Use C(group/meshsmith.universal.mesh) in C(module_defaults) to set options of all actions of this collection.
    support: full
    membership:
      - meshsmith.universal.mesh
"""

    CONTROLLER = r"""
options: {}
attributes:
  action:
    description: Does its work on the controller. It needs no connection to a host and no Python there.
    support: full
  async:
    description: Can be used with C(async).
    support: none
"""
