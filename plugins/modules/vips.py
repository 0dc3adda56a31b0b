# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
"""Documentation of the action `vips`, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: vips
short_description: Give every service of a mesh a virtual IP, and remember it
version_added: 0.2.0
description:
  - >-
    Applications whose traffic is redirected reach a service by its virtual IP. This keeps the virtual IPs of a mesh in
    one file, a part of the mesh that belongs under version control. M(meshsmith.universal.compile) only reads it.
  - >-
    Every service that a dataplane offers gets an address, whether the dataplane is healthy or not. An address that a
    service has is never changed, and those of services that are gone are not given to others before O(forget) says so.
  - >-
    An address follows from the names of mesh and service alone, as long as it is free. Branches on which different
    services are added can therefore be merged. If a merge should leave an address with two services, run this once
    more: the first service by name keeps the address, the other one gets a new one.
  - >-
    Nothing is written when the mesh would have an error with the new file. Missing and shared virtual IPs, which are
    errors as well, are therefore no obstacle.
author:
  - The meshsmith.universal authors (@meshsmith)
extends_documentation_fragment:
  - meshsmith.universal._attributes
  - meshsmith.universal._attributes.controller
  - meshsmith.universal._mesh
  - meshsmith.universal._mesh.hosts
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details:
      - Shows the file as it was and as it is.
  idempotent:
    support: full
options:
  mesh_name:
    description: The mesh whose services get addresses; needed only where there are several.
    type: str
  file:
    description:
      - The file of the virtual IPs, which ends in C(.yaml) or C(.yml), and holds nothing else. Its comments are lost.
      - >-
        When not set, it is the file in which they are now. Where there is none yet, and O(mesh) is one directory, it is
        C(virtual-ips-<mesh>.yaml) in this directory.
      - >-
        The file has to be a part of the mesh: in a directory that O(mesh) names, or named by it. Where O(mesh) holds
        documents, the file is read with them.
      - Relative like O(mesh).
    type: path
  cidr:
    description:
      - >-
        The IPv4 network that virtual IPs are taken from. When not set, it stays what it is, and is V(240.0.0.0/4) in a
        new file.
      - Services whose address is not in the network get a new one.
    type: str
  forget:
    description:
      - >-
        Take out the addresses of services that no dataplane offers. They may then be given to other services, and
        clients that still know them would reach those.
      - Not possible in a O(slice).
    type: bool
    default: false
seealso:
  - module: meshsmith.universal.compile
"""

EXAMPLES = r"""
- name: Give the services of the mesh their virtual IPs
  meshsmith.universal.vips:
    mesh: mesh
  register: vips

- name: Say what is to be committed
  ansible.builtin.debug:
    msg: "{{ vips.file }} has {{ vips.added | length }} more"
  when: vips is changed

- name: Take addresses from a range of one's own, and forget services that are gone
  meshsmith.universal.vips:
    mesh:
      - mesh/platform
      - mesh/shop
      - virtual-ips.yaml
    file: virtual-ips.yaml
    cidr: 10.240.0.0/16
    forget: true
"""

RETURN = r"""
file:
  description: The file of the virtual IPs.
  returned: success
  type: str
  sample: /home/user/site/mesh/virtual-ips-default.yaml
mesh:
  description: The mesh of the services.
  returned: success
  type: str
  sample: default
cidr:
  description: The network that the addresses are taken from.
  returned: success
  type: str
  sample: 240.0.0.0/4
added:
  description: Services that had no address, by name, with the one they get.
  returned: success
  type: dict
  sample:
    backend: 252.29.109.30
kept:
  description: Services that keep their address, by name, those that are gone among them.
  returned: success
  type: dict
  sample:
    web: 246.130.144.169
moved:
  description: >-
    Services that get another address, by name: their address was not in the network, or was that of another service
    too.
  returned: success
  type: dict
  contains:
    before:
      description: The address that the service had.
      type: str
      returned: always
    after:
      description: The address that it gets.
      type: str
      returned: always
  sample: {}
forgotten:
  description: Services that were taken out, by name, with the address that they had.
  returned: success
  type: dict
  sample: {}
gone:
  description: Services that no dataplane offers, and whose addresses are remembered.
  returned: success
  type: list
  elements: str
  sample: [cart]
msg:
  description: >-
    The findings about the mesh with the new file as text, one line each after a line with their numbers, errors first.
    Long lists are cut.
  returned: always
  type: str
  sample: no findings
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
    warning: 0
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
