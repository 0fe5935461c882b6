"""Statistics: one sample, a stream, and what a container without a process shows."""
import json
import os
import time
import unittest

from harness import ApiTest, UnixConnection

ZERO = "0001-01-01T00:00:00Z"
BURN = ("sh", "-c", "while :; do :; done")
CPU = {"cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
       "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0}}


class Stream:
    """Samples one by one as they come."""

    def __init__(self, d, cid, version="v1.51"):
        self.connection = UnixConnection(d.socket)
        self.connection.request("GET", f"/{version}/containers/{cid}/stats")
        self.reply = self.connection.getresponse()

    def next(self):
        return json.loads(self.reply.readline())

    def ended(self):
        return self.reply.readline() == b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()


def share(sample):
    """Percent of one processor, as the CLI counts."""
    cpu, before = sample["cpu_stats"], sample["precpu_stats"]
    used = cpu["cpu_usage"]["total_usage"] - before["cpu_usage"]["total_usage"]
    return used / (cpu["system_cpu_usage"] - before["system_cpu_usage"]) * cpu["online_cpus"] * 100


class Stats(ApiTest):
    def stats(self, cid, version="v1.55", **query):
        reply = self.d.call("GET", f"/containers/{cid}/stats", query=query, version=version)
        self.assertEqual((reply.status, reply.headers["Content-Type"]), (200, "application/json"), reply.body)
        return reply.json

    def empty(self, cid, name):
        return {"id": cid, "name": name, "os_type": "linux", "read": ZERO, "preread": ZERO, "cpu_stats": CPU, "precpu_stats": CPU, "memory_stats": {},
                "pids_stats": {}, "num_procs": 0, "storage_stats": {}, "blkio_stats": {
                    k: None for k in ("io_service_bytes_recursive", "io_serviced_recursive", "io_queue_recursive", "io_service_time_recursive",
                                      "io_wait_time_recursive", "io_merged_recursive", "io_time_recursive", "sectors_recursive")}}

    def test_one(self):
        cid = self.d.up(name="one", HostConfig={"PidsLimit": 50, "Memory": 64 << 20})
        s = self.stats(cid, stream=0, **{"one-shot": 1})
        self.assertEqual((s["id"], s["name"], s["os_type"], s["preread"], s["precpu_stats"]), (cid, "/one", "linux", ZERO, CPU))
        self.assertEqual(s["pids_stats"], {"current": 1, "limit": 50})
        self.assertEqual(s["memory_stats"]["limit"], 64 << 20)
        self.assertGreater(s["memory_stats"]["usage"], 10000)
        self.assertLess(s["memory_stats"]["usage"], 32 << 20)
        self.assertGreaterEqual(s["memory_stats"]["max_usage"], s["memory_stats"]["usage"])
        self.assertEqual(s["cpu_stats"]["online_cpus"], os.cpu_count())
        with open("/proc/stat", encoding="ascii") as f:
            ticks = sum(int(n) for n in f.readline().split()[1:8])
        self.assertAlmostEqual(s["cpu_stats"]["system_cpu_usage"] / 1e7, ticks, delta=500)
        self.assertNotIn("os_type", self.stats(cid, "v1.51", stream=0, **{"one-shot": 1}))
        self.d.remove(cid)

    def test_two_looks(self):
        cid = self.d.up(*BURN)
        pid = self.d.inspect(cid)["State"]["Pid"]

        def used():
            with open(f"/proc/{pid}/stat", encoding="ascii") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            return (int(fields[11]) + int(fields[12])) * 10 ** 9 // os.sysconf("SC_CLK_TCK")
        before, began = used(), time.monotonic()
        s = self.stats(cid, stream=0)
        self.assertGreater(time.monotonic() - began, 0.9)
        self.assertLess(s["preread"], s["read"])
        tick = 2 * 10 ** 9 // os.sysconf("SC_CLK_TCK")
        first, second = (s[k]["cpu_usage"]["total_usage"] for k in ("precpu_stats", "cpu_stats"))
        self.assertLess(before - tick, first) # as the kernel counts: how much it is given depends on who else runs
        self.assertLess(first, second)
        self.assertLess(second, used() + tick)
        self.assertLess(second - first, (time.monotonic() - began) * 10 ** 9 + tick) # one processor's
        self.assertGreater(share(s), 0)
        old = self.stats(cid, "v1.40", stream=0, **{"one-shot": 1}) # which did not know it
        self.assertNotEqual(old["preread"], ZERO)
        self.d.remove(cid)

    def test_what_has_ended_counts(self):
        cid = self.d.up("sh", "-c", "sh -c 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done'; echo done; sleep 1000")
        self.d.wait_for(lambda: b"done" in self.d.logs(cid), "the loop")
        self.assertGreater(self.stats(cid, stream=0, **{"one-shot": 1})["cpu_stats"]["cpu_usage"]["total_usage"], 10_000_000)
        self.d.remove(cid)

    def test_networks(self):
        server = self.d.up("sh", "-c", "while :; do nc -l -p 80 </etc/passwd; done", name="server")
        address = self.d.inspect(server)["NetworkSettings"]["Networks"]["bridge"]["IPAddress"]
        cid = self.d.up("sh", "-c", f"until nc {address} 80 </dev/null | grep root; do sleep 0.1; done; echo done; sleep 1000")
        self.d.wait_for(lambda: b"done" in self.d.logs(cid), "a connection")

        def counted(container):
            return self.stats(container, stream=0, **{"one-shot": 1}).get("networks")
        self.assertEqual(list(counted(cid)), ["eth0"])
        self.assertEqual(sorted(counted(cid)["eth0"]), ["rx_bytes", "rx_dropped", "rx_errors", "rx_packets", "tx_bytes", "tx_dropped", "tx_errors", "tx_packets"])
        shared = self.d.up("sleep", "1000", HostConfig={"NetworkMode": f"container:{cid}"})
        self.assertEqual(counted(shared), counted(cid))
        for mode in ("none", "host"):
            other = self.d.up("sleep", "1000", HostConfig={"NetworkMode": mode})
            self.assertIsNone(counted(other), mode)
            self.d.remove(other)
        self.assertGreater(counted(cid)["eth0"]["tx_packets"], 0, counted(cid))
        for c in (shared, cid, server):
            self.d.remove(c)

    def test_stream(self):
        cid = self.d.up(*BURN, name="streamed")
        with Stream(self.d, cid) as stream:
            self.assertEqual(stream.reply.status, 200)
            first, second = stream.next(), stream.next()
            self.assertEqual(first["preread"], ZERO)
            self.assertEqual((second["preread"], second["precpu_stats"]), (first["read"], first["cpu_stats"]))
            self.assertGreater(share(second), 0)
            self.d.call("POST", f"/containers/{cid}/kill")
            for _ in range(3):
                last = stream.next()
            empty = self.empty(cid, "/streamed")
            empty.pop("os_type")
            self.assertEqual(last, empty)
            self.d.call("POST", f"/containers/{cid}/start")
            for _ in range(3):
                last = stream.next()
            self.assertEqual(last["pids_stats"], {"current": 1})
            self.d.remove(cid)
            while not stream.ended():
                pass

    def test_without_a_process(self):
        cid = self.d.create("true", name="unborn")
        best = 60
        for _ in range(5):
            began = time.monotonic()
            self.assertEqual(self.stats(cid, stream=0), self.empty(cid, "/unborn"))
            best = min(best, time.monotonic() - began)
        self.assertLess(best, 0.5) # no second look
        with Stream(self.d, cid, "v1.55") as stream:
            self.assertEqual(stream.next(), self.empty(cid, "/unborn"))
        self.assertError(self.d.call("GET", "/containers/nope/stats"), 404, "No such container: nope")

    def test_clients_that_leave(self):
        cid = self.d.up()
        for _ in range(20):
            with Stream(self.d, cid) as stream:
                stream.next()
            s = self.d.connect()
            s.sendall(f"GET /v1.51/containers/{cid}/stats?stream=0 HTTP/1.1\r\nHost: d\r\n\r\n".encode())
            s.close()
        self.assertEqual(self.stats(cid, stream=0, **{"one-shot": 1})["pids_stats"]["current"], 1)
        self.d.remove(cid)


class Pretended(ApiTest):
    options = ("--synthetic",)

    def test_synthetic(self):
        cid = self.d.up("tail", "-f", "/dev/null", HostConfig={"Runtime": "synthetic"})
        s = self.d.call("GET", f"/containers/{cid}/stats", query={"stream": 0, "one-shot": 1}).json
        self.assertEqual((s["cpu_stats"]["cpu_usage"]["total_usage"], s["pids_stats"]), (0, {}))
        self.d.remove(cid)


if __name__ == "__main__":
    unittest.main()
