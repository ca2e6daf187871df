"""The dashboard for Grafana and the alerts for Prometheus use the metrics that Holdfast writes, and no others.

Each check is held against a copy that was broken on purpose. With `promtool` in PATH (Debian's package prometheus), it
reads the rules as well.
"""

import json
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import harness  # noqa: E402
import prometheus_text  # noqa: E402

DASHBOARD = ROOT / "packaging" / "grafana" / "holdfast.json"
RULES = ROOT / "packaging" / "prometheus" / "holdfast.rules.yml"
# What writes metrics, the name of its table, and the page that describes them.
TABLES = ((ROOT / "src" / "operate" / "metrics.cc", "kMetrics", ROOT / "docs" / "status.md"),
          (ROOT / "src" / "serve" / "wal_metrics.cc", "kWalMetrics", ROOT / "docs" / "engine.md"))
PANELS = {"stat", "timeseries", "table", "gauge", "bargauge"}
LABELS = {"source", "database", "kind", "store", "severity", "job", "rule", "version"}


def metrics_of(source: Path, name: str) -> set[str]:
    """Those of a table; what is not there cannot be written."""
    table = source.read_text().split(f"{name}[] = {{", 1)[1].split("\n};", 1)[0]
    return set(re.findall(r'\{"(holdfast_\w+)"', table))


def metrics_written() -> set[str]:
    return set().union(*(metrics_of(source, name) for source, name, _ in TABLES))


def metrics_in(expression: str) -> set[str]:
    return set(re.findall(r"\bholdfast_\w+", expression))


def labels_in(expression: str) -> set[str]:
    matchers = re.findall(r"\{([^}]*)\}", expression)
    named = {name for text in matchers for name in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", text)}
    grouped = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression)
    return named | {name.strip() for text in grouped for name in text.split(",")}


def faults_of_dashboard(board: dict) -> list[str]:
    """What Grafana's own schema of a dashboard (v39) asks for and this one has not."""
    faults = []
    for key, kind in (("title", str), ("uid", str), ("schemaVersion", int), ("panels", list),
                      ("templating", dict), ("time", dict), ("annotations", dict), ("tags", list)):
        if not isinstance(board.get(key), kind):
            faults.append(f"{key} is no {kind.__name__}")
    if not re.fullmatch(r"[a-zA-Z0-9_-]{1,40}", board.get("uid", "")):
        faults.append("uid")
    variables = {v["name"]: v for v in board["templating"]["list"]}
    sources = [n for n, v in variables.items() if v["type"] == "datasource" and v["query"] == "prometheus"]
    if sources != ["datasource"]:
        faults.append("no variable for the data source")
    known = metrics_written()
    for name, variable in variables.items():
        query = str(variable["definition"]) if variable["type"] == "query" else ""
        if query and query != variable["query"]["query"]:
            faults.append(f"variable {name}: two queries")
        faults += [f"variable {name}: {m}" for m in metrics_in(query) - known]
        faults += [f"variable {name}: label {n}" for n in labels_in(query) - LABELS]
    ids, taken = set(), set()
    for panel in board["panels"]:
        title = panel["title"]
        if panel["id"] in ids or panel["type"] not in PANELS:
            faults.append(f"{title}: id or type")
        ids.add(panel["id"])
        if panel["datasource"] != {"type": "prometheus", "uid": "${datasource}"} or not panel["targets"]:
            faults.append(f"{title}: data source or targets")
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        if cells & taken or at["x"] + at["w"] > 24:
            faults.append(f"{title}: lies over another, or outside")
        taken |= cells
        if len({t["refId"] for t in panel["targets"]}) != len(panel["targets"]):
            faults.append(f"{title}: refId twice")
        for target in panel["targets"]:
            used = metrics_in(target["expr"])
            faults += [f"{title}: {m} is not written" for m in used - known]
            faults += [f"{title}: label {n}" for n in labels_in(target["expr"]) - LABELS]
            if not used:
                faults.append(f"{title}: no metric in {target['expr']}")
            if target["expr"].count("$source") != len(re.findall(r"\bholdfast_\w+", target["expr"])):
                faults.append(f"{title}: not of the chosen source")
            faults += [f"{title}: variable {v}" for v in re.findall(r"\$\{?(\w+)", target["expr"])
                       if v not in variables]
    return faults


