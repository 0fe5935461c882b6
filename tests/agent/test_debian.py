"""A whole Debian as an image: its own programs under every launcher that works, as root and as another user, driven by the docker CLI."""
import os
import pty
import select
import subprocess
import time
import unittest

from harness import ROOT, Daemon
from users import AsUser, User

LAUNCHERS = ("bwrap", "crun", "process", "proot")
PROGRAM = r"""
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int status = 0;

	if (argc > 1 && strcmp(argv[1], "crash") == 0)
		raise(SIGSEGV);
	if (fork() == 0)
		_exit(argc);
	while (wait(&status) < 0 && errno == EINTR)
		;
	printf("pid %s, child %d, %s\n", getpid() > 0 ? "yes" : "no", WEXITSTATUS(status), argc > 1 ? argv[1] : "-");
	return argc > 2 ? atoi(argv[2]) : 0;
}
"""
CONTROL = """Package: greeting
Version: 1.0
Architecture: all
Maintainer: test <test@localhost>
Description: a package that a build installs
"""
DOCKERFILE = """FROM debian:whole
COPY --chmod=755 program /usr/local/bin/program
COPY greeting /tmp/greeting
RUN program built 0 >/built && perl -e 'print "of perl\\n"' >>/built && bash -c 'echo "of ${BASH_VERSION%%.*}"' >>/built
RUN chmod 755 /tmp/greeting/DEBIAN && dpkg-deb --build /tmp/greeting /tmp/greeting.deb && apt-get install -y /tmp/greeting.deb && rm -rf /tmp/greeting*
RUN useradd --create-home app && echo secret >/home/app/f && chown app: /home/app/f && chmod 600 /home/app/f
WORKDIR /home/app
CMD ["bash", "-c", "cat /built && greeting && dpkg -s greeting | grep Status && stat -c '%U %a' f && ls /tmp"]
"""


