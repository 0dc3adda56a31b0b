# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An action run as a task would run it, without a playbook around it."""

from __future__ import annotations

import importlib
import types

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.playbook.task import Task


@pytest.fixture
def run_action(tmp_path):
    """`run_action(ActionModule, options, check=…, diff=…, task_vars=…)` in a playbook of tmp_path."""

    def run(action, options, *, check=False, diff=False, task_vars=None):
        loader = DataLoader()
        loader.set_basedir(str(tmp_path))
        task = Task()
        task.args = options
        task.check_mode = check
        task.diff = diff
        task.async_val = 0
        connection = types.SimpleNamespace(_shell=types.SimpleNamespace(tmpdir=None))
        plugin = action(task, connection, None, loader, None)
        plugin._load_name = "meshsmith.universal.action"
        return plugin.run(task_vars=task_vars or {})

    return run


@pytest.fixture
def documented_options():
    """The argument spec that a module's documentation describes, with that of its fragments."""

    def options(module):
        text = yaml.safe_load(module.DOCUMENTATION)
        described = dict(text["options"])
        for name in text["extends_documentation_fragment"]:
            fragment, _dot, part = name.removeprefix("meshsmith.universal.").partition(".")
            fragments = importlib.import_module(
                f"ansible_collections.meshsmith.universal.plugins.doc_fragments.{fragment}"
            )
            described |= yaml.safe_load(getattr(fragments.ModuleDocFragment, part.upper() or "DOCUMENTATION"))[
                "options"
            ]
        return {
            name: {key: value for key, value in option.items() if key in ("type", "required", "default", "choices")}
            for name, option in described.items()
        }

    return options
