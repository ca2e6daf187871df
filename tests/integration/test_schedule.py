"""The schedule of `holdfast serve` with the real program: backups of a real PostgreSQL at their time, one for each
firing on either of two hosts, jobs that hang, serve killed in the middle of a job, and what it shows over HTTP.

Time is not faked: where a run has to be due at once, the stored state says that its last round was some time ago,
as it is after downtime. Which runs are due when, over zones, days and set clocks, is tested in src/schedule.
"""

import datetime
import hashlib
import json
import os
import re
import signal
import socket
import sys
import unittest
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import engine  # noqa: E402
import harness  # noqa: E402

BUCKET = "safe"
# Every hour, last some minutes ago and not again for a while: no test is surprised by the clock.
MINUTE = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=15)).minute
HOURLY_CRON = f"{MINUTE} * * * *"
HOURLY = {"HOLDFAST_SCHEDULE_BACKUP": HOURLY_CRON}
SEAL = re.compile(rb',\n  "state_sha256": "[0-9a-f]{64}"\n}\n$')
SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\["\\n])*",?)*\})? (\S+)')


def setUpModule():
    global source
    source = harness.Server()
    source.createdb("care")
    source.psql("CREATE TABLE visits AS SELECT i AS id, 'note ' || i AS note FROM generate_series(1, 300) i", "care")


def tearDownModule():
    source.close()


