"""Runs one module of CPython's own regression tests and says how each test ended, a line a test.

Usage: cpython_suite.py MODULE [PATTERN ...]      e.g. test_os test_os.FileTests.*

What needs a second process is skipped by CPython's own marks, as on systems without subprocesses;
what lacks a mark stands in cpython.json (from cases/cpython.yml, with reasons), as "leave_out". A
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

LIMIT = 120.0
SLOWER = 10
# What regrtest calls resources; left out are network (the Internet), largefile and cpu (minutes).
RESOURCES = ["subprocess", "walltime", "decimal"]

# What the tests themselves say goes with the messages.
VERDICTS = os.fdopen(os.dup(1), "w", encoding="utf-8")
os.dup2(2, 1)


class Result(unittest.TestResult):
    """Says each test's end as it comes."""

    def startTest(self, test):
        super().startTest(test)
        self._bad_parts = []
        self._told = False
        faulthandler.dump_traceback_later(LIMIT, exit=True)

    def stopTest(self, test):
        faulthandler.cancel_dump_traceback_later()
        if self._bad_parts:
            self._tell("failed", test, " in " + ", ".join(self._bad_parts))
        super().stopTest(test)

    def _tell(self, word, test, note=""):
        if not self._told:
            self._told = True
            print(f"{word} {name_of(test)}{note}", file=VERDICTS, flush=True)

    def addSuccess(self, test):
        if not self._bad_parts:
            self._tell("ok", test)

    def addSkip(self, test, reason):
        self._told = False
        self._tell("skipped", test, f": {reason}")

    def addExpectedFailure(self, test, err):
        self._tell("fails as expected", test)

    def addUnexpectedSuccess(self, test):
        self._tell("succeeds unexpectedly", test)
        super().addUnexpectedSuccess(test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._failed("failed", test, err)

    def addError(self, test, err):
        super().addError(test, err)
        self._failed("error", test, err)

    def _failed(self, word, test, err):
        print(self._exc_info_to_string(err, test), file=sys.stderr, flush=True)
        self._told = False if not hasattr(test, "_testMethodName") else self._told
        self._tell(f"{word} ({err[0].__name__})", test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            print(self._exc_info_to_string(err, test), file=sys.stderr, flush=True)
            self._bad_parts.append(str(subtest)[len(str(test)) :].strip())


def name_of(test):
    return test.id().removeprefix("test.")


def kept(suite, wanted, unwanted):
    """The tests of a suite that are wanted, in a suite of the same order."""
    result = unittest.TestSuite()
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            result.addTest(kept(item, wanted, unwanted))
        elif matches(name_of(item), wanted or ["*"]) and not matches(name_of(item), unwanted):
            result.addTest(item)
    return result


def matches(name, patterns):
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def prepare():
    """As regrtest does, on a machine that is slow and has one process."""
    from test import support

    support.use_resources = RESOURCES
    support.verbose = 0
    support.has_subprocess_support = False
    support.has_fork_support = False
    for limit in ("LOOPBACK_TIMEOUT", "SHORT_TIMEOUT", "LONG_TIMEOUT"):
        setattr(support, limit, getattr(support, limit) * SLOWER)
    random.seed(1)
    warnings.simplefilter("default")
    faulthandler.enable()


def main():
    module, *wanted = sys.argv[1:]
    with open("/t/cpython.json", encoding="utf-8") as stream:
        unwanted = json.load(stream)
    prepare()
    begun = time.monotonic()
    try:
        loaded = importlib.import_module(f"test.{module}")
    except unittest.SkipTest as reason:
        print(f"skipped {module}: {reason}", file=VERDICTS)
        return 0
    suite = kept(unittest.defaultTestLoader.loadTestsFromModule(loaded), wanted, unwanted)
    result = Result()
    suite.run(result)
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun} tests, {bad} not passed", file=VERDICTS)
    print(f"{time.monotonic() - begun:.1f} s", file=sys.stderr)
    return 0 if result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
