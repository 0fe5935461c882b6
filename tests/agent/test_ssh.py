"""The ssh launcher of docs/agents.md, as it stands there, against an sshd of the test's own on the loopback."""
import getpass
import glob
import os
import pwd
import re
import shutil
import subprocess
import tempfile
import time
import unittest

from agents import AGENT, free_port, is_alive
from harness import DEADLINE_S, ROOT, Daemon, demux
from users import user_command

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
SSHD = """ListenAddress 127.0.0.1:{port}
HostKey {dir}/host
AuthorizedKeysFile {dir}/user.pub
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin prohibit-password
PidFile none
SetEnv PATH={path}
"""
CLIENT = """Host build-host
HostName 127.0.0.1
Port {port}
User {user}
IdentityFile {dir}/user
IdentitiesOnly yes
UserKnownHostsFile {dir}/known
"""


def find_sshd(place):
    """Its path and where its libraries are: the host's, or out of Debian's packages, which are not installed for this."""
    here = shutil.which("sshd", path=PATH)
    if here:
        return here, ""
    done = subprocess.run(["apt-get", "download", "-q", "openssh-server", "libwrap0"], cwd=place, capture_output=True, text=True, check=False)
    debs = [n for n in os.listdir(place) if n.endswith(".deb")]
    if done.returncode != 0 or not debs:
        raise unittest.SkipTest(f"no sshd: {done.stderr.strip().splitlines()[-1:] or done.returncode}")
    for deb in debs:
        subprocess.run(["dpkg-deb", "-x", deb, "."], cwd=place, check=True)
    return f"{place}/usr/sbin/sshd", ":".join(glob.glob(f"{place}/usr/lib/*-linux-gnu") + glob.glob(f"{place}/lib/*-linux-gnu"))


