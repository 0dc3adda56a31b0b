# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What counters and logs say about traffic that leaves the mesh. That Envoy says it so is for the end-to-end tests."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.meshsmith.universal.plugins.module_utils import _flattened, _passthrough
from ansible_collections.meshsmith.universal.plugins.module_utils._admin import Stats

IPV4, IPV6 = "outbound:passthrough:ipv4", "outbound:passthrough:ipv6"
NOT_KNOWN = "; where to is not known, mesh_passthrough_log is not set"


def listener(name: str, log: str | None = None) -> dict[str, Any]:
    logs = [{"name": "file", "typed_config": {"@type": "type.googleapis.com/envoy.x.v3.FileAccessLog", "path": log}}]
    proxy = {"@type": "type.googleapis.com/envoy.x.v3.TcpProxy", "access_log": logs if log else []}
    return {"name": name, "filter_chains": [{"filters": [{"typed_config": proxy}]}]}


class Admin:
    """An Envoy with these clusters and listeners. Every look at its counters takes the next of `looks`."""

    def __init__(self, clusters: list[Any], listeners: list[Any], *looks: dict[str, int]) -> None:
        self._configs = {
            "dynamic_active_clusters": [{"cluster": one} for one in clusters],
            "dynamic_listeners": [{"active_state": {"listener": one}} for one in listeners],
        }
        self._looks = list(looks)

    def configs(self, resource: str, _pattern: str) -> list[Any]:
        return self._configs[resource]

    def stats(self, _pattern: str) -> Stats:
        look = self._looks.pop(0) if len(self._looks) > 1 else self._looks[0]
        return Stats("".join(f"{name}: {value}\n" for name, value in look.items()))


def of(name: str, total: int, active: int = 0, refused: int = 0, uptime: int = 7200) -> dict[str, int]:
    return {
        f"cluster.{name}.upstream_cx_total": total,
        f"cluster.{name}.upstream_cx_active": active,
        f"tcp.{name}.downstream_cx_no_route": refused,
        "server.uptime": uptime,
    }


def traffic(admin: Any, window: int = 10) -> dict[str, Any]:
    found: dict[str, Any] = _passthrough.traffic(admin, window, 2, sleep=lambda _seconds: None)
    return found


@pytest.mark.parametrize(
    ("looks", "status", "summary"),
    [
        ([of("outbound_passthrough_ipv4", 0)], "unused", "no connection left the mesh since Envoy started 2 h ago"),
        (
            [of("outbound_passthrough_ipv4", 1, uptime=59)],
            "used",
            "1 connection left the mesh since Envoy started 59 s ago, 0 of them in 10 s, 0 open" + NOT_KNOWN,
        ),
        (
            [of("outbound_passthrough_ipv4", 5), of("outbound_passthrough_ipv4", 8, uptime=200000)],
            "in_use",
            "8 connections left the mesh since Envoy started 2 d ago, 3 of them in 10 s, 0 open" + NOT_KNOWN,
        ),
        (
            [of("outbound_passthrough_ipv4", 5, active=1)],
            "in_use",
            "5 connections left the mesh since Envoy started 2 h ago, 0 of them in 10 s, 1 open" + NOT_KNOWN,
        ),
    ],
    ids=["unused", "used", "new", "open"],
)
def test_counters_in_words(looks: list[dict[str, int]], status: str, summary: str) -> None:
    found = traffic(Admin([{"name": IPV4}], [listener(IPV4)], *looks))
    assert (found["status"], found["summary"]) == (status, summary)


def test_both_families_count() -> None:
    look = {**of("outbound_passthrough_ipv4", 2, 1), **of("outbound_passthrough_ipv6", 3, 1)}
    found = traffic(Admin([{"name": IPV4}, {"name": IPV6}], [listener(IPV4), listener(IPV6)], look))
    assert (found["connections"], found["active"]) == (5, 2)


def test_a_patched_name_of_counters_is_found() -> None:
    found = traffic(Admin([{"name": IPV4, "alt_stat_name": "leaving"}], [listener(IPV4)], of("leaving", 4)))
    assert found["connections"] == 4


def test_an_envoy_that_has_started_anew_counts_from_zero() -> None:
    looks = (of("outbound_passthrough_ipv4", 90), of("outbound_passthrough_ipv4", 2, uptime=3))
    found = traffic(Admin([{"name": IPV4}], [listener(IPV4)], *looks))
    assert (found["status"], found["connections"], found["new_connections"]) == ("in_use", 2, 2)


def test_without_a_cluster_there_is_one_look() -> None:
    def never(_seconds: int) -> None:
        raise AssertionError

    admin = Admin([], [listener(IPV4)], of("outbound_passthrough_ipv4", 3, 2, refused=1))
    found = _passthrough.traffic(admin, 10, 2, sleep=never)
    assert found["status"] == "off"
    assert found["summary"] == (
        "passthrough is off, 1 connection refused since Envoy started 2 h ago; 2 connections of before still open"
        + NOT_KNOWN
    )
    assert _passthrough.traffic(Admin([], [], {}), 10, 2, sleep=never)["status"] == "not_transparent"


# --- the log


def line(destination: str, connection: int, event: str = "TcpConnectionEnd", **members: Any) -> str:
    entry = {"time": f"2026-03-02T09:00:0{connection}.000Z", "event": event, "connection": connection, "flags": "-"}
    return json.dumps({**entry, "destination": destination, "sent": 0, "received": 0, **members}) + "\n"


def logged(path: Path) -> dict[str, Any]:
    admin = Admin([{"name": IPV4}], [listener(IPV4, str(path))], of("outbound_passthrough_ipv4", 9))
    return traffic(admin)


