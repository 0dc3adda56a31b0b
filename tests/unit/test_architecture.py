# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The laws of the tree: who may import whom, and which files must say the same."""

from __future__ import annotations

import ast
import pathlib
import sys

import pytest
import yaml

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _requirements

ROOT = pathlib.Path(__file__).resolve().parents[2]
COLLECTION = "ansible_collections.meshsmith.universal"
CORE = "plugins.plugin_utils._mesh"
# All of the core that an adapter may know.
DOORS = (f"{CORE}.api", f"{CORE}.findings")
# Beside the core: the border, and files that know neither side of it.
BESIDE = tuple(f"plugins.plugin_utils.{path.stem}" for path in (ROOT / "plugins" / "plugin_utils").glob("_*.py"))
# What may be shown is the same on the host and on the controller.
SHARED = "plugins.module_utils._difference"
# The one file beside the border that needs more than the standard library.
NEEDS = {"_templates.py": "jinja2"}
# Older than what the hosts may have; the standard library of 3.8 is today's without these.
NEWER_THAN_3_8 = {"graphlib", "tomllib", "zoneinfo", "annotationlib", "compression"}


def python_files(*directories: str) -> list[pathlib.Path]:
    return sorted(path for directory in directories for path in (ROOT / "plugins" / directory).rglob("*.py"))


def by_path(path: pathlib.Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(code: str, package: str) -> set[str]:
    """Everything that `code`, a module of `package`, imports: `from . import x` in plugins.action is plugins.action.x.

    Names are in full; those of this collection begin at `plugins`, however they were written.
    """
    found: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            above = parents[: len(parents) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return {name.removeprefix(f"{COLLECTION}.") for name in found}


def imports_of(path: pathlib.Path) -> set[str]:
    return imports(path.read_text(encoding="utf-8"), ".".join(path.relative_to(ROOT).parent.parts))


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def is_standard_library(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] in sys.stdlib_module_names


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("import os.path", {"os.path"}),
        ("from . import x, y", {"plugins.filter.x", "plugins.filter.y"}),
        ("from ..plugin_utils._mesh.api import load", {"plugins.plugin_utils._mesh.api.load"}),
        (f"from {COLLECTION}.plugins.plugin_utils import _edge", {"plugins.plugin_utils._edge"}),
        ("def late():\n    from ansible.errors import AnsibleError", {"ansible.errors.AnsibleError"}),
    ],
)
def test_imports_are_found_however_they_are_written(code, found):
    assert imports(code, "plugins.filter") == found


@pytest.mark.parametrize("path", python_files("plugin_utils/_mesh"), ids=by_path)
def test_the_core_knows_nothing_of_ansible_nor_of_what_is_around_it(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        # Relative imports only: the core does not know where it is installed.
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert not within(node.module or "", "ansible", "ansible_collections")
    third_party = [requirement.module for requirement in _requirements.REQUIREMENTS]
    for name in imports_of(path):
        assert is_standard_library(name) or within(name, CORE, *third_party), name


@pytest.mark.parametrize("path", python_files("plugin_utils/_mesh/envoy"), ids=by_path)
def test_envoy_builders_know_no_policies(path):
    assert not [name for name in imports_of(path) if within(name, f"{CORE}.kinds")]


@pytest.mark.parametrize("path", python_files("action", "filter", "lookup"), ids=by_path)
def test_adapters_use_the_core_by_its_doors(path):
    known = (*DOORS, *BESIDE)
    if path.parent.name == "action":
        known += ("plugins.module_utils",)  # what an action and its module on the host say to each other
    assert not [name for name in imports_of(path) if within(name, "plugins") and not within(name, *known)]


@pytest.mark.parametrize("path", sorted((ROOT / "plugins" / "plugin_utils").glob("*.py")), ids=by_path)
def test_only_the_border_knows_ansible_and_the_core(path):
    known = [name for name in imports_of(path) if not is_standard_library(name)]
    if path.name == "_edge.py":
        assert not [name for name in known if within(name, "plugins") and not within(name, CORE, SHARED, *BESIDE)]
    else:
        allowed = (SHARED, NEEDS[path.name]) if path.name in NEEDS else (SHARED,)
        assert not [name for name in known if not within(name, *allowed)]


@pytest.mark.parametrize("path", python_files("modules", "module_utils"), ids=by_path)
def test_code_on_hosts_needs_python_3_8_and_nothing_else(path):
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 8))
    for name in imports_of(path):
        if not within(name, "ansible.module_utils", "plugins.module_utils"):
            assert is_standard_library(name), name
            assert name.partition(".")[0] not in NEWER_THAN_3_8, name


def test_every_module_is_in_the_action_group():
    runtime = yaml.safe_load((ROOT / "meta" / "runtime.yml").read_text(encoding="utf-8"))
    modules = sorted(path.stem for path in (ROOT / "plugins" / "modules").glob("*.py"))
    assert runtime["action_groups"] == {"mesh": modules}


def test_every_action_has_a_module_that_documents_it():
    documented = {path.stem for path in (ROOT / "plugins" / "modules").glob("*.py")}
    assert {path.stem for path in (ROOT / "plugins" / "action").glob("*.py")} <= documented


@pytest.mark.parametrize("role", sorted((ROOT / "roles").glob("*/")), ids=by_path)
def test_defaults_are_those_of_the_argument_specs(role):
    defaults = yaml.safe_load((role / "defaults" / "main.yml").read_text(encoding="utf-8"))
    specs = yaml.safe_load((role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]
    options = specs["main"]["options"]
    assert {name: option["default"] for name, option in options.items() if "default" in option} == (defaults or {})


def test_the_execution_environment_holds_what_the_core_needs():
    listed = (ROOT / "meta" / "ee-requirements.txt").read_text(encoding="utf-8").splitlines()
    assert not [str(wanted) for wanted in _requirements.REQUIREMENTS if str(wanted) not in listed]
