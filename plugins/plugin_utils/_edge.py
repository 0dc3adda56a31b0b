# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The border between Ansible's values and the core; private to this collection.

The only file that knows both sides. On the way in it turns what Ansible hands to a plugin (lazy containers, tagged
scalars, vaulted files, host variables) into the plain values and texts that the core takes; on the way out it puts file
and line of the inventory beside findings about variables, and keeps what was encrypted out of every message.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache, reduce
from operator import getitem
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail, AnsibleError, AnsibleFilterError
from ansible.inventory.manager import InventoryManager
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import EncryptedString, VaultHelper, VaultLib, VaultSecretsContext, is_encrypted
from ansible.plugins.loader import filter_loader, test_loader

from ..module_utils._difference import HIDDEN
from . import _requirements
from ._mesh import api, source, templates
from ._mesh.findings import (
    CODES,
    NOT_REPRESENTABLE,
    NOT_YAML,
    UNREADABLE,
    Code,
    Finding,
    Severity,
    Source,
    code,
    did_you_mean,
    format_path,
)
from ._templates import SUFFIX, Library, RenderingError

try:  # where a value of the inventory was written; not a public interface, so its absence only costs the line numbers
    from ansible._internal._datatag._tags import Origin
except ImportError:
    Origin = None  # type: ignore[assignment,misc]

COLLECTION = Path(__file__).resolve().parents[2]
MESH_VARIABLE = "mesh variable"
SERVICE_TAG = "kuma.io/service"
DEFAULT_MESH = "default"
SHOWN_FINDINGS = 50
_CACHED_MESHES = 4
_DEEPEST = 100
_SHORTEST_SECRET = 4
_NAME = re.compile(r"[\w.-]+")

NO_DATAPLANE = code(
    "MESH101",
    Severity.ERROR,
    "a host has no dataplane",
    "Give the host a `mesh_dataplane`, add a Dataplane of its name to the mesh, name one with `mesh_dataplane_name`, "
    "or take the host out of the group.",
)
NO_HOST = code(
    "MESH102",
    Severity.NOTICE,
    "a dataplane has no host",
    "Its artifact is written, but nothing in this inventory puts it on a host.",
)
BAD_HOST_VARIABLE = code(
    "MESH103",
    Severity.ERROR,
    "a variable of a host cannot be used",
    "Correct it. What compile must know of a host comes from host variables, never from facts or variables of a play.",
)
SHARED_DATAPLANE = code(
    "MESH104",
    Severity.ERROR,
    "two hosts claim the same dataplane",
    "One host is one dataplane: correct `mesh_dataplane_name` of one of them.",
)
MISSING_PACKAGES = code(
    "MESH105",
    Severity.ERROR,
    "a Python package is missing or too old on the controller",
    "Run the command in the message in the environment that runs ansible-playbook.",
)
CANNOT_RENDER = code(
    "MESH260",
    Severity.ERROR,
    "a template cannot be rendered",
    "Correct the place that is named. A template sees `dataplane`, `services`, `target` and `mesh`, and no variables "
    "of the inventory or of a play.",
)
NO_TEMPLATES = code(
    "MESH269",
    Severity.ERROR,
    "a directory holds no templates",
    "Name a directory with files that end in `.j2`.",
)


class MeshOptionError(AnsibleError):
    """The option `mesh` itself is of no use: neither path, nor paths, nor documents."""


class UnusableValueError(ValueError):
    """A value has no place in JSON. `path` leads to it."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


# --- values -----------------------------------------------------------------------------------------------------------


def plain(value: Any, secrets: set[str] | None = None) -> Any:
    """A deep copy in builtin types of what Ansible hands to a plugin.

    Decrypted `!vault` values are added to `secrets`. Raises `UnusableValueError` for what JSON cannot hold, and what
    Ansible raises for a template or vaulted value that cannot be resolved.
    """
    return _plain(value, (), set() if secrets is None else secrets)


def _plain(value: Any, path: tuple[str | int, ...], secrets: set[str]) -> Any:
    if len(path) > _DEEPEST:
        raise UnusableValueError(path[:1], f"nested more than {_DEEPEST} levels deep")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (str, EncryptedString)):
        text = str(value)
        if VaultHelper.get_ciphertext(value, with_tags=False) is not None:
            secrets.add(text)
        return text
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise UnusableValueError(path, "must be a finite number")
        return float(value)
    if isinstance(value, Mapping):
        return {_plain_key(key, path): _plain(item, (*path, str(key)), secrets) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (bytes, bytearray)):
        return [_plain(item, (*path, index), secrets) for index, item in enumerate(value)]
    raise UnusableValueError(path, f"a {type(value).__name__} has no place in a resource; write it as a string")


def _plain_key(key: Any, path: tuple[str | int, ...]) -> str:
    if not isinstance(key, str):
        raise UnusableValueError(path, f"the key {key!r} must be a string; put it in quotes")
    return str(key)


# --- paths ------------------------------------------------------------------------------------------------------------


def base_directory(playbook_directory: str) -> str:
    """What relative paths are relative to: the playbook's directory; for the playbooks of this collection, which are
    run by name, the current directory."""
    playbook_directory = os.path.abspath(playbook_directory)
    if os.path.realpath(playbook_directory) == str(COLLECTION / "playbooks"):
        return os.getcwd()
    return playbook_directory


def resolve(path: str, base: str) -> str:
    """The absolute path that the user's `path` names."""
    return os.path.normpath(os.path.join(base, os.path.expanduser(path)))


