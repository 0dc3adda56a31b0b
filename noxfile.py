# SPDX-FileCopyrightText: 2026 The meshsmith.universal authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Makefile's suites for those who are used to nox; the virtual environments are the Makefile's too."""

from __future__ import annotations

import nox

SUITES = ("lint", "sanity", "units", "conformance", "e2e", "molecule", "newest")


@nox.session(python=False)
@nox.parametrize("suite", SUITES)
def make(session: nox.Session, suite: str) -> None:
    session.run("make", suite, external=True)
