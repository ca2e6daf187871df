"""Alerts against the services that they go to: GitHub's calls are held against GitHub's own OpenAPI description,
Slack's against its documented limits, mail goes to a real SMTP server, the webhook's signature is checked with
openssl. With every fault: each incident is told once, updated, and closed; nothing is lost, nothing repeated."""

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import unittest
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402
from fake_alerts import ALWAYS, FakeAlertServices, github_openapi  # noqa: E402
from smtp_server import SmtpServer  # noqa: E402

BACKUP = ("backup", "care", "s3")
MAIL = {"MAIL_TO": "ops@care.test, dba@care.test", "MAIL_FROM": "holdfast@care.test"}


def setUpModule():
    global TOOL
    TOOL = harness.holdfast_bin().parent / "tests" / "alert_tool"
    if not TOOL.exists():
        raise unittest.SkipTest("alert_tool is not built")
    try:
        github_openapi()
    except harness.Unavailable as error:
        raise unittest.SkipTest(str(error)) from None


class Alerts(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temp_dir("hf-alerts-", 0o700) / "alerts"
        self.fake = FakeAlertServices()
        self.addCleanup(self.fake.close)
        self.env = self.fake.env()
        self.minute = 0

    def popen(self, *words, now=None, **more) -> subprocess.Popen:
        command = [str(TOOL), "--folder", str(self.folder), *map(str, words)]
        if now:
            command += ["--now", now]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={"PATH": os.environ["PATH"], **self.env}, **more)

    def tool(self, *words, now=None, code=0) -> tuple[str, str]:
        process = self.popen(*words, now=now)
        out, err = process.communicate(timeout=120)
        self.assertEqual(process.returncode, code, out + err)
        harness.assert_no_secrets(out + err, "alert_tool")
        for file in self.folder.glob("*"):
            harness.assert_no_secrets(file.read_bytes(), file.name)
        return out, err

    def at(self, hours: float) -> str:
        """A time so long after the first of the month, 02:00 UTC."""
        minutes = round(hours * 60)
        return f"2026-11-{1 + (minutes + 120) // 1440:02}T{(minutes + 120) // 60 % 24:02}:{minutes % 60:02}:00.000Z"

    def deliver(self, hours: float = 0, pending: int = 0) -> str:
        out, err = self.tool("deliver", now=self.at(hours))
        self.assertIn(f"pending {pending}", out, err)
        return err

    def incident(self) -> None:
        """One that opens, is updated, and ends."""
        self.tool("fail", *BACKUP, now=self.at(0))
        self.deliver(0)
        self.tool("fail", *BACKUP, now=self.at(24))
        self.deliver(24)
        self.tool("good", *BACKUP, now=self.at(48))
        self.deliver(48)