class Debian(unittest.TestCase):
    user = None

    @classmethod
    def setUpClass(cls):
        done = subprocess.run([f"{ROOT}/tests/support/debian.sh"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise unittest.SkipTest(f"no Debian: {done.stderr.strip()}")
        cls.docker = subprocess.run(["tests/support/docker-cli.sh", "build/docker-cli"], capture_output=True, text=True, cwd=ROOT, check=True).stdout.strip()
        cls.docker = os.path.join(ROOT, cls.docker)
        cls.d = AsUser(cls.user) if cls.user else Daemon()
        cls.addClassCleanup(cls.d.stop)
        cls.make_context()
        out, code = cls.command("import", done.stdout.strip(), "debian:whole")
        assert code == 0, out

    @classmethod
    def make_context(cls):
        """What is built from, and copied in: the program, and the tree of a package."""
        cls.context = os.path.join(cls.d.dir, "context")
        os.makedirs(f"{cls.context}/greeting/DEBIAN")
        os.makedirs(f"{cls.context}/greeting/usr/bin")
        for name, text in (("Dockerfile", DOCKERFILE), ("program.c", PROGRAM), ("greeting/DEBIAN/control", CONTROL),
                           ("greeting/usr/bin/greeting", "#!/bin/bash\necho greetings\n"),
                           ("greeting/DEBIAN/postinst", "#!/bin/sh\necho configured >/etc/greeting\n")):
            with open(f"{cls.context}/{name}", "w", encoding="ascii") as f:
                f.write(text)
        for name in ("usr/bin/greeting", "DEBIAN/postinst"):
            os.chmod(f"{cls.context}/greeting/{name}", 0o755)
        cls.program = f"{cls.context}/program"
        subprocess.run(["gcc", "-O2", "-o", cls.program, f"{cls.program}.c"], check=True)

    @classmethod
    def words(cls, *words):
        return [cls.docker, "-H", f"unix://{cls.d.socket}", *words], dict(os.environ, DOCKER_CONFIG=cls.d.dir, DOCKER_BUILDKIT="0")

    @classmethod
    def command(cls, *words, timeout=120):
        """(what it wrote, its exit code)"""
        argv, env = cls.words(*words)
        done = subprocess.run(argv, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True, timeout=timeout, check=False)
        return done.stdout, done.returncode

    def terminal(self, *words, typed):
        """The same at a terminal at which that is typed."""
        argv, env = self.words(*words)
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(argv[0], argv, env)
        out, end, is_typed = b"", time.monotonic() + 30, False
        while time.monotonic() < end:
            if not select.select([fd], [], [], 0.1)[0]:
                continue
            try:
                data = os.read(fd, 65536)
            except OSError:
                break
            if not data:
                break
            out += data
            if not is_typed and b"# " in out:
                is_typed = True
                os.write(fd, typed)
        else:
            os.kill(pid, 9)
        os.close(fd)
        return out.decode(), os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

    def run_in(self, launcher, *words, **more):
        return self.command("run", "--rm", "--runtime", launcher, "debian:whole", *words, **more)

    def check_programs(self, launcher):
        self.assertEqual(self.run_in(launcher, "bash", "-c", 'a=(x y z); echo "${a[1]}"; exit 42'), ("y\n", 42))
        out, code = self.run_in(launcher, "apt-get", "--version")
        self.assertEqual((out.split()[0], code), ("apt", 0), out)
        self.assertEqual(self.run_in(launcher, "perl", "-e", 'use POSIX; print join(",", map { $_ ** 2 } 1..4), "\\n"; exit 7'), ("1,4,9,16\n", 7))
        self.assertEqual(self.run_in(launcher, "/no/such")[1], 127)
        out, code = self.run_in(launcher, "/etc/passwd")
        self.assertEqual(code, 126, out)

    def check_c_program(self, launcher):
        name = self.command("create", "--runtime", launcher, "debian:whole", "/usr/local/bin/program", "a", "43")[0].strip()
        self.addCleanup(self.command, "rm", "-f", name)
        self.assertEqual(self.command("cp", "-q", self.program, f"{name}:/usr/local/bin/program"), ("", 0))
        self.assertEqual(self.command("start", "-a", name), ("pid yes, child 3, a\n", 43))

    def check_life(self, launcher):
        loop = "trap 'echo bye; exit 5' TERM; echo up; echo wrong >&2; while :; do sleep 0.1; done"
        name, code = self.command("run", "-d", "--runtime", launcher, "debian:whole", "bash", "-c", loop)
        self.assertEqual(code, 0, name)
        name = name.strip()
        self.addCleanup(self.command, "rm", "-f", name)
        out, code = self.terminal("exec", "-it", name, "bash", "--norc", typed=b"test -t 0 && tty; echo $((6*7)) >/root/made; exit 12\n")
        self.assertRegex(out, "/dev/pts/[0-9]+")
        self.assertEqual(code, 12, out)
        self.assertEqual(self.command("exec", "-w", "/usr", "-e", "A=b", name, "bash", "-c", "pwd; echo $A; exit 3"), ("/usr\nb\n", 3))
        there = os.path.join(self.d.dir, f"copied-{launcher}")
        self.assertEqual(self.command("cp", "-q", f"{name}:/root/made", there)[1], 0)
        with open(there, encoding="ascii") as f:
            self.assertEqual(f.read(), "42\n")
        self.assertEqual(self.command("cp", "-q", there, f"{name}:/root/back")[1], 0)
        self.assertEqual(self.command("exec", name, "cat", "/root/back"), ("42\n", 0))
        self.assertEqual(self.command("cp", "-q", self.program, f"{name}:/usr/bin/program"), ("", 0))
        self.assertEqual(self.command("exec", name, "program", "b", "44"), ("pid yes, child 3, b\n", 44))
        self.assertEqual(self.command("exec", name, "program", "crash")[1], 139)
        self.assertEqual(sorted(self.command("logs", name)[0].split()), ["up", "wrong"])
        self.assertEqual(self.command("stop", "-t", "20", name)[1], 0)
        self.assertEqual(self.command("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}.", name)[0], "exited 5 .\n")
        self.assertIn("bye", self.command("logs", name)[0])
        self.assertIn("A /root/made\n", self.command("diff", name)[0])

    def check_build(self, launcher):
        out, code = self.command("build", "--no-cache", "-t", f"built:{launcher}", self.context)
        self.assertEqual(code, 0, out)
        self.addCleanup(self.command, "rmi", f"built:{launcher}")
        out, code = self.command("run", "--rm", f"built:{launcher}")
        self.assertEqual(code, 0, out)
        self.assertEqual(out, "pid yes, child 3, built\nof perl\nof 5\ngreetings\nStatus: install ok installed\napp 600\n")
        self.assertEqual(self.command("run", "--rm", f"built:{launcher}", "cat", "/etc/greeting"), ("configured\n", 0))
        out, code = self.failing_build()
        self.assertIn("returned a non-zero code: 9", out)
        self.assertEqual(code, 9)

    def failing_build(self):
        argv, env = self.words("build", "-")
        done = subprocess.run(argv, env=env, input="FROM debian:whole\nRUN perl -e 'exit 9'\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, check=False)
        return done.stdout, done.returncode

    def test_launchers(self):
        tried = []
        for launcher in LAUNCHERS:
            self.d.end()
            self.d.options = ("--native", launcher)
            self.d.start()
            out, code = self.run_in(launcher, "true")
            if code != 0:
                print(f"\nagent: Debian: {launcher} does not work here: {out.strip()}")
                continue
            tried.append(launcher)
            for part in (self.check_programs, self.check_c_program, self.check_life, self.check_build):
                if launcher == "process" and part == self.check_build:
                    continue  # its root is made as that of the others is
                with self.subTest(launcher=launcher, part=part.__name__):
                    part(launcher)
        print(f"\nagent: Debian's programs ran under {', '.join(tried)} as {'another user' if self.user else f'user {os.geteuid()}'}")
        self.assertTrue(tried)


class Unprivileged(Debian):
    @classmethod
    def setUpClass(cls):
        cls.user = User()
        cls.addClassCleanup(cls.user.remove)
        super().setUpClass()


if __name__ == "__main__":
    unittest.main()
