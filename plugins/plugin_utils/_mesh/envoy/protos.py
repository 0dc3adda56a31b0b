# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy's messages as protobuf classes, and proto3 JSON as such messages.

Classes are loaded when they are first asked for: a mesh that never needs one does not pay for them, and does without
the packages that they come from. Those of a type stand in the Python package that is named like its proto package.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor import Descriptor
    from google.protobuf.descriptor_pool import DescriptorPool
    from google.protobuf.message import Message

# Nothing else is imported because a resource names it.
_PACKAGE = re.compile(r"(envoy|google\.protobuf|udpa|xds)(\.[a-z0-9_]+)*")


class NotAMessage(Exception):
    """There is no such type, or JSON is not what its type says. The text says why."""


def type_name(type_url: str) -> str:
    """The name of the type that a type URL ends in."""
    return type_url.rpartition("/")[2]


def descriptor(name: str) -> Descriptor:
    """The description of a type by its full name. NotAMessage if there is none."""
    pool = _pool()
    try:
        return pool.FindMessageTypeByName(name)
    except KeyError:
        _load(name)
    try:
        return pool.FindMessageTypeByName(name)
    except KeyError:
        raise NotAMessage(f"there is no Envoy type {name}") from None


def message(name: str) -> Message:
    """An empty message of a type."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(descriptor(name))()


def parse(name: str, value: Any) -> Message:
    """Proto3 JSON as a message of a type. NotAMessage if it is none."""
    from google.protobuf import json_format

    for type_url in _type_urls(value):
        # The parser tells whether it is a type or a text in free JSON.
        with contextlib.suppress(NotAMessage):
            descriptor(type_name(type_url))
    try:
        return json_format.ParseDict(value, message(name))
    except (json_format.Error, TypeError, ValueError) as error:
        raise NotAMessage(" ".join(str(error).split())) from None


def to_json(parsed: Message) -> dict[str, Any]:
    """A message in proto3 JSON: lowerCamelCase, without what has its default. NotAMessage if it holds what is none."""
    from google.protobuf import json_format
    from google.protobuf.message import DecodeError

    try:
        return json_format.MessageToDict(parsed)
    except (json_format.Error, DecodeError, TypeError, ValueError) as error:
        raise NotAMessage(" ".join(str(error).split())) from None


def canonical(name: str, value: Any) -> dict[str, Any]:
    """Proto3 JSON as `to_json` writes it."""
    return to_json(parse(name, value))


def types_beside(name: str) -> list[str]:
    """The names of the types in the package of a type, known or not."""
    _load(name)
    package = name.rpartition(".")[0]
    found = (importlib.import_module(module).DESCRIPTOR for module in _modules(package))
    return sorted(one.full_name for file in found for one in file.message_types_by_name.values())


def _load(name: str) -> None:
    """Import what declares a type: the modules of the innermost package in its name; around it are messages."""
    package = name.rpartition(".")[0]
    while package:
        modules = _modules(package)
        if modules:
            for module in modules:
                importlib.import_module(module)
            return
        package = package.rpartition(".")[0]


@cache
def _modules(package: str) -> tuple[str, ...]:
    if not _PACKAGE.fullmatch(package):
        return ()
    try:
        spec = importlib.util.find_spec(package)
    except ImportError:
        return ()
    places = None if spec is None else spec.submodule_search_locations
    found = (one.name for one in pkgutil.iter_modules(places or ()))
    return tuple(f"{package}.{name}" for name in found if name.endswith("_pb2"))


@cache
def _pool() -> DescriptorPool:
    from google.protobuf import descriptor_pb2, descriptor_pool

    pool = descriptor_pool.Default()
    # The package has no contrib extensions. This is the one of them that a mesh has of its own.
    file = descriptor_pb2.FileDescriptorProto(
        name="contrib/envoy/extensions/filters/network/kafka_broker/v3/kafka_broker.proto",
        package="envoy.extensions.filters.network.kafka_broker.v3",
        syntax="proto3",
    )
    file.message_type.add(name="KafkaBroker").field.add(
        name="stat_prefix",
        json_name="statPrefix",
        number=1,
        type=descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
        label=descriptor_pb2.FieldDescriptorProto.LABEL_OPTIONAL,
    )
    pool.Add(file)
    return pool


def _type_urls(value: Any) -> Iterator[str]:
    """The types of all messages that stand in fields for any message."""
    if isinstance(value, dict):
        if isinstance(value.get("@type"), str):
            yield value["@type"]
        for member in value.values():
            yield from _type_urls(member)
    elif isinstance(value, list):
        for item in value:
            yield from _type_urls(item)
