"""The agent for arm64, under an emulator: `make test-agent-arm64` names it."""
import os
import subprocess
import unittest

from agents import AGENT


@unittest.skipUnless(os.environ.get("AGENT"), "arm64: make test-agent-arm64 builds that agent and an emulator for it")
class Arm64(unittest.TestCase):
    def test_it_says_its_machine(self):
        out = subprocess.run([AGENT, "--version"], capture_output=True, text=True, check=True).stdout
        self.assertIn("sockerless-agent", out)


if os.environ.get("AGENT"):
    import test_driver
    import test_protocol
    from test_tls import Tls  # pylint: disable=unused-import

    no_subreaper = unittest.skip("arm64: orphans leave the agent: the emulator has no PR_SET_CHILD_SUBREAPER")

    class Both(test_driver.Both):
        test_forward = no_subreaper(test_driver.Both.test_forward)

    class KeepAlive(test_protocol.KeepAlive):
        test_orphans_are_reaped_and_ended = no_subreaper(test_protocol.KeepAlive.test_orphans_are_reaped_and_ended)

    class Plain(test_protocol.Plain):
        pass

if __name__ == "__main__":
    unittest.main()
