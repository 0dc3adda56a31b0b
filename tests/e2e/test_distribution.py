# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is packed into the collection's tarball, and that it works where it is installed."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys
import tarfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


def ansible(command: str, *arguments: str | pathlib.Path, home: pathlib.Path) -> str:
    """Run one of Ansible's commands with nothing configured but `home`, and give back what it printed."""
    return subprocess.run(
        [sys.executable, "-m", "ansible", command, *map(str, arguments)],
        cwd=home,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "ANSIBLE_COLLECTIONS_PATH": str(home), "LC_ALL": "C.UTF-8"},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


@pytest.fixture(scope="module")
def tarball(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    directory = tmp_path_factory.mktemp("tarball")
    ansible("galaxy", "collection", "build", ROOT, "--output-path", directory, home=directory)
    (built,) = directory.glob("*.tar.gz")
    return built


def test_the_tarball_holds_content_and_nothing_else(tarball):
    with tarfile.open(tarball) as archive:
        top = {name.split("/", 1)[0] for name in archive.getnames()}
    assert top >= {"MANIFEST.json", "FILES.json", "meta", "plugins", "roles", "playbooks", "README.md", "LICENSES"}
    assert top <= {
        *("MANIFEST.json", "FILES.json", "meta", "plugins", "roles", "playbooks", "docs", "changelogs", "LICENSES"),
        *("README.md", "CHANGELOG.rst", "CONTRIBUTING.md", "REUSE.toml"),
    }


def test_an_installed_collection_answers(tarball, tmp_path):
    ansible("galaxy", "collection", "install", "--offline", tarball, "--collections-path", tmp_path, home=tmp_path)
    for kind, name in (("module", "apply"), ("filter", "findings"), ("lookup", "mesh"), ("role", "dataplane")):
        documented = json.loads(ansible("doc", "--json", "--type", kind, f"meshsmith.universal.{name}", home=tmp_path))
        assert list(documented) == [f"meshsmith.universal.{name}"]
