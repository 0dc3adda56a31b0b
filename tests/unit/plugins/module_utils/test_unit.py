# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of systemd, and which paths a unit's sandbox leaves writable."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.meshsmith.universal.plugins.module_utils import _unit
from ansible_collections.meshsmith.universal.plugins.module_utils._errors import UnitError


def systemctl(directory: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int = 0) -> _unit.Unit:
    """A unit on a host whose `systemctl` gives this answer."""
    program = directory / "systemctl"
    program.write_text(f"#!/bin/sh\ncat <<'END'\n{answer}\nEND\nexit {code}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{directory}:/usr/bin:/bin")
    return _unit.Unit("envoy-mesh.service")


STRICT = (
    "ProtectSystem=strict\nProtectHome=yes\nPrivateTmp=yes\n"
    "ReadWritePaths=/etc/envoy/mesh/run -/var/log/envoy\nLogsDirectory=proxy\nStateDirectory=\n"
)


@pytest.mark.parametrize(
    ("shown", "path", "writable"),
    [
        (STRICT, "/var/log/envoy/events.log", True),
        (STRICT, "/var/log/envoy2/events.log", False),
        (STRICT, "/var/log/proxy/events.log", True),
        (STRICT, "/etc/envoy/mesh/events.log", False),
        (STRICT, "/tmp/events.log", True),
        (STRICT, "/dev/null", True),
        (STRICT, "/home/me/events.log", False),
        ("ProtectSystem=full", "/etc/events.log", False),
        ("ProtectSystem=full", "/var/log/events.log", True),
        ("ProtectSystem=yes", "/usr/events.log", False),
        ("ProtectSystem=yes", "/etc/events.log", True),
        ("ProtectSystem=no", "/usr/events.log", True),
        ("ProtectSystem=no\nProtectHome=yes", "/root/events.log", False),
    ],
)
def test_sandbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shown: str, path: str, writable: bool) -> None:
    assert systemctl(tmp_path, monkeypatch, shown).can_write(path) is writable


def test_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert systemctl(tmp_path, monkeypatch, "ActiveState=activating").active()
    assert not systemctl(tmp_path, monkeypatch, "ActiveState=inactive").active()
    assert systemctl(tmp_path, monkeypatch, "ActiveState=failed\nSubState=failed").failed()
    waiting = systemctl(tmp_path, monkeypatch, "ActiveState=activating\nSubState=auto-restart")
    assert waiting.failed()
    assert not waiting.active()
    running = systemctl(tmp_path, monkeypatch, "ActiveState=active\nSubState=running")
    assert running.active()
    assert not running.failed()
    systemctl(tmp_path, monkeypatch, "LoadState=loaded").check()
    with pytest.raises(UnitError, match=r"systemd on this host has no unit envoy-mesh\.service"):
        systemctl(tmp_path, monkeypatch, "LoadState=not-found").check()


def test_a_verb_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unit = systemctl(tmp_path, monkeypatch, "Job for\nenvoy-mesh.service failed.", code=1)
    with pytest.raises(UnitError, match=r"systemctl start envoy-mesh.service: Job for envoy-mesh.service failed. "):
        unit.do("start")


def test_a_host_without_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    unit = _unit.Unit("envoy-mesh.service")
    assert not unit.active()
    with pytest.raises(UnitError, match="this host has no systemctl"):
        unit.check()
