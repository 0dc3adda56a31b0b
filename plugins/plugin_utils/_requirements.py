# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller needs beside ansible-core and the standard library, and what to tell a user who lacks it.

Private to this collection. Adapters ask `missing()` before they use the core, so that an absent package is a sentence
that names the command, not a traceback. The same packages stand in meta/ee-requirements.txt.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Requirement:
    """A package of the package index: the module it is imported as, its name there, the oldest version that works."""

    module: str
    distribution: str
    minimum: str

    def __str__(self) -> str:
        return f"{self.distribution}>={self.minimum}"


REQUIREMENTS = (
    Requirement("yaml", "PyYAML", "6.0"),
    # The first version with `referencing`, which resolves references between our schemas.
    Requirement("jsonschema", "jsonschema", "4.18.0"),
    # Envoy's messages, for resources that the user writes. The first version that says which fields are repeated.
    Requirement("google.protobuf", "protobuf", "6.31.1"),
    # Of its packages one that holds no messages: those are loaded when a mesh needs them.
    Requirement("envoy.config", "xds-protos", "1.74.0"),
    Requirement("jsonpatch", "jsonpatch", "1.33"),
    Requirement("jsonpointer", "jsonpointer", "2.4"),
)


def missing(requirements: Sequence[Requirement] = REQUIREMENTS) -> list[str]:
    """One sentence for each package that is absent, broken or too old, with the command that puts it right."""
    return [
        f"{problem}: run {shlex.join([sys.executable, '-m', 'pip', 'install', str(requirement)])}"
        for requirement in requirements
        if (problem := _problem(requirement))
    ]


def _problem(requirement: Requirement) -> str | None:
    try:
        version = importlib.metadata.version(requirement.distribution)
    except importlib.metadata.PackageNotFoundError:
        return f"the Python package {requirement} is not installed"
    if _release(version) < _release(requirement.minimum):
        return f"the Python package {requirement} is needed, and {version} is installed"
    try:
        importlib.import_module(requirement.module)
    except ImportError as error:
        return f"the Python package {requirement} is installed, but cannot be imported ({error})"
    return None


def _release(version: str) -> tuple[int, ...]:
    """The leading numbers of a version without closing zeroes: "4.18.0a1" is (4, 18)."""
    numbers = [int(number) for number in re.findall(r"\d+", re.split(r"[^\d.]", version)[0])]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)
