"""Container images as the real tools write them are read: buildah's, and skopeo's copies of them.

What they call docker-archive is what `docker save` writes; they share the library that writes it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TOP / "build/tree"), str(TOP / "tests/unit")]

from ansible_collections.kiln.unikernel.plugins.module_utils import (  # noqa: E402
    _base,
    _layers,
    _oci,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import (  # noqa: E402
    Filter,
    Tree,
)
from elves import make_elf  # noqa: E402

KINDS = ("oci", "oci-archive", "docker-archive")
NAME = "example.org/web:1"


def run(*words: object) -> str:
    """One call of a tool."""
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
    return done.stdout.strip()


def place(kind: str, path: Path) -> str:
    """Where an image is, as both tools say it."""
    return f"{kind}:{path}:{NAME}"


def build(folder: Path) -> Path:
    """An image of two layers, of which the second takes a file of the first away."""

    def buildah(*words: object) -> str:
        apart = ["--root", folder / "root", "--runroot", folder / "run"]
        return run("buildah", *apart, "--storage-driver", "vfs", *words)

    program = folder / "prog"
    program.write_bytes(make_elf())
    program.chmod(0o755)
    (folder / "old").write_text("old", encoding="ascii")
    first = buildah("from", "scratch")
    buildah("copy", first, program, "/bin/prog")
    buildah("copy", first, folder / "old", "/srv/old")
    buildah("commit", "--quiet", first, "first")
    second = buildah("from", "--pull-never", "first")
    tree = Path(buildah("mount", second))
    (tree / "srv/old").unlink()
    (tree / "srv/new").write_text("new", encoding="ascii")
    (tree / "srv/link").symlink_to("new")
    buildah("umount", second)
    settings = ["--entrypoint", '["/bin/prog", "serve"]', "--cmd", "--fast", "--env", "A=b=c"]
    settings += ["--port", "80/tcp", "--volume", "/data", "--label", "org.example=yes"]
    buildah("config", *settings, "--workingdir", "/srv", "--user", "65534", second)
    buildah("commit", "--quiet", second, NAME)
    for kind in KINDS:
        buildah("push", "--quiet", NAME, place(kind, folder / f"buildah-{kind}"))
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with all of them."""
    folder = build(tmp_path_factory.mktemp("containers"))
    for kind in KINDS:
        source = place("oci-archive", folder / "buildah-oci-archive")
        run("skopeo", "copy", "--quiet", source, place(kind, folder / f"skopeo-{kind}"))
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tool", ["buildah", "skopeo"])
def test_what_a_tool_has_written_is_read(
    images: Path, tmp_path: Path, tool: str, kind: str
) -> None:
    """Its files without the one that a whiteout hides, and all of its configuration."""
    base = _base.oci_base(images / f"{tool}-{kind}", None, _layers.LIMIT)
    tree = Tree(tmp_path / "tree")
    tree.path.mkdir()
    base.add(tree, Filter([], []))
    there = sorted(str(path.relative_to(tree.path)) for path in tree.path.rglob("*"))
    assert there == ["bin", "bin/prog", "srv", "srv/link", "srv/new"]
    assert (tree.path / "bin/prog").read_bytes() == make_elf()
    assert (tree.path / "srv/link").readlink() == Path("new")
    config = base.image.config
    assert config.labels.pop("io.buildah.version", None)
    assert config == _oci.Config(
        entrypoint=["/bin/prog", "serve"],
        cmd=["--fast"],
        env={"A": "b=c"},
        cwd="/srv",
        user="65534",
        ports=["80/tcp"],
        volumes=["/data"],
        labels={"org.example": "yes"},
    )