def rules_of(text: str) -> list[dict]:
    """The rules, by the few forms that our file has; anything else in it is a ValueError.

    Not a reading of YAML at large: it refuses what it does not know, so a file that passes is what it seems.
    """
    rules: list[dict] = []
    lines = [line for line in text.split("\n") if line.strip() and not line.startswith("#")]
    if lines[:3] != ["groups:", "  - name: holdfast", "    rules:"]:
        raise ValueError(f"the head: {lines[:3]}")
    section = None
    for line in lines[3:]:
        if match := re.fullmatch(r"      - alert: (Holdfast\w+)", line):
            rules.append({"alert": match.group(1), "labels": {}, "annotations": {}})
        elif match := re.fullmatch(r"        (expr|for): (\S.*)", line):
            rules[-1][match.group(1)] = match.group(2)
        elif match := re.fullmatch(r"        (labels|annotations):", line):
            section = match.group(1)
        elif match := re.fullmatch(r"          (\w+): (\S.*)", line):
            text_value = match.group(2)
            quoted = text_value.startswith('"') and text_value.endswith('"') and '"' not in text_value[1:-1]
            if not quoted and re.search(r": | #|^[\[{>|*&!%@`'\"]", text_value):
                raise ValueError(f"not plain, and not quoted: {line!r}")
            rules[-1][section][match.group(1)] = text_value.strip('"')
        else:
            raise ValueError(f"no line of a rule: {line!r}")
    return rules


def faults_of_rules(text: str) -> list[str]:
    faults, known, names = [], metrics_written(), set()
    for rule in rules_of(text):
        name = rule["alert"]
        if name in names:
            faults.append(f"{name} twice")
        names.add(name)
        if not metrics_in(rule.get("expr", "")):
            faults.append(f"{name}: no metric")
        faults += [f"{name}: {m} is not written" for m in metrics_in(rule["expr"]) - known]
        faults += [f"{name}: label {n}" for n in labels_in(rule["expr"]) - LABELS]
        if re.search(r"[:#]\s", rule["expr"]):
            faults.append(f"{name}: an expression that YAML would take apart")
        if "for" in rule and not re.fullmatch(r"[0-9]+[mh]", rule["for"]):
            faults.append(f"{name}: for")
        if rule["labels"].get("severity") not in ("warning", "critical"):
            faults.append(f"{name}: severity")
        if set(rule["annotations"]) != {"summary", "description"}:
            faults.append(f"{name}: annotations")
        for said in rule["annotations"].values():
            faults += [f"{name}: label {n}" for n in set(re.findall(r"\$labels\.(\w+)", said)) - LABELS]
    return faults


class Dashboard(unittest.TestCase):
    def setUp(self):
        self.text = DASHBOARD.read_text()

    def test_it_is_one_that_grafana_takes(self):
        self.assertEqual(faults_of_dashboard(json.loads(self.text)), [])

    def test_faults_are_noticed(self):
        for before, after, said in (
                ("holdfast_backup_last_bytes", "holdfast_backup_size", "holdfast_backup_size is not written"),
                ("holdfast_ok{source=~", "holdfast_ok{sauce=~", "label sauce"),
                ('"type": "timeseries"', '"type": "graph"', "type"),
                ('"schemaVersion": 39', '"schemaVersion": "39"', "schemaVersion"),
                ('"query": "prometheus"', '"query": "loki"', "data source")):
            with self.subTest(after):
                self.assertIn(before, self.text)
                faults = faults_of_dashboard(json.loads(self.text.replace(before, after, 1)))
                self.assertIn(said, "\n".join(faults))


