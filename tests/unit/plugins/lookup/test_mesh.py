# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lookup `mesh`."""

from __future__ import annotations

import pathlib
import shutil

import pytest
import yaml
from ansible.errors import AnsibleError
from ansible.parsing.dataloader import DataLoader

from ansible_collections.meshsmith.universal.plugins.lookup import mesh as lookup

ROOT = pathlib.Path(__file__).resolve().parents[4]


@pytest.fixture
def query(tmp_path, monkeypatch):
    """`query(*terms)` in a playbook of tmp_path, beside which lies the demo's mesh."""
    shutil.copytree(ROOT / "playbooks" / "files" / "demo" / "mesh", tmp_path / "mesh")
    monkeypatch.setattr(lookup.LookupModule, "set_options", lambda *_arguments, **_options: None)

    def run(*terms):
        loader = DataLoader()
        loader.set_basedir(str(tmp_path))
        return lookup.LookupModule(loader=loader).run(list(terms), variables={})

    return run


def test_it_loads_all_documents_in_order(query, tmp_path):
    names = (
        "dataplanes/backend-1",
        "dataplanes/backend-2",
        "dataplanes/web",
        "policies/backend",
        "policies/everything",
    )
    expected = [yaml.safe_load((tmp_path / "mesh" / f"{name}.yaml").read_text()) for name in ("mesh", *names)]
    assert query("mesh/mesh.yaml", "mesh/dataplanes", "mesh/policies") == expected
    assert sorted(map(str, query("mesh"))) == sorted(map(str, expected))


def test_errors_fail_it_with_all_findings(query, tmp_path):
    (tmp_path / "mesh" / "wrong.yaml").write_text("type: Mesh\nname: '-'\n---\ntype: Mash\nname: x\n")
    with pytest.raises(AnsibleError, match=r"(?s)2 errors.*mesh/wrong.yaml:2:1.*mesh/wrong.yaml:4:1"):
        query("mesh")


@pytest.mark.parametrize("terms", [(), ({"type": "Mesh"},), (5,)], ids=repr)
def test_it_takes_paths_only(query, terms):
    with pytest.raises(AnsibleError):
        query(*terms)
