"""The ready-made files are what those who read them take: systemd, GitHub, Kubernetes, Docker, dpkg, shells.

Each file is held against the reader itself or its schema, and so is a copy of it that was broken on purpose: a
validator that takes everything would not be noticed otherwise.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import unittest
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import harness  # noqa: E402
from harness_base import Unavailable  # noqa: E402
from harness_server import cache_dir  # noqa: E402

UNITS = ROOT / "packaging" / "systemd"
WORKFLOW = ROOT / "packaging" / "github" / "workflows" / "backup.yml"
ACTION = ROOT / "action.yml"
CRONJOB = ROOT / "packaging" / "kubernetes" / "cronjob.yaml"
DOCKERFILE = ROOT / "packaging" / "docker" / "Dockerfile"
SUPPORT = ROOT / "tests" / "support"


def run(*args, **named) -> subprocess.CompletedProcess:
    return subprocess.run([str(a) for a in args], capture_output=True, text=True, timeout=120,
                          stdin=subprocess.DEVNULL, **named)


@cache
def linters() -> Path:
    folder = cache_dir() / "linters"
    made = run(SUPPORT / "install-linters", folder)
    if made.returncode != 0:
        raise Unavailable(made.stderr.strip())
    return folder


def yaml_of(path: Path):
    """The file's first document, read by the parser that the linters bring."""
    script = ('const y = require(process.argv[1] + "/node_modules/yaml");'
              'console.log(JSON.stringify(y.parseAllDocuments('
              'require("fs").readFileSync(process.argv[2], "utf8")).map((d) => d.toJS())))')
    return json.loads(run("node", "-e", script, linters(), path).stdout)


class ReadyMade(unittest.TestCase):
    def broken(self, path: Path, *changes: tuple[str, str]) -> Path:
        """A copy in which each `before` stands as its `after`."""
        text = path.read_text()
        for before, after in changes:
            self.assertIn(before, text)
            text = text.replace(before, after, 1)
        copy = harness.temp_dir("hf-broken-") / path.name
        copy.write_text(text)
        return copy


