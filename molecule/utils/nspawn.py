# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Throw-away systemd hosts for molecule: systemd-nspawn over one cached image.

    nspawn.py up NAME ADDRESS   boot a host and wait until it answers over SSH
    nspawn.py reboot NAME       cut its power and boot it again from the same disk
    nspawn.py down              end every host there is and forget its disk

Needs root and the packages systemd-container, mmdebstrap, iproute2 and openssh-client. Hosts hang on one bridge and
have no way out of it. All state is below `/var/cache/molecule-nspawn`, whichever checkout the hosts came from. There
is room for one run of molecule on a machine: a second one waits until the process of the first has ended. What that
left behind, because it was killed or on purpose, is cleared by the next `down`.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CACHE = Path("/var/cache/molecule-nspawn")
DISKS = CACHE / "disks"
KEY = CACHE / "id_ed25519"
RUN = CACHE / "run"
BRIDGE = "br-molecule"
GATEWAY = "10.90.0.1"
PREFIX = 24
SUITE = "bookworm"
PACKAGES = (
    "ca-certificates",
    "curl",
    "dbus",
    "iproute2",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "python3-apt",
    "systemd",
    "systemd-sysv",
)
NETWORK = """\
[Match]
Name=host0
[Network]
Address={address}/{prefix}
Gateway={gateway}
# Nobody on the bridge answers, and the host would wait for it before it is online.
IPv6AcceptRA=no
LinkLocalAddressing=no
"""
BOOT_SECONDS = 60.0
STOP_SECONDS = 10.0
OTHER_RUN_SECONDS = 1800.0


def run(*command: str | Path) -> None:
    """Run a command; its output is shown only when it fails."""
    done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{done.stdout}{done.stderr}")


