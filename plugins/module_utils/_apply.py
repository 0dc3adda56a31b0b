# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The transaction that brings one host to one release, or leaves it as it was.

Private to this collection. The steps are lock, stage, check, swap, acknowledge, commit. A commit moves `current`, from
which every cold start is made: up to then the host comes up with its former release.
"""

from __future__ import annotations

import contextlib
import grp
import json
import os
import pwd
import shutil
import time

from ansible_collections.meshsmith.universal.plugins.module_utils import (
    _admin,
    _difference,
    _envoy,
    _flattened,
    _layout,
    _live,
    _release,
    _swap,
    _unit,
    _watches,
    _words,
)
from ansible_collections.meshsmith.universal.plugins.module_utils._errors import (
    AdminError,
    ApplyError,
    DocumentError,
    EnvoyError,
    LayoutError,
    NotAcknowledgedError,
    NotRunningError,
    RefusedError,
    UnitError,
)

_ADMIN_SECONDS = 5


class Settings:
    """What the user asked for, as the module's options name it. `unit` is None where nothing here starts Envoy."""

    def __init__(self, options, check_mode=False, diff=False):
        self.dataplane = options["dataplane"]
        self.mesh = options["mesh_name"]
        self.root = os.path.normpath(options["root"])
        self.envoy = options["envoy"]
        self.user = options["user"]
        self.group = options["group"]
        self.unit = _unit.Unit(options["unit"]) if options["unit"] else None
        self.allow_restart = options["allow_restart"]
        self.timeout = options["timeout"]
        self.check_mode = check_mode
        self.diff = diff


def apply(settings, id_, digests, document=None):
    """Bring the host to the release `id_` with these digests (key -> hex) and return the module's result.

    `document` is the path of the release document on this host. Without it, and where the host does not hold the
    release yet, the result is `{"lacking": True}`. Raises ApplyError with the host as it was.
    """
    with _layout.explained(f"cannot bring {settings.root} to its release"):
        _release.check_keys(digests)
        if _release.release_id(digests) != id_:
            raise DocumentError(f"the id {id_} does not belong to these digests")
        host = _Host(settings)
        unchanged = host.unchanged(id_, digests)
        if unchanged:
            return unchanged
        release, data = host.obtain(id_, document)
        if release is None:
            return {"changed": False, "lacking": True}
        host.verify(release, id_)
        if settings.check_mode:
            return _preview(host, release)
        user = host.preconditions()
        with host.layout.locked(settings.timeout):
            # Whoever held the lock may have done it.
            return host.unchanged(id_, digests) or _Transaction(host, release, data, user).run()


