"""POST /containers/create: what is refused and in which words, what is kept, what is filled in."""
import json
import unittest

from harness import ApiTest

ALL_CONFIG = {
    "Hostname": "host", "Domainname": "example.org", "User": "1:2", "AttachStdin": True, "AttachStdout": True,
    "AttachStderr": True, "ExposedPorts": {"80/tcp": {}}, "Tty": False, "OpenStdin": True, "StdinOnce": True,
    "Env": ["A=b", "C"], "Cmd": ["true"], "Healthcheck": {"Test": ["CMD", "true"], "Interval": 1000000000, "Timeout": 2000000000,
                                                         "Retries": 3, "StartPeriod": 1000000, "StartInterval": 1000000},
    "Image": "busybox", "Volumes": {"/anonymous": {}}, "WorkingDir": "/tmp", "Entrypoint": ["/bin/sh"],
    "NetworkDisabled": True, "OnBuild": ["RUN x"], "Labels": {"a": "b"}, "StopSignal": "SIGINT", "StopTimeout": 5,
    "Shell": ["/bin/sh", "-c"]}
ALL_HOST = {
    "Binds": ["/tmp:/t:ro"], "ContainerIDFile": "/cid", "LogConfig": {"Type": "local", "Config": {"max-size": "1m"}},
    "NetworkMode": "none", "PortBindings": {"80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8080"}]},
    "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}, "VolumeDriver": "local", "VolumesFrom": None,
    "ConsoleSize": [24, 80], "Annotations": {"x": "y"}, "CapAdd": ["NET_ADMIN"], "CapDrop": ["ALL"], "CgroupnsMode": "host",
    "Dns": ["8.8.8.8"], "DnsOptions": ["ndots:1"], "DnsSearch": ["example.org"], "ExtraHosts": ["a:1.2.3.4"], "GroupAdd": ["7"],
    "IpcMode": "host", "Cgroup": "", "Links": None, "OomScoreAdj": 5, "PidMode": "host", "Privileged": False,
    "PublishAllPorts": True, "ReadonlyRootfs": True, "SecurityOpt": ["no-new-privileges"], "StorageOpt": {"size": "1G"},
    "Tmpfs": {"/run": "size=1m"}, "UTSMode": "", "UsernsMode": "host", "ShmSize": 1048576, "Sysctls": {"a.b": "1"},
    "Isolation": "default", "CpuShares": 512, "Memory": 8 << 20, "NanoCpus": 500000000, "CgroupParent": "/p", "BlkioWeight": 100,
    "BlkioWeightDevice": [{"Path": "/dev/sda", "Weight": 10}], "BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 1}],
    "BlkioDeviceWriteBps": [], "BlkioDeviceReadIOps": [], "BlkioDeviceWriteIOps": [], "CpusetCpus": "0", "CpusetMems": "0",
    "Devices": [], "DeviceCgroupRules": ["c 1:1 rwm"], "DeviceRequests": None,
    "MemoryReservation": 7 << 20, "MemorySwap": 16 << 20, "PidsLimit": 50,
    "Ulimits": [{"Name": "nofile", "Hard": 20, "Soft": 10}],
    "Mounts": [{"Type": "tmpfs", "Target": "/m", "TmpfsOptions": {"SizeBytes": 4096, "Mode": 448}}],
    "MaskedPaths": ["/proc/x"], "ReadonlyPaths": ["/proc/y"], "Init": True}


