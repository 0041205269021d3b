"""Stands in for QEMU: rewrites the command line that kernel-src/run made, then becomes QEMU.

KILN_TEST_REWRITE is a JSON list of [from, to], applied to every word in order. A line feed in a
word then makes words of its lines.
"""

import json
import os
import sys

words = sys.argv[1:]
for old, new in json.loads(os.environ["KILN_TEST_REWRITE"]):
    words = [word.replace(old, new) for word in words]
words = [line for word in words for line in word.split("\n")]
os.execvp("qemu-system-x86_64", ["qemu-system-x86_64", *words])