class _Host:
    """What can be known of the host without changing it."""

    def __init__(self, settings):
        self.settings = settings
        self.layout = _layout.Layout(settings.root)
        self.admin = _admin.Admin(self.layout.admin_socket, min(settings.timeout, _ADMIN_SECONDS))
        if not os.path.isabs(settings.root):
            raise LayoutError(f"root must be an absolute path, {settings.root} is not")
        if len(os.fsencode(self.layout.admin_socket)) > _layout.MAX_SOCKET_PATH:
            raise LayoutError(
                f"root is too long: {self.layout.admin_socket} has more than the {_layout.MAX_SOCKET_PATH} bytes "
                "that the path of a unix socket may have"
            )

    def unchanged(self, id_, digests):
        """Return the result when the host is where it should be, None when it is not."""
        layout = self.layout
        with _layout.explained(f"cannot read {layout.root}"):
            if layout.current() != id_ or os.path.exists(layout.restart_mark):
                return None
            if not layout.holds(layout.live, digests) or not layout.holds(layout.release(id_), digests):
                return None
        try:
            stats = self.admin.stats()
            running = True
            if not stats.applied(digests) or self._rejected(stats):
                return None
        except NotRunningError:
            running = False
            if self.running():
                # It is just coming up; look again, with the lock.
                return None
        return {
            "changed": False,
            "id": id_,
            "previous": id_,
            "status": "current",
            "pending_start": not running,
            "resources": {"added": [], "changed": [], "removed": []},
            "notes": [] if running else ["Envoy does not run: it comes up with this release when it is started"],
        }

    def _rejected(self, stats):
        """Say whether a listener's last update was refused; the counter only tells that there once was such a one."""
        return stats.numbers.get("listener_manager.lds.update_rejected", 0) > 0 and bool(self.admin.listener_errors())

    def obtain(self, id_, document):
        """Return (Release, None) where it lies on the host, (Release, bytes) from the document, (None, None) else."""
        with _layout.explained("cannot read the release"):
            release = self.layout.load(id_)
            if release is not None or document is None:
                return release, None
            data = _live.read(document)
        if data is None:
            raise DocumentError("the release document did not arrive on this host")
        return _release.parse(data), data

    def verify(self, release, id_):
        """Raise DocumentError when the release is not the one for this host."""
        settings = self.settings
        if release.id != id_:
            raise DocumentError(f"the release document has the id {release.id}, not {id_}")
        if (release.mesh, release.dataplane) != (settings.mesh, settings.dataplane):
            raise DocumentError(
                f"the release document is of dataplane {release.dataplane} in mesh {release.mesh}, "
                f"this is dataplane {settings.dataplane} in mesh {settings.mesh}"
            )
        _release.check_paths(release, settings.root)

    def preconditions(self):
        """Raise for what would otherwise come to light in the middle; return Envoy's user."""
        _envoy.inspect(self.settings.envoy)
        user = self.envoy_user()
        if self.settings.unit is not None:
            self.settings.unit.check()
        if user.uid is not None:
            self.layout.owner = (user.uid, user.gid)
        return user

    def envoy_user(self):
        """Return whom Envoy runs as; only root can become somebody else."""
        if os.geteuid() != 0:
            return _envoy.User()
        name, group = self.settings.user, self.settings.group
        try:
            return _envoy.User(name, pwd.getpwnam(name).pw_uid, grp.getgrnam(group).gr_gid)
        except KeyError as reason:
            raise EnvoyError(f"this host has no user {name} or no group {group}, whom Envoy runs as") from reason

    def committed(self, release):
        """Return (id, key -> bytes) of the committed release, (None, {}) before the first.

        Where its directory was damaged, what is live counts, or `release`, when that is to mend it.
        """
        with _layout.explained(f"cannot read {self.layout.root}"):
            id_ = self.layout.current()
            if id_ is None:
                return None, {}
            former = release if id_ == release.id else self.layout.load(id_)
            if former is None:
                return id_, self.layout.read(self.layout.live)
            return id_, former.data_by_key()

    def was_sensitive(self, id_):
        """Say whether the committed release asks to be shown by names only, or may: its document cannot be read."""
        former = self.layout.load(id_) if id_ is not None else None
        return id_ is not None and (former is None or former.sensitive)

    def running(self):
        """Say whether Envoy runs; raise AdminError when it hangs, or when only the unit says that it runs."""
        unit, deadline = self.settings.unit, time.monotonic() + _ADMIN_SECONDS
        while not self.admin.running():
            if unit is None or not unit.active():
                return False
            if time.monotonic() >= deadline:
                raise AdminError(
                    f"{unit.name} is active, but nothing answers on {self.layout.admin_socket}: restart {unit.name}"
                )
            time.sleep(0.1)
        return True

    def live_files(self, running):
        """Return key -> bytes of what the running Envoy reads, nothing where none runs."""
        return self.layout.read(self.layout.live) if running else {}

    def needs_restart(self, release, previous, former):
        """Say whether Envoy, which runs, must be started anew; raise where that is not allowed."""
        if previous is None:
            raise AdminError(
                f"an Envoy answers on {self.layout.admin_socket}, but no release was applied to {self.layout.root} "
                "yet: stop it first"
            )
        if former.get("bootstrap") == release.data("bootstrap") and not os.path.exists(self.layout.restart_mark):
            return False
        if self.settings.unit is None:
            raise ApplyError(
                "the bootstrap has changed, and no unit is named that could be restarted: stop Envoy first"
            )
        if not self.settings.allow_restart:
            raise ApplyError(
                f"the bootstrap has changed, which needs a restart of {self.settings.unit.name}: set allow_restart"
            )
        return True


