"""The alerts and the dashboard, read by promtool, and held against the metrics of a running tenure."""

import json
import re
import subprocess
import tempfile
import unittest
import urllib.request

import yaml
from tools import CHART, HERE, ROOT, TENURE, run, template, values

DASHBOARD = json.loads((CHART / "files/dashboard.json").read_text())
# What Grafana puts in before it asks.
VARIABLES = {"$namespace": "prod", "$election": "payments", "$__rate_interval": "1m"}


class Alerts(unittest.TestCase):
    def test_each_fires_when_it_should_and_not_otherwise(self):
        run("promtool", "check", "rules", CHART / "files/alerts.yaml")
        run("promtool", "test", "rules", HERE / "alerts_test.yaml")

    def test_each_is_tried(self):
        rules = yaml.safe_load((CHART / "files/alerts.yaml").read_text())["groups"][0]["rules"]
        tests = yaml.safe_load((HERE / "alerts_test.yaml").read_text())["tests"]
        fired = {each["alertname"] for test in tests for each in test["alert_rule_test"] if each["exp_alerts"]}
        self.assertEqual({rule["alert"] for rule in rules}, fired)

    def test_the_operator_gets_the_same_rules(self):
        rule = template(values("everything")).one("PrometheusRule")
        self.assertEqual(rule["spec"], yaml.safe_load((CHART / "files/alerts.yaml").read_text()))


class Dashboard(unittest.TestCase):
    def test_the_chart_ships_it_as_it_is(self):
        shipped = template(values("everything")).one("ConfigMap", "rel-elect-dashboard")
        self.assertEqual(shipped["metadata"]["labels"]["grafana_dashboard"], "1")
        self.assertEqual(json.loads(shipped["data"]["tenure.json"]), DASHBOARD)

    def test_its_panels_have_places_names_and_the_variable_data_source(self):
        panels = DASHBOARD["panels"]
        self.assertGreaterEqual(DASHBOARD["schemaVersion"], 36)
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        taken = set()
        for panel in panels:
            self.assertTrue(panel["title"])
            for asked in [panel, *panel["targets"]]:
                self.assertEqual(asked["datasource"]["uid"], "${datasource}")
            x, y, w, h = (panel["gridPos"][side] for side in "xywh")
            place = {(column, row) for column in range(x, x + w) for row in range(y, y + h)}
            self.assertLessEqual(x + w, 24)
            self.assertFalse(place & taken, panel["title"])
            taken |= place
        self.assertEqual([each["name"] for each in DASHBOARD["templating"]["list"]], ["datasource", "namespace", "election"])

    def test_promtool_can_read_every_expression(self):
        records = [{"record": f"panel:{index}", "expr": expr} for index, expr in enumerate(expressions())]
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump({"groups": [{"name": "dashboard", "rules": records}]}, file)
            file.flush()
            run("promtool", "check", "rules", file.name)

    def test_elections_of_one_name_in_two_namespaces_are_told_apart(self):
        for expression in expressions():
            for grouping in re.findall(r"\bby \(([^)]*)\)", expression):
                self.assertLessEqual({"namespace", "election"}, set(grouping.split(", ")), expression)
        shown = json.dumps(DASHBOARD)
        self.assertEqual(shown.count("{{election}}"), shown.count("{{namespace}}/{{election}}"))

    def test_a_leader_leads_since_it_last_did_not_or_since_its_start(self):
        panel = next(each for each in DASHBOARD["panels"] if each["title"] == "Leads for")
        expression = with_variables(panel["targets"][0]["expr"])

        def series(metric, pod, values):
            labels = f'namespace="prod", pod="{pod}", instance="{pod}:4041", job="tenure"'
            election = ', election="payments"' if metric == "tenure_is_leader" else ""
            return {"series": f"{metric}{{{labels}{election}}}", "values": values}

        test = {
            "interval": "15s",
            "input_series": [
                series("tenure_is_leader", "former", "1x8 0x40"),
                series("tenure_is_leader", "leader", "0x8 1x40"),
                series("tenure_is_leader", "always", "1x48"),
                series("process_start_time_seconds", "leader", "0x48"),
                series("process_start_time_seconds", "always", "30x48"),
            ],
            "promql_expr_test": [
                {
                    "expr": expression,
                    "eval_time": "10m",
                    "exp_samples": [
                        {"labels": '{namespace="prod", election="payments", pod="leader"}', "value": 480},
                        {"labels": '{namespace="prod", election="payments", pod="always"}', "value": 570},
                    ],
                }
            ],
        }
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            yaml.safe_dump({"evaluation_interval": "15s", "tests": [test]}, file)
            file.flush()
            run("promtool", "test", "rules", file.name)


class Metrics(unittest.TestCase):
    def test_alerts_and_dashboard_name_only_metrics_that_there_are(self):
        exposed = set(re.findall(r"^([a-z_]+)[{ ]", scrape(), flags=re.MULTILINE))
        readme = (ROOT / "README.md").read_text()
        # Only with credentials for a store, or in a cluster.
        elsewhere = {"tenure_credentials_valid", "tenure_certificate_expiry_timestamp_seconds", "tenure_pod_label_synced"}
        for name in elsewhere:
            self.assertTrue(f"| `{name}` |" in readme, name)
        rules = (CHART / "files/alerts.yaml").read_text()
        for text in [*expressions(), *re.findall(r"expr: .*|^ {10}\S.*", rules, flags=re.MULTILINE)]:
            for name in re.findall(r"\b(?:tenure|process)_[a-z_]+", text):
                self.assertIn(name, exposed | elsewhere)


def expressions():
    queries = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    queries += [each["expr"] for each in DASHBOARD["annotations"]["list"]]
    return [with_variables(query) for query in queries]


def with_variables(query):
    for variable, text in VARIABLES.items():
        query = query.replace(variable, text)
    return query


def scrape():
    """What a leader exposes."""
    with tempfile.TemporaryDirectory() as folder:
        config = f"{folder}/config.yaml"
        with open(config, "w") as file:
            file.write(f"election: payments\nstore: {{ file: {{ directory: {folder}/elections }} }}\n")
            file.write("http: { api: 127.0.0.1:0, probes: 127.0.0.1:0 }\nlog: { format: json }\n")
        sidecar = subprocess.Popen([TENURE, "run", "--config", config], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        try:
            started = json.loads(sidecar.stdout.readline())
            with urllib.request.urlopen(f"http://{find(started, 'probes')}/metrics", timeout=5) as answer:
                return answer.read().decode()
        finally:
            sidecar.terminate()
            sidecar.wait(timeout=20)
            sidecar.stdout.close()


def find(record, key):
    """The value of a key at whatever depth."""
    return record[key] if key in record else next(find(each, key) for each in record.values() if isinstance(each, dict))
