#!/usr/bin/env python3
"""Runs tests/agent/test_*.py, or those named, JOBS classes of tests at a time (2): most of them wait. The last line sums up."""
import json
import os
import subprocess
import sys
import tempfile
import time
import unittest
from concurrent.futures import ThreadPoolExecutor

here = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [here, os.path.join(here, "..", "api")]
ALONE = "test_load."  # what is measured there is not to be measured beside others
LONG = ("test_debian.Unprivileged", "test_network.", "test_kills.", "test_debian.", "test_driver.", "test_tls.")  # they begin first


def classes(suite):
    """The names of a suite's classes of tests, in its order."""
    found = {}
    for t in suite:
        if isinstance(t, unittest.TestSuite):
            found.update(dict.fromkeys(classes(t)))
        else:
            found[f"{type(t).__module__}.{type(t).__qualname__}"] = None
    return list(found)


def rank(name):
    return next((i for i, long in enumerate(LONG) if name.startswith(long)), len(LONG))


def run_class(name, to):
    """In a process of its own: what came of it goes into the file `to`."""
    result = unittest.TextTestRunner(verbosity=1).run(unittest.TestLoader().loadTestsFromName(name))
    with open(to, "w", encoding="utf-8") as f:
        json.dump([result.testsRun, len(result.failures) + len(result.errors), [why for _, why in result.skipped]], f)


def run(name):
    """[how many, how many of them failed, why others were skipped]; what it says is shown when it has ended."""
    began = time.monotonic()
    with tempfile.NamedTemporaryFile("r", prefix="sockerless-agent-result-") as f:
        done = subprocess.run([sys.executable, __file__, "--class", name, f.name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              errors="replace", check=False)
        text = f.read()
    # One that has not come to its end has failed.
    ran, failed, skipped = json.loads(text) if text else (1, 1, [])
    print(f"{name}: {time.monotonic() - began:.1f} s{'' if text else f', ended with {done.returncode}'}\n{done.stdout.strip()}\n", flush=True)
    return ran, failed, skipped


def main():
    if sys.argv[1:2] == ["--class"]:
        run_class(*sys.argv[2:])
        return
    names = [f"test_{n}" for n in sys.argv[1:]]
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromNames(names) if names else loader.discover(here)
    if loader.errors:
        sys.exit("\n".join(loader.errors))
    todo = sorted(classes(suite), key=rank)
    with ThreadPoolExecutor(int(os.environ.get("JOBS", "2"))) as pool:
        results = list(pool.map(run, [n for n in todo if not n.startswith(ALONE)]))
    results += [run(n) for n in todo if n.startswith(ALONE)]
    ran, failed = sum(r[0] for r in results), sum(r[1] for r in results)
    skipped = [why for r in results for why in r[2]]
    for why in skipped:
        print(f"agent: skipped: {why}")
    print(f"agent: {ran - failed - len(skipped)} passed, {failed} failed")
    sys.exit(1 if failed or not ran else 0)


main()
