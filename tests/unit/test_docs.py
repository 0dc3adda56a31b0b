# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation says what is so: its examples are run, its links lead somewhere, its tables are complete.

A comment before a block says what the block is:

| comment | the block |
|---|---|
| none | a mesh in a `yaml` block loads without an error; a playbook passes Ansible's syntax check |
| `refused` | a mesh with mistakes |
| `findings` | all findings of the mesh before it, as text |
| `finding of: OLD -> NEW` | the findings of the mesh before it with OLD replaced by NEW |
| `shows: …` | what the compiler says about the mesh before it, see `shown` |
| `runs` | a playbook, whose plays on localhost are run beside the mesh before it, and the templates of the page |
| `template: FILE` | a template, which is FILE beside the mesh |
| `finding of template: OLD -> NEW` | what is found in the first template of the page with OLD replaced by NEW |
"""

from __future__ import annotations

import importlib.util
import os
import pathlib
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api, schema, source
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh.envoy import listener, type_urls

ROOT = pathlib.Path(__file__).resolve().parents[2]
# The directory that holds `ansible_collections`.
COLLECTIONS = pathlib.Path(api.__file__).parents[6]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

_FENCED = re.compile(
    r"(?:^<!-- (?P<mark>[^\n]+) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_LINK = re.compile(r"\]\((?P<path>[^)#:\s]*)(?:#(?P<anchor>[^)\s]+))?\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_TEST = re.compile(r"`(?P<file>tests/[\w/]+\.py)::(?P<name>test_\w+)`")


@dataclass(frozen=True)
class Block:
    """A fenced block. `file` is the name by which the page calls the mesh, `mesh` the mesh that stands before it."""

    page: pathlib.Path
    line: int
    language: str
    mark: str
    text: str
    mesh: str = ""

    @property
    def is_mesh(self) -> bool:
        return self.language == "yaml" and all(
            isinstance(one, dict) and one.keys() & {"type", "apiVersion"} for one in self._documents()
        )

    @property
    def is_playbook(self) -> bool:
        return self.language == "yaml" and any(
            isinstance(one, list) and all("hosts" in play for play in one) for one in self._documents() if one
        )

    @property
    def file(self) -> str:
        """What the page calls the mesh before the block: the first file that it names, or `mesh.yaml`."""
        named = re.search(r"`(mesh/[\w-]+\.yaml)`", self.page.read_text(encoding="utf-8"))
        return named[1] if named else "mesh.yaml"

    def universe(self, text: str) -> api.Universe:
        documents, findings = source.parse(source.Text(self.file, text.encode()))
        assert not findings, findings
        return api.load(documents=documents)

    def _documents(self) -> list[Any]:
        return list(yaml.safe_load_all(self.text))

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks() -> Iterator[Block]:
    for page in PAGES:
        text, mesh = page.read_text(encoding="utf-8"), ""
        for found in _FENCED.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            block = Block(page, line, found["language"], found["mark"] or "", found["text"], mesh)
            if not block.mark.startswith("shows") and block.is_mesh:
                mesh = block.text
            yield block


BLOCKS = list(blocks())
MESHES = [block for block in BLOCKS if block.is_mesh and not block.mark]
PLAYBOOKS = [block for block in BLOCKS if block.is_playbook]
MARKS = ("refused", "findings", "finding of", "shows", "runs", "template", "finding of template")


def marked(mark: str) -> list[Block]:
    return [block for block in BLOCKS if block.mark.partition(":")[0] == mark]


def templates_of(page: pathlib.Path) -> dict[str, str]:
    """The templates of a page by their files."""
    return {block.mark.partition(": ")[2]: block.text for block in marked("template") if block.page == page}


def put_beside(directory: pathlib.Path, block: Block, templates: dict[str, str]) -> None:
    """Write the mesh before a block, and templates."""
    for file, text in {block.file: block.mesh, **templates}.items():
        path = directory / file
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def relative(page: pathlib.Path) -> str:
    return page.relative_to(ROOT).as_posix()


def shown(universe: api.Universe, question: str) -> Any:
    """The answer to a question such as `conf web-1 backend`."""
    what, *arguments = question.split()
    if what == "field":
        path, *arguments = arguments
        return api.effective(universe, "MeshHealthCheck", *_between(universe, *arguments))["fields"][path]
    if what == "conf":
        return api.effective(universe, "MeshHealthCheck", *_between(universe, *arguments))["conf"]
    if what in ("circuit_breakers", "health_checks", "timeouts"):
        return getattr(api, what)(universe, *_between(universe, *arguments))
    name = arguments.pop() if what == "cluster" else ""
    dataplane = api.find_dataplane(universe, *arguments)
    if what == "policies":
        return [f"{one['kind']} {one['name']} ({one['file']})" for one in api.matched_policies(universe, dataplane)]
    resources = api.compile_proxy(universe, dataplane)
    if what == "cluster":
        return resources[type_urls.CLUSTER][name]
    if what == "inbound_timeouts":
        found = resources[type_urls.LISTENER].values()
        return {
            one["address"]["socketAddress"]["portValue"]: action["timeout"]
            for one in found
            for action in listener.route_actions(one)
            if one["trafficDirection"] == "INBOUND"
        }
    assert what == "envoy_resources"
    return {type_url: list(named) for type_url, named in resources.items()}


def _between(universe: api.Universe, dataplane: str, service: str) -> tuple[api.DataplaneId, str]:
    return api.find_dataplane(universe, dataplane), service


def playbook(directory: pathlib.Path, plays: list[Any], *options: str) -> subprocess.CompletedProcess[str]:
    """Run ansible-playbook on `plays` in a directory, with the hosts of the README."""
    (directory / "site.yml").write_text(yaml.safe_dump(plays, sort_keys=False))
    (directory / "inventory.ini").write_text("[mesh]\nweb-1\nbackend-1\n")
    environment = {
        **os.environ,
        "HOME": str(directory),
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_CONFIG": str(directory / "none.cfg"),
        "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
    }
    command = [sys.executable, "-m", "ansible.cli.playbook", "-i", "inventory.ini", "site.yml", *options]
    return subprocess.run(command, cwd=directory, env=environment, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("mark", MARKS)
def test_every_sort_of_block_is_there(mark: str) -> None:
    assert marked(mark)


def test_no_block_has_a_mark_that_nobody_reads() -> None:
    assert {block.mark.partition(":")[0] for block in BLOCKS} <= {"", *MARKS}


@pytest.mark.parametrize("block", MESHES, ids=str)
def test_meshes_load(block: Block) -> None:
    assert [str(finding) for finding in block.universe(block.text).errors] == []


@pytest.mark.parametrize("block", marked("findings"), ids=str)
def test_wrong_meshes_have_the_findings_that_are_shown(block: Block) -> None:
    universe = block.universe(block.mesh)

    assert universe.errors
    assert "".join(f"{finding}\n" for finding in universe.findings) == block.text


def test_every_wrong_mesh_is_followed_by_its_findings() -> None:
    assert [block.text for block in marked("refused")] == [block.mesh for block in marked("findings")]


@pytest.mark.parametrize("block", marked("finding of"), ids=str)
def test_a_mistake_has_the_finding_that_is_shown(block: Block) -> None:
    old, new = block.mark.partition(": ")[2].split(" -> ")

    assert block.mesh.count(old) == 1
    assert "".join(f"{finding}\n" for finding in block.universe(block.mesh.replace(old, new)).findings) == block.text


@pytest.mark.parametrize("block", marked("shows"), ids=str)
def test_results_are_those_of_the_mesh_above(block: Block) -> None:
    assert shown(block.universe(block.mesh), block.mark.partition(": ")[2]) == yaml.safe_load(block.text)


@pytest.mark.parametrize("block", PLAYBOOKS, ids=str)
def test_playbooks_pass_the_syntax_check(block: Block, tmp_path: pathlib.Path) -> None:
    done = playbook(tmp_path, yaml.safe_load(block.text), "--syntax-check")

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", marked("runs"), ids=str)
def test_playbooks_run_beside_the_mesh_above(block: Block, tmp_path: pathlib.Path) -> None:
    put_beside(tmp_path, block, templates_of(block.page))
    plays = [play for play in yaml.safe_load(block.text) if play["hosts"] == "localhost"]

    done = playbook(tmp_path, plays)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ok={sum(len(play['tasks']) for play in plays)} " in done.stdout


@pytest.mark.parametrize("block", marked("finding of template"), ids=str)
def test_a_mistake_in_a_template_has_the_finding_that_is_shown(block: Block, tmp_path: pathlib.Path) -> None:
    old, new = block.mark.partition(": ")[2].split(" -> ")
    templates = templates_of(block.page)
    first = next(iter(templates))
    assert templates[first].count(old) == 1
    put_beside(tmp_path, block, {**templates, first: templates[first].replace(old, new)})
    task = {"meshsmith.universal.validate": {"mesh": "mesh", "templates": "templates"}, "register": "validated"}
    show = {"ansible.builtin.debug": {"msg": "{{ validated.msg.splitlines() }}"}}

    done = playbook(tmp_path, [{"hosts": "localhost", "gather_facts": False, "tasks": [task, show]}])

    assert block.text.strip() in done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_links_lead_somewhere(page: pathlib.Path) -> None:
    for link in _LINK.finditer(_FENCED.sub("", page.read_text(encoding="utf-8"))):
        target = page.parent / link["path"] if link["path"] else page
        assert target.exists(), link[0]
        if link["anchor"]:
            assert link["anchor"] in anchors(target), link[0]


def anchors(page: pathlib.Path) -> set[str]:
    """What a heading can be linked by: lower case, dashes for blanks, no other punctuation."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", heading).lower().replace(" ", "-") for heading in _HEADING.findall(text)}