class Linted(ReadyMade):
    def setUp(self):
        try:
            linters()
        except Unavailable as error:
            self.skipTest(str(error))

    def lint(self, kind: str, path: Path) -> str:
        done = run("node", SUPPORT / "linters" / "lint.mjs", linters(), kind, path)
        self.assertEqual(done.stderr, "")
        self.assertEqual(done.returncode, 1 if done.stdout else 0, done.stdout)
        return done.stdout

    def check(self, kind: str, path: Path, *faults: tuple[str, str, str]) -> None:
        """faults: (before, after, what is then said)."""
        self.assertEqual(self.lint(kind, path), "")
        for before, after, said in faults:
            with self.subTest(after):
                self.assertIn(said, self.lint(kind, self.broken(path, (before, after))))

    def test_workflow(self):
        self.check("workflow", WORKFLOW,
                   ("inputs.type ||", "inputs.kind ||", 'property "kind" is not defined'),
                   ("runs-on: ubuntu-24.04", "runs_on: ubuntu-24.04", "runs_on"),
                   ("needs: backup", "needs: backups", "does not exist"),
                   ("'0 2 * * *'", "'0 25 * * *'", "invalid CRON"),
                   ("contents: read", "contents: readable", "readable"))

    def test_action(self):
        self.check("action", ACTION, ("using: composite", "using: composed", "/runs"),
                   ("shell: bash", "shel: bash", "/runs"))

    def test_cronjob(self):
        self.check("kubernetes", CRONJOB,
                   ("timeZone:", "timezone:", "/spec/timezone is unknown"),
                   ("concurrencyPolicy: Forbid", "concurrencyPolicy: 5", "/spec/concurrencyPolicy"),
                   ("readOnlyRootFilesystem", "readOnlyRootFileSystem", "is unknown"),
                   ("kind: CronJob", "kind: Cronjob", "no such kind"))

    def test_dockerfile(self):
        self.check("dockerfile", DOCKERFILE, ("USER 10001:10001", "USR 10001:10001", "USR"),
                   ('["holdfast"]', "['holdfast']", "quotes"))

    def test_workflow_has_no_more_rights_than_it_needs(self):
        workflow = yaml_of(WORKFLOW)[0]
        self.assertEqual(workflow["permissions"], {})
        self.assertEqual(workflow["on"]["schedule"], [{"cron": "0 2 * * *"}])
        self.assertEqual(workflow["on"]["workflow_dispatch"]["inputs"]["type"]["options"],
                         ["both", "branch", "dump"])
        self.assertFalse(workflow["concurrency"]["cancel-in-progress"])
        for name, job in workflow["jobs"].items():
            self.assertEqual(job["permissions"], {"contents": "read", "id-token": "write"}, name)
            self.assertIn("timeout-minutes", job)
            for step in job["steps"]:
                self.assertNotIn("artifact", step["uses"])  # backups are no artefacts
                self.assertNotIn("secrets.", json.dumps(step.get("with", {})))
        self.assertNotIn("secrets.", json.dumps(workflow["env"]))

    def test_others_actions_are_pinned(self):
        for path in (WORKFLOW, ACTION):
            for used in re.findall(r"^\s*(?:- )?uses: (\S+)", path.read_text(), re.M):
                self.assertRegex(used, r"^(\./|[\w-]+/[\w-]+@[0-9a-f]{40}$)")

    def test_action_takes_nothing_into_a_script(self):
        """An expression in a script is code that an input wrote."""
        for step in yaml_of(ACTION)[0]["runs"]["steps"]:
            self.assertNotIn("${{", step.get("run", ""))

    def test_cronjob_is_not_root_and_gets_secrets_as_files(self):
        job = yaml_of(CRONJOB)[1]["spec"]
        self.assertEqual((job["concurrencyPolicy"], job["timeZone"]), ("Forbid", "Etc/UTC"))
        pod = job["jobTemplate"]["spec"]["template"]["spec"]
        container = pod["containers"][0]
        self.assertTrue(pod["securityContext"]["runAsNonRoot"])
        self.assertTrue(container["securityContext"]["readOnlyRootFilesystem"])
        self.assertEqual(container["securityContext"]["capabilities"], {"drop": ["ALL"]})
        self.assertNotIn("valueFrom", json.dumps(container["env"]))
        user = str(pod["securityContext"]["runAsUser"])
        self.assertIn(f"USER {user}:{user}", DOCKERFILE.read_text())
        # The image's version is the program's.
        self.assertTrue(container["image"].endswith(":" + (ROOT / "VERSION").read_text().strip()))

    def test_scripts_are_clean(self):
        if shutil.which("shellcheck") is None:
            self.skipTest("shellcheck is not installed")
        folder = harness.temp_dir("hf-scripts-")
        scripts = [ROOT / "tools" / "make-package", ROOT / "tools" / "fresh-debian",
                   ROOT / "packaging" / "install-postgresql-client",
                   *(ROOT / "packaging" / "debian" / f"holdfast.{name}" for name in ("postinst", "postrm"))]
        for number, step in enumerate(yaml_of(ACTION)[0]["runs"]["steps"]):
            if "run" in step:
                scripts.append(folder / f"step-{number}")
                scripts[-1].write_text("#!/bin/bash\nset -eo pipefail\n" + step["run"])
        done = run("shellcheck", "--severity=warning", *scripts)
        self.assertEqual(done.stdout + done.stderr, "")


