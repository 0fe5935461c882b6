"""IpcMode and PidMode: of another container, and none."""
import unittest

from harness import ApiTest


class Joined(ApiTest):
    def start(self, cid):
        return self.d.call("POST", f"/containers/{cid}/start")

    def refused(self, text, **host):
        self.assertError(self.d.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], "HostConfig": host}), 400, text)

    def say(self, cid, script):
        eid = self.d.exec(cid, "sh", "-c", script)
        return self.d.call("POST", f"/exec/{eid}/start", {}).body[8:].decode()

    def test_nobody_there(self):
        self.refused("No such container: nobody", IpcMode="container:nobody")
        self.refused("No such container: nobody", PidMode="container:nobody")
        self.refused("invalid IPC mode: some", IpcMode="some")

    def test_names_become_ids(self):
        donor = self.d.create("true", name="donor-of-names")
        host = self.d.inspect(self.d.create("true", HostConfig={"IpcMode": "container:donor-of-names", "PidMode": "container:donor-of-names"}))["HostConfig"]
        self.assertEqual((host["IpcMode"], host["PidMode"]), (f"container:{donor}",) * 2)

    def test_shm_is_shared(self):
        donor = self.d.up(HostConfig={"IpcMode": "shareable", "ShmSize": 1 << 20})
        cid = self.d.up(HostConfig={"IpcMode": f"container:{donor}"})
        self.say(donor, "echo covfefe >/dev/shm/a")
        self.assertEqual(self.say(cid, "cat /dev/shm/a; echo back >/dev/shm/b"), "covfefe\n")
        self.assertEqual(self.say(donor, "cat /dev/shm/b"), "back\n")
        self.assertEqual(self.say(self.d.up(), "ls /dev/shm"), "")

    def test_shm_goes_with_the_donor(self):
        donor = self.d.up(HostConfig={"IpcMode": "shareable"})
        cid = self.d.up(HostConfig={"IpcMode": f"container:{donor}"})
        self.assertEqual(self.d.call("DELETE", f"/containers/{donor}", query={"force": 1}).status, 204)
        self.assertEqual(self.say(cid, "echo still here"), "still here\n")
        self.d.call("POST", f"/containers/{cid}/kill")
        self.d.call("POST", f"/containers/{cid}/wait")
        self.assertError(self.start(cid), 500, f"failed to join IPC namespace: No such container: {donor}")

    def test_private_is_not_shared(self):
        donor = self.d.up()
        cid = self.d.create("true", HostConfig={"IpcMode": f"container:{donor}"})
        self.assertError(self.start(cid), 500, f"failed to join IPC namespace: container {donor}: non-shareable IPC "
                         "(hint: use IpcMode:shareable for the donor container)")

    def test_donor_that_does_not_run(self):
        donor = self.d.create("true", HostConfig={"IpcMode": "shareable"})
        ipc, pid = (self.d.create("true", HostConfig={mode: f"container:{donor}"}) for mode in ("IpcMode", "PidMode"))
        self.assertError(self.start(ipc), 500, f"failed to join IPC namespace: container {donor} is not running")
        self.assertError(self.start(pid), 500, f"failed to join PID namespace: container {donor} is not running")
        self.assertEqual(self.d.inspect(pid)["State"]["Status"], "created")

    def test_none(self):
        cid = self.d.up(HostConfig={"IpcMode": "none"})
        self.assertEqual(self.say(cid, "grep -c ' /dev/shm ' /proc/mounts"), "0\n")
        self.assertEqual(self.say(self.d.up(), "grep -c ' /dev/shm ' /proc/mounts"), "1\n")

    def test_processes_are_their_own(self):
        donor = self.d.up()
        reply = self.d.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], "HostConfig": {"PidMode": f"container:{donor}"}})
        self.assertEqual(reply.json["Warnings"], ["The processes of another container are not seen in the sandbox: PidMode is kept, "
                                                  "and the container has processes of its own."])
        self.assertEqual(self.start(reply.json["Id"]).status, 204)


if __name__ == "__main__":
    unittest.main()
