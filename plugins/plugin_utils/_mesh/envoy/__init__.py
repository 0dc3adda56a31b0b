# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Envoy resources as plain dicts in proto3 JSON. Knows Envoy's field names and nothing about policies."""
