"""What a container's creation says of mounts, and what comes of it."""
import io
import json
import os
import tarfile
import tempfile
import unittest

from harness import ApiTest, demux


class Mounts(ApiTest):
    def refused(self, status, message, version=None, **body):
        before = self.counts()
        reply = self.d.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], **body},
                            version=version or "v1.51")
        self.assertError(reply, status, message)
        self.assertEqual(self.counts(), before) # nothing half-made stays

    def counts(self):
        return (len(self.d.call("GET", "/containers/json", query={"all": 1}).json), len(self.d.call("GET", "/volumes").json["Volumes"]))

    def mount(self, version=None, **mount):
        return {"version": version, "HostConfig": {"Mounts": [mount]}}

    def output(self, *cmd, **config):
        cid, code = self.d.run(*cmd, **config)
        text = b"".join(demux(self.d.logs(cid)).values()).decode().strip()
        self.d.remove(cid)
        return (code, text)

    def start_fails(self, status, message, **config):
        cid = self.d.create("true", **config)
        self.assertError(self.d.call("POST", f"/containers/{cid}/start"), status, message)
        self.d.remove(cid)

    def directory(self):
        d = tempfile.mkdtemp(prefix="sockerless-api-")
        self.addCleanup(lambda: os.system(f"rm -rf '{d}'"))
        return d

    # ---- refusals ----

    def test_binds_refused(self):
        for bind, message in (
                (":/x", "invalid volume specification: ':/x'"),
                ("/x:ro", "invalid volume specification: '/x:ro'"),
                ("/x:", "invalid volume specification: '/x:'"),
                ("/a:/b:ro:rw", "invalid volume specification: '/a:/b:ro:rw'"),
                ("/a:/b:xx", "invalid mode: xx"),
                ("/a:/b:ro,rw", "invalid mode: ro,rw"),
                ("/a:/b:z,Z", "invalid mode: z,Z"),
                ("/a:/b:ro,", "invalid mode: ro,"),
                ("/a:b", "invalid volume specification: '/a:b': invalid mount config for type \"bind\": "
                 "invalid mount path: 'b' mount path must be absolute"),
                ("name:b", "invalid volume specification: 'name:b': invalid mount config for type \"volume\": "
                 "invalid mount path: 'b' mount path must be absolute"),
                ("/a:/", "invalid volume specification: '/a:/': invalid mount config for type \"bind\": "
                 "invalid specification: destination can't be '/'"),
                ("name:/x/..", "invalid volume specification: 'name:/x/..': invalid mount config for type \"volume\": "
                 "invalid specification: destination can't be '/'"),
                ("/a::ro", "invalid volume specification: '/a::ro': invalid mount config for type \"bind\": field Target must not be empty"),
                ("/a:/b:nocopy", "invalid volume specification: '/a:/b:nocopy': invalid mount config for type \"bind\": "
                 "field VolumeOptions must not be specified"),
                ("name:/b:rshared", "invalid volume specification: 'name:/b:rshared': invalid mount config for type \"volume\": "
                 "field BindOptions must not be specified"),
                ("a:/b", "create a: volume name is too short, names should be at least two alphanumeric characters"),
                ("./a:/b", 'create ./a: "./a" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" '
                 "are allowed. If you intended to pass a host directory, use absolute path")):
            with self.subTest(bind):
                self.refused(400, message, HostConfig={"Binds": ["first_of_two:/first", bind]})
        self.refused(400, "Duplicate mount point: /v", HostConfig={"Binds": ["name_one:/v", "name_two:/v/"]})
        self.refused(400, "Duplicate mount point: /v", HostConfig={"Binds": ["name_one:/v"], "Tmpfs": {"/v": ""}})
        self.refused(404, 'create name_one: error looking up volume plugin foo: plugin "foo" not found',
                     HostConfig={"Binds": ["name_one:/v"], "VolumeDriver": "foo"})

    def test_mounts_refused(self):
        no = 'invalid mount config for type "%s": '
        for mount, message in (
                ({"Type": "bind", "Source": "/x"}, no % "bind" + "field Target must not be empty"),
                ({"Type": "bind", "Target": "/x"}, no % "bind" + "field Source must not be empty"),
                ({"Type": "bind", "Source": "x", "Target": "/x"}, no % "bind" + "invalid mount path: 'x' mount path must be absolute"),
                ({"Type": "bind", "Source": "/nope/x", "Target": "/x"}, no % "bind" + "bind source path does not exist: /nope/x"),
                ({"Type": "bind", "Source": "/etc", "Target": "/x", "BindOptions": {"Propagation": "odd"}},
                 no % "bind" + "invalid propagation mode: odd"),
                ({"Type": "volume", "Source": "name", "Target": "/"}, no % "volume" + "invalid specification: destination can't be '/'"),
                ({"Type": "volume", "Target": "x"}, no % "volume" + "invalid mount path: 'x' mount path must be absolute"),
                ({"Type": "volume", "Target": "/x", "VolumeOptions": {"Subpath": "a"}},
                 no % "volume" + "must not set Subpath when using anonymous volumes"),
                ({"Type": "volume", "Source": "name", "Target": "/x", "VolumeOptions": {"Subpath": "a/../../b"}},
                 no % "volume" + "subpath must be a relative path within the volume"),
                ({"Type": "volume", "Source": "name", "Target": "/x", "VolumeOptions": {"Subpath": "/a"}},
                 no % "volume" + "subpath must be a relative path within the volume"),
                ({"Type": "volume", "Source": "name", "Target": "/x", "VolumeOptions": {"DriverConfig": {"Options": {"x": "y"}}}},
                 'create name: invalid option: "x"'),
                ({"Type": "tmpfs", "Source": "x", "Target": "/x"}, no % "tmpfs" + "field Source must not be specified"),
                ({"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"Options": [["uid", "5"]]}}, no % "tmpfs" + "invalid option: uid"),
                ({"Type": "tmpfs", "Target": "/x", "TmpfsOptions": {"Options": [["exec", "a", "b"]]}},
                 no % "tmpfs" + "invalid option array length"),
                ({"Type": "image", "Target": "/x"}, no % "image" + "field Source must not be empty"),
                ({"Type": "image", "Source": "busybox", "Target": "/x", "ImageOptions": {"Subpath": ".."}},
                 no % "image" + "subpath must be a relative path within the volume"),
                ({"Type": "volume", "Source": "name", "Target": "/x", "ImageOptions": {"Subpath": "a"}},
                 no % "volume" + "field ImageOptions must not be specified"),
                ({"Type": "npipe", "Source": "a", "Target": "/x"}, no % "npipe" + "mount type unknown"),
                ({"Target": "/x"}, no % "" + "mount type unknown")):
            with self.subTest(mount):
                self.refused(400, message, HostConfig={"Mounts": [mount]})
        self.refused(404, 'create name: error looking up volume plugin foo: plugin "foo" not found',
                     HostConfig={"Mounts": [{"Type": "volume", "Source": "name", "Target": "/x",
                                             "VolumeOptions": {"DriverConfig": {"Name": "foo"}}}]})
        self.refused(404, "No such image: nope:latest", HostConfig={"Mounts": [{"Type": "image", "Source": "nope", "Target": "/x"}]})
        self.refused(400, "Duplicate mount point: /v/", HostConfig={"Binds": ["name_one:/v"], "Mounts": [
            {"Type": "tmpfs", "Target": "/v/"}]})

    def test_by_version(self):
        image = {"Type": "image", "Source": "busybox", "Target": "/x"}
        subpath = {"Type": "volume", "Source": "name", "Target": "/x", "VolumeOptions": {"Subpath": "a"}}
        self.refused(400, 'Mount type "Image" needs API v1.48 or newer', version="v1.47", HostConfig={"Mounts": [image]})
        self.refused(400, "VolumeOptions.Subpath needs API v1.45 or newer", version="v1.44", HostConfig={"Mounts": [subpath]})
        missing = {"Type": "bind", "Source": "/nope/x", "Target": "/x", "BindOptions": {"CreateMountpoint": True}}
        self.refused(400, 'invalid mount config for type "bind": bind source path does not exist: /nope/x', version="v1.41",
                     HostConfig={"Mounts": [missing]})
        warned = self.d.call("POST", "/containers/create", {"Image": "busybox", "Cmd": ["true"], "HostConfig": {
            "VolumeDriver": "local", "Mounts": [{"Type": "volume", "Target": "/x"}]}}).json
        self.assertTrue([w for w in warned["Warnings"] if "container-wide volume-driver" in w], warned)
        self.d.remove(warned["Id"])

    def test_volumes_from_refused(self):
        for spec, message in (("nope", "No such container: nope"), ("", "volumes-from specification cannot be an empty string"),
                              ("nope:xx", "invalid mode: xx"), ("nope:rshared", "invalid mode: rshared"),
                              ("nope:nocopy", "invalid mode: nocopy")):
            self.refused(400, message, HostConfig={"VolumesFrom": [spec]})
        # No container can name itself: it is not there yet.
        reply = self.d.call("POST", "/containers/create", {"Image": "busybox", "HostConfig": {"VolumesFrom": ["myself"]}}, query={"name": "myself"})
        self.assertError(reply, 400, "No such container: myself")

    def test_tmpfs_refused(self):
        for tmpfs, message in (({"/": ""}, "invalid specification: destination can't be '/'"),
                               ({"x": ""}, "invalid mount path: 'x' mount path must be absolute"),
                               ({"/x": "colour=red"}, 'invalid tmpfs option "colour"'),
                               ({"/x": "size=1x"}, 'invalid tmpfs option "size"')):
            self.refused(400, message, HostConfig={"Tmpfs": tmpfs})

    def test_option_conflicts_at_the_start(self):
        d = self.directory()
        for options, readonly, message in (
                ({"ReadOnlyNonRecursive": True}, False, "!ReadOnly && BindOptions.ReadOnlyNonRecursive"),
                ({"ReadOnlyForceRecursive": True}, False, "!ReadOnly && BindOptions.ReadOnlyForceRecursive"),
                ({"ReadOnlyNonRecursive": True, "ReadOnlyForceRecursive": True}, True,
                 "ReadOnlyNonRecursive && BindOptions.ReadOnlyForceRecursive")):
            self.start_fails(500, "mount options conflict: " + message, HostConfig={"Mounts": [
                {"Type": "bind", "Source": d, "Target": "/x", "ReadOnly": readonly, "BindOptions": options}]})

    # ---- inspect ----

    def test_in_inspect(self):
        d = self.directory()
        cid = self.d.create("true", Volumes={"/declared": {}}, HostConfig={
            "Binds": [f"{d}:/bind:ro,rslave", "insp_one:/volume", "insp_two:/nocopy:nocopy"],
            "Mounts": [{"Type": "tmpfs", "Target": "/tmpfs"}, {"Type": "image", "Source": "busybox", "Target": "/image"},
                       {"Type": "volume", "Target": "/anonymous", "VolumeOptions": {"Labels": {"a": "b"}}}]})
        mounts = {m["Destination"]: m for m in self.d.inspect(cid)["Mounts"]}
        self.assertEqual(mounts["/bind"], {"Type": "bind", "Source": d, "Destination": "/bind", "Mode": "ro,rslave", "RW": False,
                                           "Propagation": "rslave"})
        where = self.d.call("GET", "/volumes/insp_one").json["Mountpoint"]
        self.assertEqual(mounts["/volume"], {"Type": "volume", "Name": "insp_one", "Source": where, "Destination": "/volume",
                                             "Driver": "local", "Mode": "z", "RW": True, "Propagation": ""})
        self.assertEqual(mounts["/nocopy"]["Mode"], "nocopy")
        self.assertEqual((mounts["/declared"]["Mode"], mounts["/anonymous"]["Mode"]), ("", "z"))
        self.assertEqual(mounts["/tmpfs"], {"Type": "tmpfs", "Source": "", "Destination": "/tmpfs", "Mode": "", "RW": True, "Propagation": ""})
        image = mounts["/image"]
        self.assertEqual((image["Type"], image["Name"], image["RW"], image["Propagation"]), ("image", "busybox", False, "rprivate"))
        labels = self.d.call("GET", "/volumes/" + mounts["/anonymous"]["Name"]).json["Labels"]
        self.assertEqual(labels, {"a": "b", "com.docker.volume.anonymous": ""})
        self.assertEqual(self.d.call("GET", "/volumes/insp_one").json["Labels"], None)
        self.d.remove(cid)

    # ---- first use ----

    def test_content_comes_at_creation_and_once(self):
        cid = self.d.create("sh", "-c", "rm -r /etc/* && ls /etc | wc -l", HostConfig={"Binds": ["first_etc:/etc"]})
        where = self.d.call("GET", "/volumes/first_etc").json["Mountpoint"]
        self.assertIn("passwd", os.listdir(where)) # nobody has started it
        reply = self.d.call("GET", f"/containers/{cid}/archive", query={"path": "/etc/passwd"})
        self.assertIn(b"root:x:0:0", reply.body)
        for _ in range(2):
            self.d.call("POST", f"/containers/{cid}/start")
            self.d.call("POST", f"/containers/{cid}/wait")
            # and what it deleted stays deleted, but for the places of files that every container has mounted there
            self.assertEqual(sorted(os.listdir(where)), ["hostname", "hosts", "resolv.conf"])
        self.d.remove(cid)

    def test_content_of_others(self):
        nocopy = self.d.create("true", HostConfig={"Binds": ["first_no:/etc:nocopy"]})
        self.assertEqual(os.listdir(self.d.call("GET", "/volumes/first_no").json["Mountpoint"]), [])
        self.d.remove(nocopy)
        self.d.run("sh", "-c", "echo own >/v/passwd", HostConfig={"Binds": ["first_full:/v"]})
        self.assertEqual(self.output("sh", "-c", "ls /etc; cat /etc/passwd", HostConfig={"Binds": ["first_full:/etc"]}), (0, "hostname\nhosts\npasswd\nresolv.conf\nown"))
        # --volumes-from brings no content: the volume is another container's.
        self.d.create("true", name="first_source", HostConfig={"Binds": ["first_no:/etc:nocopy"]})
        self.assertEqual(self.output("ls", "/etc", HostConfig={"VolumesFrom": ["first_source"]}), (0, "hostname\nhosts\nresolv.conf"))

    def test_over_a_file(self):
        self.refused(500, "cannot mount volume over existing file, file exists /etc/passwd", Volumes={"/etc/passwd": {}})
        d = self.directory()
        text = ("failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: "
                "unable to start container process: error during container init: error mounting \"%s\" to rootfs at \"%s\": "
                "not a directory: Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path "
                "exists and is the expected type")
        self.start_fails(400, text % (d, "/etc/passwd"), HostConfig={"Binds": [f"{d}:/etc/passwd"]})
        with open(d + "/file", "w", encoding="ascii") as f:
            f.write("from the host\n")
        self.start_fails(400, text % (d + "/file", "/etc"), HostConfig={"Binds": [f"{d}/file:/etc"]})
        self.assertEqual(self.output("cat", "/etc/passwd", HostConfig={"Binds": [f"{d}/file:/etc/passwd:ro"]}), (0, "from the host"))
        self.assertEqual(self.output("cat", "/new/file", HostConfig={"Binds": [f"{d}/file:/new/file"]}), (0, "from the host"))

    # ---- where they lie ----

    def test_nested(self):
        d = self.directory()
        os.makedirs(d + "/inner")
        binds = ["nest_in:/v/bind/inner", "nest_out:/v", f"{d}:/v/bind"] # in no order
        self.assertEqual(self.output("sh", "-c", "echo 1 >/v/a; echo 2 >/v/bind/b; echo 3 >/v/bind/inner/c; cat /v/a /v/bind/b /v/bind/inner/c",
                                     HostConfig={"Binds": binds}), (0, "1\n2\n3"))
        self.assertEqual(sorted(os.listdir(d)), ["b", "inner"])
        self.assertEqual(os.listdir(d + "/inner"), [])
        for name, files in (("nest_in", ["c"]), ("nest_out", ["a", "bind"])):
            self.assertEqual(sorted(os.listdir(self.d.call("GET", f"/volumes/{name}").json["Mountpoint"])), files)

    def test_a_place_that_cannot_be_made(self):
        d = self.directory()
        cid = self.d.create("true", HostConfig={"Binds": [f"{d}:/b:ro", "place_v:/b/new"]})
        reply = self.d.call("POST", f"/containers/{cid}/start")
        self.assertEqual(reply.status, 500)
        self.assertIn('create mountpoint for /b/new mount: make mountpoint "/b/new": read-only file system', reply.message)
        self.assertEqual(os.listdir(d), [])
        self.d.remove(cid)

    def test_through_links(self):
        d = self.directory()
        os.symlink("/srv/real", d + "/absolute")
        os.symlink("other", d + "/relative")
        self.assertEqual(self.output("sh", "-c", "echo x >/srv/real/f && ls /b/absolute", HostConfig={
            "Binds": [f"{d}:/b", "link_v:/b/absolute"]}), (0, "f"))
        self.assertEqual(os.listdir(self.d.call("GET", "/volumes/link_v").json["Mountpoint"]), ["f"])
        self.assertEqual(self.output("sh", "-c", "echo x >/b/other/below/g && ls /b/relative/below", HostConfig={
            "Binds": [f"{d}:/b", "link_w:/b/relative/below"]}), (0, "g"))
        self.assertEqual(os.listdir(self.d.call("GET", "/volumes/link_w").json["Mountpoint"]), ["g"])

    # ---- options ----

    def test_bind_volume(self):
        d = self.directory()
        self.d.call("POST", "/volumes/create", {"Name": "to_host", "DriverOpts": {"type": "none", "o": "bind", "device": d}})
        self.d.call("POST", "/volumes/create", {"Name": "to_host_ro", "DriverOpts": {"type": "none", "o": "bind,ro", "device": d}})
        self.assertEqual(self.output("sh", "-c", "echo hi >/v/f; cat /v/f", HostConfig={"Binds": ["to_host:/v"]}), (0, "hi"))
        self.assertEqual(os.listdir(d), ["f"])
        code, text = self.output("sh", "-c", "cat /v/f; echo no >/v/f", HostConfig={"Binds": ["to_host_ro:/v"]})
        self.assertEqual(code, 1)
        self.assertIn("hi\n", text)
        self.assertIn("Read-only file system", text)
        self.assertEqual(self.d.call("DELETE", "/volumes/to_host").status, 204)
        self.assertEqual(os.listdir(d), ["f"]) # the host's own stays
        self.d.call("POST", "/volumes/create", {"Name": "to_nowhere", "DriverOpts": {"type": "none", "o": "bind", "device": d + "/no"}})
        where = self.d.call("GET", "/volumes/to_nowhere").json["Mountpoint"]
        self.start_fails(500, f"error while mounting volume '{where}': failed to mount local volume: mount {d}/no:{where}, "
                         "flags: 0x1000: no such file or directory", HostConfig={"Binds": ["to_nowhere:/v"]})

    def test_tmpfs_volume(self):
        self.d.call("POST", "/volumes/create", {"Name": "in_memory", "DriverOpts": {
            "type": "tmpfs", "device": "tmpfs", "o": "size=1m,uid=33,gid=44,mode=750"}})
        config = {"HostConfig": {"Binds": ["in_memory:/t"]}}
        first = self.d.up("sh", "-c", "echo here >/t/f; sleep 1000", **config)
        self.d.wait_for(lambda: self.output("cat", "/t/f", **config) == (0, "here"), "what the first one wrote")
        self.assertEqual(self.output("stat", "-c", "%u:%g %a", "/t", **config), (0, "33:44 750"))
        self.d.remove(first)
        self.assertEqual(self.output("ls", "/t", **config), (0, "")) # nobody had it mounted
        self.assertEqual(self.d.call("DELETE", "/volumes/in_memory").status, 204)

    def test_subpath(self):
        self.d.run("sh", "-c", "mkdir -p /v/a/b && echo deep >/v/a/b/f && echo file >/v/a/file && ln -s a/b /v/inside && "
                   "ln -s /etc /v/outside && ln -s ../.. /v/above", HostConfig={"Binds": ["sub_v:/v"]})
        where = self.d.call("GET", "/volumes/sub_v").json["Mountpoint"]

        def config(subpath, target="/s", **more):
            return {"HostConfig": {"Mounts": [{"Type": "volume", "Source": "sub_v", "Target": target,
                                               "VolumeOptions": {"Subpath": subpath}, **more}]}}

        self.assertEqual(self.output("cat", "/s/f", **config("a/b")), (0, "deep"))
        self.assertEqual(self.output("cat", "/s/f", **config("inside")), (0, "deep"))
        self.assertEqual(self.output("cat", "/s", **config("a/file")), (0, "file"))
        self.assertEqual(self.output("sh", "-c", "echo new >/s/g", **config("a"))[0], 0)
        self.assertEqual(sorted(os.listdir(where + "/a")), ["b", "file", "g"])
        self.start_fails(400, f"path concatenation escapes the base directory, base: {where}, subpath: outside", **config("outside"))
        self.start_fails(400, f"path concatenation escapes the base directory, base: {where}, subpath: above", **config("above"))
        self.start_fails(404, f"cannot access path {where}/nope: lstat {where}/nope: no such file or directory", **config("nope"))
        # Into an empty directory of the volume the image's content goes too.
        self.d.run("mkdir", "/v/empty", HostConfig={"Binds": ["sub_v:/v"]})
        self.d.remove(self.d.create("true", **config("empty", "/etc")))
        self.assertIn("passwd", os.listdir(where + "/empty"))

    def test_image_mount(self):
        mount = {"Type": "image", "Source": "busybox", "Target": "/i"}
        self.assertEqual(self.output("head", "-n1", "/i/etc/passwd", HostConfig={"Mounts": [mount]}), (0, "root:x:0:0:root:/root:/bin/sh"))
        code, text = self.output("touch", "/i/new", HostConfig={"Mounts": [mount]})
        self.assertEqual(code, 1)
        self.assertIn("Read-only file system", text)
        part = {**mount, "ImageOptions": {"Subpath": "etc"}}
        self.assertEqual(self.output("head", "-n1", "/i/passwd", HostConfig={"Mounts": [part]})[0], 0)
        part["ImageOptions"] = {"Subpath": "etc/passwd"}
        self.assertEqual(self.output("head", "-n1", "/i", HostConfig={"Mounts": [part]})[0], 0)

    def test_image_mount_keeps_its_image(self):
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            entry = tarfile.TarInfo("hello")
            entry.size = 3
            tar.addfile(entry, io.BytesIO(b"hi\n"))
        self.d.call("POST", "/images/create", data.getvalue(), query={"fromSrc": "-", "repo": "mounted"},
                    headers={"Content-Type": "application/x-tar"})
        cid = self.d.create("cat", "/i/hello", HostConfig={"Mounts": [{"Type": "image", "Source": "mounted", "Target": "/i"}]})
        reply = self.d.call("DELETE", "/images/mounted")
        self.assertEqual(reply.status, 409)
        self.assertIn(cid[:12], reply.message)
        self.d.call("POST", "/images/prune", query={"filters": '{"dangling":["false"]}'})
        self.d.call("POST", f"/containers/{cid}/start")
        self.d.call("POST", f"/containers/{cid}/wait")
        self.assertIn(b"hi", self.d.logs(cid))
        self.d.remove(cid)
        self.assertEqual(self.d.call("DELETE", "/images/mounted").status, 200)

    def test_create_mountpoint(self):
        d = self.directory()
        mount = {"Type": "bind", "Source": d + "/made/here", "Target": "/b", "BindOptions": {"CreateMountpoint": True}}
        self.assertEqual(self.output("touch", "/b/f", HostConfig={"Mounts": [mount]})[0], 0)
        self.assertEqual(os.listdir(d + "/made/here"), ["f"])
        del mount["BindOptions"]
        cid = self.d.create("true", HostConfig={"Mounts": [mount]})
        os.unlink(d + "/made/here/f")
        os.rmdir(d + "/made/here")
        reply = self.d.call("POST", f"/containers/{cid}/start") # only -v makes it again
        self.assertEqual(reply.status, 500)
        self.assertIn(f"stat {d}/made/here: no such file or directory", reply.message)
        self.d.remove(cid)
        self.assertEqual(os.listdir(d + "/made"), [])
        self.assertEqual(self.output("touch", "/b/f", HostConfig={"Binds": [f"{d}/made/here:/b"]})[0], 0)
        self.assertEqual(os.listdir(d + "/made/here"), ["f"])

    # ---- --volumes-from ----

    def test_volumes_from(self):
        d = self.directory()
        self.d.create("true", name="from_one", Volumes={"/anon": {}}, HostConfig={"Binds": ["from_v:/v", f"{d}:/b:ro"]})
        self.d.create("true", name="from_two", HostConfig={"Binds": ["from_w:/v", "from_x:/x"]})
        both = self.d.create("true", HostConfig={"VolumesFrom": ["from_one", "from_two:ro"], "Binds": ["from_y:/b"]})
        mounts = {m["Destination"]: (m.get("Name", m["Source"]), m["RW"], m["Mode"]) for m in self.d.inspect(both)["Mounts"]}
        self.assertEqual(sorted(mounts), ["/anon", "/b", "/v", "/x"])
        self.assertEqual(mounts["/v"], ("from_w", False, "")) # the later one's
        self.assertEqual(mounts["/x"], ("from_x", False, ""))
        self.assertEqual(mounts["/b"], ("from_y", True, "z")) # what is said wins
        chain = self.d.create("true", HostConfig={"VolumesFrom": [both]})
        self.assertEqual({m["Destination"]: m["RW"] for m in self.d.inspect(chain)["Mounts"]},
                         {"/anon": True, "/b": True, "/v": False, "/x": False})

    # ---- files ----

    def test_copies_and_changes(self):
        cid = self.d.create("true", HostConfig={"Binds": ["copy_v:/v"]})
        data = io.BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            entry = tarfile.TarInfo("f")
            entry.size = 3
            tar.addfile(entry, io.BytesIO(b"in\n"))
        put = self.d.call("PUT", f"/containers/{cid}/archive", data.getvalue(), query={"path": "/v"}, headers={"Content-Type": "application/x-tar"})
        self.assertEqual(put.status, 200, put.body)
        self.assertEqual(os.listdir(self.d.call("GET", "/volumes/copy_v").json["Mountpoint"]), ["f"])
        self.assertEqual(self.output("cat", "/w/f", HostConfig={"Binds": ["copy_v:/w"]}), (0, "in"))
        self.d.call("POST", f"/containers/{cid}/start")
        self.d.call("POST", f"/containers/{cid}/wait")
        changes = self.d.call("GET", f"/containers/{cid}/changes").json
        self.assertEqual([c for c in changes or [] if c["Path"].startswith("/v/")], [])
        exported = tarfile.open(fileobj=io.BytesIO(self.d.call("GET", f"/containers/{cid}/export").body)).getnames()
        self.assertNotIn("v/f", exported)
        self.d.remove(cid)

    def test_volume_events(self):
        import time
        since = time.time()
        cid, _ = self.d.run("true", HostConfig={"Binds": ["event_v:/v:ro"], "Mounts": [
            {"Type": "image", "Source": "busybox", "Target": "/i"}]})
        events = [(e["Action"], e["Actor"]["ID"], e["Actor"]["Attributes"]) for e in self.d.events(since, type=["volume"])]
        self.assertEqual(events, [
            ("create", "event_v", {"driver": "local"}),
            ("mount", "event_v", {"driver": "local", "container": cid, "destination": "/v", "propagation": "", "read/write": "false"}),
            ("unmount", "event_v", {"driver": "local", "container": cid})])
        self.d.remove(cid)


if __name__ == "__main__":
    unittest.main()
