"""An archive that lags behind its source is an incident of `holdfast serve`, with a real PostgreSQL, engine and webhook:
told once, with what was measured, and once more when it is over. What counts as lag, to the second and the byte, is
tested in src/engine/wal_lag_test.cc.
"""

import json
import os
import signal
import sys
import unittest
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import engine  # noqa: E402
import harness  # noqa: E402
from fake_alerts import FakeAlertServices  # noqa: E402

LAG_SECONDS = 20
LAG_BYTES = 512 << 20
ROW = "allergic to penicillin"


def fetch(url: str, key: str | None = None, method: str = "GET") -> tuple[int, str]:
    """Status and text of a page."""
    request = urllib.request.Request(url, method=method, headers={"Authorization": f"Bearer {key}"} if key else {})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            status, text = answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            status, text = error.code, error.read().decode()
    harness.assert_no_secrets(text, url)
    return status, text


def wal_metric(text: str, name: str) -> float | None:
    for line in text.splitlines():
        if line.startswith(f'holdfast_wal_{name}{{source="default",database="postgres"}} '):
            return float(line.rsplit(" ", 1)[1])
    return None


class WalLag(unittest.TestCase):
    def setUp(self):
        self.fake = FakeAlertServices(github=False)
        self.addCleanup(self.fake.close)
        self.port = harness.free_port()
        try:
            self.engine = engine.EngineServer(start=False, computes=2, settings={
                "wal_lag_seconds": LAG_SECONDS, "wal_lag_bytes": LAG_BYTES})
        except harness.Unavailable as error:
            self.skipTest(str(error))
        self.addCleanup(self.engine.close)
        self.source = self.engine.source
        self.source.psql(f"CREATE TABLE visits AS SELECT '{ROW}' AS note")
        home, text = self.engine.home, self.engine.config.read_text()
        self.engine.config.write_text(f'dir = "{home}/backups"\n{text}'
                                      f'[alert]\ndir = "{home}/alerts"\nwebhook_url = "{self.fake.env()["WEBHOOK_URL"]}"\n'
                                      f'[schedule]\nstatus = "0 0 1 1 *"\nlisten = "127.0.0.1:{self.port}"\n')
        self.engine.start()
        self.wait_for(lambda: self.metric("receiving") == 1, "somebody to receive")

    def wait_for(self, condition, what: str):
        return self.engine.wait_for(condition, 180, what)

    def metric(self, name: str) -> float | None:
        return wal_metric(fetch(f"http://127.0.0.1:{self.port}/metrics")[1], name)

    def receiver(self) -> int:
        """The process that receives."""
        def found():
            return [pid for pid in self.engine.inhabitants()
                    if Path(f"/proc/{pid}/comm").read_text().strip() == "pg_receivewal"]
        pid, = self.wait_for(found, "a receiver")
        return pid

    def write(self) -> None:
        self.source.psql(f"INSERT INTO visits SELECT '{ROW}' FROM generate_series(1, 1000)")

    def messages(self) -> list[dict]:
        return [json.loads(body) for _, body in self.fake.hooks]

    def types(self) -> list[str]:
        return [message["type"] for message in self.messages()]

    def told(self, count: int) -> dict:
        """The message that is the last of so many."""
        self.wait_for(lambda: len(self.messages()) >= count, f"{count} messages")
        return self.messages()[count - 1]

    def assert_told_and_over(self) -> None:
        self.assertEqual("recovered", self.told(2)["type"])
        self.assertEqual(["opened", "recovered"], self.types())
        for _, body in self.fake.hooks:
            harness.assert_no_secrets(body, "a webhook's message")
            self.assertNotIn(ROW.encode(), body)
        self.assertNotIn(ROW, self.engine.log_text())

    def test_a_receiver_that_hangs_while_the_source_goes_on(self):
        pid = self.receiver()
        os.kill(pid, signal.SIGSTOP)
        self.addCleanup(self.resume, pid)

        def told():
            self.write()
            return self.messages()
        self.wait_for(told, "a message")
        opened = self.messages()[0]
        incident = opened["incident"]
        self.assertEqual(("opened", "wal_lag", "warning", "postgres", "violated"),
                         (opened["type"], *(incident[k] for k in ("kind", "severity", "source", "error"))))
        self.assertFalse(incident["store"])
        self.assertGreater(incident["measured_seconds"], LAG_SECONDS - 1)
        self.assertGreater(incident["measured_bytes"], 0)
        self.assertEqual((LAG_SECONDS, LAG_BYTES), (incident["target_seconds"], incident["target_bytes"]))
        self.assertGreater(self.metric("lag_seconds"), LAG_SECONDS)
        self.assertGreater(self.metric("lag_bytes"), 0)
        self.assertEqual((LAG_SECONDS, LAG_BYTES), (self.metric("lag_target_seconds"), self.metric("lag_target_bytes")))
        shown = self.engine.holdfast("alert", "show", "--json").json()["incidents"]
        self.assertEqual(["wal_lag"], [each["kind"] for each in shown])

        self.resume(pid)
        self.assert_told_and_over()
        self.engine.wait_received()
        self.wait_for(lambda: self.metric("lag_bytes") == 0, "nothing to be missing")
        self.assertEqual(1, self.metric("receiving"))
        self.assertEqual([], self.engine.holdfast("alert", "show", "--json").json()["incidents"])

    def resume(self, pid: int) -> None:
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass

    def test_a_source_that_is_down_but_not_a_receiver_that_restarts(self):
        os.kill(self.receiver(), signal.SIGKILL)
        self.wait_for(lambda: self.engine.history()["receiving"]["restarts"] == 1, "the receiver's return")
        self.write()
        self.engine.wait_received()
        self.wait_for(lambda: self.metric("receiving") == 1 and self.metric("lag_seconds") == 0, "all to be well")
        self.assertEqual([], self.types())

        self.source.stop()
        incident = self.told(1)["incident"]
        self.assertEqual(("wal_lag", "warning", "unavailable"),
                         tuple(incident[k] for k in ("kind", "severity", "error")))
        self.assertGreater(incident["measured_seconds"], LAG_SECONDS - 1)
        self.assertEqual(0, self.metric("receiving"))
        self.source.start()
        self.assert_told_and_over()

    def test_a_gap_is_critical_and_told_at_once(self):
        self.engine.wait_received()
        slot = self.engine.history()["receiving"]["slot"]
        self.engine.stop()
        self.wait_for(lambda: self.source.psql(
            f"SELECT count(*) FROM pg_replication_slots WHERE slot_name = '{slot}' AND NOT active") == "1",
            "the slot to be left")
        self.source.psql(f"SELECT pg_drop_replication_slot('{slot}')")
        self.source.configure({"wal_keep_size": "0", "max_wal_size": "32MB"}, reload=True)
        for _ in range(12):
            self.write()
            self.source.psql("SELECT pg_switch_wal(); CHECKPOINT")
        self.engine.start()
        incident = self.told(1)["incident"]
        self.assertEqual(("wal_lag", "critical", "not_found", 1),
                         tuple(incident[k] for k in ("kind", "severity", "error", "problems")))
        self.assertGreater(incident["measured_bytes"], 0)
        self.assertEqual(0, incident["target_bytes"])
        # Over when what is received can be recovered to again.
        self.assert_told_and_over()
        self.assertEqual(2, len(self.engine.history()["windows"]))
        self.assertEqual(1, self.metric("gaps_total"))

    def test_the_engine_has_pages_of_its_own(self):
        """Also where there is no schedule."""
        config = self.engine.config.read_text()
        self.engine.stop()
        self.engine.config.write_text(config[:config.index("[schedule]")])
        self.engine.start()
        root, key = f"http://127.0.0.1:{self.engine.port}", self.engine.key
        health = root + "/healthz"
        self.assertEqual((200, "ok"), (fetch(health)[0], json.loads(fetch(health)[1])["status"]))
        self.assertEqual((200, ""), fetch(health, method="HEAD"))
        self.assertEqual(405, fetch(health, method="DELETE")[0])

        self.assertEqual([401, 401], [fetch(root + "/metrics", wrong)[0] for wrong in (None, key + "x")])
        self.wait_for(lambda: wal_metric(fetch(root + "/metrics", key)[1], "receiving") == 1, "somebody to receive")
        status, text = fetch(root + "/metrics", key)
        self.assertEqual(200, status)
        self.assertIn("\nholdfast_up 1\n", text)
        self.assertEqual(LAG_SECONDS, wal_metric(text, "lag_target_seconds"))
        self.assertEqual(405, fetch(root + "/metrics", key, "POST")[0])
        self.assertEqual(404, fetch(root + "/metrics/x", key)[0])


if __name__ == "__main__":
    harness.main()
