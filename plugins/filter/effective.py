# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter `effective`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: effective
short_description: The settings that apply between a dataplane and a service, and where they come from
version_added: 0.1.0
description:
  - >-
    Merges all policies of one kind that apply to a dataplane's traffic to a service, and says for each field which
    policy won.
  - >-
    Policies of kind V(MeshProxyPatch) are not merged and are about the whole proxy: for them, the modifications are
    listed in the order in which they are carried out, and no service is named.
author:
  - The meshsmith.universal authors (@meshsmith)
positional: _input, kind, dataplane, service
options:
  kind:
    description: The kind of policy, such as V(MeshHealthCheck) or V(MeshRetry).
    type: str
    required: true
  service:
    description:
      - The service that the dataplane talks to, as the value of its tag C(kuma.io/service).
      - Required for every kind but V(MeshProxyPatch).
    type: raw
extends_documentation_fragment:
  - meshsmith.universal._mesh.filter
  - meshsmith.universal._mesh.dataplane
seealso:
  - module: meshsmith.universal.explain
  - plugin: meshsmith.universal.timeouts
    plugin_type: filter
  - plugin: meshsmith.universal.circuit_breakers
    plugin_type: filter
  - plugin: meshsmith.universal.health_checks
    plugin_type: filter
  - plugin: meshsmith.universal.retry_policy
    plugin_type: filter
  - plugin: meshsmith.universal.envoy_resources
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Say which policy sets the interval between web-1 and backend
  ansible.builtin.debug:
    msg: "interval {{ interval.value }} comes from {{ interval.policy.name }} ({{ interval.policy.file }})"
  vars:
    interval: "{{ ('mesh' | meshsmith.universal.effective('MeshHealthCheck', 'web-1', 'backend')).fields.interval }}"
"""

RETURN = r"""
_value:
  description: The merged settings and their origin.
  type: dict
  contains:
    conf:
      description: The merged settings, in the terms of the policy's C(default).
      type: dict
      returned: of a kind that is merged
    fields:
      description: >-
        By the path of each field that is set, such as V(http.path): its C(value), the C(policy) it comes from
        (C(kind), C(name), and the place of the field in it: C(file), C(line), C(path)), and the C(losers), in the order
        in which they lost. A loser has the members of a policy, the C(value) that did not apply, and C(why) it did not.
      type: dict
      returned: of a kind that is merged
    modifications:
      description: >-
        The modifications of V(MeshProxyPatch), the last one to be carried out at the end: each C(modification) as it is
        written, and the C(policy) that it is in.
      type: list
      elements: dict
      returned: of V(MeshProxyPatch)
"""

from typing import Any

from jinja2 import pass_context

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge


@pass_context
def effective(
    context: Any, mesh: Any, kind: str, dataplane: str, service: Any = None, mesh_name: str | None = None
) -> dict[str, Any]:
    """The merged configuration with the policy behind each field."""
    with _edge.valid_mesh(context, mesh) as loaded:
        name, _tags = _edge.service_and_tags(service) if service is not None else (None, None)
        return _edge.api.effective(loaded.universe, kind, _edge.dataplane_of(loaded, dataplane, mesh_name), name)


class FilterModule:
    """The filter, for Ansible."""

    def filters(self) -> dict[str, Any]:
        return {"effective": effective}
