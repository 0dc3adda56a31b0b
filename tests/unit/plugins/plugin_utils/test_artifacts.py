# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The artifacts directory."""

from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys

import pytest

from ansible_collections.meshsmith.universal.plugins.plugin_utils import _artifacts
from ansible_collections.meshsmith.universal.plugins.plugin_utils._artifacts import Artifacts, Stamp, UnsafeNameError

WEB = ("default", "web")
DB = ("default", "db")
POLICIES = [{"kind": "MeshHealthCheck", "name": "hc", "file": "mesh/hc.yaml"}]


def document(key, text="x"):
    mesh, name = key
    return json.dumps({"dataplane": name, "digests": {}, "mesh": mesh, "text": text}).encode()


def write(artifacts, documents, removed=(), inputs="inputs", summary=None):
    """Put documents by key, in one change; which of them were new."""
    with artifacts.locked(), artifacts.change() as change:
        changed = {key for key, content in documents.items() if change.put(key, content, "id", POLICIES)}
        change.remove(removed)
        change.commit(inputs, summary or {}, artifacts.stamp())
    return changed


def listing(directory):
    return sorted(
        path.relative_to(directory).as_posix() for path in directory.rglob("*") if not path.name.startswith(".")
    )


@pytest.fixture
def artifacts(tmp_path):
    return Artifacts(tmp_path / "artifacts")


def test_documents_and_their_policies_are_written_for_the_owner_only(artifacts):
    umask = os.umask(0)
    try:
        assert write(artifacts, {WEB: document(WEB)}) == {WEB}
    finally:
        os.umask(umask)
    assert artifacts.path(WEB).read_bytes() == document(WEB)
    assert json.loads((artifacts.directory / "default.policies.json").read_bytes()) == {"web": POLICIES}
    for path in (artifacts.directory, *artifacts.directory.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_only_what_differs_is_written(artifacts):
    write(artifacts, {WEB: document(WEB), DB: document(DB)})
    before = {key: artifacts.path(key).stat().st_ino for key in (WEB, DB)}
    assert write(artifacts, {WEB: document(WEB), DB: document(DB, "other")}) == {DB}
    assert artifacts.path(WEB).stat().st_ino == before[WEB]
    assert artifacts.path(DB).stat().st_ino != before[DB]


def test_a_change_that_fails_on_the_way_leaves_everything_as_it_was(artifacts, monkeypatch):
    write(artifacts, {WEB: document(WEB)})
    before = listing(artifacts.directory)

    def full_disk(path, content):
        if b"db" in content:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(path, content)

    original = _artifacts._write
    monkeypatch.setattr(_artifacts, "_write", full_disk)
    with pytest.raises(OSError, match="No space left"):
        write(artifacts, {WEB: document(WEB, "new"), DB: document(DB)})
    assert artifacts.path(WEB).read_bytes() == document(WEB)
    assert listing(artifacts.directory) == before
    assert not list(artifacts.directory.glob(".staged-*"))


def test_what_a_killed_run_has_left_is_cleared_away(artifacts):
    left = artifacts.directory / ".staged-killed"
    left.mkdir(parents=True)
    (left / "0").write_text("half")
    write(artifacts, {WEB: document(WEB)})
    assert not left.exists()


def test_removed_dataplanes_go_with_their_policies(artifacts):
    write(artifacts, {WEB: document(WEB), DB: document(DB)})
    write(artifacts, {WEB: document(WEB)}, removed=[DB])
    assert listing(artifacts.directory) == ["default", "default.policies.json", "default/web.json"]
    assert list(json.loads((artifacts.directory / "default.policies.json").read_bytes())) == ["web"]


def test_what_is_not_compiled_this_time_keeps_its_policies(artifacts):
    write(artifacts, {WEB: document(WEB), DB: document(DB)})
    write(artifacts, {WEB: document(WEB, "new")})
    assert sorted(json.loads((artifacts.directory / "default.policies.json").read_bytes())) == ["db", "web"]


def test_artifacts_are_current_until_inputs_or_files_change(artifacts):
    write(artifacts, {WEB: document(WEB)}, summary={"any": "thing"})
    stamp = artifacts.stamp()
    assert stamp.summary == {"any": "thing"}
    assert stamp.release_id(WEB) == "id"
    assert artifacts.is_current(stamp, "inputs", [WEB])
    assert not artifacts.is_current(stamp, "other inputs", [WEB])
    assert not artifacts.is_current(stamp, "inputs", [WEB, DB])
    artifacts.path(WEB).write_bytes(document(WEB, "edited"))
    assert not artifacts.is_current(stamp, "inputs", [WEB])


@pytest.mark.parametrize("lost", ["default/web.json", "default.policies.json"])
def test_artifacts_that_were_deleted_are_not_current(artifacts, lost):
    write(artifacts, {WEB: document(WEB)})
    (artifacts.directory / lost).unlink()
    assert not artifacts.is_current(artifacts.stamp(), "inputs", [WEB])


def test_what_an_earlier_run_compiled_from_other_inputs_is_not_current(artifacts):
    write(artifacts, {WEB: document(WEB), DB: document(DB)}, inputs="old")
    write(artifacts, {WEB: document(WEB)}, inputs="new")
    assert artifacts.is_current(artifacts.stamp(), "new", [WEB])
    assert not artifacts.is_current(artifacts.stamp(), "new", [WEB, DB])


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 0}', '{"format": 1}'])
def test_a_stamp_that_is_not_ours_is_none(artifacts, content):
    artifacts.directory.mkdir()
    (artifacts.directory / ".stamp.json").write_text(content)
    assert artifacts.stamp() == Stamp()


