# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The core of meshsmith.universal: Kuma resources in, Envoy configuration out. Private; `api` is its only door."""