def _result(host, release, previous, former, **members):
    """Return the result of a run that has something to do."""
    before, after = _release.resources(_parsed(former)), _release.resources(release.files)
    result = {
        "changed": True,
        "id": release.id,
        "previous": previous,
        "resources": _difference.changes(before, after),
        "policies": release.policies(),
    }
    if host.settings.diff:
        result["diff"] = _difference.difference(before, after, release.sensitive or host.was_sensitive(previous))
    result.update(members)
    return result


def _parsed(files):
    """Return key -> content for files read from disk; what was spoilt there counts as missing."""
    contents = {}
    for key, data in files.items():
        with contextlib.suppress(ValueError):
            content = json.loads(data.decode("utf-8"))
            if _release.well_formed(key, content):
                contents[key] = content
    return contents


# --- check mode -------------------------------------------------------------------------------------------------------


def _preview(host, release):
    """Say what a real run would do, and check what can be checked without writing below the root."""
    settings, notes = host.settings, []
    left_out = ["whether Envoy acknowledges the release: in check mode nothing is put live"]
    running = host.running()
    try:
        _envoy.inspect(settings.envoy)
        checker = _envoy.Checker(settings.envoy, host.envoy_user())
    except EnvoyError as reason:
        left_out.append(f"Envoy's check of the release: {reason}")
    else:
        _watches.check(checker.user, release, host.live_files(running))
        _check_logs(checker.user, release)
        _check(checker, release)
    if settings.unit is not None:
        try:
            settings.unit.check()
        except UnitError as reason:
            left_out.append(f"the sandbox of the unit: {reason}")
        else:
            _check_sandbox(settings.unit, release)
    previous, former = host.committed(release)
    restart = False
    if running:
        try:
            restart = host.needs_restart(release, previous, former)
        except ApplyError as reason:
            notes.append(f"a real run would fail: {reason}")
    return _result(
        host,
        release,
        previous,
        former,
        status="would_change",
        pending_start=not running and (previous is not None or settings.unit is None),
        restarted=restart,
        notes=notes,
        left_out=left_out,
    )


# --- checks -----------------------------------------------------------------------------------------------------------


def _check(checker, release):
    try:
        checker.check(release)
    except RefusedError as refusal:
        raise _in_the_users_words("Envoy refuses the release", release, refusal) from refusal


def _check_logs(user, release):
    for label, path in _flattened.logs(release):
        directory = os.path.dirname(path)
        if not os.path.isdir(directory):
            problem = f"its log {path} needs the directory {directory}, which this host does not have"
        elif not user.can_write(path if os.path.exists(path) else directory):
            problem = f"{user} cannot write its log {path}"
        else:
            continue
        raise ApplyError(f"{release.describe(label)}: {problem}", resource=label)


def _check_sandbox(unit, release):
    for label, path in _flattened.logs(release):
        if not unit.can_write(path):
            raise ApplyError(
                f"{release.describe(label)}: the sandbox of {unit.name} does not let Envoy write its log {path}",
                resource=label,
            )


def _in_the_users_words(what, release, refusal):
    """Return the ApplyError that names the policies behind a refused resource, without secrets."""
    subject = release.describe(refusal.label) + ": " if refusal.label else ""
    words = _difference.scrubbed(refusal.words, release.files)
    return ApplyError(
        f"{what}: {subject}{words}", resource=refusal.label, policies=release.origins.get(refusal.label, [])
    )


# --- the transaction --------------------------------------------------------------------------------------------------


