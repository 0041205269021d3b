"""Sessions for the collection: nox -s NAME, or all of `make test-collection`.

They run in the virtualenv that tools/setup has filled from the pinned requirements, not in ones of
their own: what is tested is what was pinned.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import nox

TOP = Path(__file__).resolve().parent
NAME = "kiln.unikernel"
BIN = TOP / ".venv/bin"

nox.options.default_venv_backend = "none"
nox.options.sessions = [
    "lint",
    "changelog",
    "docs",
    "tarball",
    "sanity",
    "units",
    "integration",
    "molecule",
]


def run(session: nox.Session, program: str, *words: str) -> None:
    """Runs a program of the virtualenv on the checkout under its installed name."""
    tree = subprocess.run([TOP / "tools/tree"], check=True, capture_output=True, text=True)
    paths = [tree.stdout.strip(), str(TOP / ".venv/collections")]
    env = {
        "ANSIBLE_COLLECTIONS_PATH": os.pathsep.join(paths),
        "ANSIBLE_HOME": str(TOP / "build/ansible"),
        "LC_ALL": "C.UTF-8",
        "PATH": os.pathsep.join([str(BIN), os.environ.get("PATH", os.defpath)]),
    }
    session.run(str(BIN / program), *words, env=env, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """The linters: ruff, mypy, yamllint, ansible-lint."""
    run(session, "python", "tests/lint.py")


@nox.session
def changelog(session: nox.Session) -> None:
    """The fragments of the changelog."""
    run(session, "antsibull-changelog", "lint")


@nox.session
def docs(session: nox.Session) -> None:
    """What documentation refers to is there, and a site can be made of it (build/docs)."""
    options = ["--plugin-docs", "--skip-rstcheck", "--validate-collection-refs", "all"]
    with session.chdir(TOP / "build/tree/ansible_collections/kiln/unikernel"):
        run(session, "antsibull-docs", "lint-collection-docs", *options, ".")
    site = TOP / "build/docs"
    site.mkdir(parents=True, exist_ok=True)
    options = ["--use-current", "--squash-hierarchy", "--fail-on-error", "--dest-dir", str(site)]
    run(session, "antsibull-docs", "collection", *options, NAME)


@nox.session
def tarball(session: nox.Session) -> None:
    """The tarball holds what is needed and nothing else, and says what an importer asks for."""
    run(session, "python", "-m", "pytest", "-q", "tests/collection")


@nox.session
def sanity(session: nox.Session) -> None:
    """ansible-test sanity."""
    run(session, "python", "tests/sanity.py", "sanity")


@nox.session
def units(session: nox.Session) -> None:
    """ansible-test units."""
    run(session, "python", "tests/sanity.py", "units")


@nox.session
def integration(session: nox.Session) -> None:
    """ansible-test integration (after make rigs); nox -s integration -- TARGET … for some."""
    run(session, "python", "tests/sanity.py", "integration", *session.posargs)


@nox.session
def molecule(session: nox.Session) -> None:
    """The scenario of each role (after make rigs); nox -s molecule -- SCENARIO … for some."""
    run(session, "python", "tests/molecule.py", *session.posargs)
