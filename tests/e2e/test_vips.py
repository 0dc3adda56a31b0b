# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook `vips` in a repository of its user: branches add services, git merges them, nothing ends up twice."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
from ipaddress import IPv4Network

import pytest
import yaml

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import vips

ROOT = pathlib.Path(__file__).resolve().parents[2]
PLAYBOOK = "meshsmith.universal.vips"
FILE = "mesh/virtual-ips-default.yaml"
IDENTITY = {f"GIT_{who}_{what}": "nobody" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


class Repository:
    """Somebody's repository with a mesh, from which they run Ansible."""

    def __init__(self, directory: pathlib.Path) -> None:
        self.directory = directory
        self.table = directory / FILE
        self.git("init", "--quiet", "--initial-branch=main")
        (directory / "mesh").mkdir()

    def git(self, *command: str, fails: bool = False) -> str:
        environment = {**os.environ, **IDENTITY, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
        return self._run(["git", *command], environment, fails)

    def play(self, playbook: str, *options: str, fails: bool = False) -> str:
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_HOME": str(self.directory.parent / "home"),
            "ANSIBLE_NOCOLOR": "1",
        }
        program = str(pathlib.Path(sys.executable).with_name("ansible-playbook"))
        return self._run([program, playbook, *options], environment, fails)

    def _run(self, command: list[str], environment: dict[str, str], fails: bool) -> str:
        done = subprocess.run(
            command,
            cwd=self.directory,
            env=environment,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert (done.returncode != 0) == fails, done.stdout
        return done.stdout

    def add(self, *services: str) -> None:
        """A dataplane for each service, whose traffic is redirected."""
        for number, service in enumerate(services):
            networking = {
                "address": f"192.0.2.{number + 1}",
                "inbound": [{"port": 8080, "serviceAddress": "127.0.0.1", "tags": {"kuma.io/service": service}}],
                "transparentProxying": {"redirectPortInbound": 15006, "redirectPortOutbound": 15001},
            }
            document = {"type": "Dataplane", "mesh": "default", "name": f"{service}-1", "networking": networking}
            (self.directory / "mesh" / f"{service}-1.yaml").write_text(yaml.safe_dump(document))

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "--quiet", "--message=change")

    def branch(self, name: str, *services: str) -> None:
        """A branch off main on which somebody adds services and runs the playbook."""
        self.git("switch", "--quiet", "--create", name, "main")
        self.add(*services)
        assert changed(self.play(PLAYBOOK)) == 1
        self.commit()

    def services(self) -> dict[str, str]:
        found: dict[str, str] = yaml.safe_load(self.table.read_text())["services"]
        return found

    def compiles(self) -> None:
        self.play("meshsmith.universal.compile", "-e", "mesh_artifacts_dir=../artifacts")


@pytest.fixture
def repository(tmp_path: pathlib.Path) -> Repository:
    directory = tmp_path / "site"
    directory.mkdir()
    return Repository(directory)


def changed(output: str) -> int:
    recap = output[output.index("PLAY RECAP") :]
    return sum(int(word.partition("=")[2]) for word in recap.split() if word.startswith("changed="))


def test_without_addresses_nothing_compiles_and_the_error_names_the_playbook(repository: Repository) -> None:
    repository.add("backend", "web")
    output = repository.play("meshsmith.universal.compile", fails=True)
    assert "MESH245" in output
    assert changed(repository.play(PLAYBOOK, "--check", "--diff")) == 1
    assert not repository.table.exists()
    output = repository.play(PLAYBOOK, "--diff")
    assert changed(output) == 1
    assert "+  backend: 252.29.109.30\n+  web: 246.130.144.169\n" in output
    repository.compiles()
    assert changed(repository.play(PLAYBOOK)) == 0


def test_services_are_forgotten_when_asked(repository: Repository) -> None:
    repository.add("backend", "web")
    repository.play(PLAYBOOK)
    (repository.directory / "mesh" / "web-1.yaml").unlink()
    assert changed(repository.play(PLAYBOOK)) == 0
    assert list(repository.services()) == ["backend", "web"]
    assert changed(repository.play(PLAYBOOK, "-e", "mesh_vips_forget=true")) == 1
    assert list(repository.services()) == ["backend"]


def test_file_and_range_are_variables(repository: Repository) -> None:
    repository.add("backend", "web")
    options = ("-e", "mesh_vips_file=mesh/addresses.yaml", "-e", "mesh_vips_cidr=10.240.0.0/16")
    assert changed(repository.play(PLAYBOOK, *options, "-e", "mesh_vips_mesh=default")) == 1
    table = yaml.safe_load((repository.directory / "mesh" / "addresses.yaml").read_text())
    assert all(address.startswith("10.240.") for address in table["services"].values())
    repository.compiles()
    assert changed(repository.play(PLAYBOOK)) == 0


def test_branches_that_add_services_in_different_places_are_merged_by_git(repository: Repository) -> None:
    repository.add("backend", "web")
    repository.play(PLAYBOOK)
    repository.commit()
    repository.branch("ours", "api")
    repository.branch("theirs", "zoo")
    repository.git("merge", "--quiet", "--no-edit", "ours")

    assert list(repository.services()) == ["api", "backend", "web", "zoo"]
    assert len({*repository.services().values()}) == 4
    repository.compiles()
    assert changed(repository.play(PLAYBOOK)) == 0


def test_of_branches_that_add_services_in_one_place_the_lines_of_both_are_kept(repository: Repository) -> None:
    repository.add("backend", "web")
    repository.play(PLAYBOOK)
    repository.commit()
    repository.branch("ours", "stock")
    repository.branch("theirs", "cart")
    repository.git("merge", "--quiet", "--no-edit", "ours", fails=True)
    assert "MESH002" in repository.play(PLAYBOOK, fails=True)

    lines = repository.table.read_text().splitlines(keepends=True)
    repository.table.write_text("".join(line for line in lines if line[:7] not in ("<" * 7, "=" * 7, ">" * 7)))
    assert list(repository.services()) == ["backend", "cart", "stock", "web"]
    repository.compiles()
    assert changed(repository.play(PLAYBOOK)) == 0


def test_with_a_merge_driver_git_keeps_the_lines_of_both_itself(repository: Repository) -> None:
    (repository.directory / ".gitattributes").write_text("virtual-ips-*.yaml merge=union\n")
    repository.add("backend", "web")
    repository.play(PLAYBOOK)
    repository.commit()
    repository.branch("ours", "cart")
    repository.branch("theirs", "stock")
    repository.git("merge", "--quiet", "--no-edit", "ours")

    assert sorted(repository.services()) == ["backend", "cart", "stock", "web"]
    repository.compiles()
    # They may stand in any order, in which the playbook puts them right, at the same addresses.
    before = repository.services()
    repository.play(PLAYBOOK)
    assert list(repository.services().items()) == sorted(before.items())
    assert changed(repository.play(PLAYBOOK)) == 0


def meeting(cidr: IPv4Network, middle: str) -> tuple[str, str]:
    """Two services that come to one address in a range, one by name before `middle` and one after it."""

    def slot(service: str) -> int:
        return vips.hash_of("default", service) % (cidr.num_addresses - 2)

    first = next(name for name in map("a{}".format, range(100)) if slot(name) != slot(middle))
    return first, next(name for name in map("z{}".format, range(100)) if slot(name) == slot(first))


def test_an_address_that_both_branches_came_to_is_found_and_put_right(repository: Repository) -> None:
    """In a range of six addresses this is easy to have."""
    cidr = IPv4Network("10.9.0.0/29")
    first, last = meeting(cidr, "middle")
    repository.add("middle")
    repository.play(PLAYBOOK, "-e", f"mesh_vips_cidr={cidr}")
    repository.commit()
    repository.branch("ours", first)
    repository.branch("theirs", last)
    repository.git("merge", "--quiet", "--no-edit", "ours")

    merged = repository.services()
    assert merged[first] == merged[last]
    output = repository.play("meshsmith.universal.compile", fails=True)
    line = repository.table.read_text().splitlines().index
    told = f"{FILE}:{line(f'  {last}: {merged[last]}') + 1}:3: MESH242 services.{last}: {merged[last]} is also the"
    assert told in output
    assert f"address of '{first}' in {FILE}:{line(f'  {first}: {merged[first]}') + 1}:3" in output
    assert changed(repository.play(PLAYBOOK)) == 1
    assert repository.services() == {**merged, last: repository.services()[last]}
    assert len({*repository.services().values()}) == 3
    repository.compiles()
    assert changed(repository.play(PLAYBOOK)) == 0
