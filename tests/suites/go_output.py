"""What the test programs of Go say, and the regular expressions that ask them for tests."""

from __future__ import annotations

import re

_BEGUN = re.compile(r"^=== RUN +(\S+)$", re.M)
_ENDED = re.compile(r"--- (PASS|FAIL|SKIP): (\S+) \(\d+\.\d\ds\)$", re.M)
_LAST = re.compile(r"^(PASS|FAIL)\n", re.M)
# What a test program is as a whole: it came to its end, whatever its tests said.
WHOLE = "(end)"


def parse(package: str, said: str) -> dict[str, str]:
    """The outcome of each test that began, and of the program."""
    ends = {"PASS": "pass", "FAIL": "fail", "SKIP": "skip"}
    told = {f"{package}.{name}": "error" for name in _BEGUN.findall(said)}
    told |= {f"{package}.{name}": ends[word] for word, name in _ENDED.findall(said)}
    told[f"{package}.{WHOLE}"] = "pass" if _LAST.search(said) else "error"
    return told


def pattern(wanted: list[str], unwanted: list[str]) -> str:
    """A short regular expression for the wanted names that matches no unwanted one."""
    parts: list[str] = []
    for name in sorted(wanted):
        if parts and any(name.startswith(part) for part in parts if not part.endswith("$")):
            continue
        for length in range(1, len(name) + 1):
            if not any(other.startswith(name[:length]) for other in unwanted):
                parts.append(name[:length])
                break
        else:
            parts.append(name + "$")
    return f"^({'|'.join(parts)})"
