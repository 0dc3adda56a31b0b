# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Moves `live/` from one release to another under a running Envoy, so that no request meets a gap.

Private to this collection. The order is make-before-break: endpoints, the union of old and new clusters, routes,
listeners, the new clusters alone, and at last the files nobody reads any more. Envoy re-reads a file only when it is
renamed into place, and every step waits until Envoy has applied the one before.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time

from ansible_collections.meshsmith.universal.plugins.module_utils import _release
from ansible_collections.meshsmith.universal.plugins.module_utils._errors import NotAcknowledgedError, RefusedError

_VERSION = re.compile(rb',"versionInfo":"([0-9a-f]{64})"\}\Z')
_CDS, _LDS = "cluster_manager.cds", "listener_manager.lds"
_FIRST_PAUSE, _LAST_PAUSE = 0.002, 0.1


def version(data):
    """Return the version that a file on disk carries, None for the bootstrap and for what is not ours."""
    found = _VERSION.search(data)
    return found.group(1).decode("ascii") if found else None


def union(live, target):
    """Return the bytes of a cluster file with the clusters of both; where both have one, the target's."""
    try:
        old = json.loads(live.decode("utf-8"))["resources"]
    except (ValueError, KeyError, TypeError):
        return target
    new = json.loads(target.decode("utf-8"))["resources"]
    names = {resource["name"] for resource in new}
    kept = [resource for resource in old if resource.get("name") not in names]
    if not kept:
        return target
    content = {"resources": new + kept}
    digest = hashlib.sha256(_release.canonical(content)).hexdigest()
    return _release.canonical(dict(content, versionInfo=digest))


def refusal(admin, counters):
    """Return the RefusedError for counters of refused updates that moved. Envoy says why for listeners only."""
    errors = admin.listener_errors()
    for name in sorted(errors):
        return RefusedError("listener/" + name, errors[name])
    return RefusedError(None, f"it counts refused updates ({', '.join(counters)})")


class Swap:
    """Moves releases into `live/`. `seconds` is the patience with one step; `notes` is what the user should know."""

    def __init__(self, layout, admin, seconds):
        self._layout = layout
        self._admin = admin
        self._seconds = seconds
        self.notes = []
        self._before = None
        self._stale = set()

    def prepare(self, new, former):
        """Write all that the move to `new` and the way back to `former` (key -> bytes) need: both then only rename."""
        live = self._layout.read(self._layout.live)
        self._layout.make_spare()
        for target, other in ((new, former), (former, new)):
            for key, data in target.items():
                if key in ("cds", "lds") or other.get(key) != data or live.get(key) != data:
                    self._spare(key, data)
            for old in (live, other):
                if "cds" in old:
                    self._spare("cds", union(old["cds"], target["cds"]))

    def move(self, target):
        """Move `target` (key -> bytes) in and wait until Envoy has applied all of it.

        Raises RefusedError, NotAcknowledgedError, AdminError, OSError.
        """
        live = self._layout.read(self._layout.live)
        self._before = self._admin.stats()
        applied = self._before.versions
        both = union(live["cds"], target["cds"]) if "cds" in live else target["cds"]
        # Every rename in `live/` has Envoy read clusters and listeners again. On the way back from a refused file it
        # refuses that file once more: what counts begins when the file is replaced.
        self._stale = {_CDS} if live.get("cds") != both else set()
        if live.get("lds") != target["lds"]:
            self._stale.add(_LDS)

        def differs(key, data):
            return live.get(key) != data or version(data) not in applied

        def put_folder(folder):
            """Place files and wait for those that Envoy reads already; the others wait for cluster or listener."""
            keys = [key for key in sorted(target) if key.startswith(folder) and differs(key, target[key])]
            for key in keys:
                self._put(key, target[key])
            self._wait([target[key] for key in keys if key in live and version(live[key]) in applied])

        put_folder("eds/")
        if differs("cds", both):
            self._put_subscribed("cds", both, _CDS)
        put_folder("rds/")
        if differs("lds", target["lds"]):
            self._put_subscribed("lds", target["lds"], _LDS)
        if both != target["cds"]:
            self._put_subscribed("cds", target["cds"], _CDS)
        for key in sorted(set(live) - set(target)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._live_path(key))
        if live.get("bootstrap") != target["bootstrap"]:
            # Edited by hand. Only a start reads it.
            self._put("bootstrap", target["bootstrap"])
        self._wait([data for key, data in target.items() if key != "bootstrap"])

    def _put_subscribed(self, key, data, subscription):
        """Place the file of clusters or listeners; wait until Envoy has applied it and its clusters are warm."""
        stats = self._admin.stats()
        if self._stale:
            self._stale.discard(subscription)
            self._before = stats
        self._put(key, data)
        self._wait([data], subscription, stats.successes(subscription))
        self._wait_warm()

    def _wait(self, files, subscription=None, successes=0):
        """Wait until Envoy has applied these files, and a subscription, if named, more than `successes` times."""
        expected = {version(data) for data in files}
        deadline = time.monotonic() + self._seconds
        pause = _FIRST_PAUSE
        while True:
            stats = self._admin.stats()
            refused = stats.refused_since(self._before, self._stale)
            if refused:
                raise refusal(self._admin, refused)
            if expected <= stats.versions and (subscription is None or stats.successes(subscription) > successes):
                return
            if time.monotonic() >= deadline:
                raise NotAcknowledgedError(f"Envoy has not applied the release within {self._seconds} s")
            time.sleep(pause)
            pause = min(pause * 1.5, _LAST_PAUSE)

    def _wait_warm(self):
        """Wait until clusters have had their first health checks. Slow endpoints are no failure."""
        deadline = time.monotonic() + self._seconds
        pause = _FIRST_PAUSE
        while self._admin.stats().warming():
            if time.monotonic() >= deadline:
                self.notes = [f"clusters were still waiting for their first health checks after {self._seconds} s"]
                return
            time.sleep(pause)
            pause = min(pause * 1.5, _LAST_PAUSE)

    def _live_path(self, key):
        return os.path.join(self._layout.live, key + ".json")

    def _spare(self, key, data):
        name = hashlib.sha256(key.encode("utf-8") + b"\0" + data).hexdigest()
        path = os.path.join(self._layout.spare, name)
        if not os.path.exists(path):
            self._layout.write(path, data)
        return path

    def _put(self, key, data):
        os.replace(self._spare(key, data), self._live_path(key))
