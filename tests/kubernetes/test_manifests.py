"""The plain manifests, as kustomize builds them."""

import itertools
import os
import pathlib
import re
import tempfile
import tomllib
import unittest

import yaml
from tools import CHART, GENERATIONS, ROOT, TOOLS, Objects, check, configs, pod_spec, rules, run, sidecar, template, validate

FOLDER = ROOT / "config/kubernetes"
BUILT = ["example", "etcd", "monitored", "cron", "statefulset", "migration"]
# These change the example, whose objects they share.
VARIANTS = {"etcd", "monitored"}
WORKLOADS = {"Deployment", "StatefulSet"}


def build(name, generation="newest"):
    return Objects(yaml.safe_load_all(run(TOOLS / generation / "kubectl", "kustomize", FOLDER / name)))


def build_as_the_readme_says(application):
    """A kustomization of one's own, of the folder `migration` the Deployment and the config."""
    (snippet,) = re.findall(r"## In your own kustomization\n\n```yaml\n(.*?)```", (FOLDER / "README.md").read_text(), flags=re.DOTALL)
    with tempfile.TemporaryDirectory() as own:
        component = os.path.relpath(FOLDER / "sidecar", os.path.realpath(own))
        snippet = snippet.replace("path/to/config/kubernetes/sidecar", component)
        for name, text in {
            "kustomization.yaml": snippet,
            "deployment.yaml": (FOLDER / "migration/deployment.yaml").read_text(),
            "config.yaml": (FOLDER / "migration/config.yaml").read_text(),
        }.items():
            pathlib.Path(own, name).write_text(text.replace("payments", application))
        return build(own)


def workload(objects):
    (found,) = [each for each in objects if each["kind"] in WORKLOADS]
    return found