def label(path: str, base: str) -> str:
    """How findings and artifacts call a file: relative to `base` where that is shorter, so that they do not depend on
    where a checkout lies."""
    relative = os.path.relpath(path, base)
    return relative if len(relative) < len(path) else path


def line_of(policy: Mapping[str, str], base: str) -> int | None:
    """The line of a policy's part that a release names by kind, name, file and path; None where it cannot be found."""
    try:
        text = Path(resolve(policy["file"], base)).read_bytes()
    except OSError:
        return None
    return api.line_of(text, policy["kind"], policy["name"], policy["path"])


# --- the option `mesh` ------------------------------------------------------------------------------------------------


@dataclass
class Input:
    """What the option `mesh` names, read but not parsed. `documents` are (label, value as Ansible gave it) pairs."""

    texts: list[source.Text] = field(default_factory=list)
    documents: list[tuple[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    encrypted: set[str] = field(default_factory=set)
    decrypt: Callable[[str], str] = str


class _Files:
    """Reads files as Ansible does, and remembers which of them were encrypted."""

    def __init__(self, loader: DataLoader) -> None:
        self._loader = loader
        self.encrypted: set[str] = set()

    def read(self, path: str) -> bytes:
        data = source.read_file(path)
        if not is_encrypted(data):
            return data
        self.encrypted.add(path)
        try:
            # One byte of the file is one character of Latin-1: what the file really is, is for the core to judge.
            return self._loader.get_text_file_contents(path, encoding="latin-1").encode("latin-1")
        except AnsibleError as error:
            raise OSError(f"is encrypted, and Ansible cannot decrypt it: {_vault_problem(error)}") from error


def _vault_problem(error: AnsibleError) -> str:
    """Why decryption failed, without what Ansible adds about the file."""
    return str(error).splitlines()[0].rstrip(".")


def _decrypter(vault: VaultLib) -> Callable[[str], str]:
    def decrypt(ciphertext: str) -> str:
        try:
            return str(vault.decrypt(ciphertext.encode()).decode())
        except (AnsibleError, UnicodeDecodeError) as error:
            problem = _vault_problem(error) if isinstance(error, AnsibleError) else "not text"
            raise ValueError(f"cannot be decrypted: {problem}") from error

    return decrypt


def ambient_loader() -> DataLoader:
    """A loader with the vault secrets of this run, for plugins that are not given one (filters)."""
    loader = DataLoader()
    context = VaultSecretsContext.current(optional=True)
    if context is not None:
        loader.set_vault_secrets(context.secrets)
    return loader


def paths_or_documents(mesh: Any) -> tuple[list[str], list[Any]]:
    """The two forms of the option `mesh`. Raises `MeshOptionError` for anything else."""
    if isinstance(mesh, str):
        mesh = [mesh]
    elif isinstance(mesh, Mapping):
        return [], [mesh]
    if not isinstance(mesh, Sequence) or isinstance(mesh, (bytes, bytearray)):
        raise MeshOptionError(f"mesh must be a path, a list of paths or a list of documents, not {type(mesh).__name__}")
    items = list(mesh)
    paths = [item for item in items if isinstance(item, str)]
    if not paths:
        return [], items
    if len(paths) < len(items):
        raise MeshOptionError("mesh must be either paths or documents, not both in one list")
    for path in paths:
        if "\n" in path:
            raise MeshOptionError("mesh must be a path, not the text of documents; pass `text | from_yaml_all`")
        if not path:
            raise MeshOptionError("mesh is an empty string where a path should be")
    return [str(path) for path in paths], []


def read(mesh: Any, base: str, loader: DataLoader, also: Iterable[str] = ()) -> Input:
    """Read what the option `mesh` names, and the files `also`. Unreadable files are findings, what is no mesh at all a
    `MeshOptionError`."""
    paths, values = paths_or_documents(mesh)
    documents = [(_document_label(MESH_VARIABLE, document), document) for document in values]
    paths += also
    if not paths:
        return Input(documents=documents)
    files, findings = source.find_files([resolve(path, base) for path in paths])
    by_label = {label(path, base): path for path in files}
    reader = _Files(loader)
    texts, unread = source.read_files(list(by_label), lambda name: reader.read(by_label[name]))
    findings = [replace(f, source=replace(f.source, file=label(f.source.file, base))) for f in findings]
    secrets = VaultSecretsContext.current(optional=True)
    return Input(
        texts=texts,
        documents=documents,
        findings=[*findings, *unread],
        encrypted={name for name, path in by_label.items() if path in reader.encrypted},
        decrypt=_decrypter(VaultLib(secrets.secrets if secrets else None)),
    )


def _document_label(where: str, document: Any) -> str:
    """`mesh variable (MeshHealthCheck hc)`: independent of the position in the list, as artifacts must be."""
    if not isinstance(document, Mapping):
        return where
    names = [document.get("type", document.get("kind")), document.get("name", _kubernetes_name(document))]
    words = [str(name) for name in names if isinstance(name, str)]
    return f"{where} ({' '.join(words)})" if words else where


def _kubernetes_name(document: Mapping[Any, Any]) -> Any:
    metadata = document.get("metadata")
    return metadata.get("name") if isinstance(metadata, Mapping) else None


# --- the option `templates` -------------------------------------------------------------------------------------------


@dataclass
class TemplateFiles(Input):
    """The templates of a directory, read. `names` has their names in that directory by those that findings use."""

    names: dict[str, str] = field(default_factory=dict)


def read_templates(directory: str | None, base: str, loader: DataLoader) -> TemplateFiles:
    """Read the templates below a directory, whatever their order on disk. None at all where no directory is named."""
    if not directory:
        return TemplateFiles()
    top = resolve(directory, base)
    paths, findings = _template_files(top)
    by_label = {label(path, base): path for path in paths}
    reader = _Files(loader)
    texts, unread = source.read_files(list(by_label), lambda name: reader.read(by_label[name]))
    secrets = VaultSecretsContext.current(optional=True)
    return TemplateFiles(
        texts=texts,
        findings=[*(replace(one, source=Source(label(one.source.file, base))) for one in findings), *unread],
        encrypted={name for name, path in by_label.items() if path in reader.encrypted},
        decrypt=_decrypter(VaultLib(secrets.secrets if secrets else None)),
        names={name: os.path.relpath(path, top) for name, path in by_label.items()},
    )


def _template_files(top: str) -> tuple[list[str], list[Finding]]:
    """The files below a directory that are templates, but for hidden ones, and what keeps it from being searched."""
    found: list[str] = []
    failures: list[OSError] = []
    for directory, below, files in os.walk(top, onerror=failures.append):
        below[:] = sorted(name for name in below if not name.startswith("."))
        found += [os.path.join(directory, name) for name in sorted(files) if name.endswith(SUFFIX) and name[0] != "."]
    if failures:
        return [], [_template_finding(UNREADABLE, str(one.strerror), str(one.filename)) for one in failures]
    if not found:
        return [], [_template_finding(NO_TEMPLATES, f"the directory holds no *{SUFFIX} files", top)]
    return [path for path in found if os.path.isfile(path)], []


def _template_finding(about: Code, message: str, *place: Any) -> Finding:
    return Finding(about.id, about.severity, "", message, Source(*place))


# --- hosts ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Host:
    """What the host variables say about one host. `networking` is None where the Dataplane is in the mesh's files.

    `told` when a finding already says why the host has no dataplane.
    """

    name: str
    dataplane: str
    mesh: str
    target: api.Target
    networking: Any = None
    told: bool = False

    @property
    def document(self) -> tuple[str, Any] | None:
        """The host's Dataplane as a labelled document, or None."""
        if self.networking is None:
            return None
        value = {
            "type": "Dataplane",
            "mesh": self.mesh,
            "name": self.dataplane,
            "networking": self.networking,
        }
        return _host_label(self.name), value


def _host_label(host: str) -> str:
    return f"inventory host {host}"


def matching_hosts(pattern: str, task_vars: Mapping[str, Any], loader: DataLoader) -> list[str]:
    """The hosts of the inventory that an Ansible host pattern names, whatever `--limit` says. None is no mistake."""
    groups = task_vars.get("groups") or {}
    if _NAME.fullmatch(pattern):
        # A group that does not exist is no reason for Ansible's warning about patterns.
        return [str(host) for host in groups.get(pattern, [pattern] if pattern in groups.get("all", ()) else [])]
    manager = InventoryManager(loader, parse=False)
    for group, members in groups.items():
        manager.add_group(group)
        for member in members:
            manager.add_host(member, group=group)
    try:
        return [str(host.name) for host in manager.get_hosts(pattern=pattern)]
    except AnsibleError:
        return []


def read_hosts(
    pattern: str, task_vars: Mapping[str, Any], loader: DataLoader, dataplanes: bool = True
) -> tuple[list[Host], list[Finding]]:
    """The hosts of `pattern`, from host variables alone. With `dataplanes` false `mesh_dataplane` is not looked at."""
    hosts: list[Host] = []
    findings: list[Finding] = []
    for name in matching_hosts(pattern, task_vars, loader):
        variables = _HostVariables(name, task_vars["hostvars"][name])
        networking = variables.get("mesh_dataplane") if dataplanes else None
        hosts.append(
            Host(
                name=name,
                dataplane=variables.text("mesh_dataplane_name") or name,
                mesh=variables.text("mesh_name") or DEFAULT_MESH,
                target=api.Target(
                    root=variables.path("mesh_root") or api.Target().root,
                    envoy_has_kafka=variables.flag("mesh_envoy_has_kafka"),
                    ipv6=variables.flag("mesh_ipv6", default=True),
                    passthrough_log=variables.path("mesh_passthrough_log") or None,
                ),
                networking=networking,
                told=any(finding.path.startswith("mesh_dataplane") for finding in variables.findings),
            )
        )
        findings += variables.findings
    return hosts, findings


class _HostVariables:
    """Single variables of one host; what is wrong with them becomes findings."""

    def __init__(self, host: str, variables: Mapping[str, Any]) -> None:
        self._host = host
        self._variables = variables
        self.findings: list[Finding] = []

    def _refuse(self, name: str, message: str) -> None:
        self.findings.append(
            Finding(BAD_HOST_VARIABLE.id, Severity.ERROR, name, message, Source(_host_label(self._host)), "Dataplane")
        )

    def get(self, name: str) -> Any:
        """The variable as Ansible has it, None when it is not set or cannot be used."""
        if name not in self._variables:
            return None
        try:
            value = self._variables[name]
            plain(value)
        except UnusableValueError as error:
            self._refuse(format_path((name, *error.path)), str(error))
            return None
        except AnsibleError as error:
            self._refuse(name, f"cannot be resolved: {_vault_problem(error)}")
            return None
        return value

    def text(self, name: str) -> str:
        value = self.get(name)
        if value is None or isinstance(value, str):
            return str(value or "")
        self._refuse(name, "must be a string")
        return ""

    def path(self, name: str) -> str:
        value = self.text(name)
        if value and (not os.path.isabs(value) or os.path.normpath(value) == "/" or any(ord(c) < 32 for c in value)):
            self._refuse(name, "must be an absolute path below the root directory")
            return ""
        return value.rstrip("/")

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.get(name)
        if value is None:
            return default
        try:
            return bool(boolean(value))
        except TypeError:
            self._refuse(name, "must be true or false")
            return default


# --- artifacts of hosts -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HostArtifact:
    """The release document of a host's dataplane on the controller."""

    mesh: str
    dataplane: str
    path: str

    def read(self) -> bytes:
        try:
            return Path(self.path).read_bytes()
        except FileNotFoundError as reason:
            raise AnsibleActionFail(
                f"there is no release {self.path}: compile the mesh first, and check dataplane and mesh"
            ) from reason
        except OSError as reason:
            raise AnsibleActionFail(f"the release {self.path} cannot be read: {reason.strerror}") from reason


def artifact_of_host(
    options: Mapping[str, Any], variables: Mapping[str, Any], template: Callable[[Any], Any], loader: DataLoader
) -> HostArtifact:
    """The artifact that the options `artifacts_dir` or `artifact`, `dataplane` and `mesh_name` name for a host."""

    def name(option: str, *fallbacks: str) -> str:
        values = [options.get(option), *(variables.get(fallback) for fallback in fallbacks)]
        return str(template(next(filter(None, values), "")))

    dataplane = name("dataplane", "mesh_dataplane_name", "inventory_hostname")
    mesh = name("mesh_name", "mesh_name") or DEFAULT_MESH
    directory, path = options.get("artifacts_dir"), options.get("artifact")
    if bool(directory) == bool(path):
        raise AnsibleActionFail("exactly one of artifacts_dir and artifact is required")
    if directory:
        path = os.path.join(directory, mesh, f"{dataplane}.json")
    return HostArtifact(mesh, dataplane, resolve(str(path), base_directory(loader.get_basedir())))


# --- the loaded mesh --------------------------------------------------------------------------------------------------


class Loaded:
    """A mesh with everything that Ansible knows about it: `findings` carry the inventory's lines and no secrets."""

    def __init__(self, given: Input) -> None:
        self._secrets: set[str] = set()
        self._encrypted = given.encrypted
        self._originals = dict(given.documents)
        self._given = list(given.findings)
        self.documents = self._parse(given)
        self.universe = api.load(documents=self.documents)

    def _parse(self, given: Input) -> list[source.Document]:
        documents: list[source.Document] = []

        def decrypt(ciphertext: str) -> str:
            text = given.decrypt(ciphertext)
            self._secrets.add(text)
            return text

        for text in given.texts:
            parsed, findings = source.parse(text, {"!vault": decrypt, "!vault-encrypted": decrypt})
            documents += parsed
            self._given += findings
        for name, value in given.documents:
            try:
                documents.append(api.document(plain(value, self._secrets), file=name))
            except UnusableValueError as error:
                self._given.append(
                    Finding(NOT_REPRESENTABLE.id, Severity.ERROR, format_path(error.path), str(error), Source(name))
                )
        return documents

    @property
    def has_encrypted_files(self) -> bool:
        return bool(self._encrypted)

    @property
    def holds_secrets(self) -> bool:
        """Whether anything of the mesh was encrypted."""
        return bool(self._encrypted or self._secrets)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, sorted by source."""
        return tuple(sorted(map(self.told, (*self._given, *self.universe.findings)), key=lambda f: f.sort_key))

    @property
    def errors(self) -> tuple[Finding, ...]:
        return errors_of(self.findings)

    def told(self, finding: Finding) -> Finding:
        """The finding as the user may see it: with the inventory's line, without anything that was encrypted."""
        if finding.source.file in self._encrypted:
            return replace(finding, message=f"{CODES[finding.code].title} (the file is encrypted: no more is shown)")
        finding = replace(finding, message=self.hide(finding.message), name=self.hide(finding.name))
        written = _written_at(self._originals.get(finding.source.file), finding.path)
        if written is None:
            return finding
        return replace(finding, source=written, message=f"{finding.message} ({finding.source.file})")

    def told_explanation(self, explanation: dict[str, Any]) -> dict[str, Any]:
        """What `api.explain` says as the user may see it: with the inventory's lines, without anything that was
        encrypted."""
        dataplane = self.universe.dataplane(api.DataplaneId(explanation["mesh"], explanation["dataplane"]))
        for destination in explanation["destinations"]:
            if dataplane.document.file in self._encrypted:
                tags = destination["tags"].items()
                destination["tags"] = {tag: value if tag == SERVICE_TAG else HIDDEN for tag, value in tags}
        for modified in explanation["modifications"]:
            if modified["policy"]["file"] in self._encrypted:
                modified["modification"] = HIDDEN
            self._tell_place(modified["policy"])
        for told_of in (*explanation["inbounds"], *explanation["destinations"]):
            for kind in told_of["kinds"].values():
                for path, told in kind["fields"].items():
                    if self._hide_value(told, told["policy"]):
                        *sections, name = path.split(".")
                        reduce(getitem, sections, kind["conf"])[name] = HIDDEN
                    self._tell_place(told["policy"])
                    for loser in told["losers"]:
                        self._hide_value(loser, loser)
                        self._tell_place(loser)
        hidden: dict[str, Any] = _with_texts(explanation, self.hide)
        return hidden

    def _hide_value(self, told: dict[str, Any], policy: Mapping[str, Any]) -> bool:
        """Hide what a policy of an encrypted file sets; whether there was anything, which an empty section is not."""
        if policy["file"] not in self._encrypted or told["value"] == {}:
            return False
        told["value"] = HIDDEN
        return True

    def _tell_place(self, policy: dict[str, Any]) -> None:
        written = _written_at(self._originals.get(policy["file"]), policy["path"])
        if written is not None:
            policy.update(file=written.file, line=written.line)

    def hide(self, text: str) -> str:
        """`text` without the decrypted values of this mesh."""
        return _without(self._secrets, text)


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, HIDDEN)
    return text


def _written_at(document: Any, at: str) -> Source | None:
    """Where in the inventory or playbook the value at a path of a document was written, as far as Ansible knows."""
    if document is None or Origin is None:
        return None
    place = None
    for path, value in _nodes(document, ()):
        if not path or at == path or at.startswith((f"{path}.", f"{path}[")):
            origin = Origin.get_tag(value)
            if origin is not None and origin.path and origin.line_num:
                place = Source(label(origin.path, os.getcwd()), origin.line_num, origin.col_num or 1)
    return place


def _nodes(value: Any, path: tuple[str | int, ...]) -> Iterable[tuple[str, Any]]:
    """Every value of a document with its path, parents before children."""
    yield format_path(path), value
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _nodes(item, (*path, str(key)))
    elif isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        for index, item in enumerate(value):
            yield from _nodes(item, (*path, index))


def _with_texts(value: Any, change: Callable[[str], str]) -> Any:
    """A copy of a plain value with every text in it changed."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [_with_texts(item, change) for item in value]
    if isinstance(value, dict):
        return {key: _with_texts(item, change) for key, item in value.items()}
    return value


_loaded: OrderedDict[tuple[str, ...], Loaded] = OrderedDict()


def load(given: Input) -> Loaded:
    """The mesh of `given`, parsed once per process for the same content in the same order."""
    key = (digest(given), *(text.file for text in given.texts))
    if key not in _loaded:
        _loaded[key] = Loaded(given)
        while len(_loaded) > _CACHED_MESHES:
            _loaded.popitem(last=False)
    _loaded.move_to_end(key)
    return _loaded[key]


def digest(given: Input) -> str:
    """A hash of everything that `load` sees, independent of the order of files and documents."""
    parts = [f"file {text.file} {hashlib.sha256(text.data).hexdigest()}" for text in given.texts]
    parts += [f"finding {finding}" for finding in given.findings]
    parts += [f"encrypted {name}" for name in given.encrypted]
    for name, value in given.documents:
        try:
            canonical = json.dumps(plain(value), sort_keys=True)
        except UnusableValueError as error:
            canonical = f"{format_path(error.path)} {error}"
        parts.append(f"document {name} {hashlib.sha256(canonical.encode()).hexdigest()}")
    return hashlib.sha256("\n".join(sorted(parts)).encode()).hexdigest()


@lru_cache(maxsize=1)
def core_digest() -> str:
    """A hash of the code that compiles, so that artifacts of another version of it are not taken for current."""
    total = hashlib.sha256()
    for path in sorted((COLLECTION / "plugins" / "plugin_utils").rglob("*")):
        if path.suffix in (".py", ".json"):
            total.update(path.read_bytes())
    return total.hexdigest()


# --- templates --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class MeshHandle:
    """The mesh that a template is rendered for, as the input of filters: nothing is read or parsed again."""

    loaded: Loaded


class TeamTemplates:
    """The templates of a directory, and what they yield for the dataplanes of a mesh as the user may see it."""

    def __init__(self, given: TemplateFiles, loaded: Loaded) -> None:
        self._given = given
        self._loaded = loaded
        self._secrets: set[str] = set()
        self._findings = list(given.findings)
        sources: dict[str, str] = {}
        for text in given.texts:
            try:
                sources[given.names[text.file]] = text.data.decode("utf-8-sig")
            except UnicodeDecodeError:
                self._findings.append(_template_finding(NOT_YAML, "the file is not UTF-8", text.file, 1, 1))
        self._sources = sources
        self._labels = {name: file for file, name in given.names.items()}
        self._library = Library(sources, _plugins_of(filter_loader), _plugins_of(test_loader))
        sound = []
        for name in self._library.names:
            try:
                self._library.compile(name)
                sound.append(self._labels[name])
            except RenderingError as error:
                self._findings.append(self._failure(error))
        decrypt = dict.fromkeys(("!vault", "!vault-encrypted"), self._decrypt)
        self._yielded = templates.Templates(sound, self._render, decrypt)

    @property
    def has_encrypted_files(self) -> bool:
        return bool(self._given.encrypted)

    @property
    def holds_secrets(self) -> bool:
        """Whether anything in the templates that have been rendered was encrypted."""
        return bool(self._given.encrypted or self._secrets)

    def hide(self, text: str) -> str:
        """`text` without the decrypted values of templates."""
        return _without(self._secrets, text)

    def own(self, dataplane: api.DataplaneId, target: api.Target) -> list[templates.OwnResource]:
        """The resources for a dataplane, in the order of the templates."""
        universe = self._loaded.universe
        return self._yielded.own(universe.compiled(dataplane.mesh).compiler, universe.dataplane(dataplane), target)

    def findings(self, dataplanes: Mapping[api.DataplaneId, api.Target], every: bool) -> list[Finding]:
        """What is wrong with the templates, and with what they yield for these dataplanes, which may be all."""
        universe = self._loaded.universe
        asked = [
            (universe.compiled(dataplane.mesh).compiler, universe.dataplane(dataplane), target)
            for dataplane, target in dataplanes.items()
        ]
        return [self._told(finding) for finding in (*self._findings, *self._yielded.findings(asked, every))]

    def _render(self, file: str, variables: Mapping[str, Any]) -> templates.Rendered | Finding:
        name = self._given.names[file]
        try:
            text = self._library.render(name, {**variables, "mesh": MeshHandle(self._loaded)})
        except RenderingError as error:
            return self._failure(error)
        return templates.Rendered(file, self._sources[name], text.text, text.lines)

    def _decrypt(self, ciphertext: str) -> str:
        text = self._given.decrypt(ciphertext)
        self._secrets.add(text)
        return text

    def _failure(self, error: RenderingError) -> Finding:
        return _template_finding(CANNOT_RENDER, str(error), self._labels[error.name], error.line, 1)

    def _told(self, finding: Finding) -> Finding:
        """The finding as the user may see it: without anything that was encrypted."""
        if finding.source.file in self._given.encrypted:
            return replace(finding, message=f"{CODES[finding.code].title} (the file is encrypted: no more is shown)")
        message, name = (self._loaded.hide(self.hide(text)) for text in (finding.message, finding.name))
        return replace(finding, message=message, name=name)


def _plugins_of(loader: Any) -> Callable[[str], Callable[..., Any] | None]:
    """Finds filters or tests of Ansible and of collections by their names, as the functions that they are made of."""

    def find(name: str) -> Callable[..., Any] | None:
        try:
            plugin = loader.get(name)
        except KeyError:
            return None
        return None if plugin is None else plugin.j2_function  # type: ignore[no-any-return]

    return find


# --- hosts against dataplanes -----------------------------------------------------------------------------------------


def bind_hosts(
    loaded: Loaded, hosts: Iterable[Host], everything: bool = True
) -> tuple[dict[api.DataplaneId, Host], list[Finding]]:
    """Which host runs which dataplane. With `everything` false, in a slice, a dataplane needs no host."""
    dataplanes = dict.fromkeys(loaded.universe.dataplanes)
    broken = {finding.name for finding in loaded.errors if finding.kind == "Dataplane"}
    bound: dict[api.DataplaneId, Host] = {}
    findings: list[Finding] = []
    for host in hosts:
        dataplane = api.DataplaneId(host.mesh, host.dataplane)
        if dataplane in bound:
            message = f"the dataplane '{host.dataplane}' is already that of host '{bound[dataplane].name}'"
            findings.append(_border_finding(SHARED_DATAPLANE, _host_label(host.name), message, host.dataplane))
        elif dataplane in dataplanes:
            bound[dataplane] = host
        elif host.networking is None and not host.told and host.dataplane not in broken:
            message = (
                f"there is no dataplane '{host.dataplane}' in mesh '{host.mesh}'{_elsewhere(dataplane, dataplanes)}"
            )
            findings.append(_border_finding(NO_DATAPLANE, _host_label(host.name), message, host.dataplane))
    if bound and everything:
        for dataplane in dataplanes:
            if dataplane not in bound:
                message = f"no host of this inventory runs the dataplane '{dataplane.name}' of mesh '{dataplane.mesh}'"
                findings.append(_border_finding(NO_HOST, "inventory", message, dataplane.name))
    return bound, findings


def _border_finding(about: Code, where: str, message: str, name: str) -> Finding:
    return Finding(about.id, about.severity, "", message, Source(where), "Dataplane", name)


def _elsewhere(wanted: api.DataplaneId, dataplanes: Iterable[api.DataplaneId]) -> str:
    """A hint where a dataplane that is missing may be."""
    others = sorted(one.mesh for one in dataplanes if one.name == wanted.name)
    if others:
        return f"; there is one in mesh '{others[0]}': set mesh_name"
    return did_you_mean(wanted.name, [one.name for one in dataplanes if one.mesh == wanted.mesh])


class Fleet:
    """A mesh together with the hosts that run it: what `validate`, `compile` and `explain` work on. Nothing is parsed
    before it is asked for more than `inputs`."""

    def __init__(
        self,
        given: Input,
        hosts: list[Host],
        findings: list[Finding],
        whole: bool,
        templates: TemplateFiles | None = None,
    ) -> None:
        self._given = given
        self._hosts = hosts
        self._host_findings = findings
        self._whole = whole
        self._template_files = templates or TemplateFiles()

    @cached_property
    def inputs(self) -> str:
        """A hash of everything that artifacts depend on: code, files, documents, and what is said about hosts."""
        hosts = [f"{host.name} {host.dataplane} {host.mesh} {host.target}" for host in self._hosts]
        parts = [core_digest(), digest(self._given), str(self._whole), *hosts, *map(str, self._host_findings)]
        parts.append(digest(self._template_files))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()

    @cached_property
    def loaded(self) -> Loaded:
        return load(self._given)

    def with_file(self, name: str, data: bytes) -> Fleet:
        """The fleet as it will be when a file of the mesh has this content."""
        others = [text for text in self._given.texts if text.file != name]
        given = replace(self._given, texts=[*others, source.Text(name, data)])
        return Fleet(given, self._hosts, self._host_findings, self._whole)

    @cached_property
    def _bound(self) -> tuple[dict[api.DataplaneId, Host], list[Finding]]:
        return bind_hosts(self.loaded, self._hosts, self._whole)

    @property
    def findings(self) -> list[Finding]:
        """All findings about the mesh and its hosts, sorted by source."""
        own = [self.loaded.told(finding) for finding in (*self._host_findings, *self._bound[1])]
        return sorted((*self.loaded.findings, *own), key=lambda finding: finding.sort_key)

    @property
    def dataplanes(self) -> dict[str, api.DataplaneId]:
        """The dataplane of each host that has one, by the host's name."""
        return {host.name: dataplane for dataplane, host in self._bound[0].items()}

    @cached_property
    def _templates(self) -> TeamTemplates:
        return TeamTemplates(self._template_files, self.loaded)

    def template_findings(self, dataplanes: Iterable[api.DataplaneId] | None = None) -> list[Finding]:
        """What is wrong with templates and what they yield for these dataplanes, or for all of a mesh without errors.

        None where there are no templates, at no cost.
        """
        if self._template_files == TemplateFiles():
            return []
        asked = self.loaded.universe.dataplanes if dataplanes is None else dataplanes
        targets = {dataplane: self._target(dataplane) for dataplane in asked}
        every = len(targets) == len(self.loaded.universe.dataplanes)
        return self._templates.findings(targets, every)

    def hide(self, text: str) -> str:
        """`text` without anything that was encrypted in the mesh or in templates."""
        return self.loaded.hide(self._templates.hide(text))

    @property
    def has_encrypted_files(self) -> bool:
        return self.loaded.has_encrypted_files or self._templates.has_encrypted_files

    def release(self, dataplane: api.DataplaneId, revision: str | None) -> tuple[api.Release, list[dict[str, str]]]:
        """The release of one dataplane, and the policies that select it and the templates that yield something."""
        universe = self.loaded.universe
        target = self._target(dataplane)
        own = self._templates.own(dataplane, target)
        sensitive = self.loaded.holds_secrets or self._templates.holds_secrets
        release = api.compile_release(universe, dataplane, target, revision, sensitive, own=own)
        yielding = {one.rendered.file: one.template for one in own}
        took_part = [{"kind": "template", "name": name, "file": file} for file, name in yielding.items()]
        return release, api.matched_policies(universe, dataplane) + took_part

    def explain(
        self, dataplane: api.DataplaneId, service: str | None = None, tags: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """What `api.explain` says of one dataplane with the Envoy of its host, as the user may see it."""
        target = self._target(dataplane)
        return self.loaded.told_explanation(api.explain(self.loaded.universe, dataplane, service, tags, target))

    def _target(self, dataplane: api.DataplaneId) -> api.Target:
        """What its host is like; a dataplane without a host gets the defaults of host variables."""
        host = self._bound[0].get(dataplane)
        return host.target if host else api.Target()


def read_fleet(
    options: Mapping[str, Any], task_vars: Mapping[str, Any], loader: DataLoader, also: Iterable[str] = ()
) -> Fleet:
    """The fleet that the options `mesh`, `hosts`, `slice` and, where an action has it, `templates` describe.

    The files `also` are a part of the mesh.
    """
    base = base_directory(loader.get_basedir())
    given = read(options["mesh"], base, loader, also)
    hosts, findings = read_hosts(options["hosts"], task_vars, loader, dataplanes=not options["slice"])
    given.documents += [host.document for host in hosts if host.document]
    rendering = read_templates(options.get("templates"), base, loader)
    return Fleet(given, hosts, findings, whole=not options["slice"], templates=rendering)


# --- telling ----------------------------------------------------------------------------------------------------------


def missing_packages() -> list[Finding]:
    """What the controller lacks, as findings. Without these packages nothing else works."""
    return [
        Finding(MISSING_PACKAGES.id, Severity.ERROR, "", sentence, Source("controller"))
        for sentence in _requirements.missing()
    ]


def sorted_findings(*findings: Finding) -> list[Finding]:
    """Findings from several places, by source."""
    return sorted(findings, key=lambda finding: finding.sort_key)


def errors_of(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.severity is Severity.ERROR)


def counts(findings: Iterable[Finding]) -> dict[str, int]:
    """Findings per severity: `{"error": 0, "warning": 2, "notice": 1}`."""
    found = [finding.severity for finding in findings]
    return {severity.value: found.count(severity) for severity in Severity}


def summary(findings: Sequence[Finding]) -> str:
    """`2 errors, 1 warning` and then one line for each, errors first, capped."""
    numbers = [
        f"{number} {severity}{'' if number == 1 else 's'}" for severity, number in counts(findings).items() if number
    ]
    if not numbers:
        return "no findings"
    rank = list(Severity)
    lines = [str(finding) for finding in sorted(findings, key=lambda finding: rank.index(finding.severity))]
    more = len(lines) - SHOWN_FINDINGS
    if more > 0:
        lines = [*lines[:SHOWN_FINDINGS], f"… and {more} more in the result's `findings`"]
    return "\n".join([", ".join(numbers), *lines])


# --- filters ----------------------------------------------------------------------------------------------------------


def load_for_filter(context: Mapping[str, Any], mesh: Any) -> Loaded:
    """The mesh of a filter's input. `context` is Jinja's, which knows the playbook's directory."""
    if isinstance(mesh, MeshHandle):
        return mesh.loaded
    findings = missing_packages()
    if findings:
        raise AnsibleFilterError(summary(findings))
    return load(read(mesh, _base_of(context), ambient_loader()))


def _base_of(context: Mapping[str, Any]) -> str:
    return base_directory(str(context.get("playbook_dir") or os.curdir))


def own_of(
    context: Mapping[str, Any], loaded: Loaded, directory: Any, dataplane: api.DataplaneId, target: api.Target
) -> list[templates.OwnResource]:
    """The resources that the templates of a directory, if a filter was given one, yield for a dataplane."""
    if directory is None:
        return []
    given = read_templates(_name("templates", directory), _base_of(context), ambient_loader())
    rendering = TeamTemplates(given, loaded)
    errors = errors_of(rendering.findings({dataplane: target}, every=False))
    if errors:
        raise AnsibleFilterError(f"the templates are not valid: {summary(errors)}")
    return rendering.own(dataplane, target)


@contextmanager
def valid_mesh(context: Mapping[str, Any], mesh: Any) -> Iterator[Loaded]:
    """Like `load_for_filter`, for filters that need a mesh without errors; what the core refuses fails the filter."""
    loaded = load_for_filter(context, mesh)
    if loaded.errors:
        raise AnsibleFilterError(f"the mesh is not valid: {summary(loaded.errors)}")
    try:
        yield loaded
    except api.MeshError as error:
        raise AnsibleFilterError(str(error)) from error


def dataplane_of(loaded: Loaded, name: Any, mesh_name: Any) -> api.DataplaneId:
    """The dataplane that a filter's arguments name. `MeshError` when there is none or several."""
    return api.find_dataplane(loaded.universe, _name("dataplane", name), mesh_name and _name("mesh_name", mesh_name))


def service_and_tags(service: Any) -> tuple[str, dict[str, str]]:
    """The argument `service` of a filter: a name, or a mapping of tags that names a subset."""
    if not isinstance(service, Mapping):
        return _name("service", service), {}
    tags = {str(key): _name("service", value) for key, value in service.items()}
    if SERVICE_TAG not in tags:
        raise AnsibleFilterError(f"service must be a name, or tags among which is {SERVICE_TAG}")
    return tags.pop(SERVICE_TAG), tags


def _name(argument: str, value: Any) -> str:
    if not isinstance(value, str):
        raise AnsibleFilterError(f"{argument} must be a string, not {type(value).__name__}")
    return str(value)
