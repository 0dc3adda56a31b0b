#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
"""Bring a host's Envoy to its compiled release; the work is done in module_utils."""

from __future__ import annotations

DOCUMENTATION = r"""
module: apply
short_description: Bring a host's Envoy to its compiled release
version_added: 0.1.0
description:
  - >-
    Takes the release that M(meshsmith.universal.compile) made for a dataplane, and brings the host's Envoy to it in one
    transaction. The release is staged, checked by the host's own Envoy binary, moved in make-before-break, and
    committed once Envoy has acknowledged it.
  - >-
    When a step fails, the former release is live again, and the message says which resource Envoy refuses and which
    policies made it.
  - On a host that already runs the release it is one round trip, and nothing is written.
  - >-
    The release travels as a file that only its owner can read, never as an argument, and only when the host does not
    hold it yet.
  - A first install starts the systemd unit. An Envoy that somebody stopped stays stopped.
author:
  - The meshsmith.universal authors (@meshsmith)
extends_documentation_fragment:
  - meshsmith.universal._attributes
attributes:
  check_mode:
    support: full
    details:
      - >-
        Writes nothing below O(root). The release is checked by the host's Envoy where it has one. RV(left_out) lists
        the checks that could not be made.
  diff_mode:
    support: full
    details:
      - >-
        Shows every resource that differs by itself. Values of headers (but for C(x-kuma-tags\)) and payloads of TCP
        health checks are shown as C((hidden\)), or as C((hidden, changed\)). Long diffs are cut.
  idempotent:
    support: full
options:
  dataplane:
    description:
      - The name of the dataplane that the host is.
      - When not set, it is the host variable C(mesh_dataplane_name) or, without that, the host's name in the inventory.
    type: str
  mesh_name:
    description:
      - The name of the dataplane's mesh.
      - When not set, it is the host variable C(mesh_name) or, without that, V(default).
    type: str
  artifacts_dir:
    description:
      - >-
        The directory on the controller with the releases, C(<mesh>/<dataplane>.json), as
        M(meshsmith.universal.compile) writes them.
      - >-
        Relative paths are relative to the directory of the playbook. In the playbooks of this collection, which are run
        by name, they are relative to the current directory.
      - Exactly one of O(artifacts_dir) and O(artifact) is required.
    type: path
  artifact:
    description: The path of the release on the controller, instead of O(artifacts_dir).
    type: path
  root:
    description: >-
      The directory on the host below which everything of the mesh lies. The release must have been compiled for it, see
      C(mesh_root) in M(meshsmith.universal.compile).
    type: path
    default: /etc/envoy/mesh
  envoy:
    description: The path of the Envoy binary on the host, of Envoy 1.36 or newer.
    type: path
    default: /usr/local/bin/envoy
  user:
    description:
      - The user that Envoy runs as. Checks run as this user.
      - >-
        Without root nobody can become somebody else. Then this is ignored, and files belong to the user of the task,
        who must be the one that Envoy runs as.
    type: str
    default: envoy
  group:
    description: The group of O(user), which may read releases. Ignored like O(user).
    type: str
    default: envoy
  unit:
    description:
      - The systemd unit that runs Envoy. A first install starts it.
      - >-
        An empty string means that nothing here starts Envoy. The release is put in place, and RV(pending_start) says
        that it waits.
    type: str
    default: envoy-mesh.service
  allow_restart:
    description:
      - Allow a restart of O(unit) where the bootstrap has changed, which a running Envoy cannot take over.
      - Without it such a release is refused.
    type: bool
    default: false
  timeout:
    description: >-
      How many seconds Envoy has to acknowledge a step, and to come up. Another run on the same host is waited for as
      long.
    type: int
    default: 30
  release:
    description:
      - What the controller's half of this action tells the host. It cannot be set in a task.
      - Id and digests of the release, and the path of the document once that was transferred.
    type: dict
notes:
  - >-
    Envoy watches every file of endpoints and routes, each by an inotify instance of its own, and aborts when it gets
    none. A host with more than about sixty HTTP outbounds needs a higher C(fs.inotify.max_user_instances) than the
    usual 128. A release for which it does not suffice is refused.
seealso:
  - module: meshsmith.universal.compile
"""