class Create(ApiTest):
    def post(self, version="v1.51", name=None, query=None, **config):
        query = dict(query or {}, **({"name": name} if name else {}))
        return self.d.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], **config}, query, version)

    def made(self, version="v1.51", **config):
        reply = self.post(version=version, **config)
        self.assertEqual(reply.status, 201, reply.body)
        return self.d.inspect(reply.json["Id"], version)

    def refused(self, text, status=400, version="v1.51", **config):
        before = len(self.d.call("GET", "/containers/json", query={"all": 1}).json)
        self.assertError(self.post(version=version, **config), status, text)
        self.assertEqual(len(self.d.call("GET", "/containers/json", query={"all": 1}).json), before)

    def host_refused(self, text, **host):
        self.refused(text, HostConfig=host)

    # ---- types ----

    def test_types(self):
        no = "invalid JSON: json: cannot unmarshal "
        for config, text in (
                ({"Tty": "yes"}, no + "string into Go struct field CreateRequest.Tty of type bool"),
                ({"Env": "A=b"}, no + "string into Go struct field CreateRequest.Env of type []string"),
                ({"Env": [1]}, no + "number into Go struct field CreateRequest.Env of type string"),
                ({"Labels": ["a"]}, no + "array into Go struct field CreateRequest.Labels of type map[string]string"),
                ({"Labels": {"a": 1}}, no + "number into Go struct field CreateRequest.Labels of type string"),
                ({"StopTimeout": 1.5}, no + "number 1.5 into Go struct field CreateRequest.StopTimeout of type int"),
                ({"Cmd": 5}, no + "number into Go value of type string"),
                ({"Cmd": ["a", 5]}, no + "array into Go value of type string"),
                ({"Volumes": {"/v": "x"}}, no + "string into Go struct field CreateRequest.Volumes of type struct {}"),
                ({"HostConfig": []}, no + "array into Go struct field CreateRequest.HostConfig of type HostConfig"),
                ({"HostConfig": {"Memory": "x"}}, no + "string into Go struct field HostConfig.HostConfig.Memory of type int64"),
                ({"HostConfig": {"BlkioWeight": 70000}},
                 no + "number 70000 into Go struct field HostConfig.HostConfig.BlkioWeight of type uint16"),
                ({"HostConfig": {"Ulimits": [{"Hard": "1"}]}},
                 no + "string into Go struct field Ulimit.HostConfig.Ulimits.Hard of type int64"),
                ({"HostConfig": {"PortBindings": {"80/tcp": {}}}},
                 no + "object into Go struct field HostConfig.HostConfig.PortBindings of type []nat.PortBinding"),
                ({"NetworkingConfig": {"EndpointsConfig": {"a": {"Aliases": "x"}}}},
                 no + "string into Go struct field EndpointSettings.NetworkingConfig.EndpointsConfig.Aliases of type []string")):
            with self.subTest(config):
                self.refused(text, **config)

    def test_body(self):
        for body, status in ((b"{", 400), (b"[]", 400), (b"{} {}", 400), (b"null", 400), (b"", 400), (b"{}", 400)):
            with self.subTest(body):
                reply = self.d.call("POST", "/containers/create", body, headers={"Content-Type": "application/json"})
                self.assertEqual(reply.status, status, reply.body)
                self.assertTrue(reply.message)

    def test_case_and_unknown_and_null(self):
        body = json.dumps({"image": "busybox", "CMD": ["true"], "hostconfig": {"memory": 8 << 20, "NANOCPUS": None, "Whatever": 1},
                           "Unknown": {"x": [1]}, "tty": None, "Env": None, "labels": {"Key": "v"}}).encode()
        reply = self.d.call("POST", "/containers/create", body, headers={"Content-Type": "application/json"})
        self.assertEqual(reply.status, 201, reply.body)
        c = self.d.inspect(reply.json["Id"])
        self.assertEqual((c["Config"]["Image"], c["Config"]["Cmd"], c["Config"]["Tty"], c["Config"]["Labels"]),
                         ("busybox", ["true"], False, {"Key": "v", "sockerless.image": "builtin"}))
        self.assertEqual((c["HostConfig"]["Memory"], c["HostConfig"]["MemorySwap"], c["HostConfig"]["NanoCpus"]), (8 << 20, 16 << 20, 0))
        self.assertNotIn("Unknown", c["Config"])
        self.assertNotIn("Whatever", c["HostConfig"])

    # ---- what is kept, what is filled in ----

    def test_everything_is_kept(self):
        c = self.made(**ALL_CONFIG, HostConfig=ALL_HOST, NetworkingConfig={"EndpointsConfig": {"none": {"DriverOpts": {"a": "b"}}}})
        config = dict(ALL_CONFIG, Env=["A=b", "C", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
                      Labels={"a": "b", "sockerless.image": "builtin"})
        self.assertEqual({k: c["Config"][k] for k in config}, config)
        self.assertEqual({k: c["HostConfig"][k] for k in ALL_HOST}, ALL_HOST)
        self.assertEqual(c["NetworkSettings"]["Networks"]["none"]["DriverOpts"], {"a": "b"})
        self.assertEqual((c["Path"], c["Args"]), ("/bin/sh", ["true"]))

    def test_defaults(self):
        self.assertGolden("inspect-created", self.made(name="defaults"))

    def test_image_defaults(self):
        cid, _ = self.d.run("true")
        tar = self.d.call("GET", f"/containers/{cid}/export").body
        changes = ["USER 5:6", "WORKDIR /tmp", "ENV A=image B=image", "EXPOSE 80", "LABEL a=image b=image", 'ENTRYPOINT ["sh", "-c"]',
                   'CMD ["exit 3"]', "STOPSIGNAL SIGINT"]
        reply = self.d.call("POST", "/images/create", tar, query=[("fromSrc", "-"), ("repo", "defaults")] + [("changes", c) for c in changes])
        self.assertEqual(reply.status, 200, reply.body)
        c = self.made(Image="defaults", Cmd=None, Env=["A=own"], Labels={"a": "own"}, ExposedPorts={"81/udp": {}})
        self.assertEqual({k: c["Config"].get(k) for k in ("User", "WorkingDir", "Env", "ExposedPorts", "Labels", "Entrypoint", "Cmd",
                                                         "StopSignal")},
                         {"User": "5:6", "WorkingDir": "/tmp", "Env": ["A=own", "B=image"], "ExposedPorts": {"80/tcp": {}, "81/udp": {}},
                          "Labels": {"a": "own", "b": "image"}, "Entrypoint": ["sh", "-c"], "Cmd": ["exit 3"], "StopSignal": "SIGINT"})
        c = self.made(Image="defaults", Cmd=None, Entrypoint=["echo"])
        self.assertEqual((c["Config"]["Cmd"], c["Path"], c["Args"]), (None, "echo", []))
        c = self.made(Image="defaults", Cmd=["ls"], Entrypoint=[""])
        self.assertEqual((c["Config"]["Entrypoint"], c["Path"]), (None, "ls"))
        self.refused("no command specified", Image="defaults", Cmd=None, Entrypoint=[""])

    def test_words_may_be_one(self):
        c = self.made(Cmd="ls", Entrypoint="env")
        self.assertEqual((c["Config"]["Cmd"], c["Config"]["Entrypoint"], c["Path"]), (["ls"], ["env"], "env"))

    def test_normalised(self):
        c = self.made(HostConfig={"NetworkMode": "default", "PortBindings": {"80": None, "81/udp": []}, "PidsLimit": -1},
                      NetworkingConfig={"EndpointsConfig": {"default": {"DriverOpts": {"x": "y"}}}})
        host = c["HostConfig"]
        self.assertEqual((host["NetworkMode"], host["PidsLimit"]), ("bridge", None))
        self.assertEqual(host["PortBindings"], {p: [{"HostIp": "", "HostPort": ""}] for p in ("80/tcp", "81/udp")})
        self.assertEqual(c["NetworkSettings"]["Networks"]["bridge"]["DriverOpts"], {"x": "y"})
        other = self.made(name="shared")
        c = self.made(HostConfig={"NetworkMode": "container:shared"})
        self.assertEqual(c["HostConfig"]["NetworkMode"], "container:" + other["Id"])
        self.assertEqual(c["NetworkSettings"]["Networks"], {})

    def test_generated_name(self):
        self.assertRegex(self.made()["Name"], r"^/[a-z]+_[a-z]+$")

    def test_names(self):
        first = self.post(name="/slashed").json["Id"]
        self.assertEqual(self.d.inspect("slashed")["Id"], first)
        self.refused(f'Conflict. The container name "/slashed" is already in use by container "{first}". You have to remove '
                     "(or rename) that container to be able to reuse that name.", 409, name="slashed")
        for name in ("-a", "a", "a b", "ä"):
            self.refused(f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name=name)

    def test_warnings(self):
        self.assertEqual(self.post().json["Warnings"], [])
        self.assertEqual(self.post(HostConfig={"BlkioWeight": 10, "CpuShares": 5, "NetworkMode": "host",
                                               "PortBindings": {"80/tcp": []}}).json["Warnings"],
                         ["BlkioWeight is kept, but this engine does not enforce it.",
                          "Published ports are discarded when using host network mode"])

    def test_discarded(self):
        reply = self.post(HostConfig={"MemorySwappiness": 50, "OomKillDisable": True})
        self.assertEqual(reply.json["Warnings"],
                         ["Your kernel does not support memory swappiness capabilities or the cgroup is not mounted. "
                          "Memory swappiness discarded.",
                          "Your kernel does not support OomKillDisable. OomKillDisable discarded."])
        host = self.d.inspect(reply.json["Id"])["HostConfig"]
        self.assertEqual((host["MemorySwappiness"], host["OomKillDisable"]), (None, None))

    # ---- what is refused ----

    def test_config_refused(self):
        self.refused("the working directory 'x' is invalid, it needs to be an absolute path", WorkingDir="x")
        self.refused("invalid signal: FOO", StopSignal="FOO")
        self.refused("invalid environment variable: ", Env=["A=b", ""])
        self.refused("invalid environment variable: =x", Env=["=x"])
        self.refused(f'hostname "{"h" * 65}" is too long (maximum 64 bytes)', Hostname="h" * 65)
        self.refused("Interval in Healthcheck cannot be less than 1ms", Healthcheck={"Interval": 5})
        self.refused("Retries in Healthcheck cannot be negative", Healthcheck={"Retries": -1})
        self.refused("invalid JSON: invalid port 'x': invalid syntax", ExposedPorts={"x/tcp": {}})
        self.refused("invalid JSON: invalid port '65536': value out of range", ExposedPorts={"65536/tcp": {}})
        self.refused("config cannot be empty in order to create a container", Image="")
        self.refused("No such image: nope:latest", 404, Image="nope")
        self.refused("invalid reference format: repository name (library/Nope) must be lowercase", Image="Nope")

    def test_working_directory_is_cleaned(self):
        for said, kept in (("/tmp/", "/tmp"), ("//tmp/./x/..", "/tmp"), ("/", "/"), ("", "")):
            self.assertEqual(self.d.inspect(self.d.create("true", WorkingDir=said))["Config"]["WorkingDir"], kept, said)

    def test_host_refused(self):
        unknown = "invalid restart policy: unknown policy 'x'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'"
        only = "invalid restart policy: maximum retry count can only be used with 'on-failure'"
        self.host_refused(unknown, RestartPolicy={"Name": "x"})
        self.host_refused(only, RestartPolicy={"Name": "always", "MaximumRetryCount": 2})
        self.host_refused(only + " and cannot be negative", RestartPolicy={"Name": "no", "MaximumRetryCount": -2})
        self.host_refused("invalid restart policy: maximum retry count cannot be negative",
                          RestartPolicy={"Name": "on-failure", "MaximumRetryCount": -1})
        self.host_refused("can't create 'AutoRemove' container with restart policy", AutoRemove=True, RestartPolicy={"Name": "always"})
        self.host_refused("Minimum memory limit allowed is 6MB", Memory=5 << 20)
        self.host_refused("Minimum memory limit allowed is 6MB", Memory=-1)
        self.host_refused("Minimum memoryswap limit should be larger than memory limit, see usage", Memory=8 << 20, MemorySwap=7 << 20)
        self.host_refused("You should always set the Memory limit when using Memoryswap limit, see usage", MemorySwap=7 << 20)
        self.host_refused("Invalid value: 101, valid memory swappiness range is 0-100", MemorySwappiness=101)
        self.host_refused("Minimum memory reservation allowed is 6MB", MemoryReservation=1)
        self.host_refused("SHM size can not be less than 0", ShmSize=-1)
        self.host_refused("Conflicting options: Nano CPUs and CPU Period cannot both be set", NanoCpus=1000, CpuPeriod=2000)
        self.host_refused("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)", CpuPeriod=1)
        self.host_refused("CPU cfs quota can not be less than 1ms (i.e. 1000)", CpuQuota=1)
        self.host_refused("invalid CPU shares (-1): value must be a positive integer", CpuShares=-1)
        self.host_refused("Range of blkio weight is from 10 to 1000", BlkioWeight=5)
        self.host_refused("Invalid value 2000, range for oom score adj is [-1000, 1000]", OomScoreAdj=2000)
        self.host_refused("invalid ulimit type: nope", Ulimits=[{"Name": "nope", "Hard": 1, "Soft": 1}])
        self.host_refused("ulimit soft limit must be less than or equal to hard limit: 2 > 1", Ulimits=[{"Name": "cpu", "Hard": 1, "Soft": 2}])
        self.host_refused("invalid JSON: invalid port '80;90': invalid syntax", PortBindings={"80;90": []})
        self.host_refused('invalid port specification: "0/tcp"', PortBindings={"0/tcp": []})
        self.host_refused('invalid port specification: "y"', PortBindings={"80/tcp": [{"HostPort": "y"}]})
        self.host_refused('invalid CapAdd: unknown capability: "CAP_FLY"', CapAdd=["FLY"])
        self.host_refused('bad format for add-host: "x"', ExtraHosts=["x"])
        self.host_refused("invalid isolation (hyperv): linux only supports 'default'", Isolation="hyperv")
        self.host_refused("invalid IPC mode: x", IpcMode="x")
        self.host_refused("invalid PID mode: x", PidMode="x")
        self.host_refused("invalid UTS mode: x", UTSMode="x")
        self.host_refused("invalid cgroup namespace mode: x", CgroupnsMode="x")
        self.host_refused("unknown or invalid runtime name: x", Runtime="x")
        self.host_refused("logger: no log driver named 'x' is registered", LogConfig={"Type": "x"})
        self.host_refused("invalid network mode: invalid container format container:<name|id>", NetworkMode="container:")
        self.host_refused("No such container: x", NetworkMode="container:x")
        self.host_refused('could not select device driver "" with capabilities: [[gpu]]', DeviceRequests=[{"Count": 1, "Capabilities": [["gpu"]]}])
        self.host_refused('error gathering device information while adding custom device "/dev/sda": devices of the host cannot be given to a sandbox',
                          Devices=[{"PathOnHost": "/dev/sda", "PathInContainer": "/dev/sda", "CgroupPermissions": "rwm"}])
        self.host_refused("conflicting options: dns and the network mode", NetworkMode="container:x", Dns=["1.2.3.4"])

    def test_by_version(self):
        two = {"EndpointsConfig": {"a": {}, "b": {}}}
        self.refused("Container cannot be created with multiple network endpoints: a, b", version="v1.43", NetworkingConfig=two)
        self.assertEqual(self.post(version="v1.44", NetworkingConfig=two).status, 201)
        mount = {"Mounts": [{"Type": "tmpfs", "Target": "/t", "BindOptions": {}}]}
        self.refused('BindOptions must not be specified on mount type "tmpfs"', HostConfig=mount)
        self.assertEqual(self.post(version="v1.41", HostConfig=mount).status, 201)
        self.assertEqual(self.made(version="v1.41", HostConfig={"ConsoleSize": [1, 2]})["HostConfig"]["ConsoleSize"], [0, 0])
        self.assertNotIn("Annotations", self.made(version="v1.42", HostConfig={"Annotations": {"a": "b"}})["HostConfig"])
        health = {"Test": ["CMD", "true"], "StartInterval": 5000000}
        self.assertEqual(self.made(version="v1.43", Healthcheck=health)["Config"]["Healthcheck"], {"Test": ["CMD", "true"]})
        self.assertEqual(self.made(Healthcheck=health)["Config"]["Healthcheck"], health)
        text = "image with reference busybox was found but its platform (linux/amd64) does not match the specified platform (linux/arm64)"
        self.assertError(self.post(query={"platform": "linux/arm64"}), 404, text)
        self.assertEqual(self.post(query={"platform": "linux/amd64"}).status, 201)
        self.assertEqual(self.post(version="v1.40", query={"platform": "linux/arm64"}).status, 201)


if __name__ == "__main__":
    unittest.main()
