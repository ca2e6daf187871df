"""A password appears nowhere but where it was put: no process listing, no output, no file.

Every call of holdfast here runs under SecretWatch (arguments of all processes, environments of
holdfast's children), and the harness looks through its output; the files are looked through at the end.
"""

import sys
import unittest
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

PASSWORD = "p:a\\s's@%w o#rd/ü&=?\"$x"  # everything that some encoding of it trips over
WRONG = "wr:o\\n'g@%25 #ö-secret"
NEW_FILES_MODE = 0o600


class Secrets(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.server.create_role("keeper", "LOGIN SUPERUSER", password=PASSWORD)
        harness.register_secret(WRONG)
        cls.server.createdb("care")
        cls.server.psql("CREATE TABLE visits (id int PRIMARY KEY, note text);"
                        "INSERT INTO visits SELECT i, md5(i::text) FROM generate_series(1, 4000) i;"
                        "SELECT lo_from_bytea(0, 'large object');", db="care")
        cls.folder = harness.temp_dir()
        cls.private = harness.temp_dir(mode=0o700)
        cls.url = cls.server.url("care", user="keeper")
        cls.url_without = cls.server.url("care", user="keeper", password=None)

    @classmethod
    def tearDownClass(cls):
        cls.server.close()

    def setUp(self):
        self.watch = harness.SecretWatch()
        self.watch.__enter__()
        self.addCleanup(self.expect_clean_files)
        self.addCleanup(self.watch.__exit__, None, None, None)

    def expect_clean_files(self):
        for path in self.folder.rglob("*"):
            if path.is_file():
                harness.assert_no_secrets(path.read_bytes(), path.name)

    def run_holdfast(self, *args, env=None, **kwargs):
        return harness.holdfast(*args, "--dir", self.folder,
                                env={"DATABASE_URL": self.url} if env is None else env, **kwargs)

    def secret_file(self, name, text):
        path = self.private / name
        path.write_text(text)
        path.chmod(NEW_FILES_MODE)
        return path

    def refused(self, *args, code=None, **kwargs):
        done = self.run_holdfast(*args, check=False, **kwargs)
        if code is None:
            self.assertNotEqual(0, done.code, str(done))
        else:
            self.assertEqual(code, done.code, str(done))
        if args[0] != "doctor":  # which reports findings instead
            self.assertIn("error: ", done.err)
        return done

    def test_every_command(self):
        self.run_holdfast("doctor")
        self.run_holdfast("doctor", "--json")
        made = self.run_holdfast("backup", "--type", "dump", "--verify", "restore", "--json").json()
        backup = made["results"][0]["id"]
        self.run_holdfast("backup", "--type", "dump")
        self.run_holdfast("list")
        self.run_holdfast("list", "--json")
        self.run_holdfast("show", backup)
        self.run_holdfast("show", backup, "--json")
        self.run_holdfast("config", "show")
        self.run_holdfast("config", "show", "--json")
        self.run_holdfast("verify", backup, "--level", "restore")
        self.run_holdfast("restore", backup, "--database", "again")
        self.run_holdfast("restore", backup, "--database", "again", "--confirm", "again", "--json")
        self.run_holdfast("restore", self.folder / f"{backup}.dump", "--database", "from_file")
        globals_sql = (self.folder / f"{backup}.globals.sql").read_text()
        self.assertIn("keeper", globals_sql)
        for word in ("PASSWORD '", "SCRAM-SHA-256", "md5"):
            self.assertNotIn(word, globals_sql)
        self.assertEqual("4000", self.server.psql("SELECT count(*) FROM visits", db="from_file"))
        self.assertGreater(self.watch.samples, 10)

    def test_a_plain_archive(self):
        plain = self.private / "plain.dump"
        self.server.tool("pg_dump", "-Fc", "-f", plain, "-d", "care")
        self.run_holdfast("verify", plain, "--level", "restore")
        self.run_holdfast("restore", plain, "--database", "from_plain")

    def test_url_in_a_file(self):
        path = self.secret_file("url", self.url + "\n")
        self.run_holdfast("backup", "--type", "dump", env={"DATABASE_URL_FILE": path})

    def test_keywords_instead_of_a_url(self):
        quoted = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
        self.run_holdfast("backup", "--type", "dump", env={"DATABASE_URL":
                          f"host=127.0.0.1 port={self.server.port} user=keeper dbname=care"
                          f" password='{quoted}'"})

    def test_password_in_a_file(self):
        path = self.secret_file("password", PASSWORD + "\n")
        config = self.secret_file(
            "holdfast.toml", f"[source.care]\ndatabase_url = '{self.url_without}'\n"
                             f"password_file = '{path}'\ndir = '{self.folder}'\n")
        self.run_holdfast("backup", "--type", "dump", "--config", config, env={})
        self.run_holdfast("config", "show", "--config", config, env={})
        self.run_holdfast("backup", "--type", "dump",
                          env={"DATABASE_URL": self.url_without, "DATABASE_PASSWORD_FILE": path})

    def test_password_in_the_configuration(self):
        escaped = self.url.replace("\\", "\\\\").replace('"', '\\"')
        config = self.secret_file("inline.toml", f'database_url = "{escaped}"\n')
        self.run_holdfast("backup", "--type", "dump", "--config", config, env={})
        self.run_holdfast("config", "show", "--config", config, env={})
        config.chmod(0o644)
        told = self.run_holdfast("config", "show", "--config", config, env={})
        self.assertIn("can be read by other users", told.out + told.err)

    def test_a_broken_configuration(self):
        for number, line in enumerate((f'database_ulr = "{self.url}"', f'database_url = {self.url}',
                                       f'database_url = ["{self.url}"]',
                                       f'neon_api_key = "{quote(PASSWORD)}"',
                                       f'database_url = "{self.url}')):
            config = self.secret_file(f"broken{number}.toml", line + "\n")
            self.refused("backup", "--type", "dump", "--config", config, env={}, code=2)

    def test_passfile(self):
        made = self.run_holdfast("backup", "--type", "dump", "--verify", "restore", "--json",
                                 env={"DATABASE_URL": self.url_without,
                                      "PGPASSFILE": self.server.passfile}).json()
        self.assertEqual("ok", made["results"][0]["status"])

    def test_libpq_password_variable(self):
        env = {"DATABASE_URL": self.url_without, "PGPASSWORD": PASSWORD}
        backup = self.run_holdfast("backup", "--type", "dump", "--json", env=env).json()
        self.run_holdfast("restore", backup["results"][0]["id"], "--database", "by_variable",
                          env=env)

    def test_restore_to_another_url(self):
        made = self.run_holdfast("backup", "--type", "dump", "--json").json()
        backup = made["results"][0]["id"]
        self.run_holdfast("restore", backup, env={
            "HOLDFAST_TO_URL": self.server.url("elsewhere", user="keeper")})
        self.assertEqual("4000", self.server.psql("SELECT count(*) FROM visits", db="elsewhere"))

    def test_wrong_password(self):
        url = self.server.url("care", user="keeper", password=WRONG)
        for args in (("backup", "--type", "dump"), ("doctor",), ("doctor", "--json"),
                     ("backup", "--type", "dump", "--json")):
            self.refused(*args, env={"DATABASE_URL": url}, code=1 if args[0] == "backup" else None)

    def test_wrong_passfile(self):
        path = self.secret_file("pgpass", "*:*:*:*:" + WRONG.replace("\\", "\\\\").replace(":", "\\:")
                                + "\n")
        self.refused("backup", "--type", "dump", code=1,
                     env={"DATABASE_URL": self.url_without, "PGPASSFILE": path})

    def test_nobody_there(self):
        url = self.url.replace(f":{self.server.port}/", f":{harness.free_port()}/")
        self.refused("backup", "--type", "dump", env={"DATABASE_URL": url}, code=1)
        url = self.url.replace("@127.0.0.1:", "@no-such-host.invalid:")
        self.refused("backup", "--type", "dump", env={"DATABASE_URL": url}, code=1)

    def test_no_url_at_all(self):
        encoded = quote(PASSWORD, safe="")
        for bad in (f"postgresql//keeper:{encoded}@host/db", f"postgres:keeper:{encoded}@host/db",
                    f"postgresql://keeper:{encoded}@host:notaport/db", encoded, PASSWORD,
                    f"postgresql://keeper:{encoded}%@host/db",
                    f"postgresql://keeper:{PASSWORD}@host/db",
                    f"postgresql://keeper:{encoded}@host/db?no_such_option=1",
                    f"postgresql://host/db?passwort={encoded}",
                    f"host=h password='{PASSWORD}", f"host=h passwd={encoded}"):
            for args in (("backup", "--type", "dump"), ("doctor",), ("backup", "--json")):
                self.refused(*args, env={"DATABASE_URL": bad})
            harness.holdfast("config", "show", env={"DATABASE_URL": bad}, check=False)

    def test_errors_of_the_server(self):
        self.server.psql("CREATE DATABASE full_one CONNECTION LIMIT 0")
        self.server.create_role("weak", password=WRONG + "2")
        for database, user in (("absent", "keeper"), ("full_one", "weak"), ("care", "weak")):
            self.refused("backup", "--type", "dump", code=1,
                         env={"DATABASE_URL": self.server.url(database, user=user)})

    def test_logs_of_the_server(self):
        self.server.psql("ALTER SYSTEM SET log_statement = 'all'")
        self.server.psql("SELECT pg_reload_conf()")
        self.run_holdfast("backup", "--type", "dump")
        self.run_holdfast("restore", "latest", "--database", "logged")
        self.assertIn("COPY", self.server.log_text())
        harness.assert_no_secrets(self.server.log_text(), "the server's log")


class OnTheCommandLine(unittest.TestCase):
    """A password typed there is refused: whoever can list processes has already read it."""

    def test_refused(self):
        secret = "S3cret-on-the-line"  # not registered: it does stand in an argument, by intent
        for args in (("restore", "latest", "--to", f"postgresql://u:{secret}@127.0.0.1:1/db"),
                     ("restore", "latest", f"--to=postgresql://u:{secret}@127.0.0.1:1/db"),
                     ("restore", "latest", "--to", f"host=h password={secret}"),
                     ("restore", "latest", "--to", f"postgresql://h/db?password={secret}")):
            done = harness.holdfast(*args, "--dir", harness.temp_dir(), check=False)
            self.assertEqual(2, done.code, str(done))
            self.assertNotIn(secret, done.out + done.err)
            self.assertIn("HOLDFAST_TO_URL", done.err)
        done = harness.holdfast("backup", "--database-url", f"postgresql://u:{secret}@h/db",
                                check=False)
        self.assertEqual(2, done.code, str(done))
        self.assertNotIn(secret, done.out + done.err)
        done = harness.holdfast("backup", f"postgresql://u:{secret}@h/db", check=False)
        self.assertEqual(2, done.code, str(done))
        self.assertNotIn(secret, done.out + done.err)


if __name__ == "__main__":
    harness.main()
