# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for the get-pip program that ansible-test downloads from a server of its own.

Takes pip from the package index instead, which is all a machine behind a mirror can reach. The wanted version is in the
name under which ansible-test keeps the file: get_pip_24_2.py.
"""

from __future__ import annotations

import pathlib
import subprocess
import sys

version = pathlib.Path(__file__).stem.removeprefix("get_pip_").replace("_", ".")
subprocess.run([sys.executable, "-m", "ensurepip"], check=True, stdout=subprocess.DEVNULL)
subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", f"pip=={version}"], check=True)
