# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
"""Documentation of the action `explain`, which does the work on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: explain
short_description: Say which policy sets what for a dataplane
version_added: 0.2.0
description:
  - >-
    For every inbound and every destination of a dataplane and every kind of policy, says of each field what its value
    is, which policy set it and where that is written, which policies lost against it and why, and what it became in
    Envoy.
  - Names the settings that have no effect there, with the reason.
  - >-
    The result is a text for people and the same as a structure for tools. To ask about a single kind in a template, use
    the filter P(meshsmith.universal.effective#filter).
  - When the mesh has an error, it fails with all findings.
  - >-
    Values that were encrypted with C(ansible-vault), and all values that policies in vaulted files set, are hidden.
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
    details:
      - It changes nothing in any mode.
  diff_mode:
    support: N/A
    details:
      - It changes nothing.
  idempotent:
    support: full
options:
  dataplane:
    description:
      - The name of the dataplane.
      - When not set, it is the dataplane of the host that runs the task, which must be one of O(hosts).
    type: str
  mesh_name:
    description: The mesh of the dataplane; needed only where dataplanes of several meshes have the same name.
    type: str
  service:
    description:
      - The service that the dataplane talks to, as the value of its tag C(kuma.io/service).
      - Or a mapping of tags among which is C(kuma.io/service); the others name a subset of the service.
      - >-
        When not set, all inbounds and destinations are explained. The dataplane must have an outbound for a service
        that is set.
    type: raw
seealso:
  - module: meshsmith.universal.validate
  - plugin: meshsmith.universal.effective
    plugin_type: filter
  - plugin: meshsmith.universal.timeouts
    plugin_type: filter
  - plugin: meshsmith.universal.circuit_breakers
    plugin_type: filter
  - plugin: meshsmith.universal.health_checks
    plugin_type: filter
  - plugin: meshsmith.universal.retry_policy
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Explain what applies when web-1 talks to backend
  meshsmith.universal.explain:
    mesh: mesh
    dataplane: web-1
    service: backend
  register: explained

- name: Read it
  ansible.builtin.debug:
    msg: "{{ explained.text.splitlines() }}"

- name: Say what the interval between health checks is in Envoy
  ansible.builtin.debug:
    msg: "{{ interval.value }} is {{ interval.envoy | map(attribute='field') | join(', ') }}"
  vars:
    interval: "{{ explained.destinations[0].kinds.MeshHealthCheck.fields.interval }}"
"""

