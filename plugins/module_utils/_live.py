# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make `live/`, the directory Envoy watches, a copy of a release.

Private to this collection. `apply` uses it where no Envoy runs, and the unit runs this very file before it starts
Envoy, so that every cold start comes up with one whole release: `_live.py ROOT`. So it imports nothing of the
collection.
"""

from __future__ import annotations

import os
import sys

REQUIRED = ("bootstrap.json", "cds.json", "lds.json")
FOLDERS = ("", "eds", "rds")


class NoReleaseError(Exception):
    """There is no whole release to start from."""


def read(path):
    """Return the bytes of a file, None where there is none."""
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return None


def listing(directory):
    """Return the configuration files below a release or `live/`, as sorted relative paths (`eds/backend.json`)."""
    found = []
    for folder in FOLDERS:
        try:
            names = os.listdir(os.path.join(directory, folder))
        except FileNotFoundError:
            continue
        found.extend(
            os.path.join(folder, name) for name in names if name.endswith(".json") and not name.startswith(".")
        )
    return sorted(name for name in found if name != "release.json")


def copy_owner(source, path):
    """Give `path` the mode of `source`, and as root also its owner and group."""
    status = os.stat(source)
    os.chmod(path, status.st_mode & 0o7777)
    if os.geteuid() == 0:
        os.chown(path, status.st_uid, status.st_gid)


def make_folders(release, live):
    """Make `live/` and its folders, with the owners that the release's folders have."""
    for folder in FOLDERS:
        path = os.path.join(live, folder)
        source = os.path.join(release, folder)
        if not os.path.isdir(path):
            os.mkdir(path, 0o750)
            copy_owner(source if os.path.isdir(source) else release, path)


def rebuild(release, live):
    """Make the directory `live` hold exactly the files of the directory `release`; return how many files were touched.

    Everything is written beside its place first: where the disk is full, `live/` stays as it was.
    """
    wanted = listing(release)
    missing = [name for name in REQUIRED if name not in wanted]
    if missing:
        raise NoReleaseError(f"{release} lacks {', '.join(missing)}")
    make_folders(release, live)
    written = []
    try:
        for name in wanted:
            source, path = os.path.join(release, name), os.path.join(live, name)
            data = read(source)
            if read(path) != data:
                beside = os.path.join(os.path.dirname(path), "." + os.path.basename(path) + ".new")
                written.append((beside, path))
                with open(beside, "wb") as file:
                    file.write(data)
                copy_owner(source, beside)
        for beside, path in written:
            os.replace(beside, path)
    except OSError:
        for beside, _path in written:
            if os.path.exists(beside):
                os.unlink(beside)
        raise
    surplus = [name for name in listing(live) if name not in wanted]
    for name in surplus:
        os.unlink(os.path.join(live, name))
    return len(written) + len(surplus)


def main(arguments):
    """Rebuild `live/` below the given root from the committed release; return the exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: _live.py ROOT\n")
        return 2
    current = os.path.join(arguments[0], "current")
    try:
        if not os.path.isdir(current):
            raise NoReleaseError(f"{current} names no release: nothing was deployed here yet")
        rebuild(current, os.path.join(arguments[0], "live"))
    except (NoReleaseError, OSError) as reason:
        sys.stderr.write(f"mesh: live/ cannot be made: {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
