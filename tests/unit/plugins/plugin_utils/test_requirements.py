# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a user is told about packages that are absent, too old or broken."""

from __future__ import annotations

import pathlib
import shlex
import sys

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _requirements
from ansible_collections.meshsmith.universal.plugins.plugin_utils._requirements import Requirement

PIP = shlex.join([sys.executable, "-m", "pip", "install"])


@pytest.fixture
def install(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch):
    """Install a package that consists of one module, for the time of a test."""
    monkeypatch.syspath_prepend(tmp_path)

    def install(module: str, version: str, code: str = "") -> None:
        metadata = tmp_path / f"{module}-{version}.dist-info" / "METADATA"
        metadata.parent.mkdir()
        metadata.write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: {version}\n")
        (tmp_path / f"{module}.py").write_text(code)
        monkeypatch.delitem(sys.modules, module, raising=False)

    return install


def test_nothing_is_missing_where_the_tests_run():
    assert _requirements.missing() == []


def test_an_absent_package_is_named_with_the_command():
    assert _requirements.missing([Requirement("nowhere", "mesh-nowhere", "1.2")]) == [
        f"the Python package mesh-nowhere>=1.2 is not installed: run {PIP} 'mesh-nowhere>=1.2'"
    ]


@pytest.mark.parametrize("version", ["4.9.0", "4.17.99", "4.18.dev1", "3"])
def test_an_old_package_is_named_with_both_versions(install, version):
    install("meshold", version)
    assert _requirements.missing([Requirement("meshold", "meshold", "4.18.1")]) == [
        f"the Python package meshold>=4.18.1 is needed, and {version} is installed: run {PIP} 'meshold>=4.18.1'"
    ]


@pytest.mark.parametrize("version", ["4.18", "4.18.0", "4.18.0.post1", "4.18.3", "4.100", "10.0"])
def test_a_package_of_the_wanted_version_or_newer_is_enough(install, version):
    install("meshnew", version)
    assert _requirements.missing([Requirement("meshnew", "meshnew", "4.18.0")]) == []


def test_a_package_that_cannot_be_imported_is_named_with_the_reason(install):
    install("meshbroken", "1.0", "import mesh_nowhere")
    (sentence,) = _requirements.missing([Requirement("meshbroken", "meshbroken", "1.0")])
    assert "cannot be imported (No module named 'mesh_nowhere')" in sentence


def test_every_missing_package_is_named():
    absent = [Requirement(name, name, "1") for name in ("mesh-one", "mesh-two")]
    assert len(_requirements.missing(absent)) == 2
