# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is compiled here against what a real Kuma control plane answered for the same meshes. See README.md."""
