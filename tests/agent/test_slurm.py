"""Containers as jobs of a real Slurm: one controller and two nodes on this machine, for this test alone."""
import getpass
import os
import shutil
import subprocess
import tempfile
import time
import unittest

from agents import free_port
from harness import DEADLINE_S, Daemon, demux

PROGRAMS = ("slurmctld", "slurmd", "munged", "srun", "scancel", "squeue")
PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"

CONF = """ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ctld}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={dir}/munge.sock
CryptoType=crypto/munge
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=2
MpiDefault=none
StateSaveLocation={dir}/state
SlurmdSpoolDir={dir}/spool.%n
SlurmctldPidFile={dir}/ctld.pid
SlurmdPidFile={dir}/slurmd.%n.pid
SlurmctldLogFile={dir}/ctld.log
SlurmdLogFile={dir}/slurmd.%n.log
NodeName=n1 NodeHostname=localhost NodeAddr=127.0.0.1 Port={n1} CPUs=2 State=UNKNOWN
NodeName=n2 NodeHostname=localhost NodeAddr=127.0.0.1 Port={n2} CPUs=2 State=UNKNOWN
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


@unittest.skipUnless(all(shutil.which(p, path=PATH) for p in PROGRAMS), "Slurm is not installed")
class Slurm(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = tempfile.mkdtemp(prefix="sockerless-slurm-")
        os.chmod(cls.dir, 0o755)
        cls.processes = []
        conf = os.path.join(cls.dir, "slurm.conf")
        for d in ("state", "spool.n1", "spool.n2"):
            os.mkdir(os.path.join(cls.dir, d), 0o755)
        with open(conf, "w", encoding="ascii") as f:
            f.write(CONF.format(dir=cls.dir, user=getpass.getuser(), ctld=free_port(), n1=free_port(), n2=free_port()))
        open(os.path.join(cls.dir, "cgroup.conf"), "w", encoding="ascii").close()
        key = os.path.join(cls.dir, "munge.key")
        with open(key, "wb", opener=lambda p, f: os.open(p, f, 0o600)) as f:
            f.write(os.urandom(1024))
        cls.env = dict(os.environ, SLURM_CONF=conf, PATH=PATH)
        cls.begin("munged", "--foreground", "--key-file", key, "--socket", f"{cls.dir}/munge.sock", "--pid-file", f"{cls.dir}/munge.pid",
                  "--log-file", f"{cls.dir}/munge.log", "--seed-file", f"{cls.dir}/munge.seed", "--force")
        cls.soon(lambda: os.path.exists(f"{cls.dir}/munge.sock"))
        cls.begin("slurmctld", "-D", "-f", conf)
        cls.soon(lambda: "is UP" in cls.command("scontrol", "ping"))
        for n in ("n1", "n2"):
            cls.begin("slurmd", "-D", "-f", conf, "-N", n)
        if not cls.soon(lambda: cls.command("sinfo", "-h", "-o", "%t %D").split() == ["idle", "2"]):
            said = "".join(open(os.path.join(cls.dir, n), encoding="utf-8", errors="replace").read()[-1000:]
                           for n in sorted(os.listdir(cls.dir)) if n.endswith(".log"))
            cls.tearDownClass()
            raise RuntimeError(f"Slurm does not come up here:\n{said}")
        os.environ.update(SLURM_CONF=conf, PATH=PATH, SOCKERLESS_SLURM_OPTIONS="--nodelist=n2")
        cls.d = Daemon("--agent-listen", f"tcp://127.0.0.1:{free_port()}", "--agent-wait", "60")

    @classmethod
    def begin(cls, *words):
        with open(os.path.join(cls.dir, "out." + words[0]), "ab") as out:
            cls.processes.append(subprocess.Popen(words, env=cls.env, stdout=out, stderr=out, stdin=subprocess.DEVNULL))

    @staticmethod
    def soon(condition):
        end = time.monotonic() + DEADLINE_S
        while not (is_so := condition()) and time.monotonic() < end:
            time.sleep(0.05)
        return is_so

    @classmethod
    def command(cls, *words):
        return subprocess.run(words, env=cls.env, capture_output=True, text=True, timeout=DEADLINE_S, check=False).stdout

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "d"):
            cls.d.stop()
        for p in reversed(cls.processes):
            p.terminate()
        for p in reversed(cls.processes):
            try:
                p.wait(10)
            except subprocess.TimeoutExpired:
                p.kill()
                p.wait()
        shutil.rmtree(cls.dir, ignore_errors=True)

    def test_a_container_is_a_job(self):
        cid = self.d.up("sh", "-c", "trap 'echo bye; exit 6' TERM; echo on $SLURMD_NODENAME; while :; do sleep 0.05; done", HostConfig={"Runtime": "slurm"})
        self.assertEqual(self.command("squeue", "-h", "-o", "%j %N %t").split(), [f"sockerless-{cid[:12]}", "n2", "R"])
        xid = self.d.exec(cid, "sh", "-c", "echo in the job; exit 8")
        h = self.d.hijack(f"/exec/{xid}/start", {"Detach": False})
        self.assertEqual(demux(h.read())[1], b"in the job\n")
        h.close()
        self.assertEqual(self.d.call("GET", f"/exec/{xid}/json").json["ExitCode"], 8)
        self.d.wait_for(lambda: self.d.logs(cid), "it writes")
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/stop", query={"t": 60}, timeout=90).status, 204)
        self.assertEqual(self.d.inspect(cid)["State"]["ExitCode"], 6)
        self.assertIn(b"bye\n", self.d.logs(cid))
        self.d.wait_for(lambda: not self.command("squeue", "-h"), "the allocation is free")
        self.d.remove(cid)

    def test_the_job_is_cancelled(self):
        cid = self.d.up("sleep", "1000", HostConfig={"Runtime": "slurm"})
        self.command("scancel", f"--name=sockerless-{cid[:12]}")
        code = self.d.call("POST", f"/containers/{cid}/wait", timeout=60).json["StatusCode"]
        self.assertIn(code, (143, 137, 255))
        self.d.wait_for(lambda: not self.command("squeue", "-h"), "the allocation is free")
        self.d.remove(cid)

    def test_kill(self):
        cid = self.d.up("sleep", "1000", HostConfig={"Runtime": "slurm"})
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/kill").status, 204)
        self.assertEqual(self.d.call("POST", f"/containers/{cid}/wait").json["StatusCode"], 137)
        self.d.wait_for(lambda: not self.command("squeue", "-h"), "the allocation is free")
        self.d.remove(cid)


if __name__ == "__main__":
    unittest.main()
