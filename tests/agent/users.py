"""Another user than root, for as long as a test needs one, with subordinate ids of its own; and a daemon of that user's."""
import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
import unittest

from agents import Wrapped
from harness import ROOT

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
NEEDED = ("useradd", "userdel", "setpriv", "newuidmap", "unshare")


def user_command(*words):
    """useradd or userdel, one at a time; SkipTest when it cannot."""
    one_at_a_time = os.open("/etc", os.O_RDONLY)
    fcntl.flock(one_at_a_time, fcntl.LOCK_EX)
    done = subprocess.run(words, capture_output=True, text=True, env=dict(os.environ, PATH=PATH), check=False)
    os.close(one_at_a_time)
    if done.returncode != 0:
        raise unittest.SkipTest(f"as another user: {words[0]}: {done.stderr.strip()}")


class User:
    """Made where we are root; SkipTest with the reason elsewhere. `remove` takes the user and its ids away again."""

    def __init__(self, has_ids=True):
        missing = [p for p in NEEDED if not shutil.which(p, path=PATH)]
        if os.geteuid() != 0 or missing:
            raise unittest.SkipTest(f"as another user: {' and '.join(missing) or 'root'} is needed to make one")
        self.name = f"sockerless-test-{os.getpid()}"
        user_command("useradd", "--system", "--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin", "--user-group",
                     *(["--add-subids-for-system"] if has_ids else []), self.name)
        self.entry = pwd.getpwnam(self.name)
        self.place = None
        try:
            self._make_reachable()
        except BaseException:
            self.remove()
            raise

    def _make_reachable(self):
        """A checkout in a home that is closed to others is given another name, in a mount namespace of the command's own."""
        if subprocess.run(self.words("test", "-x", f"{ROOT}/src"), check=False).returncode != 0:
            self.place = tempfile.mkdtemp(prefix="sockerless-checkout-")
            os.chmod(self.place, 0o755)

    def words(self, *words):
        """The command as this user, who has nothing of our environment but PATH."""
        own = ("setpriv", f"--reuid={self.entry.pw_uid}", f"--regid={self.entry.pw_gid}", "--init-groups", "--reset-env", "env", f"PATH={PATH}")
        if not self.place:
            return [*own, *words]
        return ["unshare", "-m", "sh", "-c", 'mount --bind "$0" "$1" && shift && exec "$@"', ROOT, self.place, *own,
                *(w.replace(ROOT, self.place) for w in words)]

    def remove(self):
        if self.place:
            os.rmdir(self.place)
        user_command("userdel", self.name)


class Delegated:
    """Control groups that belong to a user, as systemd delegates them; a command that is started by `words` is in them. Where none
    can be made, there are none: see `has`."""

    def __init__(self, user, controllers=("memory", "pids", "cpu")):
        self.made, self.controllers = [], set()
        with open("/proc/self/cgroup", encoding="ascii") as f:
            lines = [line.strip().split(":", 2) for line in f]
        for _, names, path in lines:
            base = f"/sys/fs/cgroup/{names}{path}" if names else f"/sys/fs/cgroup{path}"
            for c in set(names.split(",")) & set(controllers) if names else set():
                self._make(user, c, f"{base}/sockerless-test-{os.getpid()}")

    def _make(self, user, controller, path):
        try:
            os.mkdir(path)
        except OSError:
            return
        self.made.append(path)
        self.controllers.add(controller)
        for name in ("", "cgroup.procs", "tasks"):
            os.chown(os.path.join(path, name), user.entry.pw_uid, user.entry.pw_gid)

    def has(self, controller):
        return controller in self.controllers

    def words(self, *words):
        return ["sh", "-c", "".join(f"echo $$ >{d}/cgroup.procs && " for d in self.made) + 'exec "$@"', "sh", *words]

    def remove(self):
        for d in self.made:
            os.rmdir(d)


class AsUser(Wrapped):
    """The daemon of another user's."""

    def __init__(self, user, *options, groups=None):
        self.user = user
        super().__init__(lambda *words: groups.words(*user.words(*words)) if groups else user.words(*words), *options)

    def start(self):
        os.chown(self.dir, self.user.entry.pw_uid, self.user.entry.pw_gid)
        super().start()
