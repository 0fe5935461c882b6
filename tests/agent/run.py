#!/usr/bin/env python3
"""Runs tests/agent/test_*.py, or those named; the last line sums up."""
import os
import sys
import unittest

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "..", "api")]
names = [f"test_{n}" for n in sys.argv[1:]]
loader = unittest.TestLoader()
suite = loader.loadTestsFromNames(names) if names else loader.discover(here)
result = unittest.TextTestRunner(verbosity=1).run(suite)
failed = len(result.failures) + len(result.errors)
for _, why in result.skipped:
    print(f"agent: skipped: {why}")
print(f"agent: {result.testsRun - failed - len(result.skipped)} passed, {failed} failed")
sys.exit(1 if failed or not result.testsRun else 0)
