// testcontainers for Node, with its reaper on, against a running daemon (DOCKER_HOST says where).
import { createRequire } from "node:module";
import {
  GenericContainer, Network, Wait, getContainerRuntimeClient,
} from "testcontainers";
import { assert, test, until, verdict } from "./harness.mjs";

const version = createRequire(import.meta.url)("testcontainers/package.json").version;
const image = "busybox:latest";
const webScript = "mkdir -p /www; echo served >/www/index.html; echo ready to serve; exec httpd -f -p 8000 -h /www";
const web = () => new GenericContainer(image).withCommand(["sh", "-c", webScript]).withExposedPorts(8000);

async function up(later, container) {
  const started = await container.start();
  later(() => started.stop());
  return started;
}

const fetched = async (c, path = "/") => (await fetch(`http://${c.getHost()}:${c.getMappedPort(8000)}${path}`)).text();

await test("wait for the port", async (later) => {
  const c = await up(later, web().withWaitStrategy(Wait.forListeningPorts()));
  assert.equal(await fetched(c), "served\n");
});

await test("wait for a line of the log", async (later) => {
  const c = await up(later, web().withWaitStrategy(Wait.forLogMessage(/ready to serve/)));
  await until(() => fetched(c).then((body) => body === "served\n", () => false));
});

await test("wait for HTTP", async (later) => {
  const c = await up(later, web().withWaitStrategy(Wait.forHttp("/", 8000).forStatusCode(200)));
  assert.equal(await fetched(c), "served\n");
});

await test("wait for health", async (later) => {
  const c = await up(later, web()
    .withHealthCheck({ test: ["CMD-SHELL", "wget -qO- http://127.0.0.1:8000/"], interval: 200, timeout: 5000, retries: 50 })
    .withWaitStrategy(Wait.forHealthCheck()));
  assert.equal(await fetched(c), "served\n");
});

await test("wait for a command", async (later) => {
  await up(later, web().withWaitStrategy(Wait.forSuccessfulCommand("wget -qO- http://127.0.0.1:8000/")));
});

await test("wait for the end of a one-shot", async (later) => {
  await up(later, new GenericContainer(image).withCommand(["sh", "-c", "sleep 0.2"]).withWaitStrategy(Wait.forOneShotStartup()));
});

await test("a wait that fails tells so", async () => {
  const never = web().withStartupTimeout(1500).withWaitStrategy(Wait.forLogMessage("never said"));
  await assert.rejects(never.start(), /never said|not received/);
});

await test("exec", async (later) => {
  const c = await up(later, web());
  const r = await c.exec(["sh", "-c", "echo out; echo err >&2; exit 4"]);
  assert.deepEqual([r.exitCode, r.stdout, r.stderr], [4, "out\n", "err\n"]);
  const env = await c.exec(["sh", "-c", "echo $A; pwd; id -u"], { env: { A: "b" }, workingDir: "/tmp", user: "1000" });
  assert.equal(env.output, "b\n/tmp\n1000\n");
});

await test("copies before and after the start", async (later) => {
  const c = await up(later, web()
    .withCopyContentToContainer([{ content: "early\n", target: "/srv/early", mode: 0o600 }]));
  await c.copyContentToContainer([{ content: "late\n", target: "/srv/late" }]);
  assert.equal((await c.exec(["cat", "/srv/early", "/srv/late"])).output, "early\nlate\n");
  assert.equal((await c.exec(["stat", "-c", "%a", "/srv/early"])).output, "600\n");
  const archive = await c.copyArchiveFromContainer("/srv/late");
  let bytes = "";
  for await (const part of archive) bytes += part;
  assert.match(bytes, /late\n/);
});

await test("logs", async (later) => {
  const lines = [];
  const c = await up(later, web().withLogConsumer((s) => s.on("data", (line) => lines.push(line.toString()))));
  await until(() => lines.join("").includes("ready to serve"));
  const stream = await c.logs();
  let seen = ""; // the socket of a log does not hold this process: until() does
  stream.on("data", (line) => { seen += line; });
  await until(() => seen.includes("ready to serve"));
});

await test("environment, labels, user, tmpfs, mounts, hosts", async (later) => {
  const c = await up(later, web().withEnvironment({ KEY: "value" }).withLabels({ tc: "yes" })
    .withTmpFs({ "/scratch": "rw,size=1m" }).withExtraHosts([{ host: "elsewhere", ipAddress: "10.9.8.7" }]));
  assert.equal((await c.exec("printenv KEY")).output, "value\n");
  assert.match((await c.exec(["cat", "/etc/hosts"])).output, /10\.9\.8\.7\s+elsewhere/);
  assert.match((await c.exec(["mount"])).output, /\/scratch/);
  const client = await getContainerRuntimeClient();
  assert.equal((await client.container.inspect(client.container.getById(c.getId()))).Config.Labels.tc, "yes");
});

await test("networks and aliases", async (later) => {
  const network = await new Network().start();
  later(() => network.stop());
  const server = await up(later, web().withNetwork(network).withNetworkAliases("web"));
  const client = await up(later, web().withNetwork(network));
  assert.equal((await client.exec(["wget", "-qO-", "http://web:8000/"])).output, "served\n");
  assert.match(server.getIpAddress(network.getName()), /^\d+\.\d+\.\d+\.\d+$/);
});

await test("the same container is reused", async (later) => {
  const reusable = () => web().withReuse();
  const first = await reusable().start();
  later(() => first.stop());
  const second = await reusable().start();
  assert.equal(first.getId(), second.getId());
});

await test("restart keeps the id, stop without removal keeps the container", async (later) => {
  const c = await up(later, web());
  await c.restart();
  await until(() => fetched(c).then((body) => body === "served\n", () => false));
});

await test("twelve at once", async (later) => {
  const all = await Promise.all([...Array(12)].map(() => up(later, web())));
  for (const c of all) assert.equal(await fetched(c), "served\n");
  assert.equal(new Set(all.map((c) => c.getMappedPort(8000))).size, 12);
});

await test("the reaper runs, and is no real image", async () => {
  const client = await getContainerRuntimeClient();
  const reapers = (await client.container.list()).filter((c) => c.Labels["org.testcontainers.ryuk"] === "true");
  assert.equal(reapers.length, 1);
  const { Labels } = (await client.container.inspect(client.container.getById(reapers[0].Id))).Config;
  assert.equal(Labels["sockerless.image"], "stand-in");
  assert.equal(Labels["sockerless.driver"], "stand-in");
});

// Left to the reaper: what clients.sh looks for after we have gone.
await new GenericContainer(image).withName("left-to-the-reaper").withCommand(["sleep", "600"]).start();
await new Network({ nextUuid: () => "left-to-the-reaper" }).start();

verdict(`testcontainers ${version}`);
