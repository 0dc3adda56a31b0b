# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Traffic that leaves the mesh: what a host's Envoy counts of it, and what its log says about where it went.

Private to this collection. Runs on the hosts; the controller asks it what a release switches off.

Redirected connections arrive at a listener for each family. What is for no service goes on through the cluster of the
same name; where that is missing, it is refused.
"""

from __future__ import annotations

import json
import os
import re
import stat
import time

from ansible_collections.meshsmith.universal.plugins.module_utils._errors import NotRunningError

NAMES = ("outbound:passthrough:ipv4", "outbound:passthrough:ipv6")
# So much of the end of a log file is read. The role `envoy` keeps files at half of that.
LOG_BYTES = 128 * 1024 * 1024
# What Envoy says of a connection for which it has no cluster, or no route.
REFUSED = {"NC", "NR"}
SHOWN_DESTINATIONS = 5

_PATTERN = "^(" + "|".join(NAMES) + ")$"
_FILE_LOG = ".FileAccessLog"
_CONNECTED = "TcpUpstreamConnected"
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def blocks(files):
    """Say whether a release (key -> content) takes traffic that leaves the mesh, and refuses it."""
    clusters = {resource["name"] for resource in files["cds"]["resources"]}
    listeners = {resource["name"] for resource in files["lds"]["resources"]}
    return any(name in listeners and name not in clusters for name in NAMES)


def traffic(admin, window, shown, sleep=time.sleep):
    """Return what is known of the traffic; raise AdminError. `shown` is the number of destinations at most.

    Where it passes, that takes two looks, `window` seconds apart.
    """
    try:
        envoy = _Envoy(admin)
        before = result = envoy.numbers()
        if envoy.passes:
            sleep(window)
            result = envoy.numbers()
    except NotRunningError:
        return {"status": "not_running", "summary": "Envoy does not run"}
    rise = result["connections"] - before["connections"]
    # A smaller number is one of another Envoy, which has been started in between.
    result["new_connections"] = rise if rise >= 0 else result["connections"]
    result["status"] = _status(envoy, result)
    result["log"] = envoy.log
    found, result["log_problem"] = _destinations(envoy.log) if envoy.log else ({}, None)
    result["destinations"] = _most(found)[:shown]
    result["destinations_left_out"] = max(len(found) - shown, 0)
    result["summary"] = _summary(result, window)
    return result


class _Envoy:
    """What of a running Envoy's configuration has to do with traffic that leaves the mesh."""

    def __init__(self, admin):
        self._admin = admin
        clusters = [entry["cluster"] for entry in admin.configs("dynamic_active_clusters", _PATTERN)]
        self.listeners = [
            entry["active_state"]["listener"]
            for entry in admin.configs("dynamic_listeners", _PATTERN)
            if "active_state" in entry
        ]
        self.passes = bool(clusters)
        self.log = next((log for listener in self.listeners for log in _file_logs(listener)), None)
        # A patch may have given a cluster another name for its counters.
        names = {_stat(cluster.get("alt_stat_name") or cluster["name"]) for cluster in clusters}
        self._clusters = names or {_stat(name) for name in NAMES}
        self._listeners = {_stat(listener["name"]) for listener in self.listeners}

    def numbers(self):
        """Return the counters of now, of both families together."""
        counters = [f"cluster.{name}.upstream_cx_" for name in sorted(self._clusters)]
        refused = [f"tcp.{name}.downstream_cx_no_route" for name in sorted(self._listeners)]
        pattern = "^(server.uptime$|" + "|".join(re.escape(prefix) for prefix in counters + refused) + ")"
        numbers = self._admin.stats(pattern).numbers

        def total(names):
            return sum(numbers.get(name, 0) for name in names)

        return {
            "connections": total(prefix + "total" for prefix in counters),
            "active": total(prefix + "active" for prefix in counters),
            "sent": total(prefix + "tx_bytes_total" for prefix in counters),
            "received": total(prefix + "rx_bytes_total" for prefix in counters),
            "refused": total(refused),
            "uptime": numbers.get("server.uptime", 0),
        }


def _stat(name):
    """Return what a name is in the names of counters, of which colons separate parts elsewhere."""
    return name.replace(":", "_")