RETURN = r"""
text:
  description:
    - The explanation for people, in lines.
    - Of a field, C(from) names the policy that set it, C(is) what it became in Envoy, C(instead of) whom it beat.
  returned: success
  type: str
  sample: |-
    web-1 <- web (http, at 192.0.2.10:8080)
      MeshTimeout
        http.requestTimeout: 0s
          from MeshTimeout mesh-timeout-all-default (initial policy of Kuma 2.7)
          is virtualHosts[0].routes[0].route.timeout of route inbound:web of listener inbound:192.0.2.10:8080
    web-1 -> backend (http, 1 endpoint, at 127.0.0.1:10001)
      MeshHealthCheck
        interval: 10s
          from MeshHealthCheck web (mesh/hc.yaml:19)
          is healthChecks[0].interval of cluster backend
          instead of 1m from MeshHealthCheck web (mesh/hc.yaml:9): another item of `to` stands later in the same policy
mesh:
  description: The mesh of the dataplane.
  returned: success
  type: str
  sample: default
dataplane:
  description: The name of the dataplane.
  returned: success
  type: str
  sample: web-1
inbounds:
  description:
    - >-
      The inbounds of the dataplane that its proxy listens on, in the order in which the Dataplane has them.
    - Empty when a service was asked for.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The service that the inbound is of.
      type: str
      returned: always
    address:
      description: Where the proxy listens.
      type: str
      returned: always
    port:
      description: The port on which it does.
      type: int
      returned: always
    protocol:
      description: What the service speaks.
      type: str
      returned: always
    kinds:
      description: >-
        What C(from) of the policies says for the inbound, in the shape of RV(destinations[].kinds).
      type: dict
      returned: always
  sample:
    - service: web
      address: 192.0.2.10
      port: 8080
      protocol: http
      kinds:
        MeshTimeout:
          conf:
            http:
              requestTimeout: 0s
          fields:
            http:
              value: {}
              policy:
                kind: MeshTimeout
                name: mesh-timeout-all-default
                file: initial policy of Kuma 2.7
                line:
                path: spec.from[0].default.http
              losers: []
              envoy: []
              no_effect:
            http.requestTimeout:
              value: 0s
              policy:
                kind: MeshTimeout
                name: mesh-timeout-all-default
                file: initial policy of Kuma 2.7
                line:
                path: spec.from[0].default.http.requestTimeout
              losers: []
              envoy:
                - resource: route inbound:web of listener inbound:192.0.2.10:8080
                  field: virtualHosts[0].routes[0].route.timeout
              no_effect:
destinations:
  description: The destinations of the dataplane, or those of the service that was asked for.
  returned: success
  type: list
  elements: dict
  contains:
    service:
      description: The service.
      type: str
      returned: always
    tags:
      description: The tags of the outbound when it names a subset of the service, otherwise empty.
      type: dict
      returned: always
    protocol:
      description: What the service speaks, as far as the proxy knows.
      type: str
      returned: always
    cluster:
      description: The name of the Envoy cluster.
      type: str
      returned: always
    endpoints:
      description: How many endpoints it has.
      type: int
      returned: always
    outbounds:
      description: Where the application reaches it, as C(<address>:<port>).
      type: list
      elements: str
      returned: always
    kinds:
      description:
        - >-
          By kind of policy, such as V(MeshRetry), the merged settings C(conf) and their C(fields). Kinds of which no
          policy applies are left out.
        - >-
          C(fields) has, by the path of each field such as V(http.numRetries), its C(value), the C(policy) it comes from
          (C(kind), C(name), and the place of the field in it: C(file), C(line), C(path)), and the C(losers), in the
          order in which they lost. A loser has the members of a policy, the C(value) that did not apply, and C(why) it
          did not.
        - The C(file) of an initial policy of the mesh says so, and its C(line) is V(null).
        - >-
          C(envoy) lists what the field became, each as a C(field) of a C(resource). C(no_effect) is the reason why the
          field does nothing here, or V(null).
      type: dict
      returned: always
  sample:
    - service: backend
      tags: {}
      protocol: http
      cluster: backend
      endpoints: 1
      outbounds: ["127.0.0.1:10001"]
      kinds:
        MeshHealthCheck:
          conf:
            interval: 10s
          fields:
            interval:
              value: 10s
              policy:
                kind: MeshHealthCheck
                name: web
                file: mesh/hc.yaml
                line: 19
                path: spec.to[1].default.interval
              losers:
                - value: 1m
                  why: another item of `to` stands later in the same policy
                  kind: MeshHealthCheck
                  name: web
                  file: mesh/hc.yaml
                  line: 9
                  path: spec.to[0].default.interval
              envoy:
                - resource: cluster backend
                  field: healthChecks[0].interval
              no_effect:
counts:
  description: How many findings there are of each severity.
  returned: when the mesh has an error
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
  description: All findings, as RV(meshsmith.universal.validate#module:findings) describes them.
  returned: when the mesh has an error
  type: list
  elements: dict
  sample: []
modifications:
  description: >-
    What policies of kind MeshProxyPatch modify in the whole proxy, in the order in which it is carried out: each
    C(modification) as it is written, and the C(policy) that it is in.
  returned: success
  type: list
  elements: dict
  sample:
    - modification:
        cluster:
          operation: Patch
          match:
            name: outbound:passthrough:ipv4
          value: "connect_timeout: 99s"
      policy:
        kind: MeshProxyPatch
        name: patient
        file: mesh/patches.yaml
        line: 8
        path: spec.default.appendModifications[0].cluster
"""