class Ssh(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        missing = [p for p in ("ssh", "ssh-keygen") if not shutil.which(p)]
        if missing:
            raise unittest.SkipTest(f"no {' and no '.join(missing)}")
        cls.dir = tempfile.mkdtemp(prefix="sockerless-ssh-")
        cls.addClassCleanup(shutil.rmtree, cls.dir, ignore_errors=True)
        os.chmod(cls.dir, 0o755)
        cls.start_sshd()
        cls.make_client()
        cls.d = Daemon("--agent-listen", f"tcp://127.0.0.1:{free_port()}", "--agent-wait", "60", "--launcher-dirs", f"{cls.dir}/launchers",
                       env={"PATH": f"{cls.dir}/bin:{PATH}"})
        cls.addClassCleanup(cls.d.stop)

    @classmethod
    def start_sshd(cls):
        sshd, libraries = find_sshd(cls.dir)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", f"{cls.dir}/{name}"], check=True)
        cls.port = free_port()
        with open(f"{cls.dir}/sshd_config", "w", encoding="ascii") as f:
            f.write(SSHD.format(port=cls.port, dir=cls.dir, path=f"{os.path.dirname(AGENT)}:{PATH}"))
        with open(f"{cls.dir}/sshd.log", "wb") as log:
            server = subprocess.Popen([*cls.with_what_it_wants(), sshd, "-D", "-e", "-f", f"{cls.dir}/sshd_config"], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                      env=dict(os.environ, **({"LD_LIBRARY_PATH": libraries} if libraries else {})))
        cls.addClassCleanup(lambda: (server.terminate(), server.wait()))

    @classmethod
    def with_what_it_wants(cls):
        """As root it wants a user and a directory, which its package makes: else they are made for it, and the directory is seen by
        it alone. (So could be a mounted /etc/passwd, but that mount is gone as soon as anybody makes a user.)"""
        if os.geteuid() != 0:
            return []
        if all(u.pw_name != "sshd" for u in pwd.getpwall()):
            user_command("useradd", "--system", "--no-create-home", "--home-dir", "/run/sshd", "--shell", "/usr/sbin/nologin", "sshd")
            cls.addClassCleanup(user_command, "userdel", "sshd")
        if os.path.exists("/run/sshd"):
            return []
        if subprocess.run(["unshare", "-m", "mount", "-t", "tmpfs", "none", "/run"], capture_output=True, check=False).returncode != 0:
            raise unittest.SkipTest("no sshd: openssh-server is not installed, and nothing can be mounted here")
        return ["unshare", "-m", "sh", "-c", 'mount -t tmpfs none /run && mkdir -m 755 /run/sshd && exec "$0" "$@"']

    @classmethod
    def make_client(cls):
        with open(f"{cls.dir}/host.pub", encoding="ascii") as key, open(f"{cls.dir}/known", "w", encoding="ascii") as known:
            known.write(f"[127.0.0.1]:{cls.port} {key.read()}")
        with open(f"{cls.dir}/config", "w", encoding="ascii") as f:
            f.write(CLIENT.format(port=cls.port, dir=cls.dir, user=getpass.getuser()))
        with open(os.path.join(ROOT, "docs", "agents.md"), encoding="utf-8") as f:
            template = re.search(r"^```\n(#!/bin/sh\n# ssh:.*?)^```$", f.read(), re.DOTALL | re.MULTILINE).group(1)
        for name, text in (("bin/ssh", f'#!/bin/sh\nexec {shutil.which("ssh")} -F {cls.dir}/config "$@"\n'), ("launchers/ssh", template)):
            os.makedirs(os.path.dirname(f"{cls.dir}/{name}"), exist_ok=True)
            with open(f"{cls.dir}/{name}", "w", encoding="utf-8") as f:
                f.write(text)
            os.chmod(f"{cls.dir}/{name}", 0o755)
        end = time.monotonic() + DEADLINE_S
        while True:
            done = subprocess.run([f"{cls.dir}/launchers/ssh", "--check"], env=dict(os.environ, PATH=f"{cls.dir}/bin:{PATH}"), capture_output=True, text=True,
                                  timeout=DEADLINE_S, check=False)
            if done.returncode == 0:
                return
            if time.monotonic() > end:
                with open(f"{cls.dir}/sshd.log", encoding="utf-8", errors="replace") as log:
                    raise RuntimeError(f"nobody can log in: {done.stderr}\n{log.read()}")
            time.sleep(0.1)

    def test_a_container_elsewhere(self):
        cid = self.d.up("sh", "-c", "trap 'echo bye; exit 6' TERM; echo by $SSH_CONNECTION; while :; do sleep 0.05; done", HostConfig={"Runtime": "ssh"})
        self.addCleanup(self.d.remove, cid)
        xid = self.d.exec(cid, "sh", "-c", "echo in there; exit 8")
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        self.assertEqual(demux(h.read())[1], b"in there\n")
        h.close()
        self.assertEqual(self.d.call("GET", f"/exec/{xid}/json").json["ExitCode"], 8)
        self.d.wait_for(lambda: b"by" in self.d.logs(cid), "it is up")
        token = self.d.call("POST", f"/internal/v1/agent/prepare/{cid}", version=None).json["Token"]
        self.assertNotIn(token, subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout)
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/stop", query={"t": 60}, timeout=90).status, 204)
        self.assertEqual(self.d.inspect(cid)["State"]["ExitCode"], 6)
        self.assertIn(b"bye\n", self.d.logs(cid))

    def test_the_way_there_breaks(self):
        """The launcher is killed: the container ends and says so, and nothing runs on at the other end."""
        cid = self.d.up("sleep", "1000", HostConfig={"Runtime": "ssh"})
        self.addCleanup(self.d.remove, cid)

        def processes():
            lines = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
            return {int(line.split()[0]): line for line in lines if cid in line}
        there = processes()
        client = [pid for pid, line in there.items() if "ssh -F" in line]
        self.assertEqual(len(client), 1, there)
        os.kill(client[0], 9)
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/wait", timeout=60).json["StatusCode"], 255)
        self.assertIn("the launcher was ended by signal 9", self.d.inspect(cid)["State"]["Error"])
        self.d.wait_for(lambda: not any(is_alive(p) for p in there), "nothing of it runs on")


if __name__ == "__main__":
    unittest.main()
