# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role `transparent_proxy` makes of its variables, without a host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "transparent_proxy"
ENVOY = 5678
# What the role would find on a host that is in order.
HOST = {
    "missing": [],
    "root": True,
    "uids": {"envoy": ENVOY, "backup": 34},
    "listeners": [
        {"address": address, "port": port, "uid": ENVOY, "loopback": False, "name": str(port)}
        for port in (15001, 15006, 16001, 16006, 16010)
        for address in ("0.0.0.0", "::")
    ],
    "strangers": [],
    "ipv6": True,
    "refused": "",
    "foreign": [],
    "trial": False,
    "route": True,
}


def rendered(directory: Path, template: Path, cases: dict[str, dict[str, Any]]) -> dict[str, str]:
    """The template by the name of each case, which is a set of variables; `host` is what was found on the host."""
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(ROLE / "defaults" / "main.yml"), str(ROLE / "vars" / "main.yml")],
        "vars": {
            "ansible_python_interpreter": "{{ ansible_playbook_python }}",
            "ansible_port": 2200,
            "_transparent_proxy_connection": {"stdout": "2222"},
            "_transparent_proxy_looked": {"stdout": "{{ host | to_json }}"},
            "host": HOST,
            "template": str(template),
            "cases": cases,
        },
        # All in one task, because each takes Ansible a second.
        "tasks": [{"copy": {"content": f"{{{{ {_dictionary(cases)} | to_json }}}}", "dest": f"{directory}/rendered"}}],
    }
    (directory / "render.yml").write_text(yaml.safe_dump([play]))
    command = [sys.executable, "-m", "ansible", "playbook", str(directory / "render.yml")]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_HOME": str(directory / "home")}
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    return json.loads((directory / "rendered").read_text())


def _dictionary(cases: dict[str, dict[str, Any]]) -> str:
    items = (f"{name!r}: lookup('template', template, template_vars=cases[{name!r}])" for name in cases)
    return "{" + ", ".join(items) + "}"
