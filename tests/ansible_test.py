# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs ansible-test on a copy of the checkout: `tests/ansible_test.py sanity`, `tests/ansible_test.py units`.

ansible-test only works below a real path `ansible_collections/<namespace>/<name>`, and a checkout may have any name.
The copy is kept in `.ansible-test/`, because ansible-test's virtual environments lie in it. Neither containers nor a
network other than the package index are needed.
"""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import subprocess
import sys

PROJECT = pathlib.Path(__file__).resolve().parent.parent
COPY = PROJECT / ".ansible-test" / "ansible_collections" / "meshsmith" / "universal"
# The versions of pip that ansible-core 2.19 and 2.20/2.21 start their environments with.
PIP_VERSIONS = ("24_2", "25_2")


def refresh_copy() -> None:
    """Make COPY hold what git would commit now, but for `collections/`, a link that leads back to the checkout.

    tests/output survives: it holds ansible-test's environments. The copy is a repository of its own, or else
    ansible-test would ask the checkout's git, which ignores the whole of it.
    """
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"],
        cwd=PROJECT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    wanted = {name for name in listing.split("\0") if name and not name.startswith("collections/")}
    subprocess.run(["git", "init", "--quiet", COPY], check=True)
    for path in sorted(COPY.rglob("*"), reverse=True):
        if path.relative_to(COPY).as_posix().startswith((".git/", "tests/output")):
            continue
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):  # not empty
                path.rmdir()
        else:
            path.unlink()
    for name in sorted(wanted):
        source = PROJECT / name
        if source.is_symlink() or source.exists():  # a file deleted but not committed is still listed
            (COPY / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, COPY / name, follow_symlinks=False)


def place_get_pip() -> None:
    """Put get_pip.py where ansible-test looks before it downloads the real one; a file that is there already stays."""
    cache = pathlib.Path.home() / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in PIP_VERSIONS:
        with contextlib.suppress(FileExistsError), (cache / f"get_pip_{version}.py").open("xb") as file:
            file.write((PROJECT / "tests" / "get_pip.py").read_bytes())


def main() -> int:
    command, *options = sys.argv[1:]
    refresh_copy()
    place_get_pip()
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    return subprocess.run(
        ["ansible-test", command, "--color", "no", "--venv", "--python", python, *options], cwd=COPY, check=False
    ).returncode


if __name__ == "__main__":
    sys.exit(main())