def test_other_artifacts_are_found_and_other_files_are_not(artifacts):
    write(artifacts, {WEB: document(WEB), DB: document(DB)})
    mesh = artifacts.directory / "default"
    (mesh / "notes.json").write_text("{}")
    (mesh / "broken.json").write_text("{")
    (mesh / "copy.json").write_bytes(document(WEB))
    (mesh / "readme.txt").write_text("")
    (artifacts.directory / "package.json").write_text("{}")
    assert artifacts.others([WEB]) == [DB]
    assert artifacts.count([WEB, ("default", "cache")]) == 1


def test_in_check_mode_changes_are_measured_against_the_baseline(tmp_path):
    baseline = Artifacts(tmp_path / "baseline")
    write(baseline, {WEB: document(WEB), DB: document(DB)})
    checked = Artifacts(tmp_path / "checked", baseline=baseline.directory)
    assert write(checked, {WEB: document(WEB), DB: document(DB, "new")}) == {DB}
    assert [checked.differs(key) for key in (WEB, DB)] == [False, True]
    assert checked.others([WEB]) == [DB]
    assert baseline.path(DB).read_bytes() == document(DB)


@pytest.mark.parametrize(
    "key", [("..", "web"), (".", "web"), ("", "web"), ("a/b", "web"), ("a", "../web"), ("a", "x" * 300), ("a", "b\0")]
)
def test_names_that_lead_elsewhere_are_refused(artifacts, key):
    with pytest.raises(UnsafeNameError):
        write(artifacts, {key: b"{}"})
    assert listing(artifacts.directory) == []


def test_a_directory_that_others_can_read_is_closed(artifacts):
    (artifacts.directory / "default").mkdir(parents=True)
    (artifacts.directory / "default").chmod(0o755)
    write(artifacts, {WEB: document(WEB)})
    assert stat.S_IMODE((artifacts.directory / "default").stat().st_mode) == 0o700


def test_one_compile_waits_for_another(artifacts):
    with artifacts.locked():
        script = "import fcntl, os, sys\nfcntl.flock(os.open(sys.argv[1], os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
        command = [sys.executable, "-c", script, str(artifacts.directory / ".lock")]
        assert b"BlockingIOError" in subprocess.run(command, check=False, capture_output=True).stderr
    assert subprocess.run(command, check=False).returncode == 0