def _file_logs(value):
    """Yield the path of every access log in a part of Envoy's configuration that is a file."""
    if isinstance(value, list):
        for item in value:
            yield from _file_logs(item)
    elif isinstance(value, dict):
        if str(value.get("@type", "")).endswith(_FILE_LOG) and value.get("path"):
            yield value["path"]
        for item in value.values():
            yield from _file_logs(item)


def _status(envoy, result):
    if not envoy.listeners:
        return "not_transparent"
    if not envoy.passes:
        return "off"
    if result["active"] or result["new_connections"]:
        return "in_use"
    return "used" if result["connections"] else "unused"


# --- where it went ----------------------------------------------------------------------------------------------------


def _destinations(path):
    """Return (address and port -> what the log says about it, None), or ({}, why there is nothing)."""
    found, connected, there = {}, set(), False
    try:
        # The role keeps what was written before the file became too large beside it.
        for part in (path + ".1", path):
            if os.path.exists(part):
                there = True
                for line in _lines(part):
                    _count(line, found, connected)
    except OSError as reason:
        return {}, f"{path} cannot be read: {reason.strerror or reason}"
    return found, None if there else f"{path} is not there yet"


def _lines(path):
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise OSError("it is not a file")
    with open(path, "rb") as file:
        if status.st_size > LOG_BYTES:
            file.seek(status.st_size - LOG_BYTES)
            file.readline()
        yield from file


def _count(line, found, connected):
    """Add a line of the log to what was `found`. `connected` are connections that have no more than their first line.

    A connection has a line when it is there, and one when it has come to an end; one that fails has only the latter.
    """
    try:
        entry = json.loads(line.decode("utf-8"))
        where, when = entry["destination"], entry["time"]
        sent, received = int(entry.get("sent") or 0), int(entry.get("received") or 0)
        flags = set(str(entry.get("flags") or "").split(","))
    except (ValueError, KeyError, TypeError, AttributeError):
        # Half a line, where the file was cut, or somebody else's.
        return
    connection = (entry.get("connection"), when)
    told = found.setdefault(where, {"connections": 0, "refused": 0, "sent": 0, "received": 0, "last": ""})
    if connection in connected:
        connected.remove(connection)
    else:
        told["refused" if flags & REFUSED else "connections"] += 1
    if entry.get("event") == _CONNECTED:
        connected.add(connection)
    told["sent"] += sent
    told["received"] += received
    told["last"] = max(told["last"], when)


def _most(found):
    """Return destinations as a list, those with most connections first."""
    entries = [dict(told, destination=where) for where, told in found.items()]
    return sorted(entries, key=lambda told: (-told["connections"] - told["refused"], told["destination"]))


# --- in words ---------------------------------------------------------------------------------------------------------


def _summary(result, window):
    since = f"since Envoy started {_span(result['uptime'])} ago"
    if result["status"] == "not_transparent":
        return "no traffic is redirected to this Envoy"
    if result["status"] == "unused":
        return f"no connection left the mesh {since}"
    if result["status"] == "off":
        left = f"; {_connections(result['active'])} of before still open" if result["active"] else ""
        return f"passthrough is off, {_connections(result['refused'])} refused {since}{left}{_where(result)}"
    how_many = f"{_connections(result['connections'])} left the mesh {since}"
    return f"{how_many}, {result['new_connections']} of them in {window} s, {result['active']} open{_where(result)}"


def _connections(number):
    return "1 connection" if number == 1 else f"{number} connections"


def _span(seconds):
    """Return a time in its largest unit: `3 h`."""
    size, unit = next(entry for entry in _UNITS if seconds >= entry[0] or entry[0] == 1)
    return f"{seconds // size} {unit}"


def _where(result):
    """Return where to, as far as it is known, as the end of a sentence."""
    if not result["log"]:
        return "; where to is not known, mesh_passthrough_log is not set"
    if result["log_problem"]:
        return f"; where to is not known, {result['log_problem']}"
    shown = result["destinations"][:SHOWN_DESTINATIONS]
    if not shown:
        return f"; {result['log']} does not say where to"
    more = len(result["destinations"]) - len(shown) + result["destinations_left_out"]
    words = [f"{told['destination']} ({_times(told)}, last {told['last']})" for told in shown]
    return "; to " + ", ".join(words + ([f"{more} more"] if more else []))


def _times(told):
    passed = [_connections(told["connections"])] if told["connections"] or not told["refused"] else []
    return ", ".join(passed + ([f"{told['refused']} refused"] if told["refused"] else []))
