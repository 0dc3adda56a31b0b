# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things lie below the mesh root of a host, and how they get there so that no crash leaves half of them.

Private to this collection.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import time

from ansible_collections.meshsmith.universal.plugins.module_utils import _live, _release
from ansible_collections.meshsmith.universal.plugins.module_utils._errors import DocumentError, LayoutError

MAX_SOCKET_PATH = 107


def cause(error):
    """Return what an OSError says, with the path it is about."""
    words = (error.strerror or str(error)).lower()
    return f"{words} ({error.filename})" if error.filename else words


@contextlib.contextmanager
def explained(what):
    """Turn an OSError of the block into a LayoutError that says what was being done."""
    try:
        yield
    except OSError as reason:
        raise LayoutError(f"{what}: {cause(reason)}") from reason


def sync(path):
    """Make a file's content, or the names in a directory, survive a power cut."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Layout:
    """The directories below one mesh root. `owner` is (uid, gid) of Envoy's user, None where that is the caller."""

    def __init__(self, root, owner=None):
        self.root = root
        self.owner = owner
        self.releases = os.path.join(root, "releases")
        self.current_link = os.path.join(root, "current")
        self.live = os.path.join(root, "live")
        self.run = os.path.join(root, "run")
        self.spare = os.path.join(root, ".swap")
        self.restart_mark = os.path.join(root, ".restarting")
        self.admin_socket = os.path.join(self.run, "admin.sock")

    def release(self, id_):
        """Return the directory of a release."""
        return os.path.join(self.releases, id_)

    def current(self):
        """Return the id of the committed release, None where there is none."""
        try:
            target = os.readlink(self.current_link)
        except FileNotFoundError:
            return None
        except OSError as reason:
            if reason.errno != errno.EINVAL:
                raise
            raise LayoutError(f"{self.current_link} is not a link to a release") from reason
        folder, id_ = os.path.split(target)
        if folder != "releases" or not _release.is_release_id(id_):
            raise LayoutError(f"{self.current_link} leads to {target}, which is not a release")
        return id_

    def set_current(self, id_):
        """Move `current` to a release by one rename and make that last; None takes it away."""
        if id_ is None:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.current_link)
        else:
            beside = os.path.join(self.root, ".current.new")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
            os.symlink(os.path.join("releases", id_), beside)
            os.replace(beside, self.current_link)
        sync(self.root)

    def holds(self, directory, digests):
        """Say whether a directory holds exactly the files with these digests (key -> hex)."""
        if _live.listing(directory) != sorted(key + ".json" for key in digests):
            return False
        for key, digest in digests.items():
            data = _live.read(os.path.join(directory, key + ".json"))
            if data is None or not _release.matches(key, data, digest):
                return False
        return True

    def read(self, directory):
        """Return key -> bytes of the files in a release or in `live/`."""
        return {name[: -len(".json")]: _live.read(os.path.join(directory, name)) for name in _live.listing(directory)}

    def load(self, id_):
        """Return the Release whose directory lies on this host whole, None where it does not."""
        data = _live.read(os.path.join(self.release(id_), "release.json"))
        if data is None:
            return None
        try:
            release = _release.parse(data)
        except DocumentError:
            return None
        if release.id != id_ or not self.holds(self.release(id_), release.digests):
            return None
        return release

    def prepare(self):
        """Make the directories that are missing, and remove what an interrupted run left behind. Needs the lock."""
        self._make_directory(self.releases)
        if not os.path.isdir(self.run):
            os.mkdir(self.run, 0o700)
            if self.owner:
                os.chown(self.run, *self.owner)
        self.clear_spare()
        for name in os.listdir(self.releases):
            if name.startswith("."):
                shutil.rmtree(os.path.join(self.releases, name))

    def write_mark(self):
        """Note that Envoy is being restarted: until that is done it may still run with the former bootstrap."""
        self.clear_mark()
        self.write(self.restart_mark, b"", mode=0o600)
        sync(self.root)

    def clear_mark(self):
        """Note that Envoy runs with the bootstrap of `current`."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.restart_mark)

    def make_spare(self):
        """Make the directory in which files are kept ready for a swap."""
        self._make_directory(self.spare)

    def clear_spare(self):
        """Remove the files that were kept ready for a swap."""
        shutil.rmtree(self.spare, ignore_errors=True)

    def stage(self, release, document):
        """Write a release and its document (bytes) below `releases/` and make it last.

        A new one appears by one rename. A damaged one is mended file by file, as `current` may name it.
        """
        directory = self.release(release.id)
        if os.path.isdir(directory):
            self._fill(directory, release, document)
            return
        beside = os.path.join(self.releases, f".{release.id}.new")
        try:
            self._make_directory(beside)
            self._fill(beside, release, document)
            os.rename(beside, directory)
            sync(self.releases)
        except OSError:
            shutil.rmtree(beside, ignore_errors=True)
            raise

    def _fill(self, directory, release, document):
        for folder in ("eds", "rds"):
            self._make_directory(os.path.join(directory, folder))
        written = [(key + ".json", release.data(key), 0o640) for key in sorted(release.files)]
        written.append(("release.json", document, 0o600))
        places = []
        for name, data, mode in written:
            path = os.path.join(directory, name)
            beside = os.path.join(os.path.dirname(path), f".{os.path.basename(path)}.new")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(beside)
            self.write(beside, data, mode=mode)
            places.append((beside, path))
        # After all of them are written: one commit of the file system's journal then serves many.
        for beside, path in places:
            sync(beside)
            os.replace(beside, path)
        for name in _live.listing(directory):
            if name[: -len(".json")] not in release.files:
                os.unlink(os.path.join(directory, name))
        for folder in ("eds", "rds", ""):
            sync(os.path.join(directory, folder))

    def discard(self, id_):
        """Remove a release that was not committed."""
        shutil.rmtree(self.release(id_), ignore_errors=True)

    def write(self, path, data, mode=0o640):
        """Write a new file, readable by Envoy's group where there is one."""
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            if self.owner:
                os.fchown(file.fileno(), 0, self.owner[1])
            os.fchmod(file.fileno(), mode)

    def _make_directory(self, path):
        """Make a directory that Envoy's group can read, unless it is there."""
        if os.path.isdir(path):
            return
        os.mkdir(path, 0o700)
        if self.owner:
            os.chown(path, 0, self.owner[1])
        os.chmod(path, 0o750)  # noqa: S103 -- the group is Envoy's

    @contextlib.contextmanager
    def locked(self, seconds):
        """Hold the root's lock; raise LayoutError when another run keeps it for longer than `seconds`."""
        with explained(f"cannot make {self.root}"):
            if not os.path.isdir(self.root):
                os.makedirs(os.path.dirname(self.root), exist_ok=True)
                self._make_directory(self.root)
        with explained(f"cannot write below {self.root}"):
            handle = os.open(os.path.join(self.root, ".lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            deadline = time.monotonic() + seconds
            while True:
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() >= deadline:
                        raise LayoutError(f"another apply holds {self.root}/.lock; waited {seconds} s for it") from None
                    time.sleep(0.05)
            yield
        finally:
            os.close(handle)
