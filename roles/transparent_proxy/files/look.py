# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look at a host whose traffic is to go through its Envoy. Nothing is changed. Runs on the host, with Python 3.8.

    look.py QUESTION

QUESTION is a JSON object: `commands` (that are needed besides), `users` (names and numbers), `envoy` (Envoy's user),
`binary` (Envoy), `unit` (its systemd unit, or empty), `address` (one that is to be reached, or empty) and `trial` (the
timer that takes back unconfirmed rules).

Prints a JSON object:

| member | |
|---|---|
| `missing` | commands that are not there |
| `root` | whether this is root |
| `uids` | the number of each user that exists |
| `listeners` | sockets that listen: `address`, `port`, `uid`, `loopback`, and `name`, the port and the process |
| `strangers` | what runs as Envoy's user and is not Envoy |
| `ipv6` | whether the host has IPv6 |
| `refused` | why nftables or the kernel cannot redirect; empty when they can |
| `foreign` | chains of another service mesh's redirection |
| `trial` | whether rules wait for a confirmation |
| `route` | whether the way to `address` leaves the host |
"""

from __future__ import annotations

import glob
import json
import os
import pwd
import re
import shutil
import subprocess
import sys

COMMANDS = ("nft", "ip", "ss", "systemctl", "systemd-run", "unshare")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Everything that the rules use, in a table that is only checked.
PROBE = """\
table inet meshsmith_probe {
    chain nat {
        type nat hook output priority -100; policy accept;
        fib daddr type local meta skuid 0 tcp dport 1 redirect to :2
    }
    chain filter {
        type filter hook input priority 0; policy accept;
        tcp dport 1 ct status dnat reject with tcp reset
    }
}
"""
FOREIGN = re.compile(r"\b(?:KUMA_MESH|ISTIO)_\w+")


def run(*command, given=None):
    """What a command does: whether it succeeds, its output, and its complaint."""
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)  # noqa: S603 -- the host's own programs
    except OSError as error:
        return False, "", str(error)
    return done.returncode == 0, done.stdout, done.stderr


def uid(user):
    """The number of a user, None when there is none of this name."""
    if user.isdigit():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def listener(line):
    """A line of `ss`: where something listens, and who. A socket of root has no `uid:` there."""
    address, _colon, port = line.split()[3].rpartition(":")
    address = address.partition("%")[0].strip("[]")
    number = re.search(r"\buid:(\d+)", line)
    process = re.search(r'users:\(\("([^"]*)",pid=(\d+)', line)
    return {
        "address": address,
        "port": int(port),
        "uid": int(number.group(1)) if number else 0,
        "loopback": address.startswith("127.") or address == "::1",
        "name": f"{port} ({process.group(1)}, pid {process.group(2)})" if process else port,
    }


def listeners():
    """All TCP sockets that listen."""
    _ok, output, _complaint = run("ss", "--no-header", "--tcp", "--listening", "--numeric", "--processes", "--extended")
    return [listener(line) for line in output.splitlines()]


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def strangers(number, binary, unit):
    """Processes of this user that are neither the binary nor of the unit."""
    found = []
    for directory in glob.glob("/proc/[0-9]*"):
        uids = re.search(r"^Uid:\s+(.*)$", read(directory + "/status"), re.MULTILINE)
        if not uids or str(number) not in uids.group(1).split():
            continue
        try:
            program = os.readlink(directory + "/exe")
        except OSError:
            continue
        of_unit = unit and re.search(rf"/{re.escape(unit)}(/|$)", read(directory + "/cgroup"), re.MULTILINE)
        if not of_unit and program.replace(" (deleted)", "") != binary:
            found.append(f"{read(directory + '/comm').strip()}, pid {os.path.basename(directory)}")
    return sorted(found)


def has_ipv6():
    """IPv6 on the loopback interface, which the redirection needs, and in general."""
    switches = [f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6" for name in ("all", "lo")]
    return all(read(switch).strip() == "0" for switch in switches)


def route_leaves(address):
    """Whether a connection to an address would leave the host: only there rules see it."""
    ok, output, _complaint = run("ip", "route", "get", address)
    return ok and " dev lo " not in output


def main():
    question = json.loads(sys.argv[1])
    os.environ["PATH"] = PATH
    os.environ["LC_ALL"] = "C"
    missing = [command for command in (*COMMANDS, *question["commands"]) if shutil.which(command, path=PATH) is None]
    uids = {user: uid(user) for user in question["users"]}
    envoy = uids[question["envoy"]]
    works, _output, complaint = run("nft", "--check", "--file", "-", given=PROBE)
    answer = {
        "missing": missing,
        "root": os.geteuid() == 0,
        "uids": {user: number for user, number in uids.items() if number is not None},
        "listeners": listeners(),
        "strangers": [] if envoy is None else strangers(envoy, question["binary"], question["unit"]),
        "ipv6": has_ipv6(),
        "refused": "" if works or "nft" in missing else complaint.strip() or "nft fails",
        "foreign": sorted(set(FOREIGN.findall(run("nft", "list", "chains")[1]))),
        "trial": run("systemctl", "is-active", question["trial"])[0],
        "route": not question["address"] or route_leaves(question["address"]),
    }
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