EXAMPLES = r"""
- name: Bring every host of the play to its release
  meshsmith.universal.apply:
    artifacts_dir: "{{ playbook_dir }}/releases"
  become: true

- name: Bring an Envoy of the current user, which no unit starts, to a release
  meshsmith.universal.apply:
    dataplane: web-1
    artifact: releases/default/web-1.json
    root: /home/demo/mesh
    envoy: /home/demo/bin/envoy
    unit: ""

- name: Apply a release with another bootstrap in a restart window
  meshsmith.universal.apply:
    artifacts_dir: releases
    allow_restart: true
  become: true
"""

RETURN = r"""
id:
  description: Id of the release that was to be applied.
  returned: success
  type: str
  sample: 6f1d0a4c2be95d38a1f7c0e4b6d29a55
previous:
  description: Id of the release that was committed before. Null on a host without one.
  returned: success
  type: str
status:
  description:
    - V(current), the host was there already.
    - V(applied), Envoy runs the release and has acknowledged it.
    - V(pending_start), the release is in place and Envoy does not run.
    - V(would_change), what check mode says where the release differs.
  returned: success
  type: str
  sample: applied
pending_start:
  description: Whether the release waits for Envoy to be started by somebody.
  returned: success
  type: bool
restarted:
  description: Whether Envoy was restarted, or would be.
  returned: when the release differs from the former one
  type: bool
resources:
  description:
    - >-
      The resources that differ from the former release, such as C(cluster/backend), C(endpoint/backend),
      C(listener/inbound:10.0.0.1:8080), C(route/outbound:127.0.0.1:10001) and C(bootstrap).
  returned: success
  type: dict
  contains:
    added:
      description: Resources that the former release did not have.
      type: list
      elements: str
    changed:
      description: Resources that both have, with different content.
      type: list
      elements: str
    removed:
      description: Resources that only the former release had.
      type: list
      elements: str
policies:
  description: >-
    The policies that took part in the release. On failure, those that made the resource that Envoy refuses, each with
    its C(path) in the document and, where the file is on the controller, its C(line).
  returned: when the release differs from the former one
  type: list
  elements: dict
  contains:
    kind:
      description: Kind of the policy.
      type: str
    name:
      description: Name of the policy.
      type: str
    file:
      description: File it was read from.
      type: str
notes:
  description: What the user should know, in sentences.
  returned: when there is something
  type: list
  elements: str
left_out:
  description: Checks that could not be made on this host, each with the reason.
  returned: when the release differs from the former one
  type: list
  elements: str
took_seconds:
  description: Step of the transaction to the seconds it took.
  returned: when the release was applied
  type: dict
  sample: {"check": 0.09, "stage": 0.01, "swap": 0.03, "commit": 0.001}
resource:
  description: Label of the resource that Envoy refuses.
  returned: on failure, when a resource is to blame
  type: str
  sample: cluster/backend
restored:
  description: Whether the former release is live again.
  returned: on failure, when the release was being moved in
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.meshsmith.universal.plugins.module_utils import _apply


def main():
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "dataplane": {"type": "str"},
            "mesh_name": {"type": "str"},
            "artifacts_dir": {"type": "path"},
            "artifact": {"type": "path"},
            "root": {"type": "path", "default": "/etc/envoy/mesh"},
            "envoy": {"type": "path", "default": "/usr/local/bin/envoy"},
            "user": {"type": "str", "default": "envoy"},
            "group": {"type": "str", "default": "envoy"},
            "unit": {"type": "str", "default": "envoy-mesh.service"},
            "allow_restart": {"type": "bool", "default": False},
            "timeout": {"type": "int", "default": 30},
            "release": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    wanted = module.params["release"]
    if not wanted:
        module.fail_json(msg="the release is read on the controller: apply cannot be called as a bare module")
    settings = _apply.Settings(module.params, check_mode=module.check_mode, diff=module._diff)
    try:
        result = _apply.apply(settings, wanted["id"], wanted["digests"], wanted.get("document"))
    except _apply.ApplyError as reason:
        module.fail_json(msg=str(reason), **reason.facts)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
