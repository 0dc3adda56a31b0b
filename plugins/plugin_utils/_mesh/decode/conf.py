# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Configurations that fit their schema, as the dataclass of their kind."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from decimal import Decimal
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from ..model import StringMap, field_name
from ..model.duration import Duration

_Conf = TypeVar("_Conf")


def decode_conf(conf: type[_Conf], written: dict[str, Any]) -> _Conf:
    """`written` as a `conf`: members by Kuma's names, texts as what they stand for."""
    section: Any = conf
    made: _Conf = _section_maker(section)(written)
    return made


def _maker(type_: Any) -> Callable[[Any], Any]:
    """What makes a value of `type_` of one that was read from YAML."""
    if isinstance(type_, type) and is_dataclass(type_):
        return _section_maker(type_)
    if get_origin(type_) is tuple:
        item = _maker(get_args(type_)[0])
        return lambda written: tuple(item(one) for one in written)
    if get_origin(type_) is UnionType:
        (wanted,) = (one for one in get_args(type_) if one is not NoneType)
        return _maker(wanted)
    return _MAKERS[type_]


_MAKERS: dict[type, Callable[[Any], Any]] = {
    bool: bool,
    bytes: base64.b64decode,
    Decimal: lambda written: Decimal(str(written)),
    Duration: Duration.parse,
    int: int,
    str: str,
    StringMap: lambda written: StringMap(sorted(written.items())),
}


@cache
def _section_maker(type_: type) -> Callable[[Any], Any]:
    hints, known = get_type_hints(type_), fields(type_)
    members = [
        (one.name, field_name(one.name), _maker(hints[one.name]), bool(one.metadata.get("omitempty"))) for one in known
    ]

    def make(written: dict[str, Any]) -> Any:
        made = {}
        for name, key, maker, omit_empty in members:
            if key in written and (written[key] or not omit_empty):
                made[name] = maker(written[key])
        return type_(**made)

    return make
