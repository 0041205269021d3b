# Copyright (c) 2026, the Kiln authors
# BSD-3-Clause (see LICENSE or https://opensource.org/license/bsd-3-clause)
"""What a Java program's image needs beyond Debian's packages, made on the machine that bakes.

    cacerts       the authorities' key store, which a maintainer script makes on a full system
    app.jar       source files compiled, by the very compiler that the packages bring
    runtime/      a runtime of some modules (jlink), in place of the package's
    archive.jsa   classes laid out as the JVM maps them (class data sharing)

All of it is made by the JVM out of the packages, run from where they were unpacked, and lies in
the store under the SHA-256 of what it was made from: packages, files, options. Key store, jar and
runtime are the same bytes wherever they are made. The JVM's archive is not: it differs from run to
run in some hundred bytes, so an image with one is the same only out of the same store.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.kiln.unikernel.plugins.module_utils import (
    _image,
    _keystore,
    _packages,
    _trial,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._packages import Apt, Lock
from ansible_collections.kiln.unikernel.plugins.module_utils._store import (
    KilnError,
    Store,
    digest_file,
    digest_value,
)
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import Filter, Tree

KIND = "java"
# Raise when the same inputs begin to give something else.
MAKER = 1
AUTO = "auto"
HOME = "usr/lib/jvm/java-17-openjdk-amd64"
RUNTIME = "/usr/lib/jvm/runtime"
CACERTS = "/etc/ssl/certs/java/cacerts"
ARCHIVE = "/usr/lib/jvm/archive.jsa"
# A class-data archive holds the heap's objects in a form that only some collectors take.
DUMP_OPTIONS = {"z": ["-XX:+UseZGC"]}
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}


@dataclass(frozen=True)
class JavaSpec:
    """What is to be made; the fields are the java_runtime module's options."""

    name: str
    packages: list[str]
    jdk_packages: list[str]
    sources: list[Path] = field(default_factory=list)
    jars: list[Path] = field(default_factory=list)
    jar_folder: str = "/app"
    cwd: str = "/"
    modules: list[str] = field(default_factory=list)
    archive: str = "default"
    archive_run: list[str] = field(default_factory=list)
    archive_run_seconds: float = 60
    archive_run_until: str = ""
    options: list[str] = field(default_factory=list)
    gc: str = AUTO
    lock: Path | None = None
    update_lock: bool = False


@dataclass(frozen=True)
class JavaPlan:
    """What making it would do."""

    digest: str
    inputs: dict[str, Any]
    packages: Lock
    jdk: Lock | None
    make: bool
    rename: bool
    before: dict[str, Any]

    @property
    def changed(self) -> bool:
        """Whether anything is to be made or named."""
        return self.make or self.rename


def make_plan(spec: JavaSpec, store: Store, work: Store) -> JavaPlan:
    """Settles packages and files, and looks whether all is in the store."""
    for path in [*spec.sources, *spec.jars]:
        if not path.is_file():
            raise KilnError(f"There is no file {path}; `jars` and `sources` are files.")
    old = _packages.read_lock(spec.lock) if spec.lock and not spec.update_lock else None
    packages = old or _image._resolve(spec.packages, store, work)
    jdk = _image._resolve(spec.jdk_packages, store, work) if spec.modules else None
    if jdk:
        _same_release(packages, jdk)
    inputs = {
        "maker": MAKER,
        "packages": packages.as_json()["packages"],
        "jdk": jdk.as_json()["packages"] if jdk else None,
        "sources": {path.name: digest_file(path) for path in spec.sources},
        "modules": spec.modules,
        "archive": spec.archive if spec.archive == "app" or spec.modules else None,
    }
    if spec.archive == "app" or AUTO in spec.modules:
        inputs["jars"] = [[path.name, digest_file(path)] for path in spec.jars]
    if spec.archive == "app":
        keys = ("cwd", "gc", "options", "jar_folder", "archive_run", "archive_run_until")
        inputs |= {key: getattr(spec, key) for key in keys}
    digest = digest_value(inputs)
    current = store.current(KIND, spec.name)
    manifest = store.manifest(KIND, current) if current else None
    return JavaPlan(
        digest=digest,
        inputs=inputs,
        packages=packages,
        jdk=jdk,
        make=store.manifest(KIND, digest) is None,
        rename=current != digest,
        before={"digest": current, **manifest["inputs"]} if manifest else {},
    )


def _same_release(packages: Lock, jdk: Lock) -> None:
    """The runtime's libraries come with the JDK; when a JVM is in the image too, it must be one."""
    versions = {
        package.version
        for package in [*packages.packages, *jdk.packages]
        if package.name.startswith("openjdk-")
    }
    if len(versions) > 1:
        raise KilnError(
            f"The packages are of different releases of Java ({', '.join(sorted(versions))}); "
            "write the lock file anew, or leave the JRE out of `packages`."
        )


