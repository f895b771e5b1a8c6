"""The applications of the examples, in the shell that their image has, beside real sidecars.

Each replica has a network of its own, as a pod has, and the store is a directory that they share. Needs root, or a kernel
that lets others have namespaces too.
"""

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import yaml
from test_manifests import build, workload
from tools import CHART, TENURE, pod_spec, run

PATIENCE = 20
APPLETS = ["sh", "wget", "httpd", "sleep", "mkdir", "mv", "sed", "date", "timeout", "touch"]


class Pod:
    """A sidecar, and beside it an application; both see the same loopback. `started` is told of every process."""

    def __init__(self, folder, name, script, started, **environment):
        self.folder, self.name, self.started = folder, name, started
        self.network = self.start("network", ["unshare", "--net", "--map-root-user", "sh", "-c", "ip link set lo up && echo up && exec sleep 600"])
        until(lambda: self.said("network") == ["up"])
        config = ["run", "--config", folder / "config.yaml", "--set", f"candidate.id={name}"]
        self.start("sidecar", self.inside(TENURE, *config))
        # As a native sidecar has it: the application is started once the startup probe has succeeded.
        until(lambda: self.succeeds(folder / "bin/wget", "-q", "-O", "-", "http://127.0.0.1:4041/startupz"))
        environment = {"POD_NAME": name, "PATH": str(folder / "bin"), **environment}
        self.application = self.start("application", self.inside(folder / "bin/sh", "-c", script), env=environment)

    def start(self, what, command, **options):
        with open(self.folder / f"{self.name}.{what}", "w") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True, **options)
        self.started(process)
        return process

    def inside(self, *command):
        nsenter = [shutil.which("nsenter"), f"--target={self.network.pid}", "--user", "--net", "--preserve-credentials"]
        return [*nsenter, *map(str, command)]

    def succeeds(self, *command):
        return subprocess.run(self.inside(*command), capture_output=True, timeout=PATIENCE).returncode == 0

    def read(self, url):
        return run(*self.inside(self.folder / "bin/wget", "-q", "-O", "-", url))

    def said(self, what="application"):
        return (self.folder / f"{self.name}.{what}").read_text().splitlines()

    def stop_application(self):
        """What the kubelet does first to a pod with a native sidecar."""
        os.kill(self.application.pid, signal.SIGTERM)
        self.application.wait(timeout=PATIENCE)


def until(holds):
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "not within the time; this needs root, or namespaces for all"
        time.sleep(0.02)


class Examples(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "bin").mkdir()
        for applet in APPLETS:
            (self.folder / "bin" / applet).symlink_to(shutil.which("busybox"))
        # So long that nothing of what is seen here can be a lease that has run out.
        config = {"election": "example", "lease": {"ttl": "60s"}, "store": {"file": {"directory": str(self.folder / "elections")}}}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))

    def pod(self, name, script, **environment):
        return Pod(self.folder, name, script, self.end_with_the_test, **environment)

    def end_with_the_test(self, process):
        def end():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=PATIENCE)

        self.addCleanup(end)

    def test_the_chart_s_example_says_who_leads_and_hands_over_when_it_ends(self):
        script = (CHART / "files/example.sh").read_text()
        a = self.pod("a", script, WWW=str(self.folder / "www-a"), ELECTION="example")
        until(lambda: a.said() == ["a leads"])
        b = self.pod("b", script, WWW=str(self.folder / "www-b"), ELECTION="example")
        until(lambda: b.said() == ['b doesn\'t lead; the leader: {"name":"a"}'])
        self.assertEqual(a.read("http://127.0.0.1:8080/"), "a leads\n")
        a.stop_application()
        ended = time.monotonic()
        until(lambda: b.said()[-1] == "b leads")
        # The promise that was read in `a` at most a second before would have lasted for 24 s at least.
        self.assertLess(time.monotonic() - ended, 5)

    def test_the_cron_like_job_works_under_its_token_and_only_where_it_leads(self):
        script = script_of("cron")
        # With minutes of a second each.
        quick = script.replace("sleep $((60 - $(date +%s) % 60))", "sleep 1")
        self.assertNotEqual(quick, script)
        a = self.pod("a", quick)
        b = self.pod("b", quick)
        until(lambda: len(a.said()) > 2)
        self.assertEqual(set(a.said()), {"working under token 1"})
        self.assertEqual(b.said(), [])
        a.stop_application()
        until(b.said)
        self.assertEqual(b.said()[0], "working under token 2")

    def test_a_replica_of_the_stateful_set_copies_from_the_primary(self):
        def pod(name):
            data = self.folder / name
            data.mkdir()
            return self.pod(name, script_of("statefulset").replace("/data", str(data))), data / "log"

        config = yaml.safe_load((self.folder / "config.yaml").read_text())
        config["candidate"] = {"advertise": "http://127.0.0.1:8081"}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(config))
        primary, written = pod("a")
        until(lambda: " a\n" in text(written))
        replica, copied = pod("b")
        # It can't reach the primary's network: what that serves, it finds here, at the address that the primary advertises.
        replica.start("primary", replica.inside(self.folder / "bin/httpd", "-f", "-h", written.parent, "-p", "8081"))
        until(lambda: " a\n" in text(copied))
        primary.stop_application()
        until(lambda: " b\n" in text(copied))
        self.assertTrue(copied.read_text().startswith(written.read_text()))


def text(path):
    return path.read_text() if path.exists() else ""


def script_of(name):
    (application,) = pod_spec(workload(build(name)))["containers"]
    (script,) = application["args"]
    return script
