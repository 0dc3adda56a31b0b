# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether Envoy may watch all the files of a release.

Private to this collection. Envoy opens one inotify instance per file that it watches, and aborts when it gets none.
Many hosts allow a user 128 of them (`fs.inotify.max_user_instances`), which some sixty HTTP outbounds use up.
"""

from __future__ import annotations

import ctypes
import json
import resource

from ansible_collections.meshsmith.universal.plugins.module_utils._errors import EnvoyError

LIMIT = "/proc/sys/fs/inotify/max_user_instances"
_SUBSCRIPTIONS = 2  # clusters and listeners


def check(user, release, live):
    """Raise EnvoyError when Envoy's user may not have the instances that a release takes.

    `live` is key -> bytes of what the running Envoy reads, empty where none runs.
    """
    count = additional(release, live)
    if count > 0 and not user.can(lambda: open_instances(count)):
        with open(LIMIT, encoding="ascii") as file:
            limit = file.read().strip()
        raise EnvoyError(
            f"Envoy watches every file of a release and would need {count} more inotify instances, but {user} may not "
            f"have so many: raise fs.inotify.max_user_instances, which is {limit}"
        )


def additional(release, live):
    """Return how many instances Envoy opens on the way from `live` to a release."""
    watched = [key for key in release.files if "/" in key]
    if not live:
        return len(watched) + _SUBSCRIPTIONS
    former = _clusters(live.get("cds", b""))
    # A changed cluster reads its endpoints a second time, until it takes over from the former one.
    changed = [
        cluster
        for cluster in release.files["cds"]["resources"]
        if "edsClusterConfig" in cluster and former.get(cluster["name"], cluster) != cluster
    ]
    return len([key for key in watched if key not in live]) + len(changed)


def _clusters(data):
    try:
        return {cluster["name"]: cluster for cluster in json.loads(data.decode("utf-8"))["resources"]}
    except (ValueError, KeyError, TypeError):
        return {}


def open_instances(count):
    """Say whether this process gets so many inotify instances; for a forked process, whose end gives them back."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    libc = ctypes.CDLL(None)
    return all(libc.inotify_init1(0) >= 0 for _instance in range(count))