def test_every_page_is_linked_from_the_readme() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")

    linked = {(ROOT / link["path"]).resolve() for link in _LINK.finditer(text)}
    assert set(PAGES[1:]) <= linked


def test_the_page_of_findings_is_the_table_of_codes() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)

    page = generate.PAGE.read_text(encoding="utf-8")
    assert page == generate.findings_page(), "docs/findings.md is stale: run `python docs/generate.py`"


@pytest.mark.parametrize(
    "kind", ["mesh", "dataplane", "meshtimeout", "meshcircuitbreaker", "meshhealthcheck", "meshretry", "meshproxypatch"]
)
def test_the_page_of_a_kind_names_every_field(kind: str) -> None:
    text = (ROOT / "docs" / "kinds" / f"{kind}.md").read_text(encoding="utf-8")
    words = {word for code in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"\w+", code)}

    assert set(fields(schema.load(kind))) - words == set()


def fields(node: Any) -> Iterator[str]:
    """The names of all members that a schema describes."""
    for name, member in node.get("properties", {}).items():
        yield name
        yield from fields(member)
    yield from fields(node["items"]) if "items" in node else ()


def test_the_tests_that_show_a_difference_exist() -> None:
    text = (ROOT / "docs" / "differences-from-kuma.md").read_text(encoding="utf-8")

    named = {(found["file"], found["name"]) for found in _TEST.finditer(text)}
    assert named
    missing = [
        f"{file}::{name}" for file, name in named if f"\ndef {name}(" not in (ROOT / file).read_text(encoding="utf-8")
    ]
    assert missing == []


