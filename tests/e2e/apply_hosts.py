# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that releases are applied to: a root and an Envoy of their own, and runs of Ansible against them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from lab import clients
from lab.envoy import Admin, envoy_binary
from lab.http_apps import Http2App
from lab.loopback import Network, free_port
from lab.polling import eventually

from ansible_collections.meshsmith.universal.plugins.module_utils import _apply, _live
from ansible_collections.meshsmith.universal.plugins.plugin_utils._mesh import api

CHECKOUT = Path(__file__).resolve().parents[2]
# Envoy's checks and its process run as another user than the tests, where they run as root.
USER, GROUP = ("nobody", "nogroup") if os.geteuid() == 0 else ("", "")
SECRET = "s3cr3t-of-the-check"
MESH = "default"
NAME = "web-1"

Document = dict[str, Any]


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def sealed(document: Document) -> Document:
    """The document with digests, versions and id that belong to what it holds."""
    for key, content in document["files"].items():
        content.pop("versionInfo", None)
        document["digests"][key] = hashlib.sha256(_canonical(content)).hexdigest()
        if key != "bootstrap":
            content["versionInfo"] = document["digests"][key]
    document["digests"] = {key: document["digests"][key] for key in document["files"]}
    listing = "\n".join(f"{key} {digest}" for key, digest in sorted(document["digests"].items()))
    document["id"] = hashlib.sha256(listing.encode()).hexdigest()[:32]
    return document


@dataclass(frozen=True)
class Run:
    """What one `ansible-playbook` said. `result` is the module's result, `output` all it printed."""

    code: int
    result: dict[str, Any]
    output: str

    @property
    def round_trips(self) -> int:
        """Commands that were run on the host."""
        return len(re.findall(r"^<[^>]*> EXEC ", self.output, re.MULTILINE))


