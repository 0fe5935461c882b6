// dockerode against a running daemon (DOCKER_HOST says where).
import http from "node:http";
import { createRequire } from "node:module";
import { PassThrough } from "node:stream";
import Docker from "dockerode";
import { assert, test, until, verdict } from "./harness.mjs";

const docker = new Docker({ socketPath: process.env.DOCKER_HOST.replace("unix://", "") });
const version = createRequire(import.meta.url)("dockerode/package.json").version;
const Image = "busybox:latest";

const text = async (stream) => {
  const parts = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts).toString();
};

// Both streams of a multiplexed one, once it has ended.
async function demux(stream) {
  const out = new PassThrough(), err = new PassThrough();
  docker.modem.demuxStream(stream, out, err);
  stream.on("end", () => { out.end(); err.end(); });
  return { out: await text(out), err: await text(err) };
}

async function up(later, options) {
  const container = await docker.createContainer({ Image, Cmd: ["sleep", "60"], ...options });
  later(() => container.remove({ force: true, v: true }));
  await container.start();
  return container;
}

const get = (port, path = "/") => new Promise((resolve, reject) => {
  http.get({ port, path, agent: false }, (reply) => text(reply).then(resolve, reject)).on("error", reject);
});

await test("version and info", async () => {
  assert.equal((await docker.version()).Os, "linux");
  assert.equal((await docker.info()).OSType, "linux");
  assert.equal((await docker.ping()).toString(), "OK");
});

await test("run with output and status", async () => {
  const sink = new PassThrough();
  const [result, container] = await docker.run(Image, ["sh", "-c", "echo hello; exit 3"], sink);
  assert.equal(result.StatusCode, 3);
  await container.remove();
  sink.end();
  assert.equal((await text(sink)).replace("\r", ""), "hello\n");
});

await test("create, attach, start, wait", async (later) => {
  const container = await docker.createContainer({
    Image, Cmd: ["sh", "-c", "cat; echo err >&2"], OpenStdin: true, StdinOnce: true, AttachStdin: true,
  });
  later(() => container.remove({ force: true }));
  const stream = await container.attach({ stream: true, stdin: true, stdout: true, stderr: true, hijack: true });
  const result = demux(stream);
  await container.start();
  stream.end("typed\n");
  assert.deepEqual(await result, { out: "typed\n", err: "err\n" });
  assert.equal((await container.wait()).StatusCode, 0);
});

await test("exec: streams, code, environment, terminal", async (later) => {
  const container = await up(later);
  const exec = await container.exec({
    Cmd: ["sh", "-c", "echo $A; echo e >&2; exit 5"], Env: ["A=b"], AttachStdout: true, AttachStderr: true,
  });
  assert.deepEqual(await demux(await exec.start({ hijack: true })), { out: "b\n", err: "e\n" });
  await until(async () => (await exec.inspect()).ExitCode === 5);
  const tty = await container.exec({ Cmd: ["sh"], Tty: true, AttachStdin: true, AttachStdout: true });
  const stream = await tty.start({ hijack: true, stdin: true, Tty: true });
  await tty.resize({ h: 33, w: 77 });
  stream.write("stty size; exit\n");
  assert.match(await text(stream), /33 77/);
});

await test("logs: follow, tail, since", async (later) => {
  const container = await up(later, { Cmd: ["sh", "-c", "echo one; echo two; sleep 0.3; echo three"] });
  const followed = await demux(await container.logs({ follow: true, stdout: true, stderr: true }));
  assert.equal(followed.out, "one\ntwo\nthree\n");
  const tail = await container.logs({ stdout: true, tail: 1 });
  assert.equal(tail.subarray(8).toString(), "three\n");
});

await test("archive: put, stat, get", async (later) => {
  const container = await up(later);
  // A tar of one file, by hand: name, mode, size, sum.
  const head = Buffer.alloc(512), body = Buffer.alloc(512);
  head.write("note", 0); head.write("0000640\0", 100); head.write("0000000\0", 108); head.write("0000000\0", 116);
  head.write("00000000005\0", 124); head.write("14000000000\0", 136); head.write("        ", 148); head.write("0", 156);
  head.write("ustar\0" + "00", 257);
  head.write(head.reduce((a, b) => a + b, 0).toString(8).padStart(6, "0") + "\0 ", 148);
  body.write("copy\n");
  await container.putArchive(Buffer.concat([head, body, Buffer.alloc(1024)]), { path: "/tmp" });
  const tar = await container.getArchive({ path: "/tmp/note" });
  assert.match(await text(tar), /copy\n/);
  const stat = await container.infoArchive({ path: "/tmp/note" });
  const facts = JSON.parse(Buffer.from(stat.headers["x-docker-container-path-stat"], "base64"));
  assert.equal(facts.size, 5);
});

