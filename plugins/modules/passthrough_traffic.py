#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
"""Ask a host's Envoy what leaves the mesh through it; the work is done in module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
module: passthrough_traffic
short_description: See whether, and where to, traffic leaves the mesh through a host's Envoy
version_added: 0.2.0
description:
  - >-
    Redirected traffic that is for no service of the mesh passes a host's Envoy as long as its Mesh has
    C(networking.outbound.passthrough), which is the default. This reads Envoy's counters of that traffic twice, a
    while apart, and the log of where it went, if the host has one.
  - >-
    With O(artifacts_dir) it answers whether a release that is about to be applied would block such traffic: the host
    is asked only when the release switches passthrough off.
  - Nothing is changed. It needs the rights to open Envoy's admin socket, that is root or Envoy's user.
author:
  - The meshsmith.universal authors (@meshsmith)
extends_documentation_fragment:
  - meshsmith.universal._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  root:
    description: The directory on the host below which everything of the mesh lies, as for M(meshsmith.universal.apply).
    type: path
    default: /etc/envoy/mesh
  window:
    description: How many seconds lie between the two looks at the counters. Where passthrough is off, one look will do.
    type: int
    default: 10
  destinations:
    description: How many destinations RV(destinations) has at most.
    type: int
    default: 20
  timeout:
    description: How many seconds Envoy's admin interface has for an answer.
    type: int
    default: 5
  artifacts_dir:
    description:
      - >-
        The directory on the controller with the releases, as for M(meshsmith.universal.apply). When it is set and the
        host's release does not switch passthrough off, the host is not asked at all.
    type: path
  artifact:
    description: The path of the release on the controller, instead of O(artifacts_dir).
    type: path
  dataplane:
    description:
      - The name of the dataplane that the host is. Used with O(artifacts_dir).
      - When not set, it is the host variable C(mesh_dataplane_name) or, without that, the host's name in the inventory.
    type: str
  mesh_name:
    description:
      - The name of the dataplane's mesh. Used with O(artifacts_dir).
      - When not set, it is the host variable C(mesh_name) or, without that, V(default).
    type: str
notes:
  - Envoy's counters begin at zero when it starts; RV(uptime) says how long ago that was.
  - >-
    The log is written where the host variable C(mesh_passthrough_log) says so. Where the live Envoy writes it is found
    out from that Envoy.
seealso:
  - module: meshsmith.universal.apply
  - plugin: meshsmith.universal.passthrough
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Look whether anything leaves the mesh through this host's Envoy
  meshsmith.universal.passthrough_traffic:
    window: 3
  register: traffic

- name: Tell it
  ansible.builtin.debug:
    msg: "{{ traffic.summary }}"

- name: Compile the mesh
  meshsmith.universal.compile:
    mesh: mesh
    artifacts_dir: artifacts

- name: Look whether the new release of web-1 would block anything
  meshsmith.universal.passthrough_traffic:
    artifacts_dir: artifacts
    dataplane: web-1
  register: traffic

- name: Refuse to do so
  ansible.builtin.assert:
    that: traffic.status not in ["used", "in_use"]
    fail_msg: "{{ traffic.summary }}"
"""

RETURN = r"""
status:
  description:
    - V(in_use), connections are open or came within the window.
    - V(used), there were connections since Envoy started, but none are open and none came within the window.
    - V(unused), there was none since Envoy started.
    - V(off), Envoy refuses such traffic.
    - V(not_transparent), no traffic is redirected to this Envoy.
    - V(not_running), Envoy does not run.
    - V(not_asked), the release does not switch passthrough off, so the host was not asked.
  returned: success
  type: str
  sample: in_use
summary:
  description: All of it in one line, which begins with the name of the host.
  returned: success
  type: str
  sample: >-
    web-1: 12 connections left the mesh since Envoy started 3 h ago, 2 of them in 10 s, 1 open; to 192.0.2.7:5432
    (12 connections, last 2026-03-02T09:13:22.120Z)
connections:
  description: How many connections Envoy has made to destinations outside of the mesh since it started.
  returned: when Envoy answered
  type: int
  sample: 12
new_connections:
  description: How many of them were made within the window.
  returned: when Envoy answered
  type: int
  sample: 2
active:
  description: How many of them are open.
  returned: when Envoy answered
  type: int
  sample: 1
sent:
  description: How many bytes they have sent to their destinations.
  returned: when Envoy answered
  type: int
  sample: 81022
received:
  description: How many bytes have come from there.
  returned: when Envoy answered
  type: int
  sample: 40313
refused:
  description: How many connections Envoy has refused since it started because passthrough is off.
  returned: when Envoy answered
  type: int
  sample: 0
uptime:
  description: How many seconds ago Envoy started.
  returned: when Envoy answered
  type: int
  sample: 10920
log:
  description: The log of destinations that this Envoy writes. Null where it writes none.
  returned: when Envoy answered
  type: str
  sample: /var/log/envoy/passthrough.log
log_problem:
  description: Why the log says nothing. Null where there is no log, or no problem.
  returned: when Envoy answered
  type: str
destinations:
  description: >-
    What the log says, as far as it goes back, those with most connections first. A connection to the listener of a
    service does not count.
  returned: when Envoy answered
  type: list
  elements: dict
  contains:
    destination:
      description: Address and port.
      type: str
      sample: 192.0.2.7:5432
    connections:
      description: How many connections were made to it, or failed there.
      type: int
      sample: 12
    refused:
      description: How many connections to it Envoy has refused because passthrough is off.
      type: int
      sample: 0
    sent:
      description: How many bytes were sent to it, by connections that have ended.
      type: int
      sample: 81022
    received:
      description: How many bytes were received from it, by connections that have ended.
      type: int
      sample: 40313
    last:
      description: When the newest of them began.
      type: str
      sample: "2026-03-02T09:13:22.120Z"
destinations_left_out:
  description: How many more destinations there are.
  returned: when Envoy answered
  type: int
  sample: 0
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.meshsmith.universal.plugins.module_utils import _passthrough
from ansible_collections.meshsmith.universal.plugins.module_utils._admin import Admin
from ansible_collections.meshsmith.universal.plugins.module_utils._errors import AdminError
from ansible_collections.meshsmith.universal.plugins.module_utils._layout import Layout


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "root": {"type": "path", "default": "/etc/envoy/mesh"},
            "window": {"type": "int", "default": 10},
            "destinations": {"type": "int", "default": 20},
            "timeout": {"type": "int", "default": 5},
            "artifacts_dir": {"type": "path"},
            "artifact": {"type": "path"},
            "dataplane": {"type": "str"},
            "mesh_name": {"type": "str"},
        },
        supports_check_mode=True,
    )
    for name in ("window", "destinations"):
        if module.params[name] < 0:
            module.fail_json(msg=f"{name} must not be negative")
    admin = Admin(Layout(os.path.normpath(module.params["root"])).admin_socket, module.params["timeout"])
    try:
        result = _passthrough.traffic(admin, module.params["window"], module.params["destinations"])
    except AdminError as reason:
        module.fail_json(msg=str(reason))
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