class EverySink(Alerts):
    def test_an_incident_from_its_beginning_to_its_end(self):
        self.incident()
        issue, = self.fake.issues
        self.assertEqual(issue["title"], "🚨 Database Backup Failed: care in s3")
        self.assertEqual(issue["labels"], ["bug", "critical", "compliance", "backup"])
        self.assertIn("### Action Required\n- [ ]", issue["body"])
        self.assertEqual((issue["state"], issue["reason"]), ("closed", "completed"))
        self.assertEqual(len(issue["comments"]), 2)
        self.assertIn("2 failures", issue["comments"][1])
        self.assertEqual([m["text"].split()[0] for m in self.fake.slack], ["🚨", "🔁", "✅"])
        self.assertEqual([json.loads(body)["type"] for _, body in self.fake.hooks], ["opened", "update", "recovered"])
        self.assertEqual(self.fake.pings, [])

    def test_a_webhook_is_checked_with_openssl_as_the_documentation_says(self):
        self.tool("fail", *BACKUP)
        self.tool("deliver")
        (headers, body), = self.fake.hooks
        signed = headers["x-holdfast-timestamp"].encode() + b"." + body
        made = subprocess.run(["openssl", "dgst", "-sha256", "-hmac", self.fake.hook_secret], input=signed,
                              capture_output=True, check=True)
        self.assertEqual(headers["x-holdfast-signature"], "v1=" + made.stdout.decode().split("= ")[1].strip())
        self.assertLess(abs(int(headers["x-holdfast-timestamp"]) - time.time()), 60)

    def test_pings_say_how_a_run_goes(self):
        run = str(uuid.uuid4())
        self.tool("run", "started", "care", run)
        self.tool("deliver")
        self.tool("run", "failed", "care", run, 3)
        self.tool("deliver")
        self.tool("run", "succeeded", "care", run)
        self.tool("deliver")
        self.assertEqual([path for path, _ in self.fake.pings],
                         [f"start?rid={run}", f"3?rid={run}", f"?rid={run}"])

    def test_the_test_command_reaches_every_sink_and_leaves_nothing_open(self):
        out, _ = self.tool("test", "care")
        self.assertEqual(out, "github ok\nslack ok\nwebhook ok\nping ok\n")
        self.assertEqual([issue["state"] for issue in self.fake.issues], ["closed"])
        self.assertEqual([path for path, _ in self.fake.pings], ["log"])
        self.fake.fail("500", "slack")
        out, err = self.tool("test", "care", code=1)
        self.assertIn("slack failed", out)
        self.assertIn("status 500", err)

    def test_a_month_of_nights(self):
        self.env |= {"ESCALATE_AFTER": "4h, 24h"}
        self.tool("month", now=self.at(0))
        titles = {issue["title"]: issue for issue in self.fake.issues}
        backup = titles["🚨 Database Backup Failed: care in s3"]
        missed = titles["🚨 Database Backup Missed: care"]
        lag = titles["🚨 WAL Archive Lags Behind: care"]
        self.assertEqual({issue["state"] for issue in self.fake.issues}, {"closed"})
        self.assertEqual(len(self.fake.issues), 3, sorted(titles))
        # Five nights: one issue; the second night's comment is the second escalation; one recovery.
        self.assertEqual(sum("Still" in c for c in backup["comments"]), 3)
        self.assertEqual(sum("Escalated" in c for c in backup["comments"]), 2)
        self.assertEqual(sum("Recovered" in c for c in backup["comments"]), 1)
        self.assertIn("5 failures", backup["comments"][-1])
        self.assertEqual(sum("Recovered" in c for c in missed["comments"]), 1)
        # 84 lags in a week that came and went each hour: still one issue, and few words.
        self.assertLess(len(lag["comments"]), 25)


