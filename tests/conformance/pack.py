# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs recordings of a control plane into `data/`, the same bytes for the same recordings.

    python tests/conformance/pack.py meshes <directory of cases> <group>        cases `<group>-*`
    python tests/conformance/pack.py mutations <mutations.jsonl> <kind>

README.md describes what is read.
"""

from __future__ import annotations

import json
import lzma
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

DATA = Path(__file__).parent / "data"


def mesh_rows(directory: Path, group: str) -> Iterable[dict[str, Any]]:
    for case in sorted(directory.glob(f"{group}-*")):
        documents = [
            document
            for file in ("mesh.yaml", "dataplanes.yaml", "policies.yaml")
            for document in yaml.safe_load_all((case / file).read_text())
            if document is not None
        ]
        answer = json.loads((case / "kuma.json").read_text())
        if answer["rejected"]:
            raise SystemExit(f"{case}: the control plane rejected {answer['rejected']}")
        yield {"case": case.name, "documents": documents, "kuma": answer["config"]}


def mutation_rows(file: Path, kind: str) -> Iterable[dict[str, Any]]:
    with file.open() as lines:
        for row in map(json.loads, lines):
            if row["doc"]["type"] == kind:
                yield row


def main(what: str, source: str, group: str) -> None:
    rows = {"meshes": mesh_rows, "mutations": mutation_rows}[what](Path(source), group)
    text = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)
    if not text:
        raise SystemExit(f"{source} has nothing of {group}")
    target = DATA / what / f"{group}.jsonl.xz"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))
    print(f"{target.name}: {target.stat().st_size} bytes")


if __name__ == "__main__":
    main(*sys.argv[1:])
