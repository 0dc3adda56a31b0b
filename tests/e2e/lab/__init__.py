# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mesh on one machine: real Envoys, real applications, every host an address of its own in 127.0.0.0/8."""
