# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes docs/findings.md from the table of finding codes: `python docs/generate.py`.

A test fails when the page and the table differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "findings.md"

HEAD = """\
<!--
SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
SPDX-License-Identifier: GPL-3.0-or-later
Made by docs/generate.py; changes by hand are lost.
-->

# Findings

What is wrong with a mesh is told as findings, all of a run together, sorted by the place where they are:

```text
mesh/hc.yaml:12:9: MESH021 spec.to[0].default.interval: must be greater than zero
```

That is the file with line and column, the code, the path in the document, and the message. What is no error has its
severity before the code. Results of modules and the filter `findings` have the same as a list of mappings with `code`,
`severity`, `path`, `message`, `file`, `line`, `column`, `kind` and `name`.

An **error** keeps the whole mesh from being compiled. A **warning** does not, unless `validate` is called with
`strict: true`. A **notice** never does. A code keeps its meaning for ever.
"""

# The first code of each section.
SECTIONS = {
    "MESH001": "Files",
    "MESH008": "Single resources",
    "MESH030": "Resources together",
    "MESH051": "Advice",
    "MESH101": "Hosts and controller",
    "MESH201": "Policies",
}


TABLE = """
## {title}

| code | severity | what it means | what to do |
|---|---|---|---|
"""


def findings_page() -> str:
    """The page as it should be."""
    # The border between Ansible and the core: importing it registers its own codes and those of everything below.
    from ansible_collections.meshsmith.universal.plugins.plugin_utils import _edge

    parts = [HEAD]
    for row in sorted(_edge.CODES.values(), key=lambda row: row.id):
        if row.id in SECTIONS:
            parts.append(TABLE.format(title=SECTIONS[row.id]))
        cells = (row.id, row.severity.value, row.title, row.help)
        parts.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |\n")
    return "".join(parts)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "collections"))
    PAGE.write_text(findings_page(), encoding="utf-8")
