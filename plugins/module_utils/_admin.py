# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy's admin interface over its unix socket: which versions it has applied, what it refused, what it counts.

Private to this collection.
"""

from __future__ import annotations

import http.client
import json
import socket
import urllib.parse

from ansible_collections.meshsmith.universal.plugins.module_utils._errors import AdminError, NotRunningError

_STATS = (
    r"(version_text|update_(success|rejected|failure)|warming_clusters|total_listeners_warming|dynamic_unknown_fields)$"
)
_REFUSALS = (".update_rejected", ".update_failure", ".dynamic_unknown_fields")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("envoy", timeout=timeout)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Stats:
    """One look at the counters. `versions` are all version texts that any subscription has applied."""

    def __init__(self, text):
        self.versions = set()
        self.numbers = {}
        for line in text.splitlines():
            name, _colon, value = line.rpartition(": ")
            if name.endswith("version_text"):
                self.versions.add(value.strip('"'))
            elif value.isdigit():
                self.numbers[name] = int(value)

    def applied(self, digests):
        """Say whether Envoy has applied all files with these digests (key -> hex), but for the bootstrap."""
        return self.versions.issuperset(digest for key, digest in digests.items() if key != "bootstrap")

    def successes(self, subscription):
        """Return how many updates of a subscription (`cluster_manager.cds`) were applied since Envoy started."""
        return self.numbers.get(subscription + ".update_success", 0)

    def warming(self):
        """Return how many clusters and listeners are not ready for traffic yet."""
        return self.numbers.get("cluster_manager.warming_clusters", 0) + self.numbers.get(
            "listener_manager.total_listeners_warming", 0
        )

    def refused_since(self, earlier=None, ignored=()):
        """Return the names of the counters of refused updates that moved since an earlier look, or Envoy's start.

        `ignored` are subscriptions that do not count; unknown fields, which nobody is named for, then do not either.
        """
        before = earlier.numbers if earlier else {}
        return sorted(
            name
            for name, value in self.numbers.items()
            if name.endswith(_REFUSALS) and value > before.get(name, 0)
            if not ignored or not name.startswith((*ignored, "server."))
        )


class Admin:
    """The admin interface behind one unix socket. Every call is a connection and waits `timeout` seconds at most."""

    def __init__(self, path, timeout):
        self.path = path
        self.timeout = timeout

    def get(self, target):
        """Return (status, body) of a GET; raise NotRunningError or AdminError."""
        connection = _UnixConnection(self.path, self.timeout)
        try:
            connection.request("GET", target)
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8", "replace")
        except (FileNotFoundError, ConnectionRefusedError) as reason:
            raise NotRunningError(f"nothing listens on {self.path}") from reason
        except socket.timeout as reason:
            raise AdminError(f"Envoy does not answer on {self.path} within {self.timeout} s") from reason
        except (OSError, http.client.HTTPException) as reason:
            words = str(reason) or type(reason).__name__
            raise AdminError(f"Envoy's admin interface {self.path} fails: {words}") from reason
        finally:
            connection.close()

    def stats(self, pattern=_STATS):
        """Return the Stats of now, of those counters whose name a regular expression finds."""
        return Stats(self._body("/stats", "filter=" + urllib.parse.quote(pattern)))

    def configs(self, resource, pattern):
        """Return what Envoy says of each `resource` (`dynamic_listeners`) whose name a regular expression finds."""
        query = f"resource={resource}&name_regex=" + urllib.parse.quote(pattern)
        return json.loads(self._body("/config_dump", query)).get("configs", [])

    def _body(self, path, query):
        status, body = self.get(f"{path}?{query}")
        if status != 200:
            raise AdminError(f"Envoy's admin interface {self.path} answers {status} to {path}")
        return body

    def running(self):
        """Say whether an Envoy listens; raise AdminError when it hangs."""
        try:
            self.get("/ready")
        except NotRunningError:
            return False
        return True

    def ready(self):
        """Say whether Envoy listens and is live."""
        try:
            return self.get("/ready")[0] == 200
        except NotRunningError:
            return False

    def listener_errors(self):
        """Return name -> words for every listener whose last update failed."""
        status, body = self.get("/config_dump?resource=dynamic_listeners&mask=name,error_state.details")
        if status != 200:
            return {}
        return {
            entry["name"]: entry["error_state"].get("details", "")
            for entry in json.loads(body).get("configs", [])
            # Envoy also keeps nameless copies of failures.
            if "error_state" in entry and "name" in entry
        }
