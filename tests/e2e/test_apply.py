# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`apply` on a host with a real Envoy: it gets there without a failed request, or the host stays as it was."""

from __future__ import annotations

import contextlib
import fcntl
import http.client
import json
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from apply_hosts import SECRET, Document, Host, copy_of_envoy
from lab.polling import eventually

from ansible_collections.meshsmith.universal.plugins.module_utils import _apply, _envoy, _live, _watches
from ansible_collections.meshsmith.universal.plugins.module_utils._errors import ApplyError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for a file system of its own")


@pytest.fixture(scope="module")
def binary() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="envoy-", dir="/tmp") as directory:
        Path(directory).chmod(0o755)
        yield copy_of_envoy(Path(directory))


@pytest.fixture
def host(binary: Path) -> Iterator[Host]:
    host = Host(binary)
    yield host
    host.close()


@pytest.fixture
def running(host: Host) -> Host:
    """A host whose Envoy runs a release with one application, `one`."""
    host.apply(host.release(host.serve("one")))
    host.start()
    eventually(lambda: host.body() == "one")
    return host


class Load:
    """Requests through the outbound, one after another, for as long as the block runs."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._over = threading.Event()
        self.bodies: list[str] = []
        self.failures: list[str] = []

    def __enter__(self) -> Load:
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._over.is_set():
            try:
                self.bodies.append(self._host.body())
            except (OSError, http.client.HTTPException) as failure:
                self.failures.append(repr(failure))


def unharmed(host: Host, document: Document, *others: Document) -> None:
    """The host runs this release, whole, and holds no release but this and `others`."""
    assert host.current() == document["id"]
    assert host.live() == document["files"]
    assert {path.name for path in (host.root / "releases").iterdir()} == {one["id"] for one in (document, *others)}
    assert not (host.root / ".swap").exists()
    assert host.apply(document)["status"] == "current"
    assert host.body() == "one"


# --- the way it should go


def test_from_nothing_to_unchanged(host: Host) -> None:
    document = host.release(host.serve("one"))
    temporary = host.base / "ansible-tmp"
    places = ("-vvv", "-e", f"ansible_remote_tmp={temporary}")

    first = host.play(document, *places)
    assert first.result["status"] == "pending_start", first.output
    assert first.result["pending_start"] is True
    assert first.result["changed"] is True
    assert "cluster/backend" in first.result["resources"]["added"]
    assert first.result["policies"] == [{"kind": "MeshHealthCheck", "name": "hc", "file": "mesh/hc.yaml"}]
    assert host.current() == document["id"]
    assert host.live() == document["files"]
    assert not list(temporary.rglob("release.json"))
    assert "chmod 0600" in first.output
    # Neither arguments nor results show the document.
    assert SECRET not in first.output
    assert "healthChecks" not in first.output

    host.start()
    eventually(lambda: host.body() == "one")
    before = host.snapshot()
    second = host.play(document, *places)
    assert second.result["status"] == "current"
    assert second.result["changed"] is False
    assert second.result["pending_start"] is False
    assert second.round_trips == 1, second.output
    assert host.snapshot() == before


@as_root
def test_envoys_group_and_nobody_else_reads_a_release(host: Host) -> None:
    document = host.release(host.serve("one"))
    host.apply(document)
    release = host.root / "releases" / document["id"]
    modes = {
        path: f"{path.owner()}:{path.group()} {path.stat().st_mode & 0o777:o}"
        for path in (
            release,
            release / "cds.json",
            release / "release.json",
            host.root / "live" / "eds",
            host.root / "run",
        )
    }
    assert modes == {
        release: "root:nogroup 750",
        release / "cds.json": "root:nogroup 640",
        release / "release.json": "root:nogroup 600",
        host.root / "live" / "eds": "root:nogroup 750",
        host.root / "run": "nobody:nogroup 700",
    }


def test_another_endpoint_touches_nothing_but_its_file(running: Host) -> None:
    before = {path: entry for path, entry in running.snapshot().items() if path.startswith("live/")}
    resets = running.admin.stat("cluster_manager.cluster_modified")
    old = running.apps[0]
    with Load(running) as load:
        result = running.apply(running.release(old, running.serve("two")))
        eventually(lambda: "two" in load.bodies)
    assert result["status"] == "applied"
    assert result["resources"] == {"added": [], "changed": ["endpoint/backend"], "removed": []}
    after = {path: entry for path, entry in running.snapshot().items() if path.startswith("live/")}
    assert {path for path in after if after[path] != before.get(path)} == {"live/eds", "live/eds/backend.json"}
    assert running.admin.stat("cluster_manager.cluster_modified") == resets
    assert load.failures == []
    assert set(load.bodies) == {"one", "two"}


def test_a_service_comes_and_goes_under_load(running: Host) -> None:
    alone = running.release(*running.apps)
    both = running.release(*running.apps, extra="other")
    with Load(running) as load:
        added = running.apply(both)
        assert "other" in running.admin.clusters()
        assert running.live() == both["files"]
        removed = running.apply(alone)
        assert "other" not in running.admin.clusters()
        assert running.live() == alone["files"]
    assert "cluster/other" in added["resources"]["added"]
    assert "cluster/other" in removed["resources"]["removed"]
    assert running.current() == alone["id"]
    assert load.failures == []
    assert set(load.bodies) == {"one"}


def test_a_release_that_the_host_holds_is_not_sent_again(running: Host) -> None:
    alone = running.release(*running.apps)
    running.apply(running.release(*running.apps, extra="other"))
    settings = running.settings()
    assert running.run(settings, alone)["status"] == "applied"
    assert running.current() == alone["id"]


def test_envoy_that_was_stopped_is_left_alone(running: Host) -> None:
    running.stop()
    document = running.release(*running.apps, extra="other")
    result = running.apply(document)
    assert (result["status"], result["pending_start"]) == ("pending_start", True)
    assert running.live() == document["files"]
    running.start()
    assert running.apply(document)["status"] == "current"


def test_what_was_changed_by_hand_is_put_right(running: Host) -> None:
    document = running.release(*running.apps)
    for edited in (running.root / "live" / "cds.json", running.root / "releases" / document["id"] / "cds.json"):
        edited.write_bytes(edited.read_bytes().replace(b'"1s"', b'"2s"'))
        assert running.apply(document)["changed"] is True
        unharmed(running, document)


def test_an_interrupted_move_is_finished_by_the_next_run(running: Host) -> None:
    former = running.release(*running.apps)
    document = running.release(*running.apps, extra="other")
    # Killed when endpoints and the union of clusters were in: what it leaves are files, and `current` of before.
    for key in ("eds/other", "cds"):
        beside = running.root / "live" / ".beside"
        beside.write_text(json.dumps(document["files"][key]))
        beside.chmod(0o644)
        beside.rename(running.root / "live" / f"{key}.json")
    eventually(lambda: "other" in running.admin.clusters())
    (running.root / ".swap").mkdir()
    (running.root / "releases" / f".{document['id']}.new").mkdir()
    assert running.current() == former["id"]
    with Load(running) as load:
        assert running.apply(document)["status"] == "applied"
    assert running.live() == document["files"]
    assert load.failures == []


def test_slow_first_health_checks_do_not_fail_a_release(running: Host) -> None:
    # Listens, but never answers: the first check ends with its timeout, long after the patience of apply.
    silent = running.serve("silent")
    silent.serve = lambda _connection: time.sleep(3)  # type: ignore[method-assign]
    result = running.apply(running.release(silent, timeout="1.5s", interval="60s", secret="another"), timeout=1)
    assert result["status"] == "applied"
    assert any("first health checks" in note for note in result["notes"])


# --- check mode and diff


def test_check_mode_writes_nothing_and_hides_secrets(running: Host) -> None:
    before = running.snapshot()
    run = running.play(running.release(*running.apps, secret="another-" + SECRET, interval="3s"), "--check", "--diff")
    assert run.result["status"] == "would_change"
    assert run.result["changed"] is True
    assert run.result["resources"] == {"added": [], "changed": ["cluster/backend"], "removed": []}
    assert '-      "interval": "1s"' in run.output
    assert '+      "interval": "3s"' in run.output
    assert "(hidden, changed)" in run.output
    assert SECRET not in run.output
    assert SECRET not in json.dumps(run.result)
    assert running.snapshot() == before


def test_check_mode_on_a_host_without_anything(host: Host) -> None:
    options = {"envoy": str(host.base / "absent"), "user": "absent", "group": "absent", "unit": "absent.service"}
    run = host.play(host.release(host.serve("one")), "--check", **options)
    assert run.result["status"] == "would_change", run.output
    assert run.result["pending_start"] is False
    assert [words.partition(":")[0] for words in run.result["left_out"]] == [
        "whether Envoy acknowledges the release",
        "Envoy's check of the release",
        "the sandbox of the unit",
    ]
    assert not host.root.exists()


def test_check_mode_has_envoy_check_the_release(running: Host) -> None:
    with pytest.raises(ApplyError, match="timeout: value is required"):
        running.apply(running.changed(running.release(*running.apps), without_timeout), check=True)


# --- a release that Envoy does not want


def cluster(document: Document) -> dict[str, Any]:
    found: dict[str, Any] = next(c for c in document["files"]["cds"]["resources"] if c["name"] == "backend")
    return found


def without_timeout(document: Document) -> None:
    del cluster(document)["healthChecks"][0]["timeout"]


def with_inverted_range(document: Document) -> None:
    ranges = [{"start": "300", "end": "200"}]
    cluster(document)["healthChecks"][0]["httpHealthCheck"]["expectedStatuses"] = ranges


def with_unknown_field(document: Document) -> None:
    cluster(document)["healthChecks"][0]["nonsense"] = True


def with_secret_in_the_wrong_place(document: Document) -> None:
    cluster(document)["connectTimeout"] = SECRET


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (without_timeout, "healthChecks[0].timeout: value is required"),
        (
            with_inverted_range,
            "Invalid http expected status range: expecting start < end, but found start=300 and end=200",
        ),
        (with_unknown_field, "healthChecks[0]: no such field: 'nonsense'"),
        (with_secret_in_the_wrong_place, "connectTimeout: duration must start with an integer"),
    ],
)
def test_envoys_refusal_names_the_policy(running: Host, change: Callable[[Document], None], words: str) -> None:
    before = running.snapshot()
    document = running.release(*running.apps)
    with pytest.raises(ApplyError) as refusal:
        running.apply(running.changed(document, change))
    assert str(refusal.value) == (
        "Envoy refuses the release: cluster backend (MeshHealthCheck hc in mesh/hc.yaml spec.to[0].default): " + words
    )
    assert refusal.value.facts["resource"] == "cluster/backend"
    after = running.snapshot()
    assert {path for path in after if after[path] != before.get(path)} <= {".", "releases"}
    unharmed(running, document)


def test_a_refused_listener_is_found(running: Host) -> None:
    def with_a_host_name(document: Document) -> None:
        for listener in document["files"]["lds"]["resources"]:
            if listener["name"].startswith("outbound:"):
                listener["address"]["socketAddress"]["address"] = "localhost"

    document = running.changed(running.release(*running.apps), with_a_host_name)
    with pytest.raises(ApplyError, match=r"refuses the release: listener outbound:.*: malformed IP address: localhost"):
        running.apply(document)


def test_what_only_the_running_envoy_refuses_is_taken_back(running: Host) -> None:
    document = running.release(*running.apps)
    app = running.apps[0]

    def on_the_applications_port(copy: Document) -> None:
        listener = next(one for one in copy["files"]["lds"]["resources"] if one["name"].startswith("outbound:"))
        other = json.loads(json.dumps(listener))
        other["name"] = "taken"
        other["address"]["socketAddress"] = {"address": app.address, "portValue": app.port}
        copy["files"]["lds"]["resources"].append(other)
        # More has changed, and is in when the listener is refused.
        cluster(copy)["connectTimeout"] = "7s"

    with Load(running) as load:
        run = running.play(running.changed(document, on_the_applications_port))
    assert run.result["failed"] is True
    assert "Envoy refused the release: listener taken: cannot bind" in run.result["msg"]
    assert run.result["msg"].endswith("The former release is live again")
    assert run.result["restored"] is True
    assert load.failures == []
    unharmed(running, document)


# --- a host on which it cannot work


def refused(host: Host, document: Document, words: str, **options: Any) -> None:
    """Nothing changes, and the message holds these words."""
    before = host.live()
    with pytest.raises(ApplyError, match=words):
        host.apply(document, **options)
    assert host.live() == before


def fake_elf(machine: int) -> bytes:
    return b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HH", 2, machine) + bytes(44)


def test_envoy_binaries_that_cannot_run(running: Host) -> None:
    document = running.release(*running.apps, extra="other")
    fake = running.base / "fake"
    refused(running, document, f"there is no Envoy binary {fake}", envoy=str(fake))
    fake.write_bytes(fake_elf(0xB7 if os.uname().machine == "x86_64" else 0x3E))
    fake.chmod(0o644)
    refused(running, document, "is not an executable file", envoy=str(fake))
    fake.chmod(0o755)
    other = "aarch64" if os.uname().machine == "x86_64" else "x86_64"
    refused(running, document, f"is built for {other}, this host is {os.uname().machine}", envoy=str(fake))
    fake.write_text("#!/bin/sh\necho envoy  version: 0123abc/1.35.9/Clean/RELEASE/BoringSSL\n")
    refused(running, document, r"is Envoy 1\.35\.9, too old: at least 1\.36 is needed", envoy=str(fake))
    fake.write_text("#!/bin/sh\necho something else\n")
    refused(running, document, "does not say a version", envoy=str(fake))
    unharmed(running, running.release(*running.apps))


def test_a_check_that_never_ends(running: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_envoy, "CHECK_SECONDS", 1)
    fake = running.base / "fake"
    version = "echo envoy version: 0123abc/1.40.0/Clean"
    fake.write_text(f'#!/bin/sh\n[ "$1" = --version ] && {version} && exit\nexec sleep 60\n')
    fake.chmod(0o755)
    refused(running, running.release(*running.apps, extra="other"), "does not come to an end", envoy=str(fake))
    unharmed(running, running.release(*running.apps))


def test_envoy_that_hangs(running: Host) -> None:
    os.kill(running.pid, signal.SIGSTOP)
    try:
        refused(running, running.release(*running.apps, extra="other"), "does not answer on .* within 1 s", timeout=1)
    finally:
        os.kill(running.pid, signal.SIGCONT)
    unharmed(running, running.release(*running.apps))


def test_envoy_that_ends_in_the_middle(running: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    document = running.release(*running.apps)
    replace = os.replace

    def and_then_kill(source: str, target: str) -> None:
        replace(source, target)
        if target.endswith("live/cds.json"):
            running.stop()

    monkeypatch.setattr(os, "replace", and_then_kill)
    with pytest.raises(ApplyError, match="it comes up with the former release"):
        running.apply(running.release(*running.apps, extra="other"))
    monkeypatch.undo()
    running.start()
    unharmed(running, document)


@as_root
def test_a_full_disk(host: Host) -> None:
    host.root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k,mode=755", "mesh-test", host.root], check=True)
    try:
        document = host.release(host.serve("one"))
        host.apply(document)
        host.start()
        eventually(lambda: host.body() == "one")
        filler = host.root / "filler"
        # However much space is left, a failed run leaves no trace.
        failed = 0
        for free in range(0, 100, 4):
            with filler.open("wb", buffering=0) as file:
                _fill(file)
                file.truncate(max(0, file.tell() - free * 1024))
            words = _why_not(host, host.release(*host.apps, extra="other"))
            if not words:
                break
            failed += 1
            assert "no space left on device" in words
            filler.unlink()
            unharmed(host, document)
        assert failed > 3
        assert free < 96
    finally:
        host.stop()
        subprocess.run(["umount", host.root], check=True)


def _why_not(host: Host, document: Document) -> str:
    try:
        host.apply(document)
    except ApplyError as refusal:
        return str(refusal)
    return ""


def _fill(file: Any) -> None:
    with contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))


@as_root
def test_a_read_only_file_system(running: Host) -> None:
    document = running.release(*running.apps, extra="other")
    subprocess.run(["mount", "--bind", running.root, running.root], check=True)
    subprocess.run(["mount", "-o", "remount,bind,ro", running.root], check=True)
    try:
        refused(running, document, f"cannot write below {running.root}.*read-only file system")
    finally:
        subprocess.run(["umount", running.root], check=True)
    unharmed(running, running.release(*running.apps))


@as_root
def test_event_logs_need_a_place(running: Host) -> None:
    where = "cluster backend .MeshHealthCheck hc in mesh/hc.yaml spec.to.0..default.: "
    missing = running.base / "absent" / "events.log"
    document = running.release(*running.apps, eventLogPath=str(missing))
    refused(running, document, f"{where}its log .* needs the directory {missing.parent}")
    missing.parent.mkdir(mode=0o755)
    refused(running, document, f"{where}Envoy's user nobody cannot write its log")
    missing.parent.chmod(0o777)
    running.apply(running.release(*running.apps, eventLogPath=str(missing)), check=True)
    assert not missing.exists()
    assert running.apply(document)["status"] == "applied"


def inotify_instances(host: Host) -> int:
    return [os.readlink(link) for link in Path(f"/proc/{host.pid}/fd").iterdir()].count("anon_inode:inotify")


def test_more_files_than_envoy_may_watch(running: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    held = inotify_instances(running)
    document = running.release(*running.apps, extra="other")
    monkeypatch.setattr(_watches, "open_instances", lambda _count: False)
    with pytest.raises(ApplyError, match=r"raise fs\.inotify\.max_user_instances") as refusal:
        running.apply(document)
    unharmed(running, running.release(*running.apps))
    monkeypatch.undo()
    running.apply(document)
    assert f"would need {inotify_instances(running) - held} more inotify instances" in str(refusal.value)


def test_a_changed_bootstrap_needs_leave(running: Host) -> None:
    def other_node(copy: Document) -> None:
        copy["files"]["bootstrap"]["node"]["cluster"] = "other"

    document = running.changed(running.release(*running.apps), other_node)
    refused(running, document, "the bootstrap has changed, and no unit")
    note = running.apply(document, check=True)["notes"][0]
    assert note.startswith("a real run would fail: the bootstrap has changed")
    running.stop()
    assert running.apply(document)["pending_start"] is True
    running.start()
    assert running.apply(document)["status"] == "current"


def test_a_unit_that_does_not_exist(host: Host) -> None:
    with pytest.raises(ApplyError, match=r"absent\.service"):
        host.apply(host.release(host.serve("one")), unit="absent.service")
    assert not host.root.exists()


def test_a_root_too_long_for_a_socket(host: Host) -> None:
    host.root = host.base / ("x" * 90)
    with pytest.raises(ApplyError, match="root is too long"):
        host.apply(host.release(host.serve("one")))


def test_an_envoy_of_somebody_else(running: Host) -> None:
    (running.root / "current").unlink()
    refused(running, running.release(*running.apps), "an Envoy answers on .* but no release was applied")


# --- a unit that runs Envoy


@pytest.fixture
def managed(host: Host, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host with a unit, and nothing applied yet."""
    host.serve("one")
    monkeypatch.setenv("PATH", f"{host.unit()}:{os.environ['PATH']}")
    return host


