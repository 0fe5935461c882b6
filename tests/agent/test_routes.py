"""Which way a container goes: its runtime, its label, the daemon's rules, the daemon's default, and auto."""
import io
import os
import subprocess
import tarfile
import tempfile
import time
import unittest

from agents import free_port, refused
from harness import Daemon
from test_launchers import BUSYBOX, native_image


def tiny_image(daemon, name):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as t:
        t.addfile(tarfile.TarInfo("f"))
    reply = daemon.call("POST", "/images/create", out.getvalue(), query={"fromSrc": "-", "repo": name, "tag": "1"},
                        headers={"Content-Type": "application/x-tar"})
    assert reply.status == 200, reply.body


class Routes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.d = Daemon("--default-runtime", "process", "--route", "team/*=synthetic", "--route", "registry.example/team/tool:1=wasm",
                       "--route", "docker.io/library/tool=auto", "--route", "*tool*=agent")
        for name in ("team/tool", "registry.example/team/tool", "tool", "other/tool", "plain", "hole"):
            tiny_image(cls.d, name)

    @classmethod
    def tearDownClass(cls):
        cls.d.stop()

    def runtime(self, image, runtime=None, **config):
        cid = self.d.create("true", Image=image, HostConfig={"Runtime": runtime} if runtime else {}, **config)
        c = self.d.inspect(cid)
        self.d.remove(cid)
        self.why = c["Config"]["Labels"].get("sockerless.route")
        return c["HostConfig"]["Runtime"]

    def test_rules_by_name(self):
        self.assertEqual(self.runtime("team/tool:1"), "synthetic")
        self.assertEqual(self.runtime("registry.example/team/tool:1"), "wasm")
        self.assertEqual(self.runtime("tool:1"), "auto")
        self.assertEqual(self.runtime("other/tool:1"), "agent")
        image = self.d.call("GET", "/images/other/tool:1/json").json["Id"]
        self.assertEqual(self.runtime(image), "agent")  # by its id: the names that it has

    def test_precedence(self):
        label = {"sockerless.agent": f"ws://127.0.0.1:{free_port()}"}
        self.assertEqual(self.runtime("team/tool:1", "wasm", Labels=label), "wasm")
        self.assertEqual(self.runtime("team/tool:1", Labels=label), "agent")
        self.assertEqual(self.why, "label sockerless.agent")
        self.assertEqual(self.runtime("team/tool:1"), "synthetic")
        self.assertEqual(self.why, "--route team/*=synthetic")
        self.assertEqual(self.runtime("plain:1"), "process")
        self.assertEqual(self.why, "--default-runtime")
        self.assertEqual(self.runtime("plain:1", "auto"), "auto")
        self.assertEqual(self.runtime("team/tool:1", "auto"), "auto")
        self.assertEqual(self.d.call("GET", "/info").json["DefaultRuntime"], "process")

    def test_an_unknown_runtime(self):
        reply = self.d.call("POST", "/containers/create", {"Image": "plain:1", "Cmd": ["true"], "HostConfig": {"Runtime": "nosuch"}})
        self.assertEqual((reply.status, reply.message), (400, "unknown or invalid runtime name: nosuch"))

    def test_an_image_chooses_no_agent(self):
        """A label of the image's would have the daemon tell a stranger its token."""
        cid = self.d.create("true", Image="plain:1", Labels={"sockerless.agent": "ws://192.0.2.1:1", "kept": "1"})
        self.assertEqual(self.d.inspect(cid)["Config"]["Labels"]["sockerless.agent"], "ws://192.0.2.1:1")
        reply = self.d.call("POST", "/commit", {"Labels": {"sockerless.agent": "ws://192.0.2.1:1"}}, query={"container": cid, "repo": "trap"})
        self.assertEqual(reply.status, 201)
        self.assertEqual(self.d.call("GET", "/images/trap/json").json["Config"]["Labels"]["sockerless.agent"], "ws://192.0.2.1:1")
        trapped = self.d.create("true", Image="trap", HostConfig={"Runtime": "agent"})
        self.assertNotIn("sockerless.agent", self.d.inspect(trapped)["Config"]["Labels"])
        self.d.remove(trapped)
        self.assertEqual(self.runtime("trap"), "process")
        self.d.remove(cid)

    def test_steps_of_a_build(self):
        """What a build makes on its way has no names: it goes the way of what it stands upon."""
        out = io.BytesIO()
        text = b"FROM team/tool:1\nENV a=b\nRUN true\nRUN again\n"
        with tarfile.open(fileobj=out, mode="w") as t:
            e = tarfile.TarInfo("Dockerfile")
            e.size = len(text)
            t.addfile(e, io.BytesIO(text))
        reply = self.d.call("POST", "/build", out.getvalue(), query={"t": "made"}, headers={"Content-Type": "application/x-tar"}, timeout=60)
        for line in (b"true", b"again"):
            self.assertIn(b"the synthetic driver pretends to run: /bin/sh -c " + line, reply.body)


class Wrong(unittest.TestCase):
    def test_options(self):
        self.assertIn("--default-runtime runc: there is no such runtime and no such launcher", refused("--default-runtime", "runc"))
        self.assertIn("--route a=b: there is no such runtime and no such launcher", refused("--route", "a=b"))
        self.assertIn("expected PATTERN=RUNTIME", refused("--route", "a"))


CHECK = "#!/bin/sh\n# root: none\n# grade: {grade}\necho {said} >&2\nexit {code}\n"