def carry_out(plan: JavaPlan, spec: JavaSpec, store: Store) -> None:
    """Makes what is not there, and names it."""
    if plan.make:
        with store.lock(f"java-{plan.digest[:16]}"), store.scratch() as scratch:
            made = scratch / "made"
            made.mkdir()
            modules = _make(plan, spec, store, scratch, made)
            manifest = {"name": spec.name, "inputs": plan.inputs, "modules": modules}
            store.publish(KIND, plan.digest, made, manifest)
    store.set_current(KIND, spec.name, plan.digest)


def _make(plan: JavaPlan, spec: JavaSpec, store: Store, scratch: Path, made: Path) -> list[str]:
    tree = _unpack(plan, store, scratch / "tree")
    trusted = _keystore.certificates(tree.path / "usr/share/ca-certificates")
    (made / "cacerts").write_bytes(_keystore.render(trusted))
    java = Java(tree.path / HOME)
    if spec.sources:
        java.compile(spec.sources, scratch / "classes", made / "app.jar")
    jars = [*([made / "app.jar"] if spec.sources else []), *spec.jars]
    modules = java.named(spec.modules, jars)
    if modules:
        java = java.link(modules, made / "runtime")
        _place_cacerts(made)
    if spec.archive == "app":
        _dump_all(java, spec, jars, tree.path, made / "archive.jsa")
    elif spec.archive == "default" and modules:
        java.dump(["-XX:SharedArchiveFile=" + str(made / "archive.jsa"), *_dump_gc(spec)], made)
    return modules


def _place_cacerts(made: Path) -> None:
    """A linked runtime has the key store of the machine that built Java, or a link to nowhere."""
    place = made / "runtime/lib/security/cacerts"
    place.unlink(missing_ok=True)
    place.symlink_to(CACERTS)


def _unpack(plan: JavaPlan, store: Store, folder: Path) -> Tree:
    """The JVM and the certificates, so that they run where they lie."""
    locks = [plan.jdk] if plan.jdk else []
    every = {item.name: item for lock in [*locks, plan.packages] for item in lock.packages}
    wanted = [item for name, item in every.items() if name.startswith(("openjdk-", "ca-cert"))]
    if not any(item.name.startswith("openjdk-") for item in wanted):
        every = {item.name: item for item in _jvm_alone(store).packages}
        wanted += [item for name, item in every.items() if name.startswith("openjdk-")]
    with store.lock("apt"):
        Apt(store.path / "apt").fetch(wanted, store)
    tree = Tree(folder)
    tree.path.mkdir()
    tree.lay_out()
    for item in wanted:
        tree.add_package(_packages.deb(store, item), item.name, Filter(["/usr/share/doc"], []))
    _turn_links(tree.path)
    return tree


def _jvm_alone(store: Store) -> Lock:
    return _image._resolve(["openjdk-17-jre-headless"], store, store)


def _turn_links(root: Path) -> None:
    """Debian's Java has links to /etc, which here must lead into the tree."""
    for path in (root / HOME).rglob("*"):
        if path.is_symlink() and str(path.readlink()).startswith("/"):
            target = root / str(path.readlink()).lstrip("/")
            path.unlink()
            path.symlink_to(os.path.relpath(target, path.parent))


def _dump_gc(spec: JavaSpec) -> list[str]:
    return DUMP_OPTIONS.get(spec.gc, ["-XX:+UseG1GC"])


def _dump_all(java: Java, spec: JavaSpec, jars: list[Path], root: Path, archive: Path) -> None:
    """The archive of the JDK's and the program's classes.

    The JVM takes it only when the class path is, word for word and to the second of each file, what
    it was when the archive was made: so the jars get the image's paths, under the same working
    directory, and the image's time.
    """
    cwd = root / spec.cwd.lstrip("/")
    cwd.mkdir(parents=True, exist_ok=True)
    folder = root / spec.jar_folder.lstrip("/")
    folder.mkdir(parents=True, exist_ok=True)
    for jar in jars:
        shutil.copyfile(jar, folder / jar.name)
        os.utime(folder / jar.name, (_image.TIMESTAMP, _image.TIMESTAMP))
    words = ["-cp", class_path(spec, jars), *spec.options]
    listed = (java.home / "lib/classlist").read_text(encoding="utf-8").splitlines()
    listed += java.trained(spec, words, cwd) if spec.archive_run else _all_classes(jars)
    names = root / "classlist"
    names.write_text("\n".join(dict.fromkeys(listed)) + "\n", encoding="utf-8")
    files = [f"-XX:SharedClassListFile={names}", f"-XX:SharedArchiveFile={archive}"]
    java.dump([*files, *_dump_gc(spec), *words], cwd)


