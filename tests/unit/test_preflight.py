"""What the pre-flight sees in programs and libraries made by gcc, and what it says of them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from ansible_collections.kiln.unikernel.plugins.module_utils import _preflight
from ansible_collections.kiln.unikernel.plugins.module_utils._absent_calls import ABSENT
from ansible_collections.kiln.unikernel.plugins.module_utils._store import KilnError
from ansible_collections.kiln.unikernel.plugins.module_utils._tree import Tree

TOP = Path(__file__).resolve().parents[2]
FORKS = '#include <unistd.h>\nint main(void) { return fork() + execl("/x", "x", (char *)0); }\n'
QUEUES = "#include <sys/msg.h>\nint queue(void) { return msgget(1, 0); }\n"
PLAIN = "int main(void) { return 0; }\n"


def compile_c(folder: Path, name: str, text: str, *options: str, compiler: str = "gcc") -> bytes:
    source, made = folder / f"{name}.c", folder / name
    source.write_text(text, encoding="ascii")
    subprocess.run([compiler, "-o", made, source, *options], check=True)
    return made.read_bytes()


def make_tree(tmp_path: Path, files: dict[str, bytes]) -> Tree:
    tree = Tree(tmp_path / "root")
    tree.path.mkdir()
    tree.lay_out()
    for place, data in files.items():
        path = tree.path / place.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tree


def looked(report, path):
    return next(item for item in report if item.path == path)


def functions_of(item):
    return [(each.function, each.library) for each in item.missing]


def test_the_calls_are_those_of_the_kernels_table():
    text = (TOP / "kernel-src/linux/syscall_list.hh").read_text(encoding="utf-8")
    calls = set(re.findall(r"^KILN_SYSCALL\(\d+, (\w+)\)$", text, re.MULTILINE))
    assert calls >= ABSENT
    assert {"fork", "execve", "msgget"} <= ABSENT
    assert not {"read", "futex", "clone"} & ABSENT
    named = {call for names in _preflight._LEADS_TO for call in names.split()}
    assert named <= calls, "a misspelt call would never be missed"


def test_a_call_that_the_kernel_gets_is_not_spoken_of():
    assert _preflight.functions()["system"] == ["vfork", "execve"]
    assert _preflight.functions(frozenset({"execve"}))["system"] == ["execve"]
    assert "system" not in _preflight.functions(frozenset({"msgget"}))


def test_a_program_its_libraries_and_others(tmp_path):
    library = compile_c(tmp_path, "libqueue.so", QUEUES, "-shared", "-fPIC")
    options = ["-Wl,--no-as-needed", f"-L{tmp_path}", "-lqueue"]
    tree = make_tree(
        tmp_path,
        {
            "/usr/bin/forks": compile_c(tmp_path, "forks", FORKS, *options),
            "/usr/lib/libqueue.so": library,
            "/usr/lib/plug/in.so": compile_c(tmp_path, "in.so", FORKS, "-shared", "-fPIC"),
            "/usr/bin/other": compile_c(tmp_path, "other", FORKS),
            "/usr/bin/text": b"no ELF",
            "/usr/bin/broken": b"\x7fELF\x02" + bytes(10),
        },
    )
    report = _preflight.survey(tree, ["/bin/forks", "/lib/libqueue.so"])
    assert [(item.path, item.role) for item in report] == [
        ("/usr/bin/forks", "program"),
        ("/usr/bin/other", "other"),
        ("/usr/lib/libqueue.so", "linked"),
        ("/usr/lib/plug/in.so", "library"),
    ]
    program = looked(report, "/usr/bin/forks")
    assert program.linked == ["libqueue.so", "libc.so.6"]
    assert functions_of(program) == [("execl", "libc.so.6"), ("fork", "libc.so.6")]
    assert functions_of(looked(report, "/usr/lib/libqueue.so")) == [("msgget", "libc.so.6")]
    assert _preflight.sentence(report, "/bin/forks", []) == (
        "preflight: /bin/forks imports execl, fork of libc.so.6; is linked with libqueue.so "
        "(msgget); could load in.so (execl, fork). A Kiln guest has no execve, fork, msgget: what "
        "needs them fails with ENOSYS, the rest works."
    )


@pytest.mark.parametrize(
    ("allow", "says"),
    [
        (["fork"], "imports execl of libc.so.6"),
        (["fork", "execl"], ""),
        (["fork", "execve"], ""),
        (["/usr/bin/*"], ""),
        (["/usr/lib/*"], "imports execl, fork of libc.so.6"),
    ],
)
def test_what_is_allowed_is_not_spoken_of(tmp_path, allow, says):
    tree = make_tree(tmp_path, {"/usr/bin/forks": compile_c(tmp_path, "forks", FORKS)})
    report = _preflight.survey(tree, ["/usr/bin/forks"])
    text = _preflight.sentence(report, "/usr/bin/forks", allow)
    assert (says in text) if says else not text
    assert bool(_preflight.judge(report, "/usr/bin/forks", "warn", allow)) == bool(says)
    assert _preflight.judge(report, "/usr/bin/forks", "off", allow) == []
    if says:
        with pytest.raises(KilnError, match="Name in `preflight_allow`"):
            _preflight.judge(report, "/usr/bin/forks", "fail", allow)
    else:
        assert _preflight.judge(report, "/usr/bin/forks", "fail", allow) == []


def test_nothing_is_said_of_a_program_that_needs_nothing(tmp_path):
    tree = make_tree(tmp_path, {"/usr/bin/plain": compile_c(tmp_path, "plain", PLAIN)})
    report = _preflight.survey(tree, ["/usr/bin/plain"])
    assert report[0].missing == []
    assert _preflight.judge(report, "/usr/bin/plain", "fail", []) == []


@pytest.mark.parametrize("compiler", ["gcc", "musl-gcc"])
def test_a_static_program_shows_what_is_inside_unless_it_is_stripped(tmp_path, compiler):
    files = {
        "/usr/bin/forks": compile_c(tmp_path, "forks", FORKS, "-static", compiler=compiler),
        "/usr/bin/mute": compile_c(tmp_path, "mute", FORKS, "-static", "-s", compiler=compiler),
        "/usr/bin/plain": compile_c(tmp_path, "plain", PLAIN, "-static", compiler=compiler),
    }
    report = _preflight.survey(make_tree(tmp_path, files), ["/usr/bin/forks"])
    program = looked(report, "/usr/bin/forks")
    assert ("fork", None) in functions_of(program)
    assert "has execl, " in _preflight.sentence(report, "/usr/bin/forks", [])
    assert looked(report, "/usr/bin/plain").missing == []
    mute = looked(report, "/usr/bin/mute")
    assert (mute.missing, mute.note) == ([], "static and stripped: nothing can be told")


def test_a_function_without_a_version_is_looked_for_in_the_libraries(tmp_path):
    forks = compile_c(tmp_path, "forks", FORKS, compiler="musl-gcc")
    libc = Path("/usr/lib/x86_64-linux-musl/libc.so").read_bytes()
    tree = make_tree(tmp_path, {"/usr/bin/forks": forks, "/usr/lib/libc.so": libc})
    program = looked(_preflight.survey(tree, ["/usr/bin/forks"]), "/usr/bin/forks")
    assert functions_of(program) == [("execl", "libc.so"), ("fork", "libc.so")]


def test_the_report_lies_beside_the_image_until_the_table_changes(tmp_path, monkeypatch):
    assert _preflight.known(tmp_path) is None
    tree = make_tree(tmp_path, {"/usr/bin/forks": compile_c(tmp_path, "forks", FORKS)})
    report = _preflight.survey(tree, ["/usr/bin/forks"])
    _preflight.keep(tmp_path, report)
    assert _preflight.known(tmp_path) == report
    monkeypatch.setattr(_preflight, "functions", lambda: {"msgget": ["msgget"]})
    assert _preflight.known(tmp_path) is None