def on_a_port_in_use(host: Host) -> Callable[[Document], None]:
    """A bootstrap with a listener of its own that Envoy's check accepts, and with which it does not start."""
    address = {"socketAddress": {"address": host.apps[0].address, "portValue": host.apps[0].port}}
    proxy = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "statPrefix": "own",
        "cluster": "backend",
    }
    chain = {"filters": [{"name": "envoy.filters.network.tcp_proxy", "typedConfig": proxy}]}

    def change(document: Document) -> None:
        listener = {"name": "own", "address": address, "filterChains": [chain]}
        document["files"]["bootstrap"]["staticResources"] = {"listeners": [listener]}

    return change


def test_a_first_install_starts_the_unit(managed: Host) -> None:
    document = managed.release(*managed.apps)
    result = managed.apply(document, unit="mesh.service")
    assert (result["status"], result["pending_start"], result["previous"]) == ("applied", False, None)
    eventually(lambda: managed.body() == "one")
    unharmed(managed, document)


def test_a_first_install_that_fails_leaves_nothing(managed: Host) -> None:
    document = managed.changed(managed.release(*managed.apps), on_a_port_in_use(managed))
    with pytest.raises(ApplyError, match=r"cannot bind '.*': Address already in use.*Envoy does not run") as refusal:
        managed.apply(document, unit="mesh.service")
    assert refusal.value.facts["restored"] is True
    assert managed.current() is None
    assert not (managed.root / "live").exists()
    assert not list((managed.root / "releases").iterdir())
    assert managed.apply(managed.release(*managed.apps), unit="mesh.service")["status"] == "applied"


