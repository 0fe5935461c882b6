#!/usr/bin/env python3
"""Runs tests/registry/test_*.py, or those named; the last line sums up. Without sockerless-fetch there is nothing to test."""
import os
import sys
import unittest

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, here)
import support  # noqa: E402

if not os.path.exists(support.FETCH):
    print("registry: skipped: built without libcurl")
    sys.exit(0)
names = [f"test_{n}" for n in sys.argv[1:]]
loader = unittest.TestLoader()
suite = loader.loadTestsFromNames(names) if names else loader.discover(here)
result = unittest.TextTestRunner(verbosity=1).run(suite)
failed = len(result.failures) + len(result.errors)
for _, why in result.skipped:
    print(f"registry: skipped: {why}")
print(f"registry: {result.testsRun - failed - len(result.skipped)} passed, {failed} failed")
sys.exit(1 if failed or not result.testsRun else 0)
