"""Every module and role has what this collection asks of each, and a test that runs it."""

from __future__ import annotations

import ast
import itertools
import re
from pathlib import Path

import pytest
import yaml

TOP = Path(__file__).resolve().parents[2]
MODULES = sorted(path.stem for path in (TOP / "plugins/modules").glob("*.py"))
ROLES = sorted(path.name for path in (TOP / "roles").iterdir())
SCENARIOS = TOP / "extensions/molecule"
TARGETS = TOP / "tests/integration/targets"


def texts(module: str) -> dict[str, str]:
    """DOCUMENTATION, EXAMPLES and RETURN."""
    source = (TOP / f"plugins/modules/{module}.py").read_text(encoding="utf-8")
    return {
        getattr(node.targets[0], "id", ""): str(ast.literal_eval(node.value))
        for node in ast.parse(source).body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
    }


@pytest.mark.parametrize("module", MODULES)
def test_a_module_says_what_it_does(module):
    found = texts(module)
    assert yaml.safe_load(found["EXAMPLES"])
    assert yaml.safe_load(found["RETURN"])
    described = yaml.safe_load(found["DOCUMENTATION"])
    words = set(described.get("attributes") or {})
    for fragment in described["extends_documentation_fragment"]:
        if fragment.startswith("kiln.unikernel."):
            words |= attributes(fragment.removeprefix("kiln.unikernel."))
    assert {"check_mode", "diff_mode", "idempotent"} <= words


def attributes(fragment: str) -> set[str]:
    """Those that a fragment of the documentation describes."""
    name, _, part = fragment.partition(".")
    source = (TOP / f"plugins/doc_fragments/{name}.py").read_text(encoding="utf-8")
    wanted = (part or "documentation").upper()
    (text,) = re.findall(rf'^    {wanted} = r"""\n(.*?)"""', source, re.DOTALL | re.MULTILINE)
    return set(yaml.safe_load(text).get("attributes") or {})


@pytest.mark.parametrize("module", MODULES)
def test_the_examples_of_a_module_are_run(module):
    """By tests/examples, or by the tests of what it talks to."""
    order = (TOP / "tests/examples/test_examples.py").read_text()
    (listed,) = re.findall(r"^ORDER = \((.*?)\)", order, re.DOTALL | re.MULTILINE)
    runs = (f'tasks("{module}")', f"{module}.EXAMPLES")
    tests = [*(TOP / "tests/publish").glob("*.py"), *(TOP / "tests/packer").glob("*.py")]
    assert f'"{module}"' in listed or any(
        word in path.read_text() for path in tests for word in runs
    )


@pytest.mark.parametrize(
    "path", sorted((TOP / "plugins").rglob("*.py")), ids=lambda path: path.stem
)
def test_a_file_is_no_longer_than_can_be_read(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) < 400


def test_no_check_is_left_out():
    """Neither of ansible-test's sanity tests nor of ansible-lint's rules."""
    ignored = list((TOP / "tests/sanity").glob("ignore*"))
    assert ignored
    assert [path.read_text() for path in ignored] == [""] * len(ignored)
    settings = yaml.safe_load((TOP / ".ansible-lint").read_text())
    assert settings["profile"] == "production"
    assert not {"skip_list", "warn_list", "kinds"} & set(settings)
    files = [*(TOP / "roles").rglob("*.yml"), *(TOP / "playbooks").rglob("*.yml")]
    assert [str(path) for path in files if "noqa" in path.read_text(encoding="utf-8")] == []


def test_all_modules_are_in_the_action_group():
    groups = yaml.safe_load((TOP / "meta/runtime.yml").read_text())["action_groups"]
    listed = {name for group in groups.values() for name in group if isinstance(name, str)}
    assert {name.rpartition(".")[2] for name in listed} == set(MODULES)
    # Credentials are set once, for all modules of a group: none is in two.
    assert len([name for group in groups.values() for name in group]) == len(MODULES)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_described_and_tested(role):
    assert (TOP / f"roles/{role}/meta/argument_specs.yml").is_file()
    shared = yaml.safe_load((SCENARIOS / "config.yml").read_text())
    own = yaml.safe_load((SCENARIOS / role / "molecule.yml").read_text()) or {}
    steps = own.get("scenario", shared["scenario"])["test_sequence"]
    assert [step for step in steps if step in ("converge", "idempotence", "verify")] == [
        "converge", "idempotence", "verify",
    ]  # fmt: skip


def steps_of(role: str) -> list[tuple[bool, bool]]:
    """The steps that a target of integration goes through: check mode, and whether it changes."""
    tasks = yaml.safe_load((TARGETS / f"role_{role}/tasks/main.yml").read_text())
    found: list[tuple[bool, bool]] = []
    while tasks:
        task = tasks.pop(0)
        tasks = [*task.get("block", []), *tasks]
        found += [
            (step["check"], any(step.get(word) for word in ("changed", "baked", "published")))
            for step in task.get("loop", ())
            if isinstance(step, dict) and {"check"} < set(step)
        ]
    return found


# A host stays prepared; a guest goes through states of its own, each dry and for real.
@pytest.mark.parametrize("role", [role for role in ROLES if role not in ("builder", "run")])
def test_a_role_goes_through_all_states(role):
    steps = steps_of(role)
    assert steps[:4] == [(True, True), (False, True), (True, False), (False, False)]
    for (dry, told), after in itertools.pairwise(steps):
        assert not dry or after[0] or told == after[1], "what changes was told to"
    real = [step for step in steps[4:] if not step[0]]
    assert real[0][1], "a change"
    assert [step[1] for step in real[-2:]] == [True, False], "absent, absent"