def test_a_restart_where_it_is_allowed(managed: Host) -> None:
    former = managed.release(*managed.apps)
    managed.apply(former, unit="mesh.service")

    def other_node(copy: Document) -> None:
        copy["files"]["bootstrap"]["node"]["cluster"] = "other"

    document = managed.changed(former, other_node)
    refused(managed, document, "set allow_restart", unit="mesh.service")
    result = managed.apply(document, unit="mesh.service", allow_restart=True)
    assert (result["status"], result["restarted"]) == ("applied", True)
    assert managed.admin.get_json("/server_info")["node"]["cluster"] == "other"
    eventually(lambda: managed.body() == "one")
    unharmed(managed, document, former)


def test_a_restart_that_fails_brings_the_former_release_back(managed: Host) -> None:
    former = managed.release(*managed.apps)
    managed.apply(former, unit="mesh.service")
    document = managed.changed(former, on_a_port_in_use(managed))
    words = r"Envoy refused the release: cannot bind '.*': Address already in use\. The former release is live again"
    with pytest.raises(ApplyError, match=words):
        managed.apply(document, unit="mesh.service", allow_restart=True)
    eventually(lambda: managed.body() == "one")
    unharmed(managed, former)


def test_a_restart_that_was_interrupted_is_done_again(managed: Host) -> None:
    document = managed.release(*managed.apps)
    managed.apply(document, unit="mesh.service")
    first = managed.pid
    (managed.root / ".restarting").touch()
    refused(managed, document, "set allow_restart", unit="mesh.service")
    assert managed.apply(document, unit="mesh.service", allow_restart=True)["restarted"] is True
    assert managed.pid != first
    assert managed.apply(document, unit="mesh.service")["status"] == "current"