class Rules(unittest.TestCase):
    def setUp(self):
        self.text = RULES.read_text()

    def test_they_are_about_metrics_that_are_written(self):
        self.assertEqual(faults_of_rules(self.text), [])

    def test_silence_age_and_violations_are_alerts(self):
        expressions = {r["alert"]: r["expr"] for r in rules_of(self.text)}
        self.assertIn("absent(", expressions["HoldfastMissing"])
        for metric in ("holdfast_backup_age_seconds", "holdfast_rpo_seconds", "holdfast_rto_seconds",
                       "holdfast_violations", "holdfast_store_up", "holdfast_next_run_timestamp_seconds",
                       "holdfast_wal_lag_seconds", "holdfast_wal_lag_bytes", "holdfast_wal_gaps_total"):
            self.assertTrue(any(metric in e for e in expressions.values()), metric)

    def test_faults_are_noticed(self):
        for before, after, said in (
                ("absent(holdfast_status_timestamp_seconds)", "absent(holdfast_status)", "is not written"),
                ("severity: critical\n", "severity: fatal\n", "severity"),
                ("for: 30m", "for: 30 minutes", "for"),
                ("$labels.source", "$labels.sauce", "label sauce")):
            with self.subTest(after):
                self.assertIn(before, self.text)
                self.assertIn(said, "\n".join(faults_of_rules(self.text.replace(before, after, 1))))
        with self.assertRaises(ValueError):
            rules_of(self.text.replace("        expr:", "         expr:", 1))

    @unittest.skipUnless(shutil.which("promtool"), "no promtool (Debian's package prometheus)")
    def test_promtool_takes_them(self):
        def check(text: str) -> int:
            copy = harness.temp_dir("hf-rules-") / "rules.yml"
            copy.write_text(text)
            return subprocess.run(["promtool", "check", "rules", copy], capture_output=True, timeout=60).returncode

        self.assertEqual(check(self.text), 0)
        self.assertNotEqual(check(self.text.replace("absent(holdfast", "absnt(holdfast", 1)), 0)


# name{labels} → values; what is not said stands still for three hours.
GOOD_DAY = {
    "holdfast_status_timestamp_seconds": "0+300x36", "holdfast_rpo_seconds": "3600x36",
    "holdfast_rpo_target_seconds": "86400x36", "holdfast_rto_seconds": "600x36",
    "holdfast_rto_target_seconds": "14400x36", "holdfast_backup_age_warning_seconds": "90000x36",
    "holdfast_backup_age_critical_seconds": "172800x36",
    'holdfast_backup_age_seconds{kind="dump",store="local"}': "3600x36",
    'holdfast_backup_proof_ok{kind="dump",store="local"}': "1x36",
    'holdfast_backups_damaged{kind="dump",store="local"}': "0x36",
    'holdfast_store_up{kind="dump",store="local"}': "1x36",
    'holdfast_drill_last_ok{kind="dump"}': "1x36",
    'holdfast_next_run_timestamp_seconds{job="backup"}': "86400x36",
    'holdfast_violations{kind="rpo",severity="critical"}': "0x36",
    'holdfast_violations{kind="policy",severity="warning"}': "0x36",
    "holdfast_wal_lag_seconds": "5x36", "holdfast_wal_lag_target_seconds": "300x36",
    "holdfast_wal_lag_bytes": "1000x36", "holdfast_wal_lag_target_bytes": "1073741824x36",
    "holdfast_wal_gaps_total": "1x36",
}


