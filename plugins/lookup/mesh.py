# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt)
"""The lookup `mesh`."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mesh
short_description: Load the documents of a mesh from files, validated
version_added: 0.1.0
description:
  - Reads Kuma resources from files and directories, checks them, and returns them as a list of documents.
  - Fails with all findings when there is an error.
  - Use C(query), or C(lookup) with C(wantlist=true), to be given a list also when there is only one document.
author:
  - The meshsmith.universal authors (@meshsmith)
options:
  _terms:
    description:
      - >-
        Files and directories, found and read as in O(meshsmith.universal.compile#module:mesh). All of them together
        are one mesh.
    type: list
    elements: str
    required: true
notes:
  - >-
    Findings about the documents that it returns can no longer name a line. Where the paths can be passed on, as to
    the filters of this collection, pass the paths.
seealso:
  - module: meshsmith.universal.validate
"""

EXAMPLES = r"""
- name: List the dataplanes of a mesh
  ansible.builtin.debug:
    msg: "{{ documents | selectattr('type', 'eq', 'Dataplane') | map(attribute='name') | list }}"
  vars:
    documents: "{{ query('meshsmith.universal.mesh', 'mesh') }}"
"""

RETURN = r"""
_list:
  description: The documents, in the order of files and of documents in them.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge


class LookupModule(LookupBase):
    """Loads documents."""

    def run(self, terms: list[Any], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[dict[str, Any]]:
        self.set_options(var_options=variables, direct=kwargs)
        findings = _edge.missing_packages()
        if findings:
            raise AnsibleLookupError(_edge.summary(findings))
        paths, documents = _edge.paths_or_documents(terms)
        if documents or not paths:
            raise AnsibleLookupError("the lookup takes paths")
        given = _edge.read(paths, _edge.base_directory(self._loader.get_basedir()), self._loader)
        loaded = _edge.load(given)
        if loaded.errors:
            raise AnsibleLookupError(f"the mesh is not valid: {_edge.summary(loaded.errors)}")
        return [document.value for document in loaded.documents]