def test_a_unit_that_runs_without_its_admin_socket(managed: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_apply, "_ADMIN_SECONDS", 1)
    document = managed.release(*managed.apps)
    managed.apply(document, unit="mesh.service")
    (managed.root / "run" / "admin.sock").unlink()
    for wanted in (document, managed.release(*managed.apps, extra="other")):
        refused(managed, wanted, "mesh.service is active, but nothing answers", unit="mesh.service")


# --- a document that must not be used


def outside(document: Document) -> None:
    document["files"]["eds/../../../evil"] = document["files"].pop("eds/backend")


def of_another_root(document: Document) -> None:
    text = json.dumps(document["files"]).replace("/mesh/live/", "/elsewhere/live/")
    document["files"] = json.loads(text)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (outside, "names a file that cannot be"),
        (of_another_root, "compiled for another mesh_root"),
        (lambda document: document.update(dataplane="web-2"), "is of dataplane web-2 in mesh default"),
        (lambda document: document.update(format=2), "has format 2"),
        (lambda document: document["files"].pop("lds"), "lacks lds"),
    ],
)
def test_documents_that_are_not_for_this_host(running: Host, change: Callable[[Document], None], words: str) -> None:
    document = running.release(*running.apps)
    refused(running, running.changed(running.release(*running.apps, extra="other"), change), words)
    unharmed(running, document)


