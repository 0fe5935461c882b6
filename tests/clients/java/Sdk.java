// docker-java against a running daemon (DOCKER_HOST says where). The last line sums up.
import com.github.dockerjava.api.DockerClient;
import com.github.dockerjava.api.async.ResultCallback;
import com.github.dockerjava.api.command.CreateContainerResponse;
import com.github.dockerjava.api.command.WaitContainerResultCallback;
import com.github.dockerjava.api.exception.NotFoundException;
import com.github.dockerjava.api.model.*;
import com.github.dockerjava.core.DefaultDockerClientConfig;
import com.github.dockerjava.core.DockerClientImpl;
import com.github.dockerjava.zerodep.ZerodepDockerHttpClient;
import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

public class Sdk {
    static final String IMAGE = "busybox:latest";
    static final String WEB = "mkdir /www; echo served >/www/index.html; exec httpd -f -p 80 -h /www";
    static DockerClient client;
    static int passed, failed;

    interface Body { void run(List<String> made) throws Exception; }
    interface Claim { boolean holds() throws Exception; }

    static void test(String name, Body body) {
        List<String> made = new ArrayList<>();
        try {
            body.run(made);
            passed++;
        } catch (Throwable e) {
            failed++;
            System.out.println("FAIL " + name + ": " + e);
        }
        for (String id : made)
            try {
                client.removeContainerCmd(id).withForce(true).withRemoveVolumes(true).exec();
            } catch (NotFoundException gone) { /* well */ }
    }

    static void same(Object got, Object wanted) {
        if (!wanted.equals(got)) throw new AssertionError("got " + got + ", wanted " + wanted);
    }

    static void until(Claim claim) throws Exception {
        for (int i = 0; i < 1200; i++) {
            if (claim.holds()) return;
            Thread.sleep(50);
        }
        throw new AssertionError("it did not come true");
    }

    static class Collector extends ResultCallback.Adapter<Frame> {
        final StringBuilder out = new StringBuilder(), err = new StringBuilder();

        @Override public synchronized void onNext(Frame f) {
            (f.getStreamType() == StreamType.STDERR ? err : out).append(new String(f.getPayload()));
        }
        @Override public synchronized String toString() { return out.toString(); }
    }

    static String create(List<String> made, HostConfig given, String... cmd) {
        HostConfig host = given == null ? HostConfig.newHostConfig() : given;
        CreateContainerResponse c = client.createContainerCmd(IMAGE).withCmd(cmd).withHostConfig(host).exec();
        made.add(c.getId());
        return c.getId();
    }

    static String up(List<String> made, HostConfig host, String... cmd) {
        String id = create(made, host, cmd);
        client.startContainerCmd(id).exec();
        return id;
    }

    static int waitFor(String id) {
        return client.waitContainerCmd(id).exec(new WaitContainerResultCallback()).awaitStatusCode(60, TimeUnit.SECONDS);
    }

    static String fetch(int port) throws Exception {
        return HttpClient.newHttpClient().send(HttpRequest.newBuilder(URI.create("http://127.0.0.1:" + port + "/")).build(),
                HttpResponse.BodyHandlers.ofString()).body();
    }

    static String exec(String id, String... cmd) throws Exception {
        String exec = client.execCreateCmd(id).withCmd(cmd).withAttachStdout(true).withAttachStderr(true).exec().getId();
        Collector c = new Collector();
        client.execStartCmd(exec).exec(c).awaitCompletion(60, TimeUnit.SECONDS);
        until(() -> client.inspectExecCmd(exec).exec().getExitCodeLong() != null);
        return client.inspectExecCmd(exec).exec().getExitCodeLong() + " " + c;
    }