class Faults(Alerts):
    def test_every_fault_of_github_ends_in_one_issue_that_is_closed(self):
        for kind in ("500", "429", "403-limit", "reset", "lost", "lost-post"):
            for number in range(1, 5):
                with self.subTest(kind=kind, number=number):
                    self.fake = FakeAlertServices(per_page_max=2)
                    self.addCleanup(self.fake.close)
                    self.folder = harness.temp_dir("hf-alerts-", 0o700) / "alerts"
                    self.env = self.fake.env("github")
                    for hours, word in ((0, "fail"), (24, "fail"), (48, "good")):
                        self.tool(word, *BACKUP, now=self.at(hours))
                        self.fake.fail(kind, "github", number)
                        for hour in range(7):
                            self.tool("deliver", now=self.at(hours + hour))
                        self.fake.heal()
                    self.deliver(60)
                    issue, = self.fake.issues
                    self.assertEqual(issue["state"], "closed")
                    self.assertEqual(len(issue["comments"]), 2, issue["comments"])

    def test_a_sink_that_is_down_harms_no_other_and_is_caught_up_with(self):
        self.fake.fail("reset", "slack", ALWAYS)
        self.tool("fail", *BACKUP, now=self.at(0))
        err = self.deliver(0, pending=1)
        self.assertIn("slack", err)
        self.assertEqual((len(self.fake.issues), len(self.fake.hooks), len(self.fake.slack)), (1, 1, 0))
        self.fake.heal()
        self.deliver(1)
        self.assertEqual(len(self.fake.slack), 1)

    def test_a_sink_that_hangs_ends_with_the_pass(self):
        for service in ("github", "slack", "webhook"):
            self.fake.fail("stall", service, ALWAYS)
        self.tool("fail", *BACKUP)
        began = time.monotonic()
        self.tool("deliver", 3)
        self.assertLess(time.monotonic() - began, 20)

    def test_a_host_without_a_memory_comments_and_closes(self):
        for hours, word in ((0, "fail"), (24, "fail"), (48, "good"), (72, "good")):
            self.folder = harness.temp_dir("hf-alerts-", 0o700) / "alerts"
            self.env = self.fake.env("github")
            with subprocess.Popen([str(TOOL), "--folder", str(self.folder), "--now", self.at(hours), word, *BACKUP],
                                  env={"PATH": os.environ["PATH"], **self.env}) as process:
                self.assertEqual(process.wait(), 0)
            self.deliver(hours)
        issue, = self.fake.issues
        self.assertEqual(issue["state"], "closed")
        self.assertEqual(len(issue["comments"]), 2)

    def test_killed_at_any_instant_it_says_everything_once(self):
        chance = random.Random(20261128)
        self.env = self.fake.env("github", "webhook")
        kinds = itertools.cycle(("backup", "proof", "prune", "rpo"))
        told = set()
        end = time.monotonic() + 20
        kills = 0
        while time.monotonic() < end and kills < 60:
            kind = next(kinds)
            for words in (("fail", kind, "care", "s3"), ("deliver",), ("deliver",)):
                process = self.popen(*words)
                try:
                    process.communicate(timeout=chance.uniform(0.001, 0.05))
                    if words[0] == "fail" and process.returncode == 0:
                        told.add(kind)
                except subprocess.TimeoutExpired:
                    process.send_signal(signal.SIGKILL)
                    process.communicate()
                    kills += 1
        self.assertGreater(kills, 5)
        self._wait_for_the_backoff()
        titles = [issue["title"] for issue in self.fake.issues]
        self.assertEqual(len(titles), len(set(titles)), titles)
        self.assertGreaterEqual(len(titles), len(told))
        for issue in self.fake.issues:
            marks = [line for text in (issue["body"], *issue["comments"]) for line in text.splitlines()
                     if "holdfast-message" in line]
            self.assertEqual(len(marks), len(set(marks)))

    def _wait_for_the_backoff(self):
        hours = 24 * 28  # by a clock far ahead: what waited a minute is due
        self.deliver_until_done(hours)

    def deliver_until_done(self, hours: float):
        for turn in range(10):
            out, err = self.tool("deliver", now=f"2027-01-{10 + turn:02}T00:00:00.000Z")
            if "pending 0" in out:
                return
        self.fail(out + err)

    def test_two_processes_deliver_once(self):
        self.env = self.fake.env("github", "slack")
        for kind in ("backup", "proof", "prune", "rpo", "rto"):
            self.tool("fail", kind, "care", "s3")
        processes = [self.popen("deliver") for _ in range(4)]
        outputs = [process.communicate(timeout=60) for process in processes]
        self.assertEqual([p.returncode for p in processes], [0] * 4, outputs)
        self.tool("deliver")
        self.assertEqual((len(self.fake.issues), len(self.fake.slack)), (5, 5))


