"""Builds the kernel's libFuzzer targets with clang and runs each for a while.

Usage: python tests/fuzz.py [--seconds N] [TARGET ...]

What a fuzzer finds interesting stays in build/fuzz-corpus for the next run. An input that breaks
something is left in build/fuzz-findings, and its path is the last line printed for the target.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

TOP = Path(__file__).resolve().parent.parent
BUILD = TOP / "build/fuzz"
FINDINGS = TOP / "build/fuzz-findings"
AT_ONCE = 2


def build() -> None:
    """Configures and builds all targets."""
    configure = ["cmake", "-S", "kernel-src", "-B", str(BUILD), "-G", "Ninja", "-DKILN_FUZZ=ON"]
    configure += ["-DCMAKE_C_COMPILER=clang", "-DCMAKE_CXX_COMPILER=clang++"]
    for command in (configure, ["cmake", "--build", str(BUILD)]):
        done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise SystemExit(f"fuzz: the targets do not build\n{done.stdout}{done.stderr}")


def targets() -> dict[str, Path]:
    """Name → program, of every source in kernel-src/tests/fuzz."""
    names = sorted(path.stem for path in (TOP / "kernel-src/tests/fuzz").glob("*.cc"))
    return {name: BUILD / f"tests/fuzz_{name}" for name in names}


def run(name: str, program: Path, seconds: int) -> tuple[str, bool, str]:
    """Runs one fuzzer; gives its name, whether nothing broke, and a line on it."""
    corpus = TOP / "build/fuzz-corpus" / name
    corpus.mkdir(parents=True, exist_ok=True)
    FINDINGS.mkdir(parents=True, exist_ok=True)
    command = [str(program), f"-max_total_time={seconds}", "-timeout=10", "-rss_limit_mb=2048"]
    command += ["-print_final_stats=1", f"-artifact_prefix={FINDINGS}/{name}-", str(corpus)]
    seeds = TOP / "kernel-src/tests/fuzz/seeds" / name
    command += [str(seeds)] if seeds.is_dir() else []
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    counted = re.search(r"number_of_executed_units:\s*(\d+)", done.stderr)
    units = int(counted[1]) if counted else 0
    if done.returncode != 0 or units == 0:
        return name, False, f"fuzz {name}: BROKEN (status {done.returncode})\n{done.stderr[-4000:]}"
    return name, True, f"fuzz {name}: {units} inputs in {seconds} s, nothing broke"


def main() -> int:
    """Builds, runs two fuzzers at a time, sums up."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=int, default=10, help="for each target")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    options = parser.parse_args()
    known = targets()
    chosen = options.targets or list(known)
    unknown = set(chosen) - known.keys()
    if unknown or not chosen:
        raise SystemExit(f"fuzz: no target {', '.join(sorted(unknown))}; there are {list(known)}")
    build()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        results = list(pool.map(lambda name: run(name, known[name], options.seconds), chosen))
    for _name, _good, text in results:
        print(text)
    broken = [name for name, good, _text in results if not good]
    print(f"fuzz: BROKEN: {', '.join(broken)}" if broken else f"fuzz: {len(results)} targets held")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