class SilentServer:
    """Takes connections and never says a word: whoever asks it hangs."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.settimeout(60)
        self.url = f"postgresql://nobody@127.0.0.1:{self.socket.getsockname()[1]}/care"
        self.taken = []

    def wait_for_client(self) -> None:
        self.taken.append(self.socket.accept()[0])

    def close(self) -> None:
        for each in [self.socket, *self.taken]:
            each.close()


def parse_metrics(text: str) -> dict[str, float]:
    """Prometheus's text format, strictly: what is described, of one metric in one place, once."""
    found, described, last, closed = {}, set(), "", set()
    for line in text.splitlines():
        if line.startswith("#"):
            kind, name = line.split(" ")[1:3]
            assert kind in ("HELP", "TYPE") and (kind, name) not in described, line
            described.add((kind, name))
            continue
        match = SAMPLE.fullmatch(line)
        assert match, f"no sample: {line!r}"
        name = match.group(1)
        if name != last:
            assert name not in closed, f"{name} stands in two places"
            closed.add(last)
            last = name
        assert ("TYPE", name) in described, f"{name} is not described"
        key = name + (match.group(2) or "")
        assert key not in found, f"{key} stands there twice"
        found[key] = float(match.group(3))
    assert text.endswith("\n")
    return found


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temp_dir("hf-schedule-")
        self.port = harness.free_port()

    def env(self, host="a", **more) -> dict[str, str]:
        env = {"DATABASE_URL": source.url("care"), "BACKUP_DIR": self.folder / "store",
               "HOLDFAST_PG_BINDIR": source.bindir, "XDG_STATE_HOME": self.folder / host,
               "HOLDFAST_SCHEDULE_LISTEN": f"127.0.0.1:{self.port}", **more}
        return {name: value for name, value in env.items() if value is not None}

    def state_path(self, host="a") -> Path:
        return self.folder / host / "holdfast" / "schedule.json"

    def state(self, host="a") -> dict:
        """By the job's name."""
        return {job["name"]: job for job in json.loads(self.state_path(host).read_text())["jobs"]}

    def age_state(self, host="a", minutes=3) -> None:
        """As if the last round had been so long ago."""
        path = self.state_path(host)
        document = json.loads(path.read_text())
        del document["state_sha256"]
        then = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=minutes)
        for job in document["jobs"]:
            job["settled"] = then.strftime("%Y-%m-%dT%H:%M:%S.000Z")
            job["started"] = []
        body = json.dumps(document, indent=2).removesuffix("\n}").encode()
        digest = hashlib.sha256(body).hexdigest()
        path.write_bytes(body + b',\n  "state_sha256": "' + digest.encode() + b'"\n}\n')
        self.assertRegex(path.read_bytes(), SEAL)

    def once(self, *args, host="a", expect=0, **more):
        return harness.holdfast("serve", "--once", *args, env=self.env(host, **more), expect=expect)

    def serve(self, host="a", **more):
        process = harness.spawn_holdfast("serve", env=self.env(host, **more))
        self.addCleanup(process.kill_group)
        process.wait_for("running the schedule")
        return process

    def take_up(self, minutes=3, host="a", **more) -> None:
        """The first round, so long ago."""
        self.assertIn("nothing is due", self.once(host=host, **more).out)
        self.age_state(host, minutes)

    def backups(self, **more) -> list[dict]:
        return harness.holdfast("list", "--json", env=self.env(**more)).json()["backups"]

    def get(self, path, method="GET") -> tuple[int, str, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode(), answer.headers["Content-Type"]
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(), error.headers["Content-Type"]

    def is_healthy(self) -> bool:
        try:
            return json.loads(self.get("/healthz")[1])["status"] == "ok"
        except urllib.error.URLError:
            return False


class Once(Case):
    def test_backs_up_what_is_due_and_proves_it(self):
        self.take_up(60, **HOURLY)
        done = self.once("--json", **HOURLY).json()
        self.assertEqual([(run["job"], run["exit_code"]) for run in done["runs"]], [("backup", 0)])
        self.assertTrue(done["ok"])
        self.assertTrue(done["runs"][0]["firing"].endswith(f":{MINUTE:02}:00.000Z"))
        backups = self.backups()
        self.assertEqual(len(backups), 1)
        self.assertIn("nothing is due", self.once(**HOURLY).out)
        self.assertEqual(len(self.backups()), 1)

    def test_one_run_stands_for_all_that_were_missed(self):
        self.take_up(5 * 60, **HOURLY)
        done = self.once(**HOURLY)
        self.assertIn("default/backup: 4 runs were missed", done.err)
        self.assertEqual(len(self.backups()), 1)

    def test_skip_waits_for_the_next_time(self):
        now = datetime.datetime.now(datetime.timezone.utc)
        # An hour that is not about to come nor just gone.
        skip = {"HOLDFAST_SCHEDULE_BACKUP": f"30 {(now.hour - 2) % 24} * * *", "HOLDFAST_SCHEDULE_CATCH_UP": "skip"}
        self.take_up(4 * 60, **skip)
        done = self.once(**skip)
        self.assertIn("nothing is due", done.out)
        self.assertIn("the run of", done.err)
        self.assertIn("was missed", done.err)
        self.assertEqual(self.backups(), [])

    def test_the_worst_of_the_jobs_codes_is_its_own(self):
        both = {**HOURLY, "HOLDFAST_SCHEDULE_PRUNE": HOURLY_CRON, "DATABASE_URL": source.url("not_there")}
        self.take_up(60, **both)
        done = self.once("--json", expect=1, **both).json()
        self.assertFalse(done["ok"])
        codes = {run["job"]: run["exit_code"] for run in done["runs"]}
        self.assertEqual(codes["backup"], 1)

    def test_what_a_job_says_is_in_the_log(self):
        gone = {**HOURLY, "DATABASE_URL": source.url("not_there")}
        self.take_up(60, **gone)
        done = self.once(expect=1, **gone)
        self.assertIn('default/backup | error: ', done.err)
        self.assertIn("not_there", done.err)

    def test_a_job_that_hangs_is_stopped_at_its_limit(self):
        silent = SilentServer()
        self.addCleanup(silent.close)
        hanging = {**HOURLY, "DATABASE_URL": silent.url, "HOLDFAST_SCHEDULE_JOB_LIMIT": "1"}
        self.take_up(60, **hanging)
        done = harness.holdfast("serve", "--once", "--json", env=self.env(**hanging), check=False)
        self.assertNotEqual(done.code, 0)
        self.assertTrue(done.json()["runs"][0]["over_limit"])
        self.assertIn("took too long and was stopped", done.err)

    def test_a_damaged_state_is_set_aside(self):
        self.take_up(60, **HOURLY)
        path = self.state_path()
        path.write_bytes(path.read_bytes().replace(b"default/backup", b"default/backuq"))
        done = self.once(**HOURLY)
        self.assertIn("damaged", done.err)
        self.assertTrue(path.with_suffix(".json.damaged").exists())
        self.assertEqual(set(self.state()), {"default/backup"})

    def test_nothing_to_serve_is_wrong_usage(self):
        done = harness.holdfast("serve", env=self.env(), expect=2)
        self.assertIn("[schedule]", done.err)
        self.assertIn("[engine]", done.err)
        self.once(expect=2)
        done = self.once(expect=2, HOLDFAST_SCHEDULE_BACKUP="0 25 * * *")
        self.assertIn("HOLDFAST_SCHEDULE_BACKUP", done.err)

    def test_each_source_has_its_own_schedule(self):
        source.createdb("billing")
        config = self.folder / "holdfast.toml"
        config.write_text(
            f'dir = "{self.folder}/store"\n[schedule]\nbackup = "{HOURLY_CRON}"\n'
            f'[source.care]\ndatabase_url = "{source.url("care")}"\n'
            f'[source.billing]\ndatabase_url = "{source.url("billing")}"\n'
            f'[source.billing.schedule]\nbackup = "0 0 1 1 *"\nprune = "{HOURLY_CRON}"\n')
        config.chmod(0o600)
        more = {"DATABASE_URL": None, "BACKUP_DIR": None}
        harness.holdfast("serve", "--once", "--config", config, env=self.env(**more))
        self.age_state(minutes=60)
        done = harness.holdfast("serve", "--once", "--json", "--config", config, env=self.env(**more)).json()
        self.assertEqual({(run["source"], run["job"], run["exit_code"]) for run in done["runs"]},
                         {("care", "backup", 0), ("billing", "prune", 0)})


class Serve(Case):
    def test_every_minute_a_backup_that_health_and_metrics_tell_of(self):
        process = self.serve(HOLDFAST_SCHEDULE_BACKUP="* * * * *")
        harness.wait_until(self.is_healthy, 60, "a healthy schedule")
        status, text, kind = self.get("/healthz")
        self.assertEqual((status, kind), (200, "application/json"))
        self.assertEqual(json.loads(text)["jobs"], 1)
        harness.wait_until(lambda: len(self.backups()) >= 2, 200, "two backups")
        job = '{source="default",job="backup"}'
        harness.wait_until(lambda: parse_metrics(self.get("/metrics")[1])["holdfast_schedule_running" + job] == 0, 60,
                           "the end of the run")
        status, text, kind = self.get("/metrics")
        self.assertEqual(status, 200)
        self.assertTrue(kind.startswith("text/plain; version=0.0.4"))
        harness.assert_no_secrets(text, "/metrics")
        metrics = parse_metrics(text)
        self.assertEqual(metrics["holdfast_up"], 1)
        self.assertEqual(metrics["holdfast_schedule_last_exit_code" + job], 0)
        self.assertEqual(metrics["holdfast_schedule_missed_total" + job], 0)
        self.assertEqual(metrics["holdfast_schedule_next_run_timestamp_seconds" + job] % 60, 0)
        self.assertGreaterEqual(metrics["holdfast_schedule_last_end_timestamp_seconds" + job],
                                metrics["holdfast_schedule_last_start_timestamp_seconds" + job])
        self.assertEqual(self.get("/api/v2/projects")[0], 404)
        self.assertEqual(self.get("/metrics", "POST")[0], 405)
        done = process.stop()
        self.assertEqual(done.code, 0, done)
        self.assertEqual(done.err.count("begins"), done.err.count("ended with exit code 0"))

    def test_beside_an_engine(self):
        server = engine.EngineServer(start=False, computes=2)
        self.addCleanup(server.close)
        text = server.config.read_text()
        server.config.write_text(f'dir = "{server.home}/backups"\n{text}[schedule]\nbackup = "* * * * *"\n'
                                 f'listen = "127.0.0.1:{self.port}"\n')
        server.start(ready=False)
        harness.wait_until(self.is_healthy, 60, "a healthy schedule")
        self.assertEqual(self.get("/api/v2/users/me")[0], 404)  # it has a port of its own
        job = '{source="default",job="backup"}'
        harness.wait_until(
            lambda: "holdfast_schedule_last_exit_code" + job in parse_metrics(self.get("/metrics")[1]), 150, "a run")
        self.assertEqual(parse_metrics(self.get("/metrics")[1])["holdfast_schedule_last_exit_code" + job], 0)
        server.stop()

    def test_one_scheduler_for_a_user(self):
        self.serve(**HOURLY)
        done = self.once(expect=6, **HOURLY)
        self.assertIn("schedule", done.err)

    def in_the_middle_of_a_job(self):
        silent = SilentServer()
        self.addCleanup(silent.close)
        hanging = {**HOURLY, "DATABASE_URL": silent.url}
        self.take_up(60, **hanging)
        process = self.serve(**hanging)
        silent.wait_for_client()
        self.assertIsNone(self.state()["default/backup"]["ended"])
        return process, hanging

    def test_sigterm_stops_the_job_and_waits_for_it(self):
        process, _ = self.in_the_middle_of_a_job()
        table = harness.processes()
        job = [(pid, table[pid][1]) for pid in harness.descendants(process.pid, table)]
        self.assertTrue(job)
        done = process.stop()
        self.assertEqual(done.code, 0, done)
        self.assertIn("was stopped (exit code 130)", done.err)
        self.assert_gone(job)
        state = self.state()["default/backup"]
        self.assertIsNotNone(state["ended"])
        self.assertEqual(state["last_exit_code"], 130)

    def test_killed_in_the_middle_of_a_job(self):
        process, hanging = self.in_the_middle_of_a_job()
        table = harness.processes()
        job = [(pid, table[pid][1]) for pid in harness.descendants(process.pid, table)]
        self.assertTrue(job)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        self.assert_gone(job)
        done = self.once(**hanging)
        self.assertIn("it began and did not end", done.err)
        self.assertIn("nothing is due", done.out)  # it is not repeated
        self.assertNotIn("did not end", self.once(**hanging).err)

    def assert_gone(self, job):
        """The very processes, told by their start."""
        def gone():
            table = harness.processes()
            return not any(pid in table and table[pid][1] == start for pid, start in job)
        harness.wait_until(gone, 30, "the job's end")


class TwoHosts(Case):
    def setUp(self):
        super().setUp()
        # Not S3rver, which knows no If-None-Match: there, two hosts may both have the run.
        self.s3 = harness.FakeS3()
        self.addCleanup(self.s3.close)
        self.s3.make_bucket(BUCKET)

    def env(self, host="a", **more):
        return super().env(host, **{"S3_BACKUP_BUCKET": BUCKET, "HOLDFAST_STORES": "s3", **self.s3.env(), **more})

    def test_one_backup_for_each_firing(self):
        for host in "ab":
            self.take_up(60, host, **HOURLY)
        for turn in range(3):
            for host in "ab":
                self.age_state(host, 60)
            runs = [harness.spawn_holdfast("serve", "--once", "--json", env=self.env(host, **HOURLY)) for host in "ab"]
            ran = [run for process in runs for run in self.finished(process)]
            # It is the same firing every time.
            self.assertEqual(len(ran), 1 if turn == 0 else 0)
            self.assertEqual(len([name for name in self.s3.objects(BUCKET) if "/schedule/" in "/" + name]), 1)
            self.assertEqual(len(self.backups()), 1)

    def finished(self, process):
        done = process.finish()
        self.assertEqual(done.code, 0, done)
        return done.json()["runs"]

    def test_a_store_that_cannot_be_reached_keeps_nobody_from_backing_up(self):
        more = {**HOURLY, "HOLDFAST_STORES": "local,s3"}
        self.take_up(60, **more)
        self.s3.close()
        done = self.once(expect=3, **more)
        self.assertIn("other hosts cannot be asked", done.err)
        self.assertEqual(len(self.backups(HOLDFAST_STORES="local")), 1)


if __name__ == "__main__":
    harness.main()