class Mail(Alerts):
    def setUp(self):
        super().setUp()
        self.password = harness.random_secret()

    def server(self, **more) -> SmtpServer:
        try:
            server = SmtpServer(**more)
        except harness.Unavailable as error:
            self.skipTest(str(error))
        self.addCleanup(server.close)
        self.env = MAIL | {"SMTP_URL": server.url, "SMTP_CA_FILE": str(server.ca_file)}
        return server

    def login(self, server: SmtpServer, password: str) -> None:
        self.env["SMTP_URL"] = server.url.replace("://", "://anna@")
        self.env["SMTP_PASSWORD"] = password

    def test_an_incident_is_a_thread(self):
        server = self.server()
        self.incident()
        opened, update, recovered = server.mails()
        self.assertEqual(opened["Subject"], "🚨 Database Backup Failed: care in s3")
        self.assertEqual(opened.get_all("X-Envelope-To"), ["ops@care.test", "dba@care.test"])
        self.assertEqual(opened["From"], "Holdfast <holdfast@care.test>")
        self.assertIn("Action required:", opened.get_content())
        for reply in (update, recovered):
            self.assertEqual(reply["References"], opened["Message-ID"])
        self.assertEqual(len({mail["Message-ID"] for mail in server.mails()}), 3)
        self.assertIn("well again", recovered.get_content())

    def test_it_logs_in_over_starttls_to_a_server_that_proves_who_it_is(self):
        # 0.0.0.0 reaches this machine and is not a loopback address: TLS is required and verified.
        server = self.server(tls="starttls", login=("anna", self.password), host="0.0.0.0")
        self.login(server, self.password)
        self.tool("fail", *BACKUP, now=self.at(0))
        self.deliver(0)
        self.assertEqual(len(server.mails()), 1)
        self.env["SMTP_CA_FILE"] = ""
        self.tool("fail", "proof", "care", "s3", now=self.at(1))
        self.assertIn("could not prove who it is", self.deliver(1, pending=1))
        self.assertEqual(len(server.mails()), 1)

    def test_a_wrong_password_and_a_server_without_tls_are_named(self):
        server = self.server(tls="starttls", login=("anna", self.password))
        self.login(server, harness.random_secret())
        self.tool("fail", *BACKUP, now=self.at(0))
        self.assertIn("refused the login", self.deliver(0, pending=1))
        server = self.server(host="0.0.0.0")
        self.assertIn("offers no TLS", self.deliver(2, pending=1))
        self.assertEqual(server.mails(), [])

    def test_smtps(self):
        server = self.server(tls="smtps")
        self.tool("fail", *BACKUP, now=self.at(0))
        self.deliver(0)
        self.assertEqual(len(server.mails()), 1)

    def test_what_is_refused_for_now_is_sent_later(self):
        refusing = self.server(fault="451")
        self.tool("fail", *BACKUP, now=self.at(0))
        self.deliver(0, pending=1)
        refusing.close()
        self.deliver(1, pending=1)
        server = self.server(port=refusing.port)
        self.deliver(3)
        self.assertEqual(len(server.mails()), 1)

    def test_a_refusal_for_now_is_said_to_be_one(self):
        self.server(fault="451")
        self.tool("fail", *BACKUP, now=self.at(0))
        self.assertIn("refused the mail for now (451)", self.deliver(0, pending=1))

    def test_a_recipient_that_is_refused_is_said_once_and_keeps_nobody_from_being_told(self):
        server = self.server(refuse={"dba@care.test": "550"})
        self.tool("fail", *BACKUP, now=self.at(0))
        self.assertIn("the server refused dba@care.test (550)", self.deliver(0))
        self.assertEqual([["ops@care.test"]], [mail.get_all("X-Envelope-To") for mail in server.mails()])
        self.tool("good", *BACKUP, now=self.at(1))
        self.assertNotIn("dba@care.test", self.deliver(1))
        self.assertEqual(2, len(server.mails()))
        self.assertIn("dba@care.test (550)", self.tool("test", "care", code=1)[1])

    def test_a_server_that_refuses_every_recipient_takes_nothing(self):
        self.server(refuse={"ops@care.test": "550", "dba@care.test": "550"})
        self.tool("fail", *BACKUP, now=self.at(0))
        self.assertIn("refused the mail (550)", self.deliver(0, pending=1))

    def test_a_server_that_hangs_ends_with_the_pass(self):
        self.server(fault="hang")
        self.tool("fail", *BACKUP)
        began = time.monotonic()
        self.tool("deliver", 3)
        self.assertLess(time.monotonic() - began, 20)

    def test_names_cannot_inject_headers(self):
        server = self.server()
        self.tool("fail", "backup", "care\r\nBcc: evil@x.test\r\n\r\nhello", "s3", now=self.at(0))
        self.deliver(0)
        mail, = server.mails()
        self.assertIsNone(mail["Bcc"])
        self.assertEqual(mail.get_all("X-Envelope-To"), ["ops@care.test", "dba@care.test"])


if __name__ == "__main__":
    harness.main()