class _Transaction:
    """One run on one host, under the lock. `document` is None where the release already lies on the host."""

    def __init__(self, host, release, document, user):
        self.host = host
        self.settings = host.settings
        self.layout = host.layout
        self.admin = host.admin
        self.release = release
        self.document = document
        self.user = user
        self.previous, self.former = host.committed(release)
        self.notes = []
        self.left_out = []
        self.took = {}
        self.began = time.time()

    def run(self):
        """Do all steps and return the result."""
        with self._unwritable():
            self.layout.prepare()
        if not self.user.can_write(self.layout.run):
            raise LayoutError(f"{self.user} cannot make its admin socket in {self.layout.run}")
        running = self.host.running()
        restart = running and self.host.needs_restart(self.release, self.previous, self.former)
        self._stage()
        try:
            self._check(running)
            if not running:
                self._place()
            elif restart:
                self._restart()
            else:
                self._swap()
        except Exception:
            if self.document is not None and self.layout.current() != self.release.id:
                self.layout.discard(self.release.id)
            raise
        finally:
            self.layout.clear_spare()
        pending = not running and not self._first_start()
        return _result(
            self.host,
            self.release,
            self.previous,
            self.former,
            status="pending_start" if pending else "applied",
            pending_start=pending,
            restarted=restart,
            notes=self.notes,
            left_out=self.left_out,
            took_seconds={step: round(seconds, 3) for step, seconds in self.took.items()},
        )

    @contextlib.contextmanager
    def _step(self, name):
        begin = time.monotonic()
        try:
            yield
        finally:
            self.took[name] = self.took.get(name, 0) + time.monotonic() - begin

    def _unwritable(self):
        return _layout.explained(f"cannot write below {self.layout.root}, nothing was changed")

    def _first_start(self):
        """Say whether this run starts Envoy: never one that somebody stopped."""
        return self.previous is None and self.settings.unit is not None

    def _stage(self):
        if self.document is not None:
            with self._step("stage"), self._unwritable():
                self.layout.stage(self.release, self.document)

    def _check(self, running):
        with self._step("check"):
            checker = _envoy.Checker(self.settings.envoy, self.user)
            if self.user.uid is None:
                self.notes.append("not root: user and group are ignored, the files belong to the user of this run")
            if checker.not_separate is not None:
                self.left_out.append(f"namespaces of its own for Envoy's check: {checker.not_separate}")
            _watches.check(self.user, self.release, self.host.live_files(running))
            _check_logs(self.user, self.release)
            if self.settings.unit is not None:
                _check_sandbox(self.settings.unit, self.release)
            _check(checker, self.release)

    def _commit(self, id_):
        with self._step("commit"):
            if self.layout.current() != id_:
                self.layout.set_current(id_)

    # --- Envoy does not run

    def _place(self):
        """Put the files where the next start finds them, and start Envoy when this is the first install."""
        try:
            with self._step("swap"):
                _live.rebuild(self.layout.release(self.release.id), self.layout.live)
            # Before the start: the unit makes `live/` from `current`.
            self._commit(self.release.id)
            if self._first_start():
                with self._step("acknowledge"):
                    self.settings.unit.do("start")
                    self._wait_live(self.release.digests)
            else:
                self.notes.append("Envoy does not run: it comes up with this release when it is started")
        except (ApplyError, OSError) as reason:
            failure = self._failure(reason)
            self._take_away(failure)
            raise failure from reason

    def _take_away(self, failure):
        """Leave the files as they were before `_place`, and Envoy stopped."""
        try:
            if self._first_start():
                self.settings.unit.do("stop")
            self._commit(self.previous)
            if self.previous is None:
                shutil.rmtree(self.layout.live, ignore_errors=True)
            else:
                _live.rebuild(self.layout.release(self.previous), self.layout.live)
        except (ApplyError, _live.NoReleaseError, OSError) as reason:
            failure.add(f"The former state could not be put back: {reason}", restored=False)
        else:
            failure.add("Everything is as it was, Envoy does not run", restored=True)

    # --- Envoy runs, but with another bootstrap

    def _restart(self):
        """Start Envoy anew. `current` moves first, so that a power cut in between finds a whole release."""
        with self._step("swap"), self._unwritable():
            self.layout.write_mark()
        try:
            self._commit(self.release.id)
            self._start_anew(self.release.id, self.release.digests)
        except (ApplyError, _live.NoReleaseError, OSError) as reason:
            failure = self._failure(reason)
            self._undo(failure, self._start_former)
            raise failure from reason

    def _start_former(self):
        self._commit(self.previous)
        self._start_anew(self.previous, _versions(self.former))

    def _start_anew(self, id_, digests):
        with self._step("swap"):
            self.settings.unit.do("stop")
            _live.rebuild(self.layout.release(id_), self.layout.live)
        with self._step("acknowledge"):
            self.settings.unit.do("start")
            self._wait_live(digests)
        self.layout.clear_mark()

    def _wait_live(self, digests):
        deadline = time.monotonic() + self.settings.timeout
        while time.monotonic() < deadline:
            # While it starts, and while it fails to, Envoy may end in the middle of an answer.
            with contextlib.suppress(AdminError):
                stats = self.admin.stats()
                refused = stats.refused_since()
                if refused:
                    raise _swap.refusal(self.admin, refused)
                if stats.applied(digests) and self.admin.ready():
                    return
            if self.settings.unit.failed():
                raise UnitError(f"{self.settings.unit.name} failed to start")
            time.sleep(0.05)
        raise NotAcknowledgedError(
            f"Envoy was started, but is not live with the release after {self.settings.timeout} s"
        )

    # --- Envoy runs

    def _swap(self):
        missing = [key for key in _release.REQUIRED_FILES if key not in self.former]
        if missing:
            raise LayoutError(
                f"the former release {self.previous} lacks {', '.join(missing)} and could not be put back: "
                "stop Envoy first"
            )
        swap = _swap.Swap(self.layout, self.admin, self.settings.timeout)
        target = self.release.data_by_key()
        with self._step("swap"), self._unwritable():
            _live.make_folders(self.layout.release(self.release.id), self.layout.live)
            swap.prepare(target, self.former)
        try:
            with self._step("swap"):
                swap.move(target)
            self._commit(self.release.id)
        except (ApplyError, OSError) as reason:
            failure = self._failure(reason)
            self._undo(failure, lambda: swap.move(self.former))
            raise failure from reason
        self.notes.extend(swap.notes)

    # --- what went wrong

    def _failure(self, reason):
        """Return the ApplyError for what stopped the transaction, in the words of the policy where they are known."""
        if isinstance(reason, OSError):
            return LayoutError(f"cannot write below {self.layout.root}: {_layout.cause(reason)}")
        if getattr(reason, "label", None) is None and self.settings.unit is not None:
            with contextlib.suppress(UnitError):
                reason = _words.refusal_in(self.settings.unit.log(self.began)) or reason
        if isinstance(reason, RefusedError):
            return _in_the_users_words("Envoy refused the release", self.release, reason)
        return ApplyError(str(reason))

    def _undo(self, failure, back):
        """Bring the former release back, and say in the failure how that went."""
        try:
            with self._step("undo"):
                back()
        except NotRunningError:
            with contextlib.suppress(_live.NoReleaseError, OSError):
                _live.rebuild(self.layout.release(self.previous), self.layout.live)
            failure.add("Envoy does not run any more; it comes up with the former release", restored=True)
        except (ApplyError, _live.NoReleaseError, OSError) as reason:
            failure.add(f"The former release could not be put back: {reason}", restored=False)
        else:
            failure.add("The former release is live again", restored=True)


def _versions(files):
    """Return key -> version of files as they lie on disk, but for the bootstrap."""
    return {key: _swap.version(data) for key, data in files.items() if key != "bootstrap"}