def succeeds(*command: str | Path) -> bool:
    """Whether a command ends with exit code 0."""
    return subprocess.run(command, check=False, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


def wait(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether the condition came true within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def image() -> Path:
    """The root file system that all hosts share, built once per package list."""
    digest = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    root = CACHE / f"{SUITE}-{digest}"
    if not KEY.exists():
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "molecule", "-f", KEY)
    if root.exists():
        return root
    build = CACHE / "build"
    shutil.rmtree(build, ignore_errors=True)
    packages = ",".join(PACKAGES)
    run("mmdebstrap", "--quiet", "--mode=root", "--variant=minbase", f"--include={packages}", SUITE, build)
    # As on a real host: its addresses are there before network-online.target is reached.
    run("systemctl", f"--root={build}", "enable", "systemd-networkd.service", "systemd-networkd-wait-online.service")
    for name in ("machine-id", "resolv.conf"):
        (build / "etc" / name).write_text("")
    (build / "etc" / "hostname").unlink(missing_ok=True)
    build.rename(root)
    return root


def mark(name: str) -> str:
    """The environment variable by which a host's processes are found, even when nothing else knows of them."""
    return f"MOLECULE_DISK={DISKS / name}"


def processes(name: str, member: str) -> list[int]:
    """Processes that have the mark in their `cmdline` (systemd-nspawn) or `environ` (the host's process 1)."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{mark(name)}\0".encode() in (entry / member).read_bytes():
                found.append(int(entry.name))
    return found


def boot(name: str) -> None:
    """Start the host whose disk is there, and wait until it answers over SSH and all its units have started."""
    disk = DISKS / name
    address = (disk / "address").read_text()
    if not succeeds("ip", "link", "show", BRIDGE):
        run("ip", "link", "add", BRIDGE, "type", "bridge")
    run("ip", "address", "replace", f"{GATEWAY}/{PREFIX}", "dev", BRIDGE)
    run("ip", "link", "set", BRIDGE, "up")
    if not os.path.ismount(disk / "root"):
        layers = f"lowerdir={image()},upperdir={disk / 'upper'},workdir={disk / 'work'}"
        run("mount", "-t", "overlay", "-o", layers, "overlay", disk / "root")
    with (disk / "log").open("w") as log:
        host = subprocess.Popen(
            [
                "systemd-nspawn",
                "--quiet",
                "--boot",
                "--register=no",
                "--keep-unit",
                "--link-journal=no",
                "--resolv-conf=off",
                f"--directory={disk / 'root'}",
                f"--setenv={mark(name)}",
                f"--machine={name}",
                f"--network-bridge={BRIDGE}",
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    ssh = ["ssh", "-q", "-i", str(KEY), "-o", "BatchMode=yes", "-o", "ConnectTimeout=1"]
    ssh += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", f"root@{address}"]
    ready = [*ssh, "systemctl", "is-system-running", "--wait"]
    if not wait(BOOT_SECONDS, lambda: host.poll() is not None or succeeds(*ready)) or host.poll() is not None:
        sys.exit(f"{name} does not answer on {address}\n{(disk / 'log').read_text()}")


def kill(pids: list[int]) -> None:
    """End processes at once."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def stop(name: str) -> None:
    """Cut the power of a host: its process 1 takes all others with it, and systemd-nspawn then tidies up and ends."""
    kill(processes(name, "environ"))
    if not wait(STOP_SECONDS, lambda: not processes(name, "cmdline")):
        kill(processes(name, "cmdline"))
    if not wait(STOP_SECONDS, lambda: not succeeds("ip", "link", "show", f"vb-{name}")):
        sys.exit(f"{name} does not stop")


def up(name: str, address: str) -> None:
    """Boot a new host; a running one of the same name and address stays as it is."""
    disk = DISKS / name
    if processes(name, "environ") and (disk / "address").read_text() == address:
        return
    forget(name)
    lower = image()
    for part in ("upper/etc/systemd/network", "upper/root/.ssh", "work", "root"):
        (disk / part).mkdir(parents=True)
    for part in ("", "etc", "root"):
        shutil.copystat(lower / part, disk / "upper" / part)
    (disk / "address").write_text(address)
    network = NETWORK.format(address=address, prefix=PREFIX, gateway=GATEWAY)
    (disk / "upper/etc/systemd/network/10-host0.network").write_text(network)
    (disk / "upper/root/.ssh").chmod(0o700)
    shutil.copyfile(KEY.with_suffix(".pub"), disk / "upper/root/.ssh/authorized_keys")
    boot(name)


def reboot(name: str) -> None:
    """Cut the power of a host and boot it again."""
    stop(name)
    boot(name)


def forget(name: str) -> None:
    """End a host and remove its disk."""
    stop(name)
    disk = DISKS / name
    if os.path.ismount(disk / "root"):
        run("umount", disk / "root")
    shutil.rmtree(disk, ignore_errors=True)


def down() -> None:
    """End every host, whoever started it, and remove the bridge."""
    for disk in sorted(DISKS.glob("*")):
        forget(disk.name)
    if succeeds("ip", "link", "show", BRIDGE):
        run("ip", "link", "delete", BRIDGE)


def process(pid: int) -> tuple[str, int, str]:
    """A process: its name, its parent, and what sets it apart from later ones with its number; OSError if it ended."""
    head, _parenthesis, tail = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
    fields = tail.split()
    if fields[0] == "Z":
        raise ProcessLookupError
    return head.partition("(")[2], int(fields[1]), f"{pid} {fields[19]}"


def this_run() -> str:
    """The outermost molecule process that this one belongs to; empty when there is none."""
    found = ""
    pid = os.getppid()
    while pid > 1:
        name, parent, identity = process(pid)
        if name == "molecule":
            found = identity
        pid = parent
    return found


def claimed() -> bool:
    """Claim the machine's hosts for this run; False while the process of another run lives."""
    own = this_run()
    other = RUN.read_text() if RUN.exists() else ""
    if other not in ("", own):
        with contextlib.suppress(OSError):
            if process(int(other.split()[0]))[2] == other:
                return False
    RUN.write_text(own)
    return True


@contextlib.contextmanager
def locked() -> Iterator[None]:
    """One run at a time on this machine, and one command at a time."""
    os.umask(0o022)
    DISKS.mkdir(parents=True, exist_ok=True)
    CACHE.chmod(0o700)
    # Closed on exec: a host that was booted must not hold the lock.
    with (CACHE / "lock").open("w") as lock:
        deadline = time.monotonic() + OTHER_RUN_SECONDS
        fcntl.flock(lock, fcntl.LOCK_EX)
        while not claimed():
            if time.monotonic() > deadline:
                sys.exit(f"the hosts on this machine still belong to another run, process {RUN.read_text().split()[0]}")
            fcntl.flock(lock, fcntl.LOCK_UN)
            time.sleep(1)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("up")
    command.add_argument("name")
    command.add_argument("address")
    command = commands.add_parser("reboot")
    command.add_argument("name")
    commands.add_parser("down")
    arguments = parser.parse_args()
    with locked():
        if arguments.command == "up":
            up(arguments.name, arguments.address)
        elif arguments.command == "reboot":
            reboot(arguments.name)
        else:
            down()


if __name__ == "__main__":
    main()