await test("pause, rename, top, stats, update, restart, kill", async (later) => {
  const container = await up(later, { name: "dockerode-a" });
  await container.pause();
  assert.equal((await container.inspect()).State.Status, "paused");
  await container.unpause();
  await container.rename({ name: "dockerode-b" });
  assert.equal((await container.inspect()).Name, "/dockerode-b");
  assert.ok((await container.top()).Processes.some((row) => row.join(" ").includes("sleep 60")));
  assert.ok((await container.stats({ stream: false })).memory_stats.usage > 0);
  await container.update({ Memory: 100 << 20, MemorySwap: 200 << 20 });
  assert.equal((await container.inspect()).HostConfig.Memory, 100 << 20);
  await container.restart({ t: 0 });
  await container.kill();
  assert.equal((await container.wait()).StatusCode, 137);
});

await test("events of a run", async (later) => {
  const seen = [];
  let rest = "";
  const stream = await docker.getEvents({ filters: { type: ["container"], label: ["rode=1"] } });
  stream.on("data", (data) => {
    const lines = (rest + data).split("\n");
    rest = lines.pop();
    seen.push(...lines.filter(Boolean).map((line) => JSON.parse(line).Action));
  });
  const container = await up(later, { Cmd: ["true"], Labels: { rode: "1" } });
  await container.wait();
  await container.remove();
  await until(() => seen.includes("destroy"));
  stream.destroy();
  assert.deepEqual(seen, ["create", "start", "die", "destroy"]);
});

await test("volumes", async (later) => {
  const volume = await docker.createVolume({ Name: "rode-volume", Labels: { rode: "1" } });
  later(() => docker.getVolume("rode-volume").remove());
  assert.equal(volume.Name ?? volume.name, "rode-volume");
  const HostConfig = { Mounts: [{ Type: "volume", Source: "rode-volume", Target: "/d" }] };
  const write = await up(later, { Cmd: ["sh", "-c", "echo kept >/d/f"], HostConfig });
  await write.wait();
  const read = await up(later, { Cmd: ["cat", "/d/f"], HostConfig });
  await read.wait();
  assert.equal((await read.logs({ stdout: true })).subarray(8).toString(), "kept\n");
  const list = await docker.listVolumes({ filters: { label: ["rode=1"] } });
  assert.deepEqual(list.Volumes.map((v) => v.Name), ["rode-volume"]);
});

const web = ["sh", "-c", "mkdir /www; echo served >/www/index.html; exec httpd -f -p 80 -h /www"];

await test("published port", async (later) => {
  const container = await up(later, {
    Cmd: web, ExposedPorts: { "80/tcp": {} }, HostConfig: { PortBindings: { "80/tcp": [{ HostPort: "" }] } },
  });
  const { Ports } = (await container.inspect()).NetworkSettings;
  const port = Number(Ports["80/tcp"][0].HostPort);
  await until(() => get(port).then(() => true, () => false));
  assert.equal(await get(port), "served\n");
  const [shown] = await docker.listContainers({ filters: { id: [container.id] } });
  assert.ok(shown.Ports.some((p) => p.PrivatePort === 80 && p.PublicPort === port));
});

await test("networks", async (later) => {
  const network = await docker.createNetwork({ Name: "rode-net" });
  later(() => network.remove());
  await up(later, { Cmd: web, name: "rode-web", HostConfig: { NetworkMode: "rode-net" } });
  const client = await up(later);
  await network.connect({ Container: client.id, EndpointConfig: { Aliases: ["rode-client"] } });
  await until(async () => {
    const exec = await client.exec({ Cmd: ["wget", "-qO-", "http://rode-web/"], AttachStdout: true, AttachStderr: true });
    const said = await demux(await exec.start({ hijack: true }));
    return said.out === "served\n" && said.err === "";
  });
  assert.equal(Object.keys((await network.inspect()).Containers).length, 2);
  await network.disconnect({ Container: client.id });
  assert.equal(Object.keys((await network.inspect()).Containers).length, 1);
});

await test("health", async (later) => {
  const container = await up(later, { Healthcheck: { Test: ["CMD", "true"], Interval: 100e6 } });
  await until(async () => (await container.inspect()).State.Health.Status === "healthy");
});

await test("24 at once", async () => {
  await Promise.all([...Array(24).keys()].map(async (n) => {
    const container = await docker.createContainer({ Image, Cmd: ["sh", "-c", `exit ${n}`] });
    await container.start();
    assert.equal((await container.wait()).StatusCode, n);
    await container.remove();
  }));
});

await test("errors", async () => {
  await assert.rejects(docker.getContainer("no-such").inspect(), { statusCode: 404, reason: "no such container" });
  await assert.rejects(docker.createContainer({ Image: "no-such-image" }), { statusCode: 404 });
});

verdict(`dockerode ${version}`);