    public static void main(String[] args) throws Exception {
        var config = DefaultDockerClientConfig.createDefaultConfigBuilder().build();
        client = DockerClientImpl.getInstance(config,
                new ZerodepDockerHttpClient.Builder().dockerHost(config.getDockerHost()).maxConnections(50).build());

        test("version, info", made -> {
            same(client.infoCmd().exec().getOsType(), "linux");
            same(client.versionCmd().exec().getOperatingSystem(), "linux");
        });
        test("run, wait, logs", made -> {
            String id = up(made, null, "sh", "-c", "echo out; echo err >&2; exit 3");
            same(waitFor(id), 3);
            Collector c = new Collector();
            client.logContainerCmd(id).withStdOut(true).withStdErr(true).withFollowStream(true).exec(c).awaitCompletion();
            same(c.out + "|" + c.err, "out\n|err\n");
        });
        test("exec", made -> same(exec(up(made, null, "sleep", "60"), "sh", "-c", "echo hello; exit 5"), "5 hello\n"));
        test("attach with stdin", made -> {
            String id = client.createContainerCmd(IMAGE).withCmd("cat").withStdinOpen(true).withStdInOnce(true)
                    .withAttachStdin(true).exec().getId();
            made.add(id);
            Collector c = new Collector();
            client.attachContainerCmd(id).withStdIn(new ByteArrayInputStream("typed\n".getBytes())).withStdOut(true)
                    .withFollowStream(true).exec(c);
            client.startContainerCmd(id).exec();
            until(() -> c.toString().equals("typed\n"));
            c.close(); // this client cannot close half of a connection: its leaving ends stdin
            same(waitFor(id), 0);
        });
        test("copy", made -> {
            String id = up(made, null, "sleep", "60");
            same(exec(id, "sh", "-c", "echo copy >/tmp/note"), "0 ");
            byte[] tar;
            try (InputStream in = client.copyArchiveFromContainerCmd(id, "/tmp/note").exec()) { tar = in.readAllBytes(); }
            client.copyArchiveToContainerCmd(id).withTarInputStream(new ByteArrayInputStream(tar)).withRemotePath("/home").exec();
            same(exec(id, "cat", "/home/note"), "0 copy\n");
        });
        test("states, stats, top", made -> {
            String id = up(made, null, "sh", "-c", "while :; do :; done");
            client.pauseContainerCmd(id).exec();
            same(client.inspectContainerCmd(id).exec().getState().getPaused(), true);
            client.unpauseContainerCmd(id).exec();
            var stats = new ResultCallback.Adapter<Statistics>() {
                Statistics last;
                @Override public void onNext(Statistics s) { last = s; }
            };
            client.statsCmd(id).withNoStream(true).exec(stats).awaitCompletion(60, TimeUnit.SECONDS);
            same(stats.last.getMemoryStats().getUsage() > 0, true);
            same(client.topContainerCmd(id).exec().getProcesses().length > 0, true);
            client.killContainerCmd(id).exec();
            same(waitFor(id), 137);
        });
        test("published port", made -> {
            String id = client.createContainerCmd(IMAGE).withCmd("sh", "-c", WEB).withExposedPorts(ExposedPort.tcp(80))
                    .withHostConfig(HostConfig.newHostConfig().withPublishAllPorts(true)).exec().getId();
            made.add(id);
            client.startContainerCmd(id).exec();
            int port = Integer.parseInt(client.inspectContainerCmd(id).exec().getNetworkSettings().getPorts().getBindings()
                    .get(ExposedPort.tcp(80))[0].getHostPortSpec());
            until(() -> { try { return fetch(port).equals("served\n"); } catch (java.io.IOException e) { return false; } });
        });
        test("networks", made -> {
            String net = client.createNetworkCmd().withName("java-net").exec().getId();
            String server = client.createContainerCmd(IMAGE).withCmd("sh", "-c", WEB).withName("java-web")
                    .withHostConfig(HostConfig.newHostConfig().withNetworkMode("java-net")).exec().getId();
            made.add(server);
            client.startContainerCmd(server).exec();
            String other = up(made, HostConfig.newHostConfig().withNetworkMode("java-net"), "sleep", "60");
            until(() -> exec(other, "wget", "-qO-", "http://java-web/").equals("0 served\n"));
            same(client.inspectNetworkCmd().withNetworkId(net).exec().getContainers().size(), 2);
            for (String id : made) client.removeContainerCmd(id).withForce(true).exec();
            made.clear();
            client.removeNetworkCmd(net).exec();
        });
        test("volumes", made -> {
            client.createVolumeCmd().withName("java-volume").withLabels(Map.of("java", "1")).exec();
            HostConfig host = HostConfig.newHostConfig().withBinds(Bind.parse("java-volume:/d"));
            same(waitFor(up(made, host, "sh", "-c", "echo kept >/d/f")), 0);
            same(waitFor(up(made, host, "grep", "kept", "/d/f")), 0);
            for (String id : made) client.removeContainerCmd(id).exec();
            made.clear();
            client.removeVolumeCmd("java-volume").exec();
        });
        test("sixteen at once", made -> {
            ExecutorService pool = Executors.newFixedThreadPool(16);
            List<Future<Integer>> all = new ArrayList<>();
            for (int i = 0; i < 16; i++) {
                String id = create(made, null, "sh", "-c", "exit " + i);
                all.add(pool.submit(() -> { client.startContainerCmd(id).exec(); return waitFor(id); }));
            }
            for (int i = 0; i < 16; i++) same(all.get(i).get(), i);
            pool.shutdown();
        });
        test("errors", made -> {
            try {
                client.inspectContainerCmd("no-such").exec();
                throw new AssertionError("no error");
            } catch (NotFoundException e) {
                same(e.getMessage().contains("No such container: no-such"), true);
            }
        });
        System.out.println("docker-java " + System.getProperty("version", "") + ": " + passed + " passed, " + failed + " failed");
        client.close();
        System.exit(failed > 0 ? 1 : 0);
    }
}
