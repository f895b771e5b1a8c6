"""What the tests have in common: the tools, run as a user would, and the objects that they print."""

import os
import pathlib
import shutil
import subprocess
import tempfile

import kubernetes_validate
import yaml

ROOT = pathlib.Path(__file__).parents[2]
HERE = ROOT / "tests/kubernetes"
CHART = ROOT / "charts/tenure"
TOOLS = ROOT / "target/kubernetes"
TENURE = os.environ.get("TENURE", ROOT / "target/debug/tenure")
# What helm and kubectl there are, each with the version of Kubernetes that it is taken to face.
GENERATIONS = {"oldest": "1.29", "newest": "1.37"}
# For which there are no schemas: they come with the Prometheus operator.
OPERATOR = "monitoring.coreos.com/v1"


class Failed(Exception):
    """A tool said no; this is what it printed."""


def run(*command, **options):
    command = [str(word) for word in command]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **options)
    if done.returncode != 0:
        raise Failed(done.stdout + done.stderr)
    return done.stdout


def helm(generation, *args):
    with tempfile.TemporaryDirectory() as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "HELM_NO_PLUGINS": "1"}
        return run(TOOLS / generation / "helm", *args, env=environment)


def template(*args, generation="newest", chart=CHART, release="rel", kubernetes=None):
    """The objects of a chart, as those of the namespace `prod`."""
    version = f"{kubernetes or GENERATIONS[generation]}.0"
    rendered = helm(generation, "template", release, chart, "--namespace=prod", f"--kube-version={version}", *args)
    return Objects(yaml.safe_load_all(rendered))


def values(name):
    return f"--values={HERE / 'values' / name}.yaml"


def own_chart():
    """Somebody's chart with its dependencies, in a folder that is to be removed."""
    folder = pathlib.Path(tempfile.mkdtemp())
    shutil.copytree(CHART, folder / "charts/tenure")
    shutil.copytree(HERE / "own-chart", folder / "tests/kubernetes/own-chart")
    chart = folder / "tests/kubernetes/own-chart"
    helm("newest", "dependency", "update", chart, "--skip-refresh")
    return folder, chart


class Objects(list):
    def __init__(self, documents):
        super().__init__(document for document in documents if document)

    def of(self, kind):
        return [each for each in self if each["kind"] == kind]

    def one(self, kind, name=None):
        found = [each for each in self.of(kind) if name in (None, each["metadata"]["name"])]
        assert len(found) == 1, f"{len(found)} of {kind} {name or ''}"
        return found[0]


def pod_spec(workload):
    return workload["spec"]["template"]["spec"]


def sidecar(workload):
    spec = pod_spec(workload)
    containers = spec.get("initContainers", []) + spec["containers"]
    (found,) = [each for each in containers if each["name"] == "tenure"]
    return found


def rules(objects):
    """What the Role allows, as a set of sentences."""
    return {
        (verb, resource, tuple(rule.get("resourceNames", [])))
        for role in objects.of("Role")
        for rule in role["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def validate(objects, kubernetes):
    """Holds the objects against the schemas of that version; nothing that is not in them may be there."""
    for each in objects:
        if each["apiVersion"] != OPERATOR:
            kubernetes_validate.validate(each, kubernetes, strict=True)


def configs(objects):
    """The text of every config of tenure."""
    maps = objects.of("ConfigMap")
    return [each["data"]["config.yaml"] for each in maps if "config.yaml" in each["data"]]


def check(config):
    """Has tenure read a config, in the environment of a pod."""
    pod = {"POD_NAME": "web-0", "POD_NAMESPACE": "prod", "POD_IP": "10.0.0.3", "NODE_NAME": "node"}
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(config)
        file.flush()
        return run(TENURE, "check", "--config", file.name, env={**pod, "ETCD": "https://etcd-0.etcd:2379"})
