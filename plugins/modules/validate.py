# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
"""Documentation of the action `validate`, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: validate
short_description: Check a mesh of Kuma resources
version_added: 0.1.0
description:
  - >-
    Checks Kuma resources (Mesh, Dataplane, policies) one by one and against each other, and the inventory's
    hosts against
    the dataplanes.
  - Fails when there is an error. All findings of a run are returned together, each with the place where the mistake is.
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
      - It changes nothing in any mode.
  diff_mode:
    support: N/A
    details:
      - It changes nothing.
  idempotent:
    support: full
options:
  strict:
    description:
      - Whether warnings make it fail too. Notices never do.
    type: bool
    default: false
seealso:
  - module: meshsmith.universal.compile
  - plugin: meshsmith.universal.findings
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Check the mesh directory beside the playbook
  meshsmith.universal.validate:
    mesh: mesh

- name: Check several directories, and let warnings count
  meshsmith.universal.validate:
    mesh:
      - mesh/platform
      - mesh/shop
    strict: true

- name: Check documents that are held in a variable
  meshsmith.universal.validate:
    mesh:
      - type: Mesh
        name: default
        skipCreatingInitialPolicies: ["*"]
      - type: Dataplane
        mesh: default
        name: web-1
        networking:
          address: 192.0.2.10
          inbound:
            - port: 8080
              servicePort: 18080
              serviceAddress: 127.0.0.1
              tags:
                kuma.io/service: web
                kuma.io/protocol: http
"""

RETURN = r"""
msg:
  description: The findings as text, one line each after a line with their numbers, errors first. Long lists are cut.
  returned: always
  type: str
  sample: |-
    1 error
    mesh/hc.yaml:12:9: MESH021 spec.to[0].default.interval: must be greater than zero
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
    error: 1
    warning: 0
    notice: 0
findings:
  description: All findings, sorted by the place where they are.
  returned: always
  type: list
  elements: dict
  contains:
    code:
      description: What kind of finding it is. A code never gets another meaning.
      type: str
      returned: always
    severity:
      description: One of V(error), V(warning) and V(notice).
      type: str
      returned: always
    path:
      description: Where in the document it is; empty when it is about the document as a whole.
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
      description: The type of the resource, such as V(MeshHealthCheck); empty when it has none.
      type: str
      returned: always
    name:
      description: The name of the resource; empty when it has none.
      type: str
      returned: always
  sample:
    - code: MESH021
      severity: error
      path: spec.to[0].default.interval
      message: must be greater than zero
      file: mesh/hc.yaml
      line: 12
      column: 9
      kind: MeshHealthCheck
      name: hc
"""
