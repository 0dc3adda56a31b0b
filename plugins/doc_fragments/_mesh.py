# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The option `mesh` and what goes with it; private to this collection. The argument specs stand beside the actions."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  mesh:
    description:
      - >-
        The mesh, as Kuma resources in their Universal form. Policies with a C(targetRef) may also have their Kubernetes
        form, and Kubernetes Services are taken as hints about protocols.
      - A path, a list of paths, or a list of documents (mappings) held in a variable.
      - >-
        A path is a file, which may hold several documents, or a directory, which is searched with its subdirectories
        for C(*.yaml), C(*.yml) and C(*.json).
      - >-
        Relative paths are relative to the directory of the playbook. In the playbooks of this collection, which are
        run by name, they are relative to the current directory.
      - Vaulted files and V(!vault) values are decrypted with the vault secrets of the run.
    type: raw
    required: true
"""

    HOSTS = r"""
options:
  hosts:
    description:
      - >-
        The hosts that run dataplanes, as a host pattern over the whole inventory. C(--limit) does not narrow it: the
        endpoints of one host are what the others must know.
      - >-
        The host variable C(mesh_dataplane) holds the C(networking) of a host's Dataplane. It is named after the host,
        or as C(mesh_dataplane_name) says, and belongs to the mesh C(mesh_name), which is V(default) when not set.
      - >-
        Without C(mesh_dataplane) the host runs the Dataplane of its name, or of C(mesh_dataplane_name), from O(mesh).
        A host without a dataplane is an error, a dataplane without a host a notice.
      - >-
        C(mesh_root) (where the mesh lives on the host, V(/etc/envoy/mesh) when not set) and C(mesh_envoy_has_kafka)
        (whether its Envoy has the Kafka filter, V(false) when not set) are taken into account. They must be host
        variables: facts and the variables of a play are not looked at.
      - >-
        C(mesh_passthrough_log) is another one: the path of a file on the host, to which its Envoy then writes where
        traffic goes that leaves the mesh. With C(mesh_ipv6) V(false), for a host whose IPv6 is off, its Envoy takes no
        redirected IPv6 traffic.
      - A pattern that matches no host is no mistake; the mesh then consists of what O(mesh) names.
    type: str
    default: mesh
  slice:
    description:
      - >-
        Set this where the inventory of a run shows only a part of the fleet, as in a job slice of AWX or with
        C(ansible-pull). Dataplanes are then read from O(mesh) only, never from host variables, as those of the hosts
        that are not seen would be missing.
    type: bool
    default: false
"""

    TEMPLATES = r"""
options:
  templates:
    description:
      - >-
        A directory with Jinja templates that yield further Envoy resources. Each C(*.j2) file in it and below it is
        rendered for every dataplane. What comes out is YAML, one document for each resource, with C(@type); nothing
        comes out of a template for the dataplanes that it is not meant for.
      - >-
        Templates see C(dataplane), C(services), C(target) and C(mesh) and nothing else. What they use and what is not
        there is an error.
      - Files whose names begin with C(_) are not rendered, but others may include and import them.
      - Relative like O(mesh).
    type: path
"""

    FILTER = r"""
notes:
  - >-
    The mesh is parsed once for all filters of a template. For a play over many hosts use
    M(meshsmith.universal.compile) and its artifacts: each task of each host would parse it again.
options:
  _input:
    description:
      - The mesh, as a path, a list of paths, or a list of documents, like O(meshsmith.universal.compile#module:mesh).
    type: raw
    required: true
"""

    DATAPLANE = r"""
notes:
  - Fails with all errors of the mesh when it has any.
options:
  dataplane:
    description: The name of the dataplane.
    type: str
    required: true
  mesh_name:
    description: The mesh of the dataplane; needed only where dataplanes of several meshes have the same name.
    type: str
"""

    SERVICE = r"""
options:
  service:
    description:
      - The service that the dataplane talks to, as the value of its tag C(kuma.io/service).
      - Or a mapping of tags among which is C(kuma.io/service); the others name a subset of the service.
    type: raw
    required: true
"""
