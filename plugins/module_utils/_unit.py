# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The systemd unit that runs Envoy.

Private to this collection.
"""

from __future__ import annotations

import os
import subprocess

from ansible_collections.meshsmith.universal.plugins.module_utils._errors import UnitError

_DIRECTORIES = {
    "LogsDirectory": "/var/log",
    "StateDirectory": "/var/lib",
    "CacheDirectory": "/var/cache",
    "RuntimeDirectory": "/run",
}
_ACTIVE = ("active", "activating", "reloading")
_NEXT_ATTEMPT = "auto-restart"
_ALWAYS_WRITABLE = ("/dev", "/proc", "/sys")
_READ_ONLY = {
    "yes": ("/usr", "/boot", "/efi"),
    "true": ("/usr", "/boot", "/efi"),
    "full": ("/usr", "/boot", "/efi", "/etc"),
}


def _below(path, directories):
    return any(path == directory or path.startswith(directory.rstrip("/") + "/") for directory in directories)


class Unit:
    """One unit by its name."""

    def __init__(self, name):
        self.name = name

    def _run(self, *command):
        """Run a command about the unit; return its exit code and output, or raise UnitError where it does not exist."""
        try:
            done = subprocess.run(  # noqa: S603 -- systemd's own programs
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
            )
        except OSError as reason:
            raise UnitError(
                f'this host has no {command[0]}, so it cannot have the unit {self.name}: set unit to ""'
            ) from reason
        return done.returncode, done.stdout.decode("utf-8", "replace")

    def _show(self, *properties):
        _code, text = self._run("systemctl", "show", "--property", ",".join(properties), self.name)
        return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)

    def check(self):
        """Raise UnitError when systemd does not know the unit."""
        if self._show("LoadState").get("LoadState") != "loaded":
            raise UnitError(f"systemd on this host has no unit {self.name}")

    def active(self):
        """Say whether the unit runs or is being started; not while it waits for another attempt after a failure."""
        try:
            shown = self._show("ActiveState", "SubState")
        except UnitError:
            return False
        return shown.get("ActiveState") in _ACTIVE and shown.get("SubState") != _NEXT_ATTEMPT

    def failed(self):
        """Say whether the last start failed, and whether or not systemd will try again."""
        shown = self._show("ActiveState", "SubState")
        return shown.get("ActiveState") == "failed" or shown.get("SubState") == _NEXT_ATTEMPT

    def do(self, verb):
        """Start or stop the unit."""
        code, words = self._run("systemctl", verb, self.name)
        if code != 0:
            raise UnitError(f"systemctl {verb} {self.name}: {' '.join(words.split())} (exit code {code})")

    def log(self, since):
        """Return what the unit logged after `since` (seconds since the epoch), its last lines."""
        # A unit that has just ended may have more to say than the journal holds yet.
        self._run("journalctl", "--sync")
        limits = ("--since", f"@{int(since)}", "--lines", "1000")
        return self._run("journalctl", "--unit", self.name, *limits, "--output", "cat", "--no-pager")[1]

    def can_write(self, path):
        """Say whether the unit's sandbox leaves a path writable (permissions aside)."""
        shown = self._show("ProtectSystem", "ProtectHome", "ReadWritePaths", "PrivateTmp", *_DIRECTORIES)
        writable = [entry.lstrip("-+") for entry in shown.get("ReadWritePaths", "").split()]
        for member, base in _DIRECTORIES.items():
            writable.extend(os.path.join(base, entry.split(":")[0]) for entry in shown.get(member, "").split())
        if shown.get("PrivateTmp") in ("yes", "true"):
            writable.extend(("/tmp", "/var/tmp"))  # noqa: S108 -- where PrivateTmp mounts, nothing is written here
        if _below(path, writable):
            return True
        if shown.get("ProtectHome") in ("yes", "true", "read-only", "tmpfs") and _below(
            path, ("/home", "/root", "/run/user")
        ):
            return False
        protection = shown.get("ProtectSystem", "no")
        if protection == "strict":
            return _below(path, _ALWAYS_WRITABLE)
        return not _below(path, _READ_ONLY.get(protection, ()))
