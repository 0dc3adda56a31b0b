# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
"""Documentation of the action `compile`, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: compile
short_description: Compile a mesh into one release document per dataplane
version_added: 0.1.0
description:
  - >-
    Turns Kuma resources into the Envoy configuration of every dataplane, and writes it to the controller as release
    documents, the artifacts that M(meshsmith.universal.apply) puts on the hosts.
  - Compile once per run, in a play of its own before the play that applies. It then costs each host nothing.
  - When the mesh has an error, it fails with all findings and writes nothing.
  - >-
    The same input makes the same bytes, whatever the order of files and hosts. A run with unchanged input costs
    reading and hashing it; several runs at a time wait for each other.
  - >-
    Artifacts of dataplanes that are no longer in the mesh are removed, but not in a run with C(--limit) or with
    O(slice). Such a run compiles only what its own hosts need.
author:
  - The meshsmith.universal authors (@meshsmith)
extends_documentation_fragment:
  - meshsmith.universal._attributes
  - meshsmith.universal._attributes.controller
  - meshsmith.universal._mesh
  - meshsmith.universal._mesh.hosts
  - meshsmith.universal._mesh.templates
attributes:
  check_mode:
    support: full
    details:
      - >-
        Artifacts that would change are written below Ansible's local temporary directory, which goes with the run,
        and RV(artifacts_dir) names that place.
  diff_mode:
    support: full
    details:
      - >-
        Shows the resources that differ, by name. Values of request headers and payloads of TCP health checks are not
        shown, and of a mesh with vaulted files nothing but the names of resources. Long diffs are cut.
  idempotent:
    support: full
options:
  artifacts_dir:
    description:
      - >-
        The directory for the artifacts, C(<mesh>/<dataplane>.json), and for C(<mesh>.policies.json), which says which
        policies and templates took part in which dataplane. Created if needed; only the owner can read what is written
        there.
      - Relative like O(mesh).
    type: path
    required: true
  max_removed:
    description:
      - >-
        Refuse to compile when the number of dataplanes has fallen by more than so many percent since the last
        artifacts. This catches a run that sees only a part of the inventory or of the mesh.
      - Set it to V(100) when they are meant to go.
    type: int
    default: 50
  revision:
    description:
      - >-
        The revision of the mesh's source, such as a commit. It is kept in the release documents and does not make
        another release.
    type: str
seealso:
  - module: meshsmith.universal.validate
  - module: meshsmith.universal.apply
"""

EXAMPLES = r"""
- name: Compile the mesh before anything is deployed
  meshsmith.universal.compile:
    mesh: mesh
    artifacts_dir: artifacts
  register: compiled

- name: Say what is new
  ansible.builtin.debug:
    msg: "{{ compiled.releases | dict2items | selectattr('value.changed') | map(attribute='key') | list }}"

- name: Compile the mesh together with Envoy resources of one's own
  meshsmith.universal.compile:
    mesh: mesh
    templates: templates
    artifacts_dir: artifacts

- name: Compile for the hosts of another group, and note the commit that a pipeline has checked out
  meshsmith.universal.compile:
    mesh: mesh
    artifacts_dir: artifacts
    hosts: production
    revision: "{{ lookup('ansible.builtin.env', 'CI_COMMIT_SHA') | default(omit, true) }}"
"""

RETURN = r"""
artifacts_dir:
  description: The directory that holds the artifacts of this run. In check mode it may be a temporary one.
  returned: success
  type: str
  sample: /home/user/site/artifacts
releases:
  description:
    - >-
      The release of every dataplane that was compiled, by the name of the dataplane, or by C(<mesh>/<dataplane>)
      where several meshes have one of that name.
  returned: success
  type: dict
  contains:
    id:
      description: The id of the release, a hash of its content.
      type: str
      returned: always
    mesh:
      description: The mesh of the dataplane.
      type: str
      returned: always
    path:
      description: The artifact.
      type: str
      returned: always
    changed:
      description: Whether the bytes of the artifact have changed, or would change.
      type: bool
      returned: always
    policies:
      description: >-
        The policies that took part, by kind and precedence, later ones override earlier ones, and the templates that
        yielded something.
      type: list
      elements: str
      returned: always
  sample:
    web-1:
      id: 4f0c3b1d9a7e4c55b2f4f2f7a3d3b1c0
      mesh: default
      path: /home/user/site/artifacts/default/web-1.json
      changed: true
      policies: [MeshHealthCheck everything, MeshHealthCheck backend, MeshRetry web-to-backend]
removed:
  description: Artifacts that were removed, or would be, as C(<mesh>/<dataplane>).
  returned: success
  type: list
  elements: str
  sample: [default/web-3]
dataplanes:
  description: How many dataplanes the mesh has.
  returned: success
  type: int
  sample: 3
msg:
  description: The findings as text, one line each after a line with their numbers, errors first. Long lists are cut.
  returned: always
  type: str
  sample: |-
    1 warning
    web.yaml:14:7: warning: MESH033 networking.outbound[0].tags["kuma.io/service"]: nobody offers the service 'cart'
counts:
  description: How many findings there are of each severity.
  returned: always
  type: dict
  contains:
    error:
      description: The number of errors.
      type: int
      returned: always
    warning:
      description: The number of warnings.
      type: int
      returned: always
    notice:
      description: The number of notices.
      type: int
      returned: always
  sample:
    error: 0
    warning: 1
    notice: 0
findings:
  description: >-
    All findings, sorted by the place where they are; their members are those of M(meshsmith.universal.validate).
  returned: always
  type: list
  elements: dict
  contains:
    code:
      description: What kind of finding it is.
      type: str
      returned: always
    severity:
      description: One of V(error), V(warning) and V(notice).
      type: str
      returned: always
    path:
      description: Where in the document it is.
      type: str
      returned: always
    message:
      description: What is wrong.
      type: str
      returned: always
    file:
      description: The file, the host or the variable that holds the document.
      type: str
      returned: always
    line:
      description: The line in the file, counted from 1; V(null) when there is none.
      type: int
      returned: always
    column:
      description: The column in the line, counted from 1; V(null) when there is none.
      type: int
      returned: always
    kind:
      description: The type of the resource.
      type: str
      returned: always
    name:
      description: The name of the resource.
      type: str
      returned: always
  sample: []
"""
