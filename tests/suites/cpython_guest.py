"""Runs one module of CPython's own tests where it is started; says how each test ended, a line each.

Usage: cpython_guest.py MODULE      e.g. test_os, or sqlite for our own (cpython_sqlite.py)

Standard input is JSON: {"only": [pattern...], "without": [pattern...]}; no "only" means all. Output:

    plan NAME       a test that will be run
    begin NAME
    pass|fail|skip|error NAME [why]
    done SECONDS

What needs a second process is skipped by CPython's own marks, as on systems without subprocesses. A
test that takes longer than LIMIT ends the run with the stacks of all threads.
"""

import faulthandler
import fnmatch
import importlib
import json
import os
import random
import sys
import time
import unittest
import warnings

LIMIT = 180.0
SLOWER = 10
# What regrtest calls resources; left out are the Internet, largefile (5 GB of disk), cpu (minutes).
RESOURCES = ["subprocess", "walltime", "decimal"]
# Here the resource stands for sockets that wait; the Internet is not reached all the same.
NETWORK = ["test_timeout"]

# What the tests themselves say goes with the messages.
VERDICTS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


def tell(word, name, note=""):
    print(f"{word} {name} {note}".split("\n")[0].rstrip(), file=VERDICTS, flush=True)


class Result(unittest.TestResult):
    """Says each test's end as it comes, and what became of the tests of a class that ended at once."""

    def __init__(self, planned):
        super().__init__()
        self._left = dict.fromkeys(planned)

    def startTest(self, test):
        super().startTest(test)
        self._worst = ("pass", "")
        tell("begin", name_of(test))
        faulthandler.dump_traceback_later(LIMIT, exit=True)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        self._say(name_of(test), *self._worst)
        super().stopTest(test)

    def _say(self, name, word, note):
        if name in self._left:
            del self._left[name]
            tell(word, name, note)

    def addSkip(self, test, reason):
        self._ended("skip", test, str(reason))

    def addUnexpectedSuccess(self, test):
        self._ended("fail", test, "succeeds unexpectedly")

    def addFailure(self, test, err):
        self._report("fail", test, err)

    def addError(self, test, err):
        self._report("error", test, err)

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self._report("fail", test, err, str(subtest)[len(str(test)) :].strip())

    def _report(self, word, test, err, note=""):
        print(self._exc_info_to_string(err, test), file=sys.stderr, flush=True)
        self._ended(word, test, f"{note} {err[0].__name__}: {err[1]}")

    def _ended(self, word, test, note):
        if hasattr(test, "_testMethodName"):
            if word != "skip" or self._worst[0] == "pass":
                self._worst = (word, note)
        else:
            self._all_of(test.id(), word, note)

    def _all_of(self, label, word, note):
        """A fixture of a class or of a module ended: "setUpClass (test.test_os.FileTests)"."""
        scope = label.partition("(")[2].rstrip(")").removeprefix("test.")
        for name in [name for name in self._left if name.startswith(f"{scope}.")]:
            self._say(name, word, note)


def name_of(test):
    """Without the package; doctests of another module are the tested module's."""
    name, module = test.id().removeprefix("test."), sys.argv[1]
    known = module == "sqlite" or name.startswith(f"{module}.")
    return name if known else f"{module}.{name}"


def each_of(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from each_of(item)
        else:
            yield item


def kept(suite, only, without):
    """The tests of a suite that are wanted, in a suite of the same order."""
    result = unittest.TestSuite()
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            result.addTest(kept(item, only, without))
        elif matches(name_of(item), only) and not matches(name_of(item), without):
            result.addTest(item)
    return result


def matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def prepare(module):
    """As regrtest does, on a machine that is slow and has one process."""
    from test import support

    support.use_resources = RESOURCES + (["network"] if module in NETWORK else [])
    support.verbose = 0
    support.has_subprocess_support = False
    support.has_fork_support = False
    for limit in ("LOOPBACK_TIMEOUT", "SHORT_TIMEOUT", "LONG_TIMEOUT"):
        setattr(support, limit, getattr(support, limit) * SLOWER)
    random.seed(1)
    warnings.simplefilter("default")
    faulthandler.enable()


def main():
    module = sys.argv[1]
    wish = json.load(sys.stdin)
    prepare(module)
    begun = time.monotonic()
    own = module == "sqlite"
    try:
        loaded = importlib.import_module("cpython_sqlite" if own else f"test.{module}")
    except unittest.SkipTest as reason:
        tell("skip", module, str(reason))
        return

    def run(*parts):
        run_suite(parts, wish)

    if hasattr(loaded, "test_main"):
        # It makes its own choice of classes; its documentation's examples are no tests.
        loaded.run_unittest, loaded.run_doctest = run, lambda *_, **__: None
        loaded.test_main()
    else:
        run(loaded)
    tell("done", f"{time.monotonic() - begun:.1f}")


def run_suite(parts, wish):
    load = unittest.defaultTestLoader
    suites = [
        load.loadTestsFromTestCase(part)
        if isinstance(part, type)
        else load.loadTestsFromModule(part)
        for part in parts
    ]
    suite = kept(unittest.TestSuite(suites), wish.get("only") or ["*"], wish.get("without", []))
    planned = [name_of(test) for test in each_of(suite)]
    for name in planned:
        tell("plan", name)
    suite.run(Result(planned))


if __name__ == "__main__":
    main()
    # Threads that a test has left behind do not hold the guest.
    sys.stderr.flush()
    os._exit(0)