class Host:
    """One dataplane `web-1` with an outbound to `backend`, the releases made for it, and its Envoy."""

    def __init__(self, binary: Path) -> None:
        self.base = Path(tempfile.mkdtemp(prefix="apply-", dir="/tmp"))
        self.base.chmod(0o755)
        self.root = self.base / "mesh"
        self.binary = binary
        self.network = Network()
        self.address = self.network.address()
        self.port = free_port(self.address)
        self.apps: list[Http2App] = []
        self.admin = Admin(self.root / "run" / "admin.sock")
        self._process: subprocess.Popen[bytes] | None = None
        self._pid_file: Path | None = None

    def close(self) -> None:
        self.stop()
        for app in self.apps:
            app.stop()
        self.network.release()
        shutil.rmtree(self.base)

    def serve(self, name: str) -> Http2App:
        app = Http2App(name)
        app.start(self.network.address())
        self.apps.append(app)
        return app

    # --- releases

    def release(self, *apps: Http2App, secret: str = SECRET, extra: str = "", **conf: Any) -> Document:
        """The release of a mesh in which `backend` is offered by these applications, without sidecars of their own."""
        backends = [
            {
                "type": "Dataplane",
                "mesh": MESH,
                "name": f"backend-{number}",
                "networking": {
                    "address": app.address,
                    "inbound": [
                        {
                            "port": app.port,
                            "servicePort": app.port + 1 if app.port < 65535 else app.port - 1,
                            "tags": {"kuma.io/service": "backend", "kuma.io/protocol": "http"},
                        }
                    ],
                },
            }
            for number, app in enumerate(apps)
        ]
        outbounds = [{"address": self.address, "port": self.port, "tags": {"kuma.io/service": "backend"}}]
        if extra:
            outbounds.append({"address": self.address, "port": self.port - 1, "tags": {"kuma.io/service": extra}})
            backends += [json.loads(json.dumps(backend).replace("backend", extra)) for backend in backends]
        web = {"address": self.address, "outbound": outbounds, "inbound": [self._inbound()]}
        check = {
            "interval": "1s",
            "timeout": "1s",
            "http": {"path": "/", "requestHeadersToAdd": {"set": [{"name": "x-token", "value": secret}]}},
            **conf,
        }
        policy = {
            "type": "MeshHealthCheck",
            "mesh": MESH,
            "name": "hc",
            "spec": {
                "targetRef": {"kind": "Mesh"},
                "to": [{"targetRef": {"kind": "MeshService", "name": "backend"}, "default": check}],
            },
        }
        documents = [
            {"type": "Mesh", "name": MESH, "skipCreatingInitialPolicies": ["*"]},
            {"type": "Dataplane", "mesh": MESH, "name": NAME, "networking": web},
            *backends,
            policy,
        ]
        universe = api.load(documents=[api.document(value, file="mesh/hc.yaml") for value in documents])
        assert not universe.errors, "\n".join(map(str, universe.errors))
        target = api.Target(root=str(self.root))
        document: Document = json.loads(
            api.compile_release(universe, api.find_dataplane(universe, NAME), target).document
        )
        return document

    def _inbound(self) -> dict[str, Any]:
        tags = {"kuma.io/service": "web", "kuma.io/protocol": "http"}
        return {"port": self.port - 2, "servicePort": self.port - 3, "tags": tags}

    def changed(self, document: Document, change: Callable[[Document], None]) -> Document:
        """A copy of a release, changed and sealed again: what a compiler with a bug, or a patch, might make."""
        copy: Document = json.loads(json.dumps(document))
        change(copy)
        return sealed(copy)

    # --- Envoy

    def start(self, *arguments: str) -> None:
        as_user = {"user": USER, "group": GROUP, "extra_groups": ()} if USER else {}
        with (self.base / "envoy.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self.binary,
                    *("--config-path", self.root / "live" / "bootstrap.json", "--log-level", "warning"),
                    *("--reject-unknown-dynamic-fields", "--disable-hot-restart", "--concurrency", "1"),
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                **as_user,
            )
        try:
            eventually(self.admin.ready)
        except AssertionError:
            raise AssertionError((self.base / "envoy.log").read_text()) from None

    def unit(self) -> Path:
        """A directory with a `systemctl` and a `journalctl` for this host's Envoy; what is real about it is Envoy.

        The tests of the roles have real systemd; here its failures can be provoked.
        """
        programs = self.base / "bin"
        programs.mkdir()
        self._pid_file = programs / "pid"
        log = self.base / "envoy.log"
        become = f"setpriv --reuid={USER} --regid={GROUP} --clear-groups" if USER else ""
        (programs / "systemctl").write_text(
            f"""#!/bin/sh
            pid=$(cat {self._pid_file} 2>/dev/null)
            runs() {{ [ -n "$pid" ] && grep -qs '^State:.[^ZX]' /proc/$pid/status; }}
            case $1 in
            start)
                {shlex.join([sys.executable, _live.__file__, str(self.root)])} || exit 1
                {become} {self.binary} --config-path {self.root}/live/bootstrap.json --concurrency 1 \
                    --reject-unknown-dynamic-fields --disable-hot-restart </dev/null >>{log} 2>&1 &
                echo $! >{self._pid_file} ;;
            stop)
                runs && kill -KILL $pid
                while runs; do sleep 0.02; done
                rm -f {self._pid_file} ;;
            show)
                echo LoadState=loaded
                if runs; then echo ActiveState=active
                elif [ -n "$pid" ]; then echo ActiveState=failed
                else echo ActiveState=inactive; fi ;;
            esac
            """
        )
        (programs / "journalctl").write_text(f"#!/bin/sh\ncat {log}\n")
        for program in programs.iterdir():
            program.chmod(0o755)
        return programs

    def stop(self) -> None:
        if self._pid_file is not None:
            subprocess.run([self._pid_file.parent / "systemctl", "stop"], check=True)
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    @property
    def pid(self) -> int:
        if self._process is not None:
            return self._process.pid
        assert self._pid_file is not None
        return int(self._pid_file.read_text())

    def body(self) -> str:
        """What the application behind the outbound answers."""
        return clients.get((self.address, self.port)).body

    # --- apply

    def options(self, **options: Any) -> dict[str, Any]:
        return {
            "dataplane": NAME,
            "mesh_name": MESH,
            "root": str(self.root),
            "envoy": str(self.binary),
            "user": USER or "envoy",
            "group": GROUP or "envoy",
            "unit": "",
            "allow_restart": False,
            "timeout": 10,
            **options,
        }

    def settings(self, check: bool = False, diff: bool = False, **options: Any) -> _apply.Settings:
        return _apply.Settings(self.options(**options), check_mode=check, diff=diff)

    def run(self, settings: _apply.Settings, document: Document, path: Path | None = None) -> dict[str, Any]:
        """The module's work, in this process; `path` is where the document was transferred to."""
        result: dict[str, Any] = _apply.apply(settings, document["id"], document["digests"], path and str(path))
        return result

    def saved(self, document: Document) -> Path:
        """The document as a file on the host."""
        path = self.base / f"{document['id']}.json"
        path.write_text(json.dumps(document))
        return path

    def apply(self, document: Document, check: bool = False, diff: bool = False, **options: Any) -> dict[str, Any]:
        """What the action makes of the module: with the document at hand. Raises ApplyError."""
        return self.run(self.settings(check, diff, **options), document, self.saved(document))

    def play(self, document: Document, *arguments: str, **options: Any) -> Run:
        """A whole run of Ansible with the task `apply`."""
        artifacts = self.base / "artifacts" / MESH
        artifacts.mkdir(parents=True, exist_ok=True)
        (artifacts / f"{NAME}.json").write_text(json.dumps(document))
        options = {**self.options(), "artifacts_dir": str(artifacts.parent), **options}
        play = {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {"name": "Apply", "meshsmith.universal.apply": options, "register": "applied", "ignore_errors": True},
                {
                    "name": "Keep the result",
                    "ansible.builtin.copy": {"dest": f"{self.base}/result.json", "content": "{{ applied | to_json }}"},
                    "check_mode": False,
                    "diff": False,
                },
            ],
        }
        (self.base / "play.yml").write_text(yaml.safe_dump([play]))
        done = ansible(
            "ansible-playbook",
            "-i",
            f"{NAME},",
            str(self.base / "play.yml"),
            *arguments,
            "-e",
            json.dumps({"ansible_connection": "local", "ansible_python_interpreter": sys.executable}),
        )
        result = json.loads((self.base / "result.json").read_text())
        text = done.stdout + done.stderr
        # What came after the task under test is of no interest.
        return Run(done.returncode, result, text.partition("TASK [Keep the result]")[0])

    def snapshot(self) -> dict[str, tuple[int, int, int]]:
        """Everything below the root: path to inode, modification time and size. `run/` belongs to Envoy."""
        found = {}
        for path in [self.root, *self.root.rglob("*")]:
            if "run" not in path.relative_to(self.root).parts:
                status = path.lstat()
                found[str(path.relative_to(self.root))] = (status.st_ino, status.st_mtime_ns, status.st_size)
        return found

    def current(self) -> str | None:
        link = self.root / "current"
        return link.readlink().name if link.is_symlink() else None

    def live(self) -> dict[str, Any]:
        """The files in `live/` by key."""
        live = self.root / "live"
        return {str(path.relative_to(live))[:-5]: json.loads(path.read_bytes()) for path in live.rglob("*.json")}


def ansible(*command: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run one of Ansible's commands with this collection, as a user's checkout has it."""
    return subprocess.run(
        [Path(sys.executable).parent / command[0], *command[1:]],
        cwd=CHECKOUT,
        env={
            **os.environ,
            "ANSIBLE_COLLECTIONS_PATH": str(CHECKOUT / "collections"),
            "ANSIBLE_PIPELINING": "1",
            "ANSIBLE_NOCOLOR": "1",
            **(environment or {}),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def copy_of_envoy(directory: Path) -> Path:
    """Envoy's binary where every user of this machine can run it."""
    path = directory / "envoy"
    shutil.copy(envoy_binary(), path)
    path.chmod(0o755)
    return path
