"""The chart by itself."""

import itertools
import json
import re
import unittest

import yaml
from tools import CHART, GENERATIONS, Failed, check, configs, helm, pod_spec, rules, sidecar, template, validate, values

CASES = ["default", "plain-container", "etcd", "elections", "everything", "socket"]


class Chart(unittest.TestCase):
    def test_every_case_is_rendered_alike_by_all_helms_and_fits_the_schemas(self):
        for case in CASES:
            with self.subTest(case):
                rendered = {}
                for generation, kubernetes in GENERATIONS.items():
                    helm(generation, "lint", "--strict", CHART, values(case))
                    objects = template(values(case), generation=generation)
                    validate(objects, kubernetes)
                    rendered[generation] = objects
                self.assertCountEqual(rendered["oldest"], rendered["newest"])

    def test_every_case_has_notes_that_name_the_release(self):
        # The others are the example's.
        for case in sorted(set(CASES) - {"socket"}):
            with self.subTest(case):
                shown = notes(values(case))
                self.assertIn("kubectl --namespace prod get pods --selector app.kubernetes.io/instance=rel", shown)
                self.assertIn('include "tenure.sidecar" .Subcharts.tenure', shown)

    def test_the_notes_delete_and_ask_whom_the_service_leads_to(self):
        for args in [[], [values("elections")], ["--set=config.kubernetes.pod_label.key=role,config.kubernetes.pod_label.leader=boss"]]:
            with self.subTest(args):
                shown, service = notes(*args), template(*args).of("Service")[0]
                (deleted,) = re.findall(r"delete pod --selector (.*)", shown)
                self.assertLessEqual(set(deleted.split(",")[1:]), {f"{key}={value}" for key, value in service["spec"]["selector"].items()})
                # No pod has to be started for it, which a namespace with PodSecurity `restricted` would refuse.
                self.assertIn(f"get --raw /api/v1/namespaces/prod/services/{service['metadata']['name']}:http/proxy/\n", shown)

    def test_tenure_accepts_every_config(self):
        for case in CASES:
            with self.subTest(case):
                (config,) = configs(template(values(case)))
                check(config)

    def test_the_schema_knows_every_key_of_tenure_and_no_other(self):
        schema = json.loads((CHART / "values.schema.json").read_text())["properties"]["config"]
        effective = [yaml.safe_load(check(config)) for case in ["everything", "socket"] for config in configs(template(values(case)))]
        for path in itertools.chain(*map(keys, effective)):
            node = schema
            # `tenure exec` is for an image of one's own; the pod and its namespace are known from the environment.
            if path[0] == "exec" or path[-1] in ["namespace", "pod"]:
                continue
            for key in path:
                self.assertIn(key, node.get("properties", {}), path)
                node = node["properties"][key]
                node = next((each for each in node.get("oneOf", []) if "properties" in each), node)

    def test_an_old_cluster_gets_a_plain_container_and_is_told_so_otherwise(self):
        objects = template(values("plain-container"), kubernetes="1.25")
        validate(objects, "1.25")
        self.assertNotIn("restartPolicy", sidecar(objects.one("Deployment")))
        self.assertNotIn("initContainers", pod_spec(objects.one("Deployment")))
        with self.assertRaisesRegex(Failed, "set sidecar.native=false"):
            template(kubernetes="1.28")

    def test_a_value_that_cannot_be_is_refused_with_its_name(self):
        for setting, name in {
            "imgae.tag=1": "imgae",
            "image.digest=sha256:1": "digest",
            "config.lease.tll=3s": "tll",
            "config.lease.ttl=3": "ttl",
            "config.election=a/b": "election",
            "config.election=Capital": "config.election",
            "config.elections={a},config.election=b": "config.elections",
            "config.store.etcd.endpoints={etcd:2379}": "endpoints",
            "config.store.file.directory=/x,config.store.kubernetes=": "store",
            "config.store.file.directory=/state": "example.replicas=1",
            "config.http.api=127.0.0.1:4050": "example.enabled=false",
            "config.http.token_file=/etc/secrets/api/token": "example.enabled=false",
            "config.http.probes=127.0.0.1:4041": "http.probes",
            "config.http.probes=[::1]:4041": "http.probes",
            "config.readiness=ready": "readiness",
            "config.shutdown.wait_for=ever": "wait_for",
            "config.log.level=loud": "level",
            "service.targetPort=70000": "targetPort",
            "secrets={Not_A_Name}": "secrets",
            "sidecar.livenessProbe.initialDelay=3": "initialDelay",
            "example.enabled=false": "selector",
            "podMonitor.enabled=true,example.enabled=false,service.enabled=false": "selector",
            "networkPolicy.enabled=true,example.enabled=false,service.enabled=false": "selector",
        }.items():
            for generation in GENERATIONS:
                with self.subTest(setting, generation=generation), self.assertRaisesRegex(Failed, name):
                    template("--set", setting, generation=generation)

    def test_a_new_config_rolls_the_pods_out_and_nothing_else_does(self):
        def pods(*args):
            return template(*args).one("Deployment")["spec"]["template"]

        before = pods()
        self.assertNotEqual(before, pods("--set=config.lease.ttl=20s"))
        for same in ["podMonitor.enabled=true", "podDisruptionBudget.maxUnavailable=2", "example.replicas=5"]:
            self.assertEqual(before, pods(f"--set={same}"), same)

    def test_the_sidecar_may_do_what_its_config_needs_and_no_more(self):
        leases = {(verb, "leases", ("rel-tenure",)) for verb in ["get", "watch", "update"]}
        leases.add(("create", "leases", ()))
        label = {("patch", "pods", ())}
        events = {("create", "events", ())}
        # What Events are about where there is no Lease.
        pod = {("get", "pods", ())}
        self.assertEqual(rules(template()), leases | label | events)
        self.assertEqual(rules(template("--set=service.enabled=false")), leases | events)
        self.assertEqual(rules(template("--set=config.kubernetes.events=false")), leases | label)
        etcd = "--set=config.store.etcd.endpoints={http://etcd:2379}"
        self.assertEqual(rules(template(etcd)), label | events | pod)
        self.assertEqual(rules(template("--set=rbac.create=false")), set())

    def test_only_the_sidecar_has_a_token_and_only_where_it_needs_one(self):
        def mounts(container):
            return [mount["name"] for mount in container.get("volumeMounts", [])]

        objects = template()
        deployment = objects.one("Deployment")
        self.assertIn("tenure-token", mounts(sidecar(deployment)))
        self.assertNotIn("tenure-token", mounts(pod_spec(deployment)["containers"][0]))
        self.assertFalse(objects.one("ServiceAccount")["automountServiceAccountToken"])
        self.assertFalse(pod_spec(deployment)["automountServiceAccountToken"])
        self.assertNotIn("tenure-token", mounts(sidecar(template(values("etcd")).one("Deployment"))))

    def test_all_containers_run_unprivileged_on_a_read_only_root(self):
        objects = template()
        deployment = pod_spec(objects.one("Deployment"))
        containers = deployment["initContainers"] + deployment["containers"] + objects.one("Pod")["spec"]["containers"]
        self.assertEqual(len(containers), 3)
        for container in containers:
            context = container["securityContext"]
            self.assertTrue(context["runAsNonRoot"])
            self.assertTrue(context["readOnlyRootFilesystem"])
            self.assertFalse(context["allowPrivilegeEscalation"])
            self.assertEqual(context["capabilities"], {"drop": ["ALL"]})
            self.assertEqual(context["seccompProfile"], {"type": "RuntimeDefault"})
            self.assertIn("memory", container["resources"]["limits"])

    def test_the_service_selects_the_pods_by_the_label_that_the_config_sets(self):
        for args in [[], [values("everything")]]:
            objects = template(*args)
            (config,) = configs(objects)
            label = yaml.safe_load(config)["kubernetes"]["pod_label"]
            selector = objects.one("Service")["spec"]["selector"]
            self.assertEqual(selector.pop(label["key"]), label["leader"])
            labels = objects.one("Deployment")["spec"]["template"]["metadata"]["labels"]
            self.assertLessEqual(selector.items(), labels.items())

    def test_the_service_names_no_port_of_a_native_sidecar(self):
        ports = {port["name"]: port["targetPort"] for port in template().one("Service")["spec"]["ports"]}
        self.assertEqual(ports, {"http": 8080, "tenure-probes": 4041})

    def test_each_of_several_elections_has_a_service_and_a_lease(self):
        objects = template(values("elections"))
        services = {each["metadata"]["name"]: each["spec"]["selector"] for each in objects.of("Service")}
        self.assertEqual(sorted(services), ["rel-tenure-payments", "rel-tenure-reports-daily"])
        self.assertEqual(services["rel-tenure-reports-daily"]["tenure.dev/reports.daily"], "leader")
        self.assertIn(("update", "leases", ("payments", "reports.daily")), rules(objects))

    def test_two_elections_whose_services_would_have_one_name_are_refused(self):
        end = "a" * 60
        for one, other in [("a.b", "a-b"), (f"{end}1", f"{end}2")]:
            with self.subTest(one), self.assertRaisesRegex(Failed, f'config.elections: "{one}" and "{other}" would share the Service'):
                template(f"--set=config.elections={{{one},{other}}}")
        self.assertEqual(template("--set=config.elections={a.b,a-b},service.enabled=false").of("Service"), [])

    def test_the_application_is_started_before_it_is_asked_whether_it_is_healthy(self):
        def startup(*args):
            return sidecar(template(*args).one("Deployment"))["startupProbe"]["httpGet"]["path"]

        self.assertEqual(startup(), "/startupz")
        self.assertEqual(startup("--set=config.application.health=http://127.0.0.1:8080/"), "/livez")

    def test_the_probes_follow_the_config(self):
        for address in ["0.0.0.0:9041", "[::]:9041"]:
            objects = template(f"--set=config.http.probes={address}", "--set=config.candidate.advertise=http://[${POD_IP}]:8080")
            self.assertEqual(sidecar(objects.one("Deployment"))["ports"], [{"name": "tenure-probes", "containerPort": 9041}])
            check(*configs(objects))
        tls = "--set=config.http.probes_tls.cert_file=/a,config.http.probes_tls.key_file=/b"
        probe = sidecar(template(tls).one("Deployment"))["livenessProbe"]
        self.assertEqual(probe["httpGet"]["scheme"], "HTTPS")

    def test_where_the_probes_speak_tls_prometheus_is_told_whom_to_trust_and_helm_tests_nothing(self):
        trust = ["--set=podMonitor.enabled=true,podMonitor.tlsConfig.ca.secret.name=ca,podMonitor.tlsConfig.ca.secret.key=ca.crt"]
        tls = ["--set=config.http.probes_tls.cert_file=/a,config.http.probes_tls.key_file=/b", *trust]
        objects = template(*tls)
        (endpoint,) = objects.one("PodMonitor")["spec"]["podMetricsEndpoints"]
        self.assertEqual(endpoint["scheme"], "https")
        self.assertEqual(endpoint["tlsConfig"], {"ca": {"secret": {"name": "ca", "key": "ca.crt"}}})
        self.assertEqual(objects.of("Pod"), [])
        self.assertIn("`helm test` tests nothing", notes(*tls))
        (endpoint,) = template(*trust).one("PodMonitor")["spec"]["podMetricsEndpoints"]
        self.assertNotIn("tlsConfig", endpoint)

    def test_names_are_of_63_characters_at_most(self):
        long = "a" * 53
        for args in [[], [values("elections")], ["--set=fullnameOverride=" + "b" * 63]]:
            for each in template(*args, "--set=dashboard.enabled=true", release=long):
                self.assertLessEqual(len(each["metadata"]["name"]), 63)

    def test_each_secret_is_a_directory_of_its_own(self):
        deployment = template(values("everything")).one("Deployment")
        mounts = {each["name"]: each["mountPath"] for each in sidecar(deployment)["volumeMounts"]}
        secrets = {each["secret"]["secretName"]: each["name"] for each in pod_spec(deployment)["volumes"] if "secret" in each}
        self.assertEqual(sorted(secrets), ["api", "registry.example-ca"])
        for secret, volume in secrets.items():
            self.assertRegex(volume, "^[a-z0-9-]{1,63}$")
            self.assertEqual(mounts[volume], f"/etc/secrets/{secret}")

    def test_names_can_be_overridden(self):
        self.assertEqual(template(values("everything")).one("Deployment")["metadata"]["name"], "rel-elect")
        objects = template("--set=fullnameOverride=mine")
        self.assertEqual(objects.one("Deployment")["metadata"]["name"], "mine")
        self.assertEqual(pod_spec(objects.one("Deployment"))["serviceAccountName"], "mine")
        self.assertEqual(objects.one("RoleBinding")["subjects"][0]["name"], "mine")
        objects = template("--set=serviceAccount.create=false,serviceAccount.name=theirs")
        self.assertEqual(pod_spec(objects.one("Deployment"))["serviceAccountName"], "theirs")
        self.assertEqual(objects.of("ServiceAccount"), [])

    def test_the_example_has_a_budget_unless_that_is_turned_off(self):
        self.assertEqual(template().one("PodDisruptionBudget")["spec"]["maxUnavailable"], 1)
        self.assertEqual(template("--set=podDisruptionBudget.enabled=false").of("PodDisruptionBudget"), [])

    def test_what_is_off_is_not_there(self):
        kinds = {each["kind"] for each in template()}
        self.assertEqual(kinds & {"NetworkPolicy", "PodMonitor", "PrometheusRule"}, set())
        off = template("--set=example.enabled=false,service.enabled=false")
        self.assertEqual({each["kind"] for each in off}, {"ConfigMap", "ServiceAccount", "Role", "RoleBinding"})

    def test_the_network_policy_opens_what_is_used(self):
        def ports(*args):
            policy = template("--set=networkPolicy.enabled=true", *args).one("NetworkPolicy")["spec"]
            return [{port["port"] for rule in policy[way] for port in rule["ports"]} for way in ["ingress", "egress"]]

        self.assertEqual(ports(), [{4041, 8080}, {53, 443, 6443}])
        self.assertEqual(ports(values("etcd")), [{4041}, {53, 2379}])


def notes(*args):
    """What Helm prints once the release is installed. Only Helm 4 shows it without a cluster."""
    return helm("newest", "install", "rel", CHART, "--dry-run=client", "--namespace=prod", *args).split("NOTES:")[1]


def keys(config, above=()):
    for key, value in config.items():
        path = (*above, key)
        if isinstance(value, dict):
            yield from keys(value, path)
        else:
            yield path