@pytest.mark.parametrize(
    ("file", "pattern", "words"),
    [
        ("rules.py", r"^    Rule\((\d+), ", "with rule {}"),
        ("exemptions.py", r'Exemption\(\s*"([^"]+)"', 'exemption "{}"'),
    ],
)
def test_every_difference_that_the_conformance_tests_allow_is_on_the_page(file: str, pattern: str, words: str) -> None:
    text = (ROOT / "docs" / "differences-from-kuma.md").read_text(encoding="utf-8")
    allowed = re.findall(pattern, (ROOT / "tests" / "conformance" / file).read_text(encoding="utf-8"), re.MULTILINE)

    assert allowed
    assert [one for one in allowed if words.format(one) not in text] == []


def test_every_shared_variable_is_on_the_page_about_ansible() -> None:
    text = (ROOT / "docs" / "using-with-ansible.md").read_text(encoding="utf-8")
    files = [*(ROOT / "roles").glob("*/defaults/main.yml"), *(ROOT / "playbooks").glob("*.yml")]
    files += [ROOT / "plugins" / "plugin_utils" / "_edge.py"]
    # mesh_validated, mesh_compiled: what the playbooks register for themselves.
    variables = {
        name
        for file in files
        for name in re.findall(r"\bmesh_(?!validated|compiled)\w+", file.read_text(encoding="utf-8"))
    }

    assert variables
    assert {name for name in variables if f"`{name}`" not in text} == set()