@unittest.skipUnless(shutil.which("systemd-analyze"), "systemd is not installed")
class Units(ReadyMade):
    NAMES = ("holdfast-backup.service", "holdfast-backup.timer", "holdfast.service")

    def verify(self, folder: Path, name: str) -> str:
        """What systemd says of the unit, with the program where it was built."""
        for other in self.NAMES:
            if not (folder / other).exists():
                shutil.copy(UNITS / other, folder)
        unit = folder / name
        unit.write_text(unit.read_text().replace("/usr/bin/holdfast", str(harness.holdfast_bin())))
        done = run("systemd-analyze", "verify", "--man=no", unit)
        return done.stdout + done.stderr + (f"exit code {done.returncode}" if done.returncode else "")

    def test_systemd_takes_them(self):
        for name in self.NAMES:
            with self.subTest(name):
                self.assertEqual(self.verify(harness.temp_dir("hf-units-"), name), "")

    def test_systemd_would_say_what_is_wrong(self):
        for name, before, after in (("holdfast.service", "ProtectSystem=", "ProtectSytem="),
                                    ("holdfast-backup.service", "SystemCallFilter=@", "SystemCallFilter=@x"),
                                    ("holdfast-backup.timer", "02:00:00 UTC", "26:00:00 UTC")):
            with self.subTest(after):
                copy = self.broken(UNITS / name, (before, after))
                self.assertNotEqual(self.verify(copy.parent, name), "")

    def test_what_the_documentation_enables_can_be_enabled(self):
        text = "".join(page.read_text() for page in (ROOT / "docs").glob("*.md"))
        text += "".join((UNITS / name).read_text() for name in self.NAMES)
        named = set(re.findall(r"systemctl enable --now (\S+)", text))
        self.assertEqual(named, {"holdfast-backup.timer", "holdfast.service"})
        for name in named:
            self.assertRegex((UNITS / name).read_text(), r"(?m)^WantedBy=", name)

    def test_they_are_locked_up(self):
        for name in ("holdfast-backup.service", "holdfast.service"):
            with self.subTest(name):  # 2.0 of 10; systemd itself calls this "OK", the best but "SAFE"
                done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", UNITS / name)
                self.assertEqual(done.returncode, 0, done.stdout[-300:] + done.stderr)
        loose = self.broken(UNITS / "holdfast.service", ("CapabilityBoundingSet=\n", ""),
                            ("ProtectSystem=strict\n", ""), ("NoNewPrivileges=true\n", ""))
        done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", loose)
        self.assertNotEqual(done.returncode, 0)

    def test_a_backup_is_made_every_night_and_its_exit_code_counts(self):
        timer = (UNITS / "holdfast-backup.timer").read_text()
        when = re.search(r"^OnCalendar=(.*)$", timer, re.M).group(1)
        said = run("systemd-analyze", "calendar", "--base-time=2026-11-23 12:00:00 UTC", when,
                   env={"PATH": os.environ["PATH"], "TZ": "UTC"}).stdout
        self.assertIn("2026-11-24 02:00:00 UTC", said)
        self.assertIn("Persistent=true", timer)
        for name in ("holdfast-backup.service", "holdfast.service"):
            self.assertNotRegex((UNITS / name).read_text(), r"(?m)^SuccessExitStatus=")


class Configuration(unittest.TestCase):
    def test_the_packages_configuration_is_taken(self):
        shown = harness.holdfast("--config", ROOT / "packaging" / "holdfast.toml", "config", "show")
        self.assertIn("/var/backups/holdfast", shown.out)
        self.assertIn("/etc/holdfast/database.url", shown.out)

    def test_what_it_suggests_is_taken_too(self):
        text = (ROOT / "packaging" / "holdfast.toml").read_text()
        path = harness.temp_dir("hf-toml-") / "holdfast.toml"
        path.write_text(re.sub(r"(?m)^# (?=\w+ = |\[\w+\]$)", "", text))
        shown = harness.holdfast("--config", path, "config", "show")
        for value in ("care-commons-backups", "backup@example.org", "0 2 * * *"):
            self.assertIn(value, shown.out)


class BillOfMaterials(unittest.TestCase):
    TOOL = ROOT / "tools" / "make-sbom"

    def test_names_what_is_in_the_program(self):
        env = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        made = run(self.TOOL, harness.holdfast_bin(), env=env)
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(made.stdout, run(self.TOOL, harness.holdfast_bin(), env=env).stdout)
        bill = json.loads(made.stdout)
        self.assertEqual((bill["spdxVersion"], bill["creationInfo"]["created"]), ("SPDX-2.3", "2023-11-14T22:13:20Z"))
        parts = {part["SPDXID"]: part for part in bill["packages"]}
        self.assertEqual(len(parts), len(bill["packages"]))
        for identifier in parts:
            self.assertRegex(identifier, r"^SPDXRef-[A-Za-z0-9.-]+$")
        relations = {}
        for relation in bill["relationships"]:
            relations.setdefault(relation["relationshipType"], set()).add(relation["relatedSpdxElement"])
        self.assertEqual(relations.pop("DESCRIBES"), {"SPDXRef-holdfast"})
        self.assertEqual(set().union(*relations.values()), set(parts) - {"SPDXRef-holdfast"})
        self.assertEqual(relations["CONTAINS"], {"SPDXRef-nlohmann-json3-dev", "SPDXRef-libcli11-dev"})
        self.assertLessEqual({f"SPDXRef-{name}" for name in ("libpq5", "libssl3", "libcurl4", "libsqlite3-0", "zlib1g")},
                             relations["DYNAMIC_LINK"])
        for part in parts.values():
            if part["name"] != "holdfast":
                installed = run("dpkg-query", "-W", "-f", "${Version}", part["name"]).stdout
                self.assertEqual(part["versionInfo"], installed, part["name"])

    def test_says_what_it_cannot_do(self):
        self.assertEqual(run(self.TOOL).returncode, 2)
        for program, said in ((ROOT / "VERSION", "is no program"), ("/bin/true", "says it is true")):
            done = run(self.TOOL, program)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(said, done.stderr)


if __name__ == "__main__":
    unittest.main()
