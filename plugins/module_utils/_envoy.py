# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The host's own Envoy binary: is it one that can run here, and does it accept a release?

Private to this collection.
"""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import struct
import subprocess
import tempfile

from ansible_collections.meshsmith.universal.plugins.module_utils import _flattened, _release, _words
from ansible_collections.meshsmith.universal.plugins.module_utils._errors import EnvoyError, RefusedError

MINIMUM = (1, 36)
CHECK_SECONDS = 60

# e_machine of the ELF header -> name as uname says it
_MACHINES = {
    0x03: "i686",
    0x28: "armv7l",
    0x3E: "x86_64",
    0x15: "ppc64le",
    0x16: "s390x",
    0xB7: "aarch64",
    0xF3: "riscv64",
}
_VERSION = re.compile(r"version: [0-9a-f]*/(\d+)\.(\d+)\.(\d+)")
_CLONE_NEWNS, _CLONE_NEWNET = 0x00020000, 0x40000000
_MS_REC, _MS_PRIVATE = 0x4000, 0x40000

_WORDS = re.compile(
    r"error initializing configuration '[^']*':(.*?)(?=^\[\d{4}-\d\d-\d\d |\Z)", re.DOTALL | re.MULTILINE
)
_STATIC = re.compile(r"(?:static_?resources\.)(clusters|listeners)\[(\d+)\]\.?(.*)", re.IGNORECASE | re.DOTALL)


# --- the binary -------------------------------------------------------------------------------------------------------


def inspect(path, machine=None):
    """Return the binary's version as (major, minor, patch); raise EnvoyError when it cannot run here or is too old."""
    machine = machine or os.uname().machine
    if not os.path.exists(path):
        raise EnvoyError(f"there is no Envoy binary {path}")
    if not os.path.isfile(path) or not os.access(path, os.X_OK):
        raise EnvoyError(f"{path} is not an executable file")
    built_for = _architecture(path)
    if built_for and built_for != machine:
        raise EnvoyError(f"{path} is built for {built_for}, this host is {machine}")
    try:
        done = subprocess.run(  # noqa: S603 -- the binary is the user's own choice
            [path, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=10, check=False
        )
    except OSError as reason:
        raise EnvoyError(f"{path} does not start: {reason.strerror}") from reason
    except subprocess.TimeoutExpired:
        raise EnvoyError(f"{path} --version does not come to an end") from None
    found = _VERSION.search(done.stdout.decode("utf-8", "replace"))
    if done.returncode != 0 or not found:
        raise EnvoyError(f"{path} --version does not say a version of Envoy (exit code {done.returncode})")
    version = tuple(int(number) for number in found.groups())
    if version[:2] < MINIMUM:
        raise EnvoyError(
            f"{path} is Envoy {'.'.join(map(str, version))}, too old: at least {'.'.join(map(str, MINIMUM))} is needed"
        )
    return version


def _architecture(path):
    try:
        with open(path, "rb") as file:
            header = file.read(20)
    except OSError as reason:
        raise EnvoyError(f"{path} cannot be read: {reason.strerror}") from reason
    if header[:4] != b"\x7fELF" or len(header) < 20:
        return None
    order = ">" if header[5] == 2 else "<"
    number = struct.unpack(order + "H", header[18:20])[0]
    return _MACHINES.get(number, f"another machine (ELF number {number})")


# --- as another user, in namespaces of its own ------------------------------------------------------------------------


class User:
    """Whom Envoy runs as. `uid` None: the user of this process, who cannot become another one."""

    def __init__(self, name=None, uid=None, gid=None):
        self.name = name
        self.uid = uid
        self.gid = gid

    def __str__(self):
        return f"Envoy's user {self.name}" if self.name else "the user of this run"

    def become(self):
        """Become this user for good; for a forked process."""
        if self.uid is not None:
            os.initgroups(self.name, self.gid)
            os.setgid(self.gid)
            os.setuid(self.uid)

    def can(self, attempt):
        """Say whether `attempt`, a function, is true in a process of this user."""
        child = os.fork()
        if child == 0:
            success = False
            try:
                self.become()
                success = attempt()
            finally:
                os._exit(0 if success else 1)
        return os.waitpid(child, 0)[1] == 0

    def can_write(self, path):
        """Say whether this user may make files in a directory, or write to a file."""
        return self.can(lambda: os.access(path, os.W_OK | (os.X_OK if os.path.isdir(path) else 0)))


def _separate():
    """Leave the host's network and mounts; raise OSError where that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS | _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    if libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def separation_fails():
    """Return why processes of this host cannot get namespaces of their own, None where they can."""
    if os.geteuid() != 0:
        return "not root"
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _separate()
        except OSError as reason:
            os.write(writer, str(reason.strerror).encode("utf-8", "replace"))
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        words = pipe.read().decode("utf-8", "replace")
    os.waitpid(child, 0)
    return words or None


# --- the check --------------------------------------------------------------------------------------------------------


class Checker:
    """Lets the host's Envoy check releases, as Envoy's user and, where the host allows it, in namespaces of its own."""

    def __init__(self, binary, user):
        self.binary = binary
        self.user = user
        self.not_separate = separation_fails()

    def check(self, release):
        """Raise RefusedError when Envoy does not accept the release."""
        words = self._words(_flattened.flatten(release))
        if words is not None:
            raise RefusedError(*self._place(release, words))

    def _place(self, release, words):
        """Return (label, words) for what Envoy says against the flattened form."""
        path, text = _words.split(words)
        found = _STATIC.match(path)
        if found:
            label = _label(release, found.group(1).lower(), int(found.group(2)))
            if label:
                rest = found.group(3)
                return label, f"{rest}: {text}" if rest else text
        return self._search(release), f"{path}: {text}" if path else text

    def _search(self, release):
        """Find the resource that Envoy's words do not name, by checking halves: of clusters, then of listeners."""
        clusters = release.files["cds"]["resources"]
        listeners = release.files["lds"]["resources"]

        def fails(some_clusters, some_listeners):
            return self._words(_flattened.flatten(release, some_clusters, some_listeners)) is not None

        if fails([], []):
            return None
        if fails(None, []):
            index = self._bisect(len(clusters), lambda some: fails(some, []))
            return None if index is None else "cluster/" + clusters[index]["name"]
        index = self._bisect(len(listeners), lambda some: fails(None, some))
        return None if index is None else "listener/" + listeners[index]["name"]

    @staticmethod
    def _bisect(count, fails):
        some = list(range(count))
        while len(some) > 1:
            half = some[: len(some) // 2]
            some = half if fails(half) else some[len(half) :]
        return some[0] if some and fails(some) else None

    def _words(self, bootstrap):
        """Return what Envoy says against a bootstrap, None when it accepts it."""
        folder = tempfile.mkdtemp(prefix="mesh-check-")
        try:
            path = os.path.join(folder, "check.json")
            with open(path, "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(_release.canonical(bootstrap))
                if self.user.uid is not None:
                    os.fchown(file.fileno(), self.user.uid, self.user.gid)
            if self.user.uid is not None:
                os.chown(folder, self.user.uid, self.user.gid)
            return self._run(path)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, path):
        def enter():
            if self.not_separate is None:
                _separate()
            self.user.become()

        arguments = ["--mode", "validate", "--config-path", path, "--disable-hot-restart", "--log-level", "critical"]
        try:
            process = subprocess.Popen(  # noqa: S603 -- the binary is the user's own choice
                [self.binary, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                preexec_fn=enter,  # noqa: PLW1509 -- a module has one thread
                cwd="/",
            )
        except (OSError, subprocess.SubprocessError) as reason:
            raise EnvoyError(f"{self.user} cannot start {self.binary}: {reason}") from reason
        try:
            output, _nothing = process.communicate(timeout=CHECK_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise EnvoyError(
                f"{self.binary} --mode validate does not come to an end within {CHECK_SECONDS} s"
            ) from None
        if process.returncode == 0:
            return None
        text = output.decode("utf-8", "replace")
        found = _WORDS.search(text)
        if found:
            return found.group(1)
        if process.returncode < 0:
            return f"the check was ended by {signal.Signals(-process.returncode).name}"
        return f"the check ended with exit code {process.returncode}"


def _label(release, kind, index):
    """Return the label of the resource at an index of the flattened form, None for one of the bootstrap's own."""
    resources = release.files["cds" if kind == "clusters" else "lds"]["resources"]
    return f"{kind[:-1]}/{resources[index]['name']}" if index < len(resources) else None
