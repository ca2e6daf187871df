"""What `holdfast serve` itself tells those who are alerted: of jobs that could not tell, of jobs that never do, and of
runs that were missed. At once, not when the next job ends.
"""

import datetime
import json
import os
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from fake_alerts import FakeAlertServices  # noqa: E402
from history import resealed  # noqa: E402


class Told(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temp_dir("hf-told-")
        self.toml = self.folder / "holdfast.toml"
        self.fake = FakeAlertServices(github=False)
        self.addCleanup(self.fake.close)

    def configure(self, schedule: str) -> str:
        secret = self.folder / "webhook.secret"
        secret.write_text(self.fake.hook_secret + "\n")
        secret.chmod(0o600)
        text = (f"dir = '{self.folder / 'store'}'\n[audit]\ndir = '{self.folder / 'audit'}'\n"
                f"[alert]\ndir = '{self.folder / 'alerts'}'\nwebhook_url = '{self.fake.env()['WEBHOOK_URL']}'\n"
                f"webhook_secret_file = '{secret}'\n[schedule]\nlisten = 'off'\n{schedule}")
        self.toml.write_text(text)
        self.toml.chmod(0o600)
        return text

    def env(self) -> dict:
        return {"HOLDFAST_CONFIG": self.toml, "XDG_STATE_HOME": self.folder / "state",
                "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{harness.free_port()}/care"}

    def age_state(self, hours: float) -> None:
        """As if the last round had been so long ago."""
        path = self.folder / "state" / "holdfast" / "schedule.json"
        then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(hours=hours)
        document = json.loads(path.read_text())
        for job in document["jobs"]:
            job["settled"], job["started"] = then.strftime("%Y-%m-%dT%H:%M:%S.000Z"), []
        path.write_text(resealed(json.dumps(document, indent=2) + "\n"))

    def serve(self):
        process = harness.spawn_holdfast("serve", env=self.env())
        self.addCleanup(process.kill_group)
        process.wait_for("running the schedule")
        return process

    def told(self, kind: str, store: str = "") -> list[str]:
        messages = [json.loads(body) for _, body in list(self.fake.hooks)]
        return [message["type"] for message in messages
                if (message["incident"]["kind"], message["incident"]["store"]) == (kind, store)]

    def wait_for(self, seconds: float, kind: str, store: str, *types: str) -> dict:
        harness.wait_until(lambda: self.told(kind, store) == list(types), seconds, f"{types} of {kind} {store}")
        return [message for message in (json.loads(body) for _, body in self.fake.hooks)
                if message["incident"]["kind"] == kind][-1]

    def test_jobs_that_cannot_read_their_configuration_are_told_of_by_serve(self):
        text = self.configure('prune = "* * * * *"\nanchor = "* * * * *"\n')
        process = self.serve()
        self.toml.write_text(text + "\n[nonsense\n")
        message = self.wait_for(90, "prune", "", "opened")
        self.assertEqual(("invalid", 2, "critical"),
                         tuple(message["incident"][name] for name in ("error", "exit_code", "severity")))
        message = self.wait_for(30, "job", "anchor", "opened")
        self.assertIn("Scheduled Job Failed: anchor", message["title"])
        self.toml.write_text(text)
        self.wait_for(90, "prune", "", "opened", "recovered")
        self.wait_for(30, "job", "anchor", "opened", "recovered")  # there is no trail yet: nothing to anchor
        self.assertEqual(0, process.stop().code)

    def test_missed_runs_are_told_at_once_with_how_many_and_when(self):
        hour = (datetime.datetime.now(datetime.timezone.utc).hour - 2) % 24
        self.configure(f'catch_up = "skip"\nanchor = "30 {hour} * * *"\n')
        harness.holdfast("serve", "--once", env=self.env())
        self.age_state(24 * 4 + 12)
        process = self.serve()
        message = self.wait_for(20, "missed_run", "anchor", "opened")
        self.assertIn("Scheduled Run Missed: anchor", message["title"])
        self.assertRegex(message["text"], r"^[45] runs were missed, from \S+T\d\d:30:\S+ to \S+T\d\d:30:\S+\.$")
        self.assertIn(message["incident"]["problems"], (4, 5))
        self.assertLess(message["incident"]["first_missed_at"], message["incident"]["last_missed_at"])
        self.assertEqual(0, process.stop().code)

    def test_a_trail_that_is_not_there_yet_is_nothing_to_anchor_and_one_that_is_gone_is(self):
        self.configure('anchor = "@hourly"\n')
        done = harness.holdfast("audit", "anchor", "--json", env=self.env()).json()
        self.assertEqual((None, []), (done["line"], done["stores"]))
        harness.holdfast("verify", env=self.env(), check=False)  # is recorded
        harness.holdfast("audit", "anchor", env=self.env())
        os.rename(self.folder / "audit", self.folder / "away")
        done = harness.holdfast("audit", "anchor", env=self.env(), expect=1)
        self.assertIn("there is no audit log", done.err)

    def test_a_clock_that_was_set_back_is_told(self):
        self.configure('anchor = "30 * * * *"\n')
        harness.holdfast("serve", "--once", env=self.env())
        self.age_state(-5)
        self.serve()
        message = self.wait_for(20, "clock", "", "opened")
        self.assertIn("Clock Set Back", message["title"])


if __name__ == "__main__":
    harness.main()