class Version(unittest.TestCase):
    def test_everything_that_names_the_image_names_the_version_of_the_program(self):
        version = tomllib.loads((ROOT / "Cargo.toml").read_text())["package"]["version"]
        chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
        component = yaml.safe_load((FOLDER / "sidecar/kustomization.yaml").read_text())
        (image,) = component["images"]
        (dockerfile,) = re.findall(r"^ARG VERSION=(.*)$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
        named = {"Chart.yaml": chart["version"], "appVersion": chart["appVersion"], "kustomization": image["newTag"], "Dockerfile": dockerfile}
        for place in ["README.md", "Dockerfile", "charts/tenure/README.md", "charts/tenure/values.yaml", "config/kubernetes/README.md"]:
            for index, tag in enumerate(re.findall(r"\b(?:tenure:|version: )([0-9][^\s`,)]*)", (ROOT / place).read_text())):
                named[f"{place} {index}"] = tag
        self.assertEqual(named, dict.fromkeys(named, version))


class Manifests(unittest.TestCase):
    def test_there_is_a_test_for_each_folder(self):
        folders = {path.parent.name for path in FOLDER.glob("*/kustomization.yaml")}
        self.assertEqual(folders, {*BUILT, "sidecar"})

    def test_every_kustomize_builds_the_same_and_it_fits_the_schemas(self):
        for name in BUILT:
            with self.subTest(name):
                built = {generation: build(name, generation) for generation in GENERATIONS}
                self.assertEqual(built["oldest"], built["newest"])
                for kubernetes in GENERATIONS.values():
                    validate(built["newest"], kubernetes)

    def test_tenure_accepts_every_config(self):
        for name in BUILT:
            with self.subTest(name):
                (config,) = configs(build(name))
                check(config)

    def test_everything_that_is_named_is_there(self):
        for name in BUILT:
            with self.subTest(name):
                objects = build(name)
                spec = pod_spec(workload(objects))
                objects.one("ServiceAccount", spec["serviceAccountName"])
                objects.one("Role", objects.one("RoleBinding")["roleRef"]["name"])
                self.assertEqual(objects.one("RoleBinding")["subjects"][0]["name"], spec["serviceAccountName"])
                maps = [each["configMap"]["name"] for each in spec["volumes"] if "configMap" in each]
                self.assertEqual(maps, [objects.one("ConfigMap")["metadata"]["name"]])
                volumes = {each["name"] for each in spec["volumes"]}
                claims = {each["metadata"]["name"] for each in workload(objects)["spec"].get("volumeClaimTemplates", [])}
                for container in spec["initContainers"] + spec["containers"]:
                    self.assertLessEqual({each["name"] for each in container.get("volumeMounts", [])}, volumes | claims)
                labels = workload(objects)["spec"]["template"]["metadata"]["labels"]
                for service in objects.of("Service"):
                    selector = {key: value for key, value in service["spec"]["selector"].items() if key in labels}
                    self.assertLessEqual(selector.items(), labels.items())

    def test_no_two_applications_of_a_namespace_share_an_object(self):
        applications = {name: build(name) for name in BUILT if name not in VARIANTS}
        applications |= {name: build_as_the_readme_says(name) for name in ["orders", "invoices"]}
        for (one, theirs), (other, ours) in itertools.combinations(applications.items(), 2):
            with self.subTest(one=one, other=other):
                self.assertEqual(identities(theirs) & identities(ours), set())

    def test_the_role_allows_what_the_config_needs(self):
        for name in BUILT:
            with self.subTest(name):
                objects = build(name)
                (text,) = configs(objects)
                config = yaml.safe_load(text)
                kubernetes = config.get("kubernetes", {})
                needs = set()
                if "kubernetes" in config["store"]:
                    needs |= {(verb, "leases", (config["election"],)) for verb in ["get", "watch", "update"]}
                    needs.add(("create", "leases", ()))
                if "pod_label" in kubernetes:
                    needs.add(("patch", "pods", ()))
                if kubernetes.get("events"):
                    needs.add(("create", "events", ()))
                    if "kubernetes" not in config["store"]:
                        needs.add(("get", "pods", ()))
                self.assertEqual(rules(objects), needs)

    def test_the_example_is_the_one_of_the_chart(self):
        plain, chart = build("example"), template("--set=config.election=example")
        ours, theirs = pod_spec(workload(plain)), pod_spec(workload(chart))
        theirs_sidecar = sidecar(workload(chart))
        theirs_sidecar["env"] = [each for each in theirs_sidecar["env"] if each["name"] != "CONFIG_SHA256"]
        self.assertEqual(sidecar(workload(plain)), theirs_sidecar)
        application, theirs_application = ours["containers"][0], theirs["containers"][0]
        self.assertEqual(application["args"][0].strip(), theirs_application["args"][0].strip())
        del application["args"], theirs_application["args"]
        self.assertEqual(application, theirs_application)
        self.assertEqual(ours["terminationGracePeriodSeconds"], theirs["terminationGracePeriodSeconds"])
        self.assertEqual(rules(plain), rules(chart))
        self.assertEqual([yaml.safe_load(each) for each in configs(plain)], [yaml.safe_load(each) for each in configs(chart)])
        self.assertEqual(plain.one("Service")["spec"]["ports"], chart.one("Service")["spec"]["ports"])

    def test_an_application_that_migrates_can_keep_its_service_account(self):
        (patches,) = re.findall(r"service account becomes.*?```yaml\n(.*?)```", (FOLDER / "README.md").read_text(), flags=re.DOTALL)
        patches = yaml.safe_load(patches)
        with tempfile.TemporaryDirectory() as own:
            migration = os.path.relpath(FOLDER / "migration", os.path.realpath(own))
            pathlib.Path(own, "kustomization.yaml").write_text(yaml.safe_dump({"resources": [migration], "patches": patches}))
            objects = build(own)
        self.assertEqual(pod_spec(workload(objects))["serviceAccountName"], "payments")
        self.assertEqual([each["name"] for each in objects.one("RoleBinding")["subjects"]], ["payments"])

    def test_a_migration_never_runs_the_old_beside_the_new(self):
        before = yaml.safe_load((FOLDER / "migration/before.yaml").read_text())
        after = workload(build("migration"))
        validate([before], "1.29")
        self.assertEqual(before["metadata"]["name"], after["metadata"]["name"])
        self.assertEqual(before["spec"]["selector"], after["spec"]["selector"])
        self.assertEqual(after["spec"]["strategy"], {"type": "Recreate"})


def identities(objects):
    return {(each["apiVersion"], each["kind"], each["metadata"]["name"]) for each in objects}