@unittest.skipUnless(shutil.which("promtool"), "no promtool (Debian's package prometheus)")
class Alerting(unittest.TestCase):
    """Prometheus itself, over three hours of figures: which alerts fire, at the end of them."""

    def firing(self, changes: dict) -> set[str]:
        series = []
        for name, values in {**GOOD_DAY, **changes}.items():
            if values is None:
                continue
            metric, _, labels = name.partition("{")
            both = 'source="care",database="care"' + ("," + labels.rstrip("}") if labels else "")
            series.append({"series": f"{metric}{{{both}}}", "values": values})
        folder = harness.temp_dir("hf-rules-")
        shutil.copy(RULES, folder / "rules.yml")
        names = [rule["alert"] for rule in rules_of(RULES.read_text())]
        fired = set()
        for name in names:  # promtool compares; it prints nothing that is right
            (folder / "test.json").write_text(json.dumps({
                "rule_files": ["rules.yml"], "evaluation_interval": "5m",
                "tests": [{"interval": "5m", "input_series": series, "promql_expr_test": [{
                    "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}})', "eval_time": "3h",
                    "exp_samples": []}]}]}))
            done = subprocess.run(["promtool", "test", "rules", "test.json"], cwd=folder, capture_output=True,
                                  text=True, timeout=60)
            if done.returncode != 0:
                self.assertIn("got:", done.stdout + done.stderr)
                fired.add(name)
        return fired

    def test_a_good_day_is_silent(self):
        self.assertEqual(self.firing({}), set())

    def test_each_trouble_has_its_alert(self):
        local = '{kind="dump",store="local"}'
        for changes, alerts in (
                ({"holdfast_status_timestamp_seconds": None}, {"HoldfastMissing"}),
                ({"holdfast_status_timestamp_seconds": "0x36"}, {"HoldfastNotMeasured"}),
                ({"holdfast_rpo_seconds": None}, {"HoldfastNothingProven"}),
                ({"holdfast_rpo_seconds": "86401x36"}, {"HoldfastRecoveryPoint"}),
                ({"holdfast_rpo_seconds": "86400x36"}, set()),
                ({"holdfast_rto_seconds": "14401x36"}, {"HoldfastRecoveryTime"}),
                ({"holdfast_rto_seconds": None}, set()),
                ({"holdfast_backup_age_seconds" + local: "90001x36"}, {"HoldfastBackupLate"}),
                ({"holdfast_backup_age_seconds" + local: "172800x36"}, {"HoldfastBackupLate", "HoldfastBackupStale"}),
                ({"holdfast_backups_damaged" + local: "1x36"}, {"HoldfastDamaged"}),
                ({"holdfast_store_up" + local: "0x36"}, {"HoldfastStoreDown"}),
                ({'holdfast_drill_last_ok{kind="dump"}': "0x36"}, {"HoldfastDrillFailed"}),
                ({'holdfast_next_run_timestamp_seconds{job="backup"}': "3600x36"}, {"HoldfastRunMissed"}),
                ({"holdfast_wal_lag_seconds": "301x36"}, {"HoldfastWalLag"}),
                ({"holdfast_wal_lag_seconds": "300x36"}, set()),
                ({"holdfast_wal_lag_bytes": "1073741825x36"}, {"HoldfastWalLag"}),
                ({"holdfast_wal_gaps_total": "1x31 2x4"}, {"HoldfastWalGap"}),
                ({"holdfast_wal_gaps_total": "0x3 2x32"}, set()),  # long ago
                ({'holdfast_violations{kind="rpo",severity="critical"}': "1x36"}, {"HoldfastViolation"})):
            with self.subTest(str(changes)):
                self.assertEqual(self.firing(changes), alerts)


class Documented(unittest.TestCase):
    def test_every_metric_stands_in_the_document(self):
        for source, name, document in TABLES:
            with self.subTest(document.name):
                rows = re.findall(r"^\| `(holdfast_\w+)`", document.read_text(), re.MULTILINE)
                self.assertEqual(sorted(rows), sorted(metrics_of(source, name)))


class Parser(unittest.TestCase):
    """The reading of the text format that test_status.py relies on refuses what is not of it."""

    GOOD = '# HELP a_b what it is\n# TYPE a_b gauge\na_b{x="1\\"\\\\\\n,}",y=""} -1.5\na_b 2\n'

    def test_what_is_right(self):
        metrics = prometheus_text.read(self.GOOD)
        self.assertEqual(metrics, {"a_b": {(("x", '1"\\\n,}'), ("y", "")): -1.5, (): 2.0}})
        self.assertEqual(prometheus_text.value(metrics, "a_b", y=""), -1.5)

    def test_what_is_wrong(self):
        for before, after in (("# TYPE a_b gauge\n", ""), ("gauge", "gauges"), ("a_b 2", "a_c 2"), ("a_b 2", "a_b two"),
                              ("a_b 2\n", "a_b 2"), ("a_b 2", "a_b  2"), ('y=""', 'x=""'), ('y=""', "y"),
                              ("a_b 2", "a_b 2\na_b 3"), ('\\"', '"'), ("# HELP a_b what it is\n", ""),
                              (',y=""}', ',y="",}')):
            with self.subTest(before + " → " + after):
                self.assertIn(before, self.GOOD)
                with self.assertRaises(ValueError):
                    prometheus_text.read(self.GOOD.replace(before, after, 1))


if __name__ == "__main__":
    harness.main()