def test_a_document_that_was_edited_or_cut_off(running: Host) -> None:
    document = running.release(*running.apps, extra="other")
    path = running.base / "document.json"
    cluster(document)["connectTimeout"] = "9s"
    refused(running, document, "was changed: cds does not match its digest")
    text = json.dumps(document)
    path.write_text(text[: len(text) // 2])
    with pytest.raises(ApplyError, match="is not whole"):
        running.run(running.settings(), document, path)
    run = running.play(document)
    assert run.result["failed"] is True
    assert "was changed" in run.result["msg"]
    unharmed(running, running.release(*running.apps))


def test_the_action_says_what_is_missing(host: Host) -> None:
    run = host.play(host.release(host.serve("one")), dataplane="web-9")
    assert run.result["failed"] is True
    assert "web-9.json: compile the mesh first" in run.result["msg"]
    run = host.play(host.release(*host.apps), artifact="somewhere.json")
    assert "exactly one of artifacts_dir and artifact" in run.result["msg"]


# --- two at a time, and cold starts


def test_a_second_apply_waits_and_then_gives_up(running: Host) -> None:
    document = running.release(*running.apps, extra="other")
    with (running.root / ".lock").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused(running, document, "another apply holds .*; waited 1 s for it", timeout=1)
        threading.Timer(0.5, fcntl.flock, (lock, fcntl.LOCK_UN)).start()
        assert running.apply(document)["status"] == "applied"


def test_many_at_once_agree(running: Host) -> None:
    documents = [running.release(*running.apps, interval=f"{seconds}s") for seconds in (2, 3, 4)]
    saved = {document["id"]: running.saved(document) for document in documents}
    statuses: list[str] = []

    def apply(document: Document) -> None:
        statuses.append(running.run(running.settings(), document, saved[document["id"]])["status"])

    threads = [threading.Thread(target=apply, args=(document,)) for document in documents * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(statuses) == len(threads)
    final = next(document for document in documents if document["id"] == running.current())
    assert running.live() == final["files"]
    assert running.apply(final)["status"] == "current"


def test_a_cold_start_is_one_whole_release(running: Host, capsys: pytest.CaptureFixture[str]) -> None:
    document = running.release(*running.apps)
    live = running.root / "live"
    before = running.snapshot()
    assert _live.main([str(running.root)]) == 0
    assert running.snapshot() == before
    (live / "cds.json").write_text("{}")
    (live / "eds" / "stray.json").write_text("{}")
    (live / "lds.json").unlink()
    restore = [sys.executable, _live.__file__, str(running.root)]
    subprocess.run(restore, check=True)
    assert running.live() == document["files"]
    status = (live / "lds.json").stat()
    assert (status.st_mode & 0o777, status.st_gid) == (0o640, (running.root / "current" / "lds.json").stat().st_gid)

    (running.root / "current").unlink()
    assert _live.main([str(running.root)]) == 1
    assert "names no release" in capsys.readouterr().err
    assert running.live() == document["files"]
