# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Parts of listeners that can be changed: filters of connections, filters of requests, virtual hosts.

An edit gets a list and answers with the list as it should be, or with the same list for no change. Listeners stay as
they are: where an edit changes nothing the answer is the listener itself, otherwise a new one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import type_urls
from .listener import HTTP_CONNECTION_MANAGER

_Part = dict[str, Any]
Edit = Callable[[list[_Part]], list[_Part]]


class NotThatType(Exception):
    """Something else is configured than its name says."""


def tags(listener: Mapping[str, Any]) -> dict[str, str]:
    """The tags of the service that a listener is for."""
    found = listener.get("metadata", {}).get("filterMetadata", {}).get("io.kuma.tags", {})
    return {key: value for key, value in found.items() if isinstance(value, str)}


def each(items: list[_Part], change: Callable[[_Part], _Part]) -> list[_Part]:
    """The items after a change of each; the same list if none of them was changed."""
    changed = [change(item) for item in items]
    return items if all(after is before for after, before in zip(changed, items, strict=True)) else changed


def edit_network_filters(listener: _Part, edit: Edit) -> _Part:
    """Edit the filters of every filter chain; the default chain is left alone, as in Kuma."""
    return _edited(listener, "filterChains", lambda chains: each(chains, lambda one: _edited(one, "filters", edit)))


def edit_http_filters(listener: _Part, edit: Edit) -> _Part:
    """Edit the filters of every HTTP connection manager."""
    return _on_managers(listener, lambda manager: _edited(manager, "httpFilters", edit))


def edit_virtual_hosts(listener: _Part, route_configuration: str | None, edit: Edit) -> _Part:
    """Edit the virtual hosts of every route configuration, or those of this name, that stands in the listener."""

    def on_manager(manager: _Part) -> _Part:
        config = manager.get("routeConfig")
        if config is None or route_configuration not in (None, config.get("name", "")):
            return manager
        after = _edited(config, "virtualHosts", edit)
        return manager if after is config else {**manager, "routeConfig": after}

    return _on_managers(listener, on_manager)


def _on_managers(listener: _Part, change: Callable[[_Part], _Part]) -> _Part:
    def on_filter(one: _Part) -> _Part:
        if one.get("name") != HTTP_CONNECTION_MANAGER:
            return one
        config = one.get("typedConfig", {})
        if config.get("@type") != type_urls.HTTP_CONNECTION_MANAGER:
            raise NotThatType(f"its filter {HTTP_CONNECTION_MANAGER} is none, but {config.get('@type', 'nothing')}")
        after = change(config)
        return one if after is config else {**one, "typedConfig": after}

    return edit_network_filters(listener, lambda filters: each(filters, on_filter))


def _edited(holder: _Part, member: str, edit: Edit) -> _Part:
    before = holder.get(member, [])
    after = edit(before)
    return holder if after is before else {**holder, member: after}
