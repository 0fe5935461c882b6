// testcontainers for Go, with its reaper on, against a running daemon (DOCKER_HOST says where).
// The last line sums up.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/exec"
	"github.com/testcontainers/testcontainers-go/network"
	"github.com/testcontainers/testcontainers-go/wait"
)

const image = "busybox:latest"

var (
	ctx            = context.Background()
	passed, failed int
)

// test runs one case; what it has made is ended after it.
func test(name string, body func(made *[]testcontainers.Container) error) {
	var made []testcontainers.Container
	err := body(&made)
	for i := len(made) - 1; i >= 0; i-- {
		if e := testcontainers.TerminateContainer(made[i], testcontainers.StopTimeout(0)); e != nil && err == nil {
			err = e
		}
	}
	if err != nil {
		failed++
		fmt.Printf("FAIL %s: %v\n", name, err)
		return
	}
	passed++
}

func want(got, wanted any) error {
	if got != wanted {
		return fmt.Errorf("got %q, wanted %q", got, wanted)
	}
	return nil
}

func web(made *[]testcontainers.Container, options ...testcontainers.ContainerCustomizer) (testcontainers.Container, error) {
	script := "mkdir -p /www; echo served >/www/index.html; echo ready; exec httpd -f -p 8000 -h /www"
	all := append([]testcontainers.ContainerCustomizer{
		testcontainers.WithCmd("sh", "-c", script),
		testcontainers.WithExposedPorts("8000/tcp"),
	}, options...)
	c, err := testcontainers.Run(ctx, image, all...)
	if c != nil {
		*made = append(*made, c)
	}
	return c, err
}

func fetch(c testcontainers.Container) (string, error) {
	url, err := c.PortEndpoint(ctx, "8000/tcp", "http")
	if err != nil {
		return "", err
	}
	client := http.Client{Timeout: 10 * time.Second}
	reply, err := client.Get(url + "/")
	if err != nil {
		return "", err
	}
	defer reply.Body.Close()
	body, err := io.ReadAll(reply.Body)
	return string(body), err
}

func served(strategy wait.Strategy) func(made *[]testcontainers.Container) error {
	return func(made *[]testcontainers.Container) error {
		c, err := web(made, testcontainers.WithWaitStrategy(strategy))
		if err != nil {
			return err
		}
		body, err := fetch(c)
		if err != nil {
			return err
		}
		return want(body, "served\n")
	}
}

func runs(c testcontainers.Container, cmd ...string) (int, string, error) {
	code, reader, err := c.Exec(ctx, cmd, exec.Multiplexed())
	if err != nil {
		return 0, "", err
	}
	out, err := io.ReadAll(reader)
	return code, string(out), err
}

func execs(made *[]testcontainers.Container) error {
	c, err := web(made)
	if err != nil {
		return err
	}
	code, out, err := runs(c, "sh", "-c", "echo out; exit 4")
	if err != nil {
		return err
	}
	if err := want(code, 4); err != nil {
		return err
	}
	return want(out, "out\n")
}

func copies(made *[]testcontainers.Container) error {
	c, err := web(made, testcontainers.WithFiles(testcontainers.ContainerFile{
		Reader: strings.NewReader("early\n"), ContainerFilePath: "/srv/early", FileMode: 0o600}))
	if err != nil {
		return err
	}
	if err := c.CopyToContainer(ctx, []byte("late\n"), "/srv/late", 0o644); err != nil {
		return err
	}
	if _, out, err := runs(c, "cat", "/srv/early", "/srv/late"); err != nil || out != "early\nlate\n" {
		return fmt.Errorf("%q %v", out, err)
	}
	reader, err := c.CopyFileFromContainer(ctx, "/srv/late")
	if err != nil {
		return err
	}
	defer reader.Close()
	data, err := io.ReadAll(reader)
	if err != nil {
		return err
	}
	return want(string(data), "late\n")
}

func logs(made *[]testcontainers.Container) error {
	c, err := web(made, testcontainers.WithWaitStrategy(wait.ForLog("ready")))
	if err != nil {
		return err
	}
	reader, err := c.Logs(ctx)
	if err != nil {
		return err
	}
	defer reader.Close()
	seen := make([]byte, 0, 100)
	for !bytes.Contains(seen, []byte("ready\n")) {
		part := make([]byte, 100)
		n, err := reader.Read(part)
		if err != nil {
			return err
		}
		seen = append(seen, part[:n]...)
	}
	return nil
}

func networks(made *[]testcontainers.Container) error {
	net, err := network.New(ctx)
	if err != nil {
		return err
	}
	if _, err = web(made, network.WithNetwork([]string{"web"}, net),
		testcontainers.WithWaitStrategy(wait.ForListeningPort("8000/tcp"))); err != nil {
		return err
	}
	client, err := web(made, network.WithNetwork(nil, net))
	if err != nil {
		return err
	}
	_, out, err := runs(client, "wget", "-qO-", "http://web:8000/")
	if err != nil {
		return err
	}
	if err := want(out, "served\n"); err != nil {
		return err
	}
	for _, c := range *made {
		if err := testcontainers.TerminateContainer(c, testcontainers.StopTimeout(0)); err != nil {
			return err
		}
	}
	*made = nil
	return net.Remove(ctx)
}

func many(made *[]testcontainers.Container) error {
	var group sync.WaitGroup
	all := make([]testcontainers.Container, 12)
	errs := make([]error, len(all))
	for i := range all {
		group.Add(1)
		go func() {
			defer group.Done()
			var own []testcontainers.Container
			all[i], errs[i] = web(&own, testcontainers.WithWaitStrategy(wait.ForHTTP("/").WithPort("8000/tcp")))
		}()
	}
	group.Wait()
	for i, c := range all {
		if c != nil {
			*made = append(*made, c)
		}
		if errs[i] != nil {
			return errs[i]
		}
	}
	return nil
}

func version() string {
	info, _ := debug.ReadBuildInfo()
	for _, m := range info.Deps {
		if m.Path == "github.com/testcontainers/testcontainers-go" {
			return m.Version
		}
	}
	return "?"
}

func main() {
	test("wait for the port", served(wait.ForListeningPort("8000/tcp")))
	test("wait for HTTP", served(wait.ForHTTP("/").WithPort("8000/tcp")))
	test("wait for a command", served(wait.ForExec([]string{"wget", "-qO-", "http://127.0.0.1:8000/"})))
	test("wait for a line", served(wait.ForAll(wait.ForLog("ready"), wait.ForListeningPort("8000/tcp"))))
	test("exec", execs)
	test("copies", copies)
	test("logs", logs)
	test("networks", networks)
	test("twelve at once", many)
	fmt.Printf("testcontainers-go %s: %d passed, %d failed\n", version(), passed, failed)
	if failed > 0 {
		os.Exit(1)
	}
}
