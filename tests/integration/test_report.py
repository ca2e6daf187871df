"""`holdfast report` over a real database, its stores, drills and audit trail: what it claims is what happened, and a
bundle is checked by sha256sum and openssl alone."""

import json
import shutil
import subprocess
import sys
import unittest
from datetime import datetime, timezone
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

MARKER = "Zwetschgenmus-4417-Kormoran"  # stands in the rows
COPIES, TESTING = "164.308(a)(7)(ii)(A)", "164.308(a)(7)(ii)(D)"
ENCRYPTION, TRAIL, INTEGRITY = "164.312(a)(2)(iv)", "164.312(b)", "164.312(c)(1), (2)"


def setUpModule():
    global source
    source = harness.Server()
    source.createdb("care")
    source.psql(f"""CREATE TABLE clients (id int PRIMARY KEY, name text);
        INSERT INTO clients SELECT i, '{MARKER} ' || i FROM generate_series(1, 500) i""", "care")


def tearDownModule():
    source.close()


class Report(unittest.TestCase):
    def setUp(self):
        self.base = harness.temp_dir("hf-report-")
        self.folder = self.base / "backups"

    def env(self, **more) -> dict:
        return {"DATABASE_URL": source.url("care"), "BACKUP_DIR": self.folder, "HOLDFAST_AUDIT_DIR": self.base / "audit",
                "HOLDFAST_AUDIT_ORGANIZATION": "Care & <Commons>", **more}

    def run_it(self, *args, expect: int | None = 0, **more):
        return harness.holdfast(*args, env=self.env(**more), expect=expect, check=False, timeout=300)

    def backup(self) -> str:
        return self.run_it("backup", "--type", "dump", "--json").json()["results"][0]["id"]

    def report(self, *args, expect: int = 5) -> dict:
        month = datetime.now(timezone.utc).strftime("%Y-%m")
        return self.run_it("report", "--period", month, "--json", *args, expect=expect).json()

    def verdicts(self, *args) -> dict:
        return {row["citation"]: row["verdict"] for row in self.report(*args)["rules"]}

    def test_what_it_claims_is_what_happened(self):
        empty = self.report()
        self.assertEqual(([], [], "NOT MEASURED"),
                         (empty["backups"], empty["drills"],
                          next(r["verdict"] for r in empty["rules"] if r["citation"] == INTEGRITY)))
        made = self.backup()
        self.run_it("backup", "--type", "dump", expect=1, DATABASE_URL=source.url("gone"))
        second = self.backup()
        found = self.report()
        self.assertEqual([made, second], [backup["id"] for backup in found["backups"]])
        self.assertTrue(all(backup["proof"]["ok"] for backup in found["backups"]))
        self.assertEqual([("backup.dump", True)],
                         [(f["action"], f["resolved_at"] is not None) for f in found["failures"]])
        verdicts = {row["citation"]: row["verdict"] for row in found["rules"]}
        self.assertEqual(("GAP", "GAP", "GAP", "PASS"),
                         (verdicts[TESTING], verdicts[ENCRYPTION], verdicts[TRAIL], verdicts[INTEGRITY]))
        self.run_it("audit", "anchor")
        self.run_it("drill", "latest", "--json")
        found = self.report()
        verdicts = {row["citation"]: row["verdict"] for row in found["rules"]}
        self.assertEqual(("PASS", "PASS"), (verdicts[TESTING], verdicts[TRAIL]), found)
        self.assertEqual([second], [drill["backup"] for drill in found["drills"]])
        # A damaged backup is no evidence of anything.
        path = self.folder / f"{made}.dump"
        path.write_bytes(path.read_bytes()[:-5])
        self.run_it("verify", made, expect=4)
        self.assertEqual("GAP", self.verdicts()[INTEGRITY])
        # Nor is a trail that somebody edited.
        log = next((self.base / "audit").glob("audit-*.jsonl"))
        text = log.read_bytes()
        log.write_bytes(text.replace(b'"backup.dump"', b'"backup.dumb"', 1))
        self.assertEqual("GAP", self.verdicts()[TRAIL])

    def test_a_bundle_is_checked_by_stock_tools_alone(self):
        made = self.backup()
        self.run_it("drill", "latest")
        key = self.base / "evidence.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
        bundle = self.base / "bundle"
        self.report("--out", str(bundle), "--signing-key-file", str(key))
        for name in ("report.html", "report.md", "report.json", "README", "audit.jsonl", "audit.jsonl.proof.json",
                     f"manifests/{made}.manifest.json"):
            self.assertTrue((bundle / name).is_file(), name)
        self.assertEqual(2, len(list((bundle / "drills").iterdir())))
        commands = [line.strip() for line in (bundle / "README").read_text().splitlines()
                    if line.startswith("  sha256sum") or line.startswith("  openssl")]
        self.assertEqual(2, len(commands))

        def check(folder: Path) -> list[int]:
            return [subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True).returncode
                    for command in commands]

        self.assertEqual([0, 0], check(bundle))
        for path in sorted(p for p in bundle.rglob("*") if p.is_file()):
            other = self.base / "other"
            shutil.copytree(bundle, other)
            victim = other / path.relative_to(bundle)
            content = bytearray(victim.read_bytes())
            content[len(content) // 2] ^= 1
            victim.write_bytes(content)
            self.assertNotEqual([0, 0], check(other), path)
            shutil.rmtree(other)
        self.run_it("audit", "verify", str(bundle / "audit.jsonl"))
        for path in bundle.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                self.assertNotIn(MARKER.encode(), content, path)
                harness.assert_no_secrets(content, str(path))
        html = (bundle / "report.html").read_text()
        self.assertIn("Care &amp; &lt;Commons&gt;", html)
        self.assertEqual(json.loads((bundle / "report.json").read_text())["backups"][0]["id"], made)
        again = self.run_it("report", "--period", "2026", "--out", str(bundle), expect=1)
        self.assertIn("is there already", again.err)
        self.assertEqual([], list(self.base.glob("*.partial-*")))

    def test_what_libpq_would_take_counts_for_the_way_to_the_source(self):
        rule = "164.312(e)(1), (2)"
        elsewhere = {"DATABASE_URL": "postgresql://care@/care", "PGHOST": "192.0.2.1"}  # nobody is asked there

        def verdict(**more):
            rows = self.run_it("report", "--period", "2026", "--json", expect=5, **more).json()["rules"]
            return next(row["verdict"] for row in rows if row["citation"] == rule)

        self.assertEqual("PASS", verdict())
        self.assertEqual("GAP", verdict(**elsewhere))
        self.assertEqual("GAP", verdict(**{**elsewhere, "PGHOST": "127.0.0.1,192.0.2.1"}))
        self.assertEqual("PASS", verdict(**elsewhere, PGSSLMODE="verify-full"))

    def test_bad_input(self):
        for args in (("--period", "2026-13"), ("--period", "9999"), ("--html", "--md"),
                     ("--signing-key-file", "/nonexistent")):
            done = self.run_it("report", *args, expect=None)
            self.assertIn(done.code, (1, 2), done)
            self.assertIn("hint:", done.err)
        key = self.base / "rsa.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", "RSA", "-out", key], check=True, capture_output=True)
        done = self.run_it("report", "--out", str(self.base / "b"), "--signing-key-file", str(key), expect=2)
        self.assertIn("Ed25519", done.err)
        self.assertFalse((self.base / "b").exists())


if __name__ == "__main__":
    unittest.main()
