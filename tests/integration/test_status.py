"""`holdfast status` says what is: it agrees with what was made, never counts what is damaged or not proven, tells of
stores that are down, and claims no figure that nothing measured."""

import json
import sys
import unittest
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
import prometheus_text  # noqa: E402
from dual_cloud import SAMPLE, DualCloud, start_server  # noqa: E402
from history import age_backup  # noqa: E402

BUCKET = "care-backups"
DAY = 86400


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.addClassCleanup(cls.server.close)
        cls.server.createdb("care")
        cls.server.psql(SAMPLE, db="care")

    def setUp(self):
        self.folder = harness.temp_dir() / "backups"
        self.toml = harness.temp_dir() / "holdfast.toml"
        self.toml.write_text("")
        self.more: dict = {}

    def run_it(self, *args, expect=0, **env):
        return harness.holdfast(*args, expect=expect, env={
            "DATABASE_URL": self.server.url("care"), "BACKUP_DIR": str(self.folder),
            "HOLDFAST_CONFIG": self.toml, **self.more, **env})

    def backup(self, *args, **env) -> str:
        done = self.run_it("backup", "--type", "dump", "--json", *args, **env)
        return done.json()["results"][0]["id"]

    def status(self, *args, expect=0, **env) -> dict:
        return self.run_it("status", "--json", *args, expect=expect, **env).json()

    def history(self, *days) -> dict:
        """A backup of now (0), and copies of it of so many days ago."""
        newest = self.backup()
        now = datetime.now(timezone.utc)
        return {0: newest, **{n: age_backup(self.folder, newest, now, n) for n in days}}

    def spoil(self, id: str) -> None:
        archive = self.folder / f"{id}.dump"
        content = bytearray(archive.read_bytes())
        content[len(content) // 2] ^= 1
        archive.unlink()  # copies made by age_backup are links to it
        archive.write_bytes(content)

    def kinds(self, document) -> set:
        return {(v["kind"], v["severity"]) for v in document["violations"]}


class Local(Case):
    def test_a_folder_that_is_not_there_could_not_be_looked_at(self):
        document = self.status(expect=1)
        self.assertIn(("store", "critical"), self.kinds(document))
        self.assertNotIn("staleness", {kind for kind, _ in self.kinds(document)})
        self.assertIn("is not there", self.run_it("status", expect=1).out)

    def test_nothing_there_is_no_success(self):
        self.folder.mkdir()
        document = self.status(expect=5)
        self.assertFalse(document["ok"])
        self.assertIsNone(document["objectives"]["rpo"]["actual_seconds"])
        self.assertIsNone(document["objectives"]["rto"]["actual_seconds"])
        self.assertEqual({("rpo", "critical"), ("staleness", "critical")}, self.kinds(document))
        self.assertIn("there is no backup", self.run_it("status", expect=5).out)

    def test_it_agrees_with_what_was_made(self):
        made = self.history(1, 2, 3, 5)
        listed = self.run_it("list", "--json").json()["backups"]
        document = self.status()
        self.assertTrue(document["ok"])
        self.assertEqual([], document["violations"])
        self.assertEqual("care", document["database"])
        rpo = document["objectives"]["rpo"]
        self.assertEqual((DAY, True, made[0]), (rpo["target_seconds"], rpo["met"], rpo["by"]))
        self.assertLess(rpo["actual_seconds"], DAY)
        backups = document["backups"]
        self.assertEqual(len(listed), backups["proven"])
        self.assertEqual((listed[-1]["created_at"], listed[0]["created_at"]), (backups["oldest"], backups["newest"]))
        [store] = backups["stores"]
        self.assertEqual(("dump", "local", str(self.folder), True),
                         (store["kind"], store["store"], store["location"], store["reachable"]))
        self.assertEqual((5, 5, 0), (store["count"], store["proven"], store["damaged"]))
        self.assertEqual(sum(b["bytes"] for b in listed), store["bytes"])
        self.assertEqual(made[0], store["last_proven"]["id"])
        self.assertEqual(0, round(backups["trend"]["bytes_per_day"]))  # all of one size
        self.assertEqual(listed[0]["bytes"], backups["trend"]["bytes_projected"])

    def test_without_a_drill_nothing_is_said_of_the_recovery_time(self):
        self.history(1)
        rto = self.status()["objectives"]["rto"]
        self.assertEqual((4 * 3600, None, None), (rto["target_seconds"], rto["actual_seconds"], rto["met"]))
        shown = self.run_it("status").out
        self.assertRegex(shown, r"RTO +not measured +4 h")
        self.assertIn("the recovery time is not measured yet", shown)
        # Once there is a month to drill, its absence is a violation.
        self.history(*range(1, 9), 40)
        document = self.status(expect=5)
        self.assertIn(("drill", "warning"), self.kinds(document))
        self.assertIsNone(document["objectives"]["rto"]["actual_seconds"])

    def test_a_drill_measures_the_recovery_time(self):
        made = self.history(*range(1, 9), 40)
        drill = self.run_it("drill", made[0], "--json").json()
        document = self.status()
        rto = document["objectives"]["rto"]
        self.assertEqual((drill["id"], True), (rto["by"], rto["met"]))
        self.assertAlmostEqual(drill["rto_seconds"], rto["actual_seconds"], delta=0.001)
        self.assertFalse(document["drills"]["dump"]["overdue"])
        self.assertEqual(made[0], document["drills"]["dump"]["last_passed"]["backup"])
        self.assertIsNone(document["drills"]["branch"]["last"])
        rules = {rule["name"]: rule["verdict"] for rule in document["rule_32110"]["rules"]}
        self.assertEqual("yes", rules["errors"])
        # One that fails is a violation, and changes nothing about what was measured.
        self.spoil(made[1])
        failed = self.run_it("drill", made[1], "--json", expect=4).json()
        document = self.status(expect=5)
        self.assertIn(("drill", "critical"), self.kinds(document))
        self.assertEqual(drill["id"], document["objectives"]["rto"]["by"])
        self.assertEqual(failed["id"], document["drills"]["dump"]["last"]["id"])
        metrics = prometheus_text.read(self.run_it("status", "--prometheus", expect=5).out)
        self.assertEqual(0, prometheus_text.value(metrics, "holdfast_drill_last_ok", kind="dump"))
        self.assertAlmostEqual(drill["rto_seconds"], prometheus_text.value(metrics, "holdfast_drill_rto_seconds"),
                               delta=0.01)

    def test_a_damaged_newest_backup_gives_way_to_the_proven_one_before_it(self):
        made = self.history(1.5, 2.5, 3.5)
        self.spoil(made[0])
        self.run_it("verify", made[0], expect=4)
        document = self.status(expect=5)
        rpo = document["objectives"]["rpo"]
        self.assertEqual(made[1.5], rpo["by"])
        self.assertGreaterEqual(rpo["actual_seconds"], 1.5 * DAY)
        self.assertFalse(rpo["met"])
        # In the morning no backup of this history is of yesterday, and the policy counts days.
        self.assertEqual({("rpo", "critical"), ("store", "critical"), ("staleness", "warning")},
                         self.kinds(document) - {("policy", "warning")})
        self.assertEqual(1, document["backups"]["stores"][0]["damaged"])
        self.assertIn(made[0], self.run_it("status", expect=5).out)
        # With room in the objective, the damage alone is left.
        document = self.status("--rpo", "2d", expect=5)
        self.assertTrue(document["objectives"]["rpo"]["met"])
        self.assertNotIn("rpo", {v["kind"] for v in document["violations"]})

    def test_a_manifest_that_does_not_read_is_damage(self):
        made = self.history(1)
        manifest = self.folder / f"{made[0]}.manifest.json"
        manifest.write_text(manifest.read_text().replace('"care"', '"cave"', 1))
        document = self.status(expect=5)
        self.assertEqual(made[1], document["objectives"]["rpo"]["by"])
        self.assertIn(("store", "critical"), self.kinds(document))

    def test_a_backup_that_is_not_proven_is_no_recovery_point(self):
        self.backup("--verify", "none")
        document = self.status(expect=5)
        self.assertIsNone(document["objectives"]["rpo"]["actual_seconds"])
        self.assertEqual({("rpo", "critical")}, self.kinds(document))
        self.assertIsNotNone(document["backups"]["stores"][0]["last"])
        self.assertIsNone(document["backups"]["stores"][0]["last_proven"])
        self.run_it("verify")
        self.status()

    def test_what_the_policy_finds_is_a_violation(self):
        made = self.history(40, 41)  # so one of them stands for no month, and there are too few days
        document = self.status(expect=5)
        said = [v["what"] for v in document["violations"] if v["kind"] == "policy"]
        self.assertTrue(any("backups of only 3 days" in what for what in said), said)
        self.assertTrue(all(v["store"] == "local" for v in document["violations"] if v["kind"] == "policy"))
        self.assertIn(made[0], document["objectives"]["rpo"]["by"])

    def test_objectives_stand_in_the_file_and_flags_beat_them(self):
        self.history(1)
        self.toml.write_text('[objectives]\nrpo = "90m"\nrto = "30m"\n')
        document = self.status()
        self.assertEqual(5400, document["objectives"]["rpo"]["target_seconds"])
        self.assertEqual(1800, document["objectives"]["rto"]["target_seconds"])
        self.assertEqual(7200, self.status("--rpo", "2h")["objectives"]["rpo"]["target_seconds"])
        self.assertEqual(3600, self.status(HOLDFAST_RPO="60m")["objectives"]["rpo"]["target_seconds"])

    def test_what_cannot_be_meant_is_refused(self):
        self.assertIn("no duration", self.run_it("status", "--rpo", "soon", expect=2).err)
        self.assertIn("--prometheus", self.run_it("status", "--json", "--prometheus", expect=2).err)
        self.toml.write_text('[objectives]\nrpo_target = "1h"\n')
        self.assertIn("rpo_target", self.run_it("status", expect=2).err)
        self.toml.write_text("[source.a]\ndatabase_url = 'postgresql://h/a'\n"
                             "[source.b]\ndatabase_url = 'postgresql://h/b'\n")
        self.assertIn("several sources", self.run_it("status", expect=2, DATABASE_URL=None).err)

    def test_several_databases_are_not_measured_as_one(self):
        self.backup()
        self.server.createdb("other")
        self.addCleanup(self.server.psql, "DROP DATABASE other", db="postgres")
        self.backup(DATABASE_URL=self.server.url("other"))
        self.assertEqual(1, self.status()["backups"]["proven"])
        self.assertIn("care, other", self.run_it("status", expect=2, DATABASE_URL=None).err)

    def test_one_screen(self):
        self.history(1, 2)
        lines = self.run_it("status").out.splitlines()
        self.assertLess(len(lines), 40)
        for beginning in ("OBJECTIVE", "RPO", "RTO", "KIND", "dump", "Window", "Retention", "Drills", "Next run",
                          "Storage", "3-2-1-1-0", "3 copies", "2 providers", "1 off-site", "1 immutable", "0 errors"):
            self.assertTrue(any(line.startswith(beginning) for line in lines), beginning)
        self.assertNotIn("\033", "".join(lines))


class WithBucket(Case):
    def setUp(self):
        super().setUp()
        self.s3 = harness.FakeS3()
        self.addCleanup(self.s3.close)
        self.s3.make_bucket(BUCKET, has_lock=True)
        self.more = {"S3_BACKUP_BUCKET": BUCKET, **self.s3.env()}

    def stores(self, document) -> dict:
        return {store["store"]: store for store in document["backups"]["stores"]}

    def test_both_stores_hold_it(self):
        id = self.backup()
        document = self.status()
        stores = self.stores(document)
        self.assertEqual({"local", "s3"}, set(stores))
        self.assertEqual({id}, {store["last_proven"]["id"] for store in stores.values()})
        self.assertEqual(stores["local"]["bytes"], stores["s3"]["bytes"])
        rules = {rule["name"]: rule["verdict"] for rule in document["rule_32110"]["rules"]}
        # The bucket's server is this very machine, as the source is.
        self.assertEqual({"copies": "yes", "providers": "no", "off-site": "no", "immutable": "no",
                          "errors": "not measured"}, rules)

    def test_a_lock_is_asked_for_and_told(self):
        self.toml.write_text('s3_object_lock = "compliance"\n')
        self.backup()
        rules = {rule["name"]: rule for rule in self.status()["rule_32110"]["rules"]}
        self.assertEqual("yes", rules["immutable"]["verdict"])
        self.assertIn("s3: locked until", rules["immutable"]["why"])

    def test_a_store_that_is_down_is_told_and_the_others_count(self):
        id = self.backup()
        self.s3.close()
        document = self.status(expect=5)
        self.assertEqual([("store", "warning", "s3")],
                         [(v["kind"], v["severity"], v["store"]) for v in document["violations"]])
        self.assertEqual(id, document["objectives"]["rpo"]["by"])
        self.assertTrue(document["objectives"]["rpo"]["met"])
        down = self.stores(document)["s3"]
        self.assertFalse(down["reachable"])
        self.assertNotIn("count", down)
        rules = {rule["name"]: rule["verdict"] for rule in document["rule_32110"]["rules"]}
        self.assertEqual("not measured", rules["copies"])
        self.assertRegex(self.run_it("status", expect=5).out, r"dump +s3 .*DOWN")
        metrics = prometheus_text.read(self.run_it("status", "--prometheus", expect=5).out)
        self.assertEqual(0, prometheus_text.value(metrics, "holdfast_store_up", store="s3"))
        self.assertEqual(1, prometheus_text.value(metrics, "holdfast_store_up", store="local"))
        self.assertIsNone(prometheus_text.value(metrics, "holdfast_backups", store="s3"))

    def test_where_nothing_can_be_looked_at_nothing_is_known(self):
        self.backup()
        self.s3.close()
        document = self.status("--store", "s3", expect=1)
        self.assertFalse(document["ok"])
        self.assertIsNone(document["objectives"]["rpo"]["actual_seconds"])
        self.assertIn(("store", "critical"), self.kinds(document))

    def test_a_store_that_lost_a_backup_lacks_it(self):
        id = self.backup()
        for key in self.s3.objects(BUCKET):
            if id in key and ".manifest.json" in key:
                self.s3.aws("s3api", "delete-object", "--bucket", BUCKET, "--key", key)
        document = self.status(expect=5)
        said = [v["what"] for v in document["violations"] if v["kind"] == "policy" and v["store"] == "s3"]
        self.assertTrue(said and "lacks 1 backup" in said[0], document["violations"])
        self.assertIn(("staleness", "critical"), self.kinds(document))

    def test_metrics_say_what_the_document_says(self):
        self.toml.write_text('[objectives]\nrpo = "2h"\n')
        self.history(1, 2)
        document = self.status(expect=5)  # copies of yesterday are in the folder alone
        metrics = prometheus_text.read(self.run_it("status", "--prometheus", expect=5).out)
        value = lambda name, **labels: prometheus_text.value(metrics, name, **labels)  # noqa: E731
        self.assertEqual(0, value("holdfast_ok", source="default", database="care"))
        self.assertEqual(7200, value("holdfast_rpo_target_seconds"))
        self.assertAlmostEqual(document["objectives"]["rpo"]["actual_seconds"], value("holdfast_rpo_seconds"), delta=60)
        self.assertIsNone(value("holdfast_rto_seconds"))
        for name, store in self.stores(document).items():
            for metric, key in (("holdfast_backups", "count"), ("holdfast_backups_proven", "proven"),
                                ("holdfast_store_bytes", "bytes"), ("holdfast_backups_damaged", "damaged")):
                self.assertEqual(store[key], value(metric, store=name, kind="dump"), metric)
            created = datetime.fromisoformat(store["last_proven"]["created_at"].replace("Z", "+00:00")).timestamp()
            self.assertAlmostEqual(created, value("holdfast_backup_last_proven_timestamp_seconds", store=name), delta=0.002)
        counted = {(dict(k)["kind"], dict(k)["severity"]): n for k, n in metrics["holdfast_violations"].items() if n}
        found: dict = {}
        for violation in document["violations"]:
            key = (violation["kind"], violation["severity"])
            found[key] = found.get(key, 0) + 1
        self.assertEqual(found, counted)


class Branches(unittest.TestCase):
    """Backups that are branches, at an API that speaks Neon's language over a real PostgreSQL."""

    @classmethod
    def setUpClass(cls):
        cls.server = start_server()
        cls.addClassCleanup(cls.server.close)

    def setUp(self):
        self.cloud = DualCloud(self.server)
        self.addCleanup(self.cloud.close)

    def test_both_kinds_stand_side_by_side(self):
        legs = {leg["kind"]: leg["id"] for leg in self.cloud.run("backup", "--json").json()["results"]}
        document = self.cloud.run("status", "--json").json()
        stores = {store["kind"]: store for store in document["backups"]["stores"]}
        self.assertEqual(legs, {kind: store["last_proven"]["id"] for kind, store in stores.items()})
        self.assertEqual((1, 1, None), (stores["branch"]["count"], stores["branch"]["proven"], stores["branch"]["bytes"]))
        self.assertEqual(2, document["backups"]["proven"])
        self.assertGreater(document["backups"]["history_seconds"], 0)
        rules = {rule["name"]: rule for rule in document["rule_32110"]["rules"]}
        self.assertIn("a branch", rules["copies"]["why"])
        self.assertIn("a branch is at its source's provider", rules["providers"]["why"])
        metrics = prometheus_text.read(self.cloud.run("status", "--prometheus").out)
        self.assertEqual(1, prometheus_text.value(metrics, "holdfast_backups_proven", kind="branch"))

    def test_a_leg_that_never_made_a_branch_is_missed(self):
        self.cloud.run("backup", "--type", "dump")
        document = self.cloud.run("status", "--json", expect=5).json()
        self.assertEqual([("staleness", "critical")],
                         [(v["kind"], v["severity"]) for v in document["violations"]])
        self.assertIn("there is no branch", document["violations"][0]["what"])


class Shape(Case):
    def test_the_document_has_what_scripts_rely_on(self):
        self.backup()
        document = self.status()
        self.assertEqual({"ok", "source", "database", "at", "objectives", "backups", "drills", "retention", "schedule",
                          "rule_32110", "violations"}, set(document))
        for objective in ("rpo", "rto"):
            self.assertLessEqual({"target_seconds", "actual_seconds"}, set(document["objectives"][objective]))
        self.assertIs(type(document["violations"]), list)
        self.assertEqual({"every_seconds", "dump", "branch"}, set(document["drills"]))
        none = self.folder.with_name("none")
        none.mkdir()
        broken = self.status("--rpo", "1m", "--store", "local", expect=5, BACKUP_DIR=str(none))
        for violation in broken["violations"]:
            self.assertEqual({"what", "severity", "kind", "source", "store", "measured", "target"}, set(violation))
        json.dumps(document)


if __name__ == "__main__":
    harness.main()
