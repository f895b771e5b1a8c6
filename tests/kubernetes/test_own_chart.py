"""Three lines in somebody else's chart."""

import shutil
import unittest

from tools import GENERATIONS, Failed, check, configs, own_chart, pod_spec, rules, sidecar, template, validate


class OwnChart(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder, cls.chart = own_chart()

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder)

    def render(self, *args, **options):
        return template(*args, chart=self.chart, **options)

    def test_three_lines_put_the_sidecar_into_every_kind_of_workload(self):
        for generation, kubernetes in GENERATIONS.items():
            objects = self.render(generation=generation)
            validate(objects, kubernetes)
            for kind in ["Deployment", "StatefulSet", "Job"]:
                with self.subTest(kind, generation=generation):
                    workload = objects.one(kind)
                    self.assertEqual(sidecar(workload)["restartPolicy"], "Always")
                    volumes = [volume["name"] for volume in pod_spec(workload)["volumes"]]
                    mounts = [mount["name"] for mount in sidecar(workload)["volumeMounts"]]
                    self.assertEqual(volumes, mounts)
                    account = pod_spec(workload)["serviceAccountName"]
                    self.assertIn(account, [each["metadata"]["name"] for each in objects.of("ServiceAccount")])

    def test_the_example_is_not_there(self):
        self.assertEqual([each["metadata"]["name"] for each in self.render().of("Deployment")], ["web"])

    def test_a_condition_turns_the_dependency_on_and_off(self):
        for generation in GENERATIONS:
            with self.subTest(generation):
                self.assertEqual(len(configs(self.render(generation=generation))), 3)
                off = self.render("--set=backup.enabled=false", generation=generation)
                self.assertEqual(len(configs(off)), 2)
                self.assertEqual(off.of("Job"), [])

    def test_each_alias_is_an_election_of_its_own(self):
        objects = self.render()
        elections = [next(iter(line.split()[1:])) for config in configs(objects) for line in config.splitlines() if line.startswith("election:")]
        self.assertCountEqual(elections, ["rel-tenure", "rel-reports", "backup"])
        for config in configs(objects):
            check(config)
        self.assertIn(("update", "leases", ("backup",)), rules(objects))

    def test_the_service_and_the_monitor_select_the_pods_that_are_named(self):
        objects = self.render()
        selectors = {each["metadata"]["name"]: each["spec"]["selector"] for each in objects.of("Service")}
        self.assertEqual(
            selectors,
            {
                "rel-tenure-leader": {"app": "web", "tenure.dev/role": "leader"},
                "rel-reports-leader": {"app": "reports", "tenure.dev/role": "leader"},
            },
        )
        self.assertEqual(objects.one("PodMonitor")["spec"]["selector"], {"matchLabels": {"app": "reports"}})

    def test_what_selects_pods_that_are_not_named_is_refused(self):
        for setting in ["tenure.selector=null", "backup.networkPolicy.enabled=true"]:
            with self.subTest(setting), self.assertRaisesRegex(Failed, "selector: name the labels"):
                self.render(f"--set={setting}")

    def test_without_a_service_to_the_leader_no_pod_may_be_patched(self):
        objects = self.render("--set=tenure.selector=null,tenure.service.enabled=false")
        role = objects.one("Role", "rel-tenure")
        self.assertNotIn(["pods"], [rule["resources"] for rule in role["rules"]])

    def test_pods_of_the_parent_have_a_budget_only_where_one_is_asked_for(self):
        for generation in GENERATIONS:
            with self.subTest(generation):
                self.assertEqual(self.render(generation=generation).of("PodDisruptionBudget"), [])
                asked = self.render("--set=tenure.podDisruptionBudget.enabled=true", generation=generation)
                self.assertEqual(asked.one("PodDisruptionBudget")["spec"]["selector"], {"matchLabels": {"app": "web"}})

    def test_a_bad_value_is_refused_below_the_alias_too(self):
        with self.assertRaisesRegex(Failed, "tll"):
            self.render("--set=reports.config.lease.tll=3s")
