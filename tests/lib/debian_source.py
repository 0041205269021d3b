"""The sources of a Debian package, with Debian's patches, for the tests that it brings."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from redis_guest import NotReadyError, run_checked


def _sources_list(folder: Path) -> Path:
    """deb-src lines for the archives that this host's apt knows already."""
    form = "$(SITE) $(CODENAME) $(COMPONENT) $(ORIGIN)"
    found = run_checked(["apt-get", "indextargets", "--format", form, "Created-By: Packages"])
    lines = {
        f"deb-src {site} {codename} {component}\n"
        for site, codename, component, origin in (line.split(" ", 3) for line in found.splitlines())
        if origin in ("Debian", "Ubuntu")
    }
    path = folder / "sources.list"
    path.write_text("".join(sorted(lines)))
    return path


def _private_apt(folder: Path) -> list[str]:
    """Options for apt-get that keep everything below one folder."""
    for name in ("state/lists/partial", "cache/archives/partial"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": _sources_list(folder),
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Sandbox::User": "",
    }
    return [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]


def fetch(build: Path, source: str, package: str) -> Path:
    """The unpacked tree of the source package, at the version of `package` that apt would install.

    It lies below `build`, and is fetched once a version.
    """
    shown = run_checked(["apt-cache", "show", "--no-all-versions", package])
    version = re.search(r"^Version: (\S+)$", shown, re.MULTILINE)
    if not version:
        raise NotReadyError(f"apt knows no {package}")
    folder = build / version[1].replace(":", "_")
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        options = _private_apt(build / "apt")
        run_checked(["apt-get", "-q", *options, "update"])
        wanted = f"{source}={version[1]}"
        run_checked(["apt-get", "-q", *options, "--only-source", "source", wanted], cwd=folder)
        (folder / "complete").write_text(wanted + "\n")
    return next(path for path in folder.iterdir() if path.is_dir())
