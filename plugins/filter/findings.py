# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `findings`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: findings
short_description: The findings of a mesh, as a list
version_added: 0.1.0
description:
  - What M(meshsmith.universal.validate) finds in a mesh, for use in C(assert), C(when) and templates.
  - Documents that are wrong are findings, never a failure of the filter.
author:
  - The meshsmith.universal authors (@meshsmith)
positional: _input
extends_documentation_fragment:
  - meshsmith.universal._mesh.filter
seealso:
  - module: meshsmith.universal.validate
"""

EXAMPLES = r"""
- name: Stop when the mesh has errors
  ansible.builtin.assert:
    that: errors | length == 0
    fail_msg: "{{ errors | map(attribute='message') | list }}"
  vars:
    errors: "{{ 'mesh' | meshsmith.universal.findings | selectattr('severity', 'eq', 'error') | list }}"

- name: Look at documents that are held in a variable
  ansible.builtin.debug:
    msg: "{{ documents | meshsmith.universal.findings | map(attribute='code') | list }}"
  vars:
    documents:
      - type: Mesh
        name: default
        skipCreatingInitialPolicies: ["*"]
"""

RETURN = r"""
_value:
  description: >-
    The findings, sorted by the place where they are. Each has C(code), C(severity) (V(error), V(warning) or
    V(notice)), C(path), C(message), C(file), C(line), C(column), C(kind) and C(name), as
    RV(meshsmith.universal.validate#module:findings) describes them.
  type: list
  elements: dict
"""

from typing import Any

from jinja2 import pass_context

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge


@pass_context
def findings(context: Any, mesh: Any) -> list[dict[str, Any]]:
    """All findings of the mesh as plain mappings."""
    missing = _edge.missing_packages()
    if missing:
        return [finding.as_dict() for finding in missing]
    return [finding.as_dict() for finding in _edge.load_for_filter(context, mesh).findings]


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"findings": findings}