def class_path(spec: JavaSpec, jars: list[Path]) -> str:
    """The jars as the guest's working directory sees them."""
    folder = os.path.relpath(spec.jar_folder, spec.cwd)
    return ":".join(f"{folder}/{jar.name}" for jar in jars)


def placement(spec: JavaSpec, folder: Path) -> dict[str, Any]:
    """Where all of it goes in the image, and what comes from `folder`, its place in the store."""
    files = [{"src": str(folder / "cacerts"), "dest": CACERTS}]
    jars = list(spec.jars)
    if spec.sources:
        jars.insert(0, folder / "app.jar")
    files += [{"src": str(jar), "dest": f"{spec.jar_folder}/{jar.name}"} for jar in jars]
    if spec.modules:
        files.append({"src": str(folder / "runtime"), "dest": RUNTIME})
    home = RUNTIME if spec.modules else f"/{HOME}"
    archive = None
    if spec.archive == "app" or (spec.archive == "default" and spec.modules):
        archive = ARCHIVE
        files.append({"src": str(folder / "archive.jsa"), "dest": ARCHIVE})
    return {
        "home": home,
        "class_path": class_path(spec, jars),
        "archive": archive,
        "files": files,
    }


def _all_classes(jars: list[Path]) -> list[str]:
    found: list[str] = []
    for jar in jars:
        with zipfile.ZipFile(jar) as archive:
            names = (name for name in archive.namelist() if name.endswith(".class"))
            found += sorted(
                name.removesuffix(".class")
                for name in names
                if not name.startswith("META-INF/") and not name.endswith("-info.class")
            )
    return found


class Java:
    """A Java home on this machine."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def compile(self, sources: list[Path], scratch: Path, jar: Path) -> None:
        """Source files → a jar whose bytes follow from them."""
        scratch.mkdir()
        words = ["-m", "jdk.compiler/com.sun.tools.javac.Main", "-g", "-d", str(scratch)]
        self._run([*words, *map(str, sources)], scratch, "The sources cannot be compiled")
        with zipfile.ZipFile(jar, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(scratch.rglob("*.class")):
                entry = zipfile.ZipInfo(path.relative_to(scratch).as_posix(), _ZIP_TIME)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)

    def named(self, wanted: list[str], jars: list[Path]) -> list[str]:
        """Module names; those that jars need in place of `auto`."""
        found = {name for name in wanted if name != AUTO}
        if AUTO in wanted and jars:
            words = ["-m", "jdk.jdeps/com.sun.tools.jdeps.Main", "--ignore-missing-deps"]
            words += ["--multi-release", "17", "--print-module-deps", *map(str, jars)]
            said = self._run(words, self.home, "jdeps cannot tell which modules the jars need")
            found |= set(said.strip().splitlines()[-1].split(","))
        return sorted(found | {"java.base"}) if wanted else []

    def link(self, modules: list[str], target: Path) -> Java:
        """A runtime of these modules and those that they require."""
        words = ["-m", "jdk.jlink/jdk.tools.jlink.internal.Main", "--output", str(target)]
        words += ["--module-path", str(self.home / "jmods"), "--add-modules", ",".join(modules)]
        words += ["--no-header-files", "--no-man-pages"]
        self._run(words, self.home, f"jlink cannot make a runtime of {', '.join(modules)}")
        return Java(target)

    def trained(self, spec: JavaSpec, words: list[str], cwd: Path) -> list[str]:
        """The classes that a run of the program loads."""
        names = cwd / ".classes-of-a-run"
        command = [str(self.home / "bin/java"), f"-XX:DumpLoadedClassList={names}", *words]
        heard = _trial.run(
            [*command, *spec.archive_run],
            cwd=cwd,
            env=_ENVIRONMENT,
            until=spec.archive_run_until,
            seconds=spec.archive_run_seconds,
        )
        run = f"The run of {' '.join(spec.archive_run)}"
        if not heard.complete:
            raise KilnError(
                f"{run} has not said '{spec.archive_run_until}' within "
                f"{spec.archive_run_seconds:g} s, its status was {heard.status}; "
                f"see archive_run_until. It said last: {heard.last}"
            )
        if not names.is_file():
            raise KilnError(f"{run} loaded no class; its status was {heard.status}.")
        return names.read_text(encoding="utf-8").splitlines()

    def dump(self, words: list[str], cwd: Path) -> None:
        """A class-data archive."""
        self._run(["-Xshare:dump", *words], cwd, "The class-data archive cannot be made")

    def _run(self, words: list[str], cwd: Path, what: str) -> str:
        """Runs java with these words; no variable of the caller's reaches it."""
        done = subprocess.run(
            [str(self.home / "bin/java"), *words],
            cwd=cwd,
            env=_ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
            raise KilnError(f"{what}: {' / '.join(lines[-6:])}.")
        return done.stdout