def test_a_connection_counts_once_whatever_lines_it_has(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        line("192.0.2.7:5432", 1, "TcpUpstreamConnected")
        + line("192.0.2.7:5432", 2, "TcpUpstreamConnected")
        + line("192.0.2.7:5432", 1, sent=5, received=7)
        + line("192.0.2.7:5432", 1, "TcpUpstreamConnected")
        + line("[2001:db8::1]:25", 4, flags="UF,URX")
        + line("192.0.2.8:80", 5, flags="NC")
    )
    found = logged(log)
    assert found["destinations"] == [
        {
            "destination": "192.0.2.7:5432",
            "connections": 3,
            "refused": 0,
            "sent": 5,
            "received": 7,
            "last": "2026-03-02T09:00:02.000Z",
        },
        {
            "destination": "192.0.2.8:80",
            "connections": 0,
            "refused": 1,
            "sent": 0,
            "received": 0,
            "last": "2026-03-02T09:00:05.000Z",
        },
    ]
    assert found["destinations_left_out"] == 1
    assert found["summary"].endswith(
        "; to 192.0.2.7:5432 (3 connections, last 2026-03-02T09:00:02.000Z), "
        "192.0.2.8:80 (1 refused, last 2026-03-02T09:00:05.000Z), 1 more"
    )


def test_what_was_moved_away_counts_too(tmp_path: Path) -> None:
    (tmp_path / "log.1").write_text(line("192.0.2.7:80", 1, "TcpUpstreamConnected"))
    (tmp_path / "log").write_text(line("192.0.2.7:80", 1) + line("192.0.2.7:80", 2))
    assert logged(tmp_path / "log")["destinations"][0]["connections"] == 2


@pytest.mark.parametrize(
    "broken", ["", "\n", "half a li", '{"time": "now"}\n', "[]\n", "null\n", '{"destination": []}\n', "\xff\xfe\n"]
)
def test_lines_that_are_none_are_passed_over(tmp_path: Path, broken: str) -> None:
    (tmp_path / "log").write_bytes(broken.encode("latin-1") + b"\n" + line("192.0.2.7:80", 2).encode())
    assert [one["destination"] for one in logged(tmp_path / "log")["destinations"]] == ["192.0.2.7:80"]


def test_of_a_large_log_the_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    last = line("192.0.2.7:80", 3)
    (tmp_path / "log").write_text(line("192.0.2.6:80", 1) + line("192.0.2.6:80", 2) + last)
    monkeypatch.setattr(_passthrough, "LOG_BYTES", len(last) + 10)
    assert [one["destination"] for one in logged(tmp_path / "log")["destinations"]] == ["192.0.2.7:80"]


def test_a_log_that_says_nothing_says_why(tmp_path: Path) -> None:
    absent = tmp_path / "log"
    assert logged(absent)["log_problem"] == f"{absent} is not there yet"
    assert logged(absent)["summary"].endswith(f"; where to is not known, {absent} is not there yet")
    absent.touch()
    assert logged(absent)["log_problem"] is None
    assert logged(absent)["summary"].endswith(f"; {absent} does not say where to")
    os.mkfifo(tmp_path / "pipe")
    assert logged(tmp_path / "pipe")["log_problem"] == f"{tmp_path}/pipe cannot be read: it is not a file"
    (tmp_path / "directory").mkdir()
    assert "cannot be read: it is not a file" in logged(tmp_path / "directory")["log_problem"]


# --- releases


def files(clusters: list[str], listeners: list[str]) -> dict[str, Any]:
    return {
        key: {"resources": [{"name": name} for name in names]} for key, names in (("cds", clusters), ("lds", listeners))
    }


@pytest.mark.parametrize(
    ("clusters", "listeners", "blocks"),
    [
        ([], [], False),
        (["backend"], ["outbound:240.0.0.1:80"], False),
        ([IPV4, "backend"], [IPV4], False),
        (["inbound:passthrough:ipv4"], ["inbound:passthrough:ipv4", IPV4], True),
        ([IPV4], [IPV4, IPV6], True),
    ],
)
def test_a_release_blocks_what_has_a_listener_and_no_cluster(
    clusters: list[str], listeners: list[str], blocks: bool
) -> None:
    assert _passthrough.blocks(files(clusters, listeners)) is blocks


class WithLogs:
    """As much of a release as is looked at for logs."""

    def __init__(self, cluster: dict[str, Any], proxy: dict[str, Any]) -> None:
        listening = {"name": IPV4, "filterChains": [{"filters": [{"typedConfig": proxy}]}]}
        self.files = {
            "bootstrap": {},
            "cds": {"resources": [{"name": "backend", **cluster}]},
            "lds": {"resources": [listening]},
        }


@pytest.mark.parametrize(("path", "found"), [("/var/log/envoy/p.log", True), ("/dev/stdout", False), ("", False)])
def test_logs_of_a_release_are_found_and_not_written_by_a_check(path: str, found: bool) -> None:
    log = {"typedConfig": {"@type": "type.googleapis.com/envoy.x.v3.FileAccessLog", "path": path}}
    checks = [{"eventLogger": [{"typedConfig": {"eventLogPath": "/var/log/envoy/health.log"}}]}]
    release = WithLogs({"healthChecks": checks, "path": "kept"}, {"accessLog": [log]})
    logs = [("cluster/backend", "/var/log/envoy/health.log")]
    assert _flattened.logs(release) == logs + ([(f"listener/{IPV4}", path)] if found else [])
    static = _flattened.flatten(release)["staticResources"]
    assert static["clusters"][0]["path"] == "kept"
    assert json.dumps(static).count("/dev/null") == 2
    assert "/var/log" not in json.dumps(static)
