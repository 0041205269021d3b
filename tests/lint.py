"""Runs the linters of the collection one after the other and says which of them complained."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
PYTHON = ["plugins", "playbooks", "noxfile.py", "tests", "kernel-src", "tools/absent_calls"]


def linters(tree: str) -> dict[str, tuple[list[str], Path]]:
    """Name → command and the folder it runs in."""
    plugins = "ansible_collections/kiln/unikernel/plugins"
    settings = ["--config-file", str(TOP / "pyproject.toml")]
    return {
        "ruff check": (["ruff", "check", "--no-cache", *PYTHON], TOP),
        "ruff format": (["ruff", "format", "--no-cache", "--check", *PYTHON], TOP),
        "mypy": (["mypy", *settings, plugins, str(TOP / "tests/run_all.py")], Path(tree)),
        "yamllint": (["yamllint", "--strict", "."], TOP),
        "ansible-lint": (["ansible-lint", "--offline", "--strict", "--nocolor", "-q"], TOP),
    }


def main() -> int:
    """Runs every linter even when one has failed; the last line says what came out."""
    tree = subprocess.run([TOP / "tools/tree"], check=True, capture_output=True, text=True)
    bad = []
    env = dict(
        os.environ,
        MYPY_CACHE_DIR=str(TOP / ".mypy_cache"),
        ANSIBLE_COLLECTIONS_PATH=tree.stdout.strip(),
        ANSIBLE_HOME=str(TOP / "build/ansible"),
        LC_ALL="C.UTF-8",
    )
    env["PATH"] = f"{TOP / '.venv/bin'}:{env.get('PATH', os.defpath)}"
    chosen = linters(tree.stdout.strip())
    for name, (command, folder) in chosen.items():
        print(f"--- {name}", flush=True)
        if subprocess.run(command, cwd=folder, env=env, check=False).returncode != 0:
            bad.append(name)
    print(f"lint: FAILED: {', '.join(bad)}" if bad else f"lint: clean by {', '.join(chosen)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
