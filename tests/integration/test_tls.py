"""A source that is reached over TLS, with its certificate checked against a root of one's own."""

import os
import subprocess
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402


def openssl(*args):
    done = subprocess.run(["openssl", *args], capture_output=True, text=True)
    if done.returncode != 0:
        raise AssertionError(done.stderr)


def make_root(folder: Path, name: str) -> Path:
    """A root certificate; its key lies beside it."""
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", f"/CN=holdfast test {name}", "-keyout", f"{folder}/{name}.key",
            "-out", f"{folder}/{name}.crt")
    return folder / f"{name}.crt"


def make_certificate(folder: Path, root: str, host: str) -> None:
    """server.crt and server.key for `host`, signed by `root`."""
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
            f"/CN={host}", "-keyout", f"{folder}/server.key", "-out", f"{folder}/server.csr")
    names = folder / "names"
    names.write_text(f"subjectAltName = DNS:{host}\n")
    openssl("x509", "-req", "-in", f"{folder}/server.csr", "-CA", f"{folder}/{root}.crt", "-CAkey",
            f"{folder}/{root}.key", "-set_serial", "7", "-days", "2", "-extfile", str(names),
            "-out", f"{folder}/server.crt")


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        keys = harness.temp_dir(mode=0o700)
        cls.root, cls.other_root = make_root(keys, "root"), make_root(keys, "other")
        make_certificate(keys, "root", "localhost")
        cls.server = harness.Server(start=False)
        owner = cls.server.data.stat()
        for name in ("server.crt", "server.key"):
            path = cls.server.data / name
            path.write_bytes((keys / name).read_bytes())
            path.chmod(0o600)
            os.chown(path, owner.st_uid, owner.st_gid)
        cls.server.configure({"ssl": "on"})
        # Without TLS nobody gets in, so that what works here worked over TLS.
        (cls.server.data / "pg_hba.conf").write_text(
            "local all all scram-sha-256\nhostssl all all all scram-sha-256\n")
        cls.server.start()
        cls.server.createdb("care")
        cls.server.psql("CREATE TABLE visits (id int PRIMARY KEY, note text);"
                        "INSERT INTO visits SELECT i, md5(i::text) FROM generate_series(1, 5000) i;",
                        db="care")
        cls.folder = harness.temp_dir()

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def run_holdfast(self, *args, root=None, mode="verify-full", host="localhost", **kwargs):
        url = self.server.url("care").replace(f"@{self.server.host}:", f"@{host}:")
        more = f"?sslmode={mode}" + (f"&sslrootcert={root}" if root else "")
        return harness.holdfast(*args, "--dir", self.folder, env={"DATABASE_URL": url + more},
                                **kwargs)

    def test_without_tls_nobody_gets_in(self):
        done = self.run_holdfast("doctor", mode="disable", check=False)
        self.assertEqual(1, done.code, str(done))

    def test_backup_and_restore(self):
        made = self.run_holdfast("backup", "--type", "dump", "--json", root=self.root).json()
        self.assertEqual("ok", made["results"][0]["status"])
        done = self.run_holdfast("restore", made["results"][0]["id"], "--database", "care_again",
                                 "--json", root=self.root).json()
        self.assertTrue(done["ok"], done)
        self.assertEqual("", harness.rows_difference(harness.rows(self.server, "care"),
                                                     harness.rows(self.server, "care_again")))

    def test_safety_backup_and_live_restore(self):
        self.server.createdb("live")
        self.server.psql("CREATE TABLE t (i int); INSERT INTO t VALUES (1)", db="live")
        made = self.run_holdfast("backup", "--type", "dump", "--json", root=self.root).json()
        done = self.run_holdfast("restore", made["results"][0]["id"], "--database", "live",
                                 "--confirm", "live", "--json", root=self.root).json()
        self.assertTrue(done["ok"], done)
        self.assertIn("public.visits", harness.rows(self.server, "live"))

    def test_settings_of_libpq_from_the_environment(self):
        url = self.server.url("care").replace(f"@{self.server.host}:", "@localhost:")
        env = {"DATABASE_URL": url, "PGSSLMODE": "verify-full", "PGSSLROOTCERT": self.root}
        harness.holdfast("backup", "--type", "dump", "--dir", harness.temp_dir(), env=env)
        wrong = harness.holdfast("backup", "--type", "dump", "--dir", harness.temp_dir(),
                                 env=env | {"PGSSLROOTCERT": self.other_root}, check=False)
        self.assertEqual(1, wrong.code, str(wrong))

    def expect_refused(self, done, *words, code=1):
        self.assertEqual(code, done.code, str(done))
        errors = [line for line in done.err.splitlines() if line.startswith("error:")]
        self.assertEqual(1, len(errors), str(done))
        for word in words:
            self.assertIn(word, errors[0])
        self.assertIn("hint: ", done.err)

    def test_wrong_root(self):
        before = sorted(path.name for path in self.folder.iterdir())
        self.expect_refused(self.run_holdfast("backup", "--type", "dump", root=self.other_root,
                                              check=False), "certificate verify failed")
        self.assertEqual(before, sorted(path.name for path in self.folder.iterdir()))

    def test_another_host_than_the_certificate_names(self):
        self.expect_refused(self.run_holdfast("backup", "--type", "dump", root=self.root,
                                              host="127.0.0.1", check=False), "127.0.0.1",
                            "certificate")

    def test_missing_root_file(self):
        self.expect_refused(self.run_holdfast("backup", "--type", "dump", check=False,
                                              root=self.root.with_name("absent.crt")), "absent.crt",
                            code=2)


if __name__ == "__main__":
    harness.main()