@unittest.skipUnless(os.path.exists(BUSYBOX), "no static busybox")
class Auto(unittest.TestCase):
    def daemon(self, *options, **launchers):
        """With these launchers alone: name=(grade, what it says, its status)."""
        place = tempfile.mkdtemp(prefix="sockerless-launchers-")
        self.addCleanup(lambda: subprocess.run(["rm", "-rf", place], check=True))
        for name, (grade, said, code) in launchers.items():
            path = os.path.join(place, name)
            with open(path, "w", encoding="ascii") as f:
                f.write(CHECK.format(grade=grade, said=said, code=code))
            os.chmod(path, 0o755)
        self.place = place
        d = Daemon("--launcher-dirs", place, *options)
        self.addCleanup(d.stop)
        d.call("POST", "/images/create", native_image(), query={"fromSrc": "-", "repo": "native"}, headers={"Content-Type": "application/x-tar"})
        return d

    def test_none_works(self):
        """The sandbox takes it: what it has under that name it runs; a native program it refuses, and says why."""
        d = self.daemon(first=(50, "no namespaces here", 1), second=(10, "no ptrace here", 1))
        self.assertNotIn("status", d.call("GET", "/info").json["Runtimes"]["first"])  # nothing was asked yet
        cid = d.create("sh", "-c", "exit 5", Image="native")
        self.assertEqual(d.call("POST", f"/containers/{cid}/start").status, 204)
        self.assertEqual(d.call("POST", f"/containers/{cid}/wait").json["StatusCode"], 5)
        self.assertEqual(d.inspect(cid)["HostConfig"]["Runtime"], "auto")
        labels = d.inspect(cid)["Config"]["Labels"]
        self.assertEqual(labels["sockerless.driver"], "wasm")
        self.assertIn("the sandbox: no launcher works here (", labels["sockerless.route"])
        for why in ("first: no namespaces here", "second: no ptrace here"):
            self.assertIn(why, labels["sockerless.route"])
        runtimes = d.call("GET", "/info").json["Runtimes"]
        self.assertEqual(runtimes["first"]["status"]["sockerless.launcher"], "fails: no namespaces here")
        self.assertEqual(runtimes["second"]["status"]["sockerless.launcher"], "fails: no ptrace here")
        self.assertIn("no launcher works here", str(d.call("GET", "/info").json["DriverStatus"]))
        self.assertIn("images with native programs go to the sandbox: no launcher works here (", d.log_text())
        cid = d.create("/home/user/native", Image="native")
        with open(BUSYBOX, "rb") as f:
            data = f.read()
        out = io.BytesIO()
        with tarfile.open(fileobj=out, mode="w") as t:
            e = tarfile.TarInfo("native")
            e.size, e.mode = len(data), 0o755
            t.addfile(e, io.BytesIO(data))
        d.call("PUT", f"/containers/{cid}/archive", out.getvalue(), query={"path": "/home/user"}, headers={"Content-Type": "application/x-tar"})
        reply = d.call("POST", f"/containers/{cid}/start")
        self.assertEqual(reply.status, 400)
        self.assertIn("native binaries need an agent", reply.message)
        self.assertEqual(d.inspect(cid)["State"]["ExitCode"], 126)

    def test_the_first_container_asks(self):
        """Off the loop: a launcher that thinks for long keeps nobody else waiting."""
        go = os.path.join(tempfile.mkdtemp(prefix="sockerless-go-"), "go")
        self.addCleanup(lambda: subprocess.run(["rm", "-rf", os.path.dirname(go)], check=True))
        d = self.daemon(slow=(50, f"; while [ ! -e {go} ]; do sleep 0.05; done; echo no", 1))
        cid = d.create("sh", "-c", "exit 6", Image="native")
        start = d.later("POST", f"/containers/{cid}/start")
        self.assertEqual(d.run("true")[1], 0)
        self.assertIsNone(start(0.2))
        with open(go, "wb"):
            pass
        self.assertEqual(start().status, 204)
        self.assertEqual(d.call("POST", f"/containers/{cid}/wait").json["StatusCode"], 6)

    def test_the_choice_is_told(self):
        d = self.daemon("--agent-wait", "2", best=(50, "broken", 1), next=(40, "fine", 0), last=(10, "fine", 0), never=(0, "fine", 0))
        cid = d.create("sh", "-c", "true", Image="native")
        d.call("POST", f"/containers/{cid}/start")  # it starts no agent
        c = d.inspect(cid)
        self.assertEqual(c["HostConfig"]["Runtime"], "next")
        self.assertEqual(c["Config"]["Labels"]["sockerless.route"], "launcher next (best: broken)")
        self.assertIn(["Native images", "launcher next (best: broken)"], d.call("GET", "/info").json["DriverStatus"])

    def test_one_that_is_mended(self):
        """What failed is tried again when a container asks for it by name; then the others have it, too."""
        d = self.daemon("--agent-wait", "1", best=(50, "broken", 1), next=(40, "fine", 0))

        def runtime(**host):
            cid = d.create("sh", "-c", "true", Image="native", HostConfig=host)
            d.call("POST", f"/containers/{cid}/start")  # it starts no agent
            return d.inspect(cid)["HostConfig"]["Runtime"]
        self.assertEqual(runtime(), "next")
        with open(os.path.join(self.place, "best"), "w", encoding="ascii") as f:
            f.write(CHECK.format(grade=50, said="fine", code=0))
        self.assertEqual(runtime(), "next")
        time.sleep(1.1)  # the failure is news for a second
        self.assertEqual(runtime(Runtime="best"), "best")
        self.assertEqual(d.call("GET", "/info").json["Runtimes"]["best"]["status"]["sockerless.launcher"], "works")
        self.assertEqual(runtime(), "best")


if __name__ == "__main__":
    unittest.main()
