"""How a restore loads: large tables whole and frozen, their indexes one by one, and nothing less when that is refused."""

import re
import secrets
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

# Two tables of some 40 MB of text, which is large to the program, with every kind of index that it builds
# one by one; a parent whose rows are its own; a small table.
SCHEMA = """
CREATE EXTENSION pg_visibility;
CREATE TABLE visits (id int, client int, at timestamptz NOT NULL, note text, doc jsonb);
INSERT INTO visits SELECT i, i % 997, '2026-01-01'::timestamptz + i * interval '1 min', repeat(md5(i::text), 8),
    jsonb_build_object('k', i % 50, 'l', ARRAY[i, i + 1]) FROM generate_series(1, 120000) i;
ALTER TABLE visits ADD PRIMARY KEY (id);
ALTER TABLE visits ADD UNIQUE (at, id);
ALTER TABLE visits ADD CONSTRAINT no_two EXCLUDE USING btree (id WITH =);
CREATE INDEX visits_client ON visits (client);
CREATE INDEX visits_client_at ON visits (client, at) WHERE client > 10;
CREATE INDEX visits_doc ON visits USING gin (doc);
CREATE INDEX visits_lower ON visits (lower(note), (client + 1));
ALTER INDEX visits_lower ALTER COLUMN 2 SET STATISTICS 500;
CREATE INDEX visits_order ON visits (at);
ALTER TABLE visits CLUSTER ON visits_order;
ALTER TABLE visits REPLICA IDENTITY USING INDEX visits_at_id_key;
CREATE TABLE events (id bigint PRIMARY KEY, visit int REFERENCES visits, body text);
INSERT INTO events SELECT i, i % 120000 + 1, repeat(md5(i::text), 4) FROM generate_series(1, 250000) i;
CREATE INDEX events_visit ON events (visit);
CREATE TABLE parent (id int);
CREATE TABLE child () INHERITS (parent);
INSERT INTO parent SELECT generate_series(1, 10);
INSERT INTO child SELECT generate_series(1, 20);
CREATE TABLE empty (id int PRIMARY KEY);
"""
LARGE = ("visits", "events")

# Checks that read tables: the larger one reads the smaller one's rows; two read each other; one reads its own rows,
# the ones before; a domain and a generated column do it for their tables. The functions are the database's.
CHECKS = """
CREATE TABLE a_params (k text PRIMARY KEY, low int, high int);
CREATE FUNCTION ok(k text, v int) RETURNS bool LANGUAGE sql AS
    'SELECT EXISTS (SELECT FROM public.a_params p WHERE p.k = $1 AND $2 BETWEEN p.low AND p.high)';
CREATE TABLE b_values (k text, v int, note text, CHECK (ok(k, v)));
INSERT INTO a_params SELECT 'k' || i, 0, 1000 FROM generate_series(1, 50) i;
INSERT INTO b_values SELECT 'k' || 1 + i % 50, i % 1000, repeat('v', 900) || i FROM generate_series(1, 30000) i;
CREATE DOMAIN known AS text CHECK (ok(value, 1));
CREATE TABLE a_known (k known, note text);
INSERT INTO a_known SELECT 'k' || 1 + i % 50, repeat('n', 500) FROM generate_series(1, 500) i;
CREATE FUNCTION high_of(k text) RETURNS int IMMUTABLE LANGUAGE plpgsql AS
    'BEGIN RETURN (SELECT p.high FROM public.a_params p WHERE p.k = $1); END';
CREATE TABLE a_high (k text, note text, high int GENERATED ALWAYS AS (high_of(k)) STORED);
INSERT INTO a_high SELECT 'k' || 1 + i % 50, repeat('n', 500) FROM generate_series(1, 500) i;
CREATE TABLE left_side (id int, note text);
CREATE TABLE right_side (id int, note text);
CREATE FUNCTION not_right(int) RETURNS bool LANGUAGE sql AS
    'SELECT NOT EXISTS (SELECT FROM public.right_side r WHERE r.id = $1)';
CREATE FUNCTION not_left(int) RETURNS bool LANGUAGE sql AS
    'SELECT NOT EXISTS (SELECT FROM public.left_side l WHERE l.id = $1)';
INSERT INTO left_side SELECT i, repeat('l', 800) FROM generate_series(2, 2000, 2) i;
INSERT INTO right_side SELECT i, repeat('r', 800) FROM generate_series(1, 2000, 2) i;
ALTER TABLE left_side ADD CHECK (not_right(id));
ALTER TABLE right_side ADD CHECK (not_left(id));
CREATE TABLE tree (id int, parent int, note text);
CREATE FUNCTION has(int) RETURNS bool LANGUAGE plpgsql AS
    'BEGIN RETURN EXISTS (SELECT FROM public.tree t WHERE t.id = $1); END';
INSERT INTO tree SELECT i, i - 9000, repeat('t', 1900) || i FROM generate_series(1, 20000) i;
ALTER TABLE tree ADD CHECK (id % 2000 <> 0 OR parent < 1 OR has(parent));
"""


class RestoreLoad(unittest.TestCase):
    def setUp(self):
        self.server = harness.Server(settings={"log_statement": "all", "log_line_prefix": "%d "})
        self.addCleanup(self.server.close)
        self.server.createdb("care")
        self.folder = harness.temp_dir()
        self.env = {"DATABASE_URL": self.server.url("care"), "BACKUP_DIR": self.folder}

    def holdfast(self, *args, **kwargs):
        return harness.holdfast(*args, env=self.env, **kwargs)

    def backup(self, schema):
        self.server.psql(schema, db="care")
        self.holdfast("backup", "--type", "dump", "--json")

    def statements(self):
        """What was run in the database that became the restored one."""
        return [line for line in self.server.log_text().splitlines() if "_holdfast_" in line.split(" ")[0]]

    def schema(self, db):
        return re.sub(r"(?m)^\\(un)?restrict .*\n", "", self.server.tool("pg_dump", "--schema-only", "-d", db).out)

    def equal(self, db):
        self.assertEqual(harness.rows_difference(harness.rows(self.server, db), harness.rows(self.server, "care")), "")
        self.assertEqual(self.schema(db), self.schema("care"))

    def test_tables_come_frozen_with_all_their_indexes(self):
        self.backup(SCHEMA)
        self.holdfast("restore", "latest", "--database", "back", "--jobs", "1")
        self.equal("back")
        for table in LARGE + ("parent", "child"):
            pages, frozen = self.server.psql(
                f"SELECT pg_relation_size('{table}') / 8192, (pg_visibility_map_summary('{table}')).all_frozen",
                db="back").split("|")
            self.assertGreater(int(pages), 0)
            self.assertEqual(pages, frozen, table)
        said = "\n".join(self.statements())
        for table in LARGE:
            self.assertRegex(said, rf"TRUNCATE ONLY public\.{table}\b")
            self.assertRegex(said, rf"COPY public\.{table} .*FREEZE true")
        self.assertEqual(self.server.psql(
            "SELECT count(*) FROM pg_index WHERE NOT indisvalid OR NOT indisready", db="back"), "0")

    def test_several_connections_share_what_one_would_be_late_with(self):
        self.backup(SCHEMA)
        self.holdfast("restore", "latest", "--database", "back", "--jobs", "8")
        self.equal("back")
        said = "\n".join(self.statements())
        self.assertRegex(said, r"COPY public\.visits .*FREEZE false")
        self.assertRegex(said, r"COPY public\.parent .*FREEZE true")

    def test_an_index_that_cannot_be_built_fails_the_restore_and_leaves_nothing(self):
        self.backup(SCHEMA + """
            CREATE FUNCTION only_here(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$
            BEGIN IF current_database() <> 'care' THEN RAISE 'not here'; END IF; RETURN $1; END $$;
            CREATE INDEX visits_only_here ON visits (only_here(client));""")
        failed = self.holdfast("restore", "latest", "--database", "back", check=False)
        self.assertEqual(failed.code, 1, str(failed))
        self.assertIn("not here", failed.err)
        self.assertIn("visits_only_here", failed.err)
        self.assertEqual(self.server.psql("SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database"
                                          " WHERE datname NOT LIKE 'template%'"), "care postgres")

    def test_tables_whose_checks_read_tables_come_last_and_one_after_the_other(self):
        self.backup(CHECKS)
        self.holdfast("restore", "latest", "--database", "back", "--jobs", "8")
        self.equal("back")
        self.assertEqual("0", self.server.psql("SELECT count(*) FROM a_high WHERE high IS NULL", db="back"))
        said = "\n".join(self.statements())
        self.assertRegex(said, r"COPY public\.a_params .*FREEZE true")
        for table in ("a_known", "a_high", "left_side", "right_side", "tree", "b_values"):
            self.assertRegex(said, rf"COPY public\.{table} .*FREEZE false")
            self.assertNotRegex(said, rf"TRUNCATE ONLY public\.{table}\b")
        self.holdfast("verify", "latest", "--level", "restore")

    def test_of_a_sealed_archive_they_come_in_its_order(self):
        key = harness.temp_dir(mode=0o700) / "key"
        key.write_text(secrets.token_urlsafe(48) + "\n")
        key.chmod(0o600)
        self.env["BACKUP_KEY_FILE"] = key
        self.backup(CHECKS.replace("a_known", "z_known").replace("a_high", "z_high"))
        self.holdfast("restore", "latest", "--database", "back", "--jobs", "8")
        self.equal("back")
        self.assertEqual("0", self.server.psql("SELECT count(*) FROM z_high WHERE high IS NULL", db="back"))
        # What a check needs does not come before its table, as in a stock restore: that is said.
        self.server.psql("ALTER TABLE b_values RENAME TO a_first", db="care")
        self.holdfast("backup", "--type", "dump", "--json")
        failed = self.holdfast("restore", "latest", "--database", "again", "--jobs", "2", check=False)
        self.assertEqual(failed.code, 1, str(failed))
        self.assertIn("hint: the checks of this table", failed.err)


# An extension with rows of its own that must stay, and with tables that have foreign keys from the start.
EXTENSION = """
CREATE TABLE shipped (id int PRIMARY KEY, own bool NOT NULL DEFAULT true);
INSERT INTO shipped VALUES (1, false), (2, false);
SELECT pg_catalog.pg_extension_config_dump('shipped', 'WHERE own');
CREATE TABLE a_parents (id int PRIMARY KEY);
CREATE TABLE kids (id int PRIMARY KEY REFERENCES a_parents, note text);
CREATE TABLE a_grandkids (id int REFERENCES kids, note text);
SELECT pg_catalog.pg_extension_config_dump('a_parents', '');
SELECT pg_catalog.pg_extension_config_dump('kids', '');
SELECT pg_catalog.pg_extension_config_dump('a_grandkids', '');
"""
ROWS = """
CREATE EXTENSION hf_tables;
INSERT INTO shipped VALUES (10), (11);
INSERT INTO a_parents SELECT generate_series(1, 1000);
INSERT INTO kids SELECT i, repeat('k', 5000) || i FROM generate_series(1, 1000) i;
INSERT INTO a_grandkids SELECT 1 + i % 1000, repeat(md5(i::text), 40) FROM generate_series(1, 20000) i;
"""


class RestoreExtension(unittest.TestCase):
    """PostgreSQL 18 looks for extensions where it is told to."""

    def setUp(self):
        harness.skip_unless_server(18)
        place = harness.temp_dir()
        place.chmod(0o755)
        (place / "extension").mkdir(mode=0o755)
        (place / "extension/hf_tables.control").write_text("default_version = '1.0'\nschema = public\n"
                                                           "relocatable = false\n")
        (place / "extension/hf_tables--1.0.sql").write_text(EXTENSION)
        self.server = harness.Server(major=18, settings={"extension_control_path": f"{place}:$system"})
        self.addCleanup(self.server.close)
        self.server.createdb("care")
        self.server.psql(ROWS, db="care")
        self.folder = harness.temp_dir()
        key = self.folder / "key"
        key.write_text(secrets.token_urlsafe(48) + "\n")
        key.chmod(0o600)
        self.env = {"DATABASE_URL": self.server.url("care"), "BACKUP_DIR": self.folder,
                    "HOLDFAST_PG_BINDIR": self.server.bindir}
        self.sealed = {**self.env, "BACKUP_KEY_FILE": key}

    def rows_of(self, db):
        return self.server.psql("".join(f"SELECT '{table}', count(*), md5(string_agg(t::text, ',' ORDER BY t::text))"
                                        f" FROM {table} t;" for table in ("shipped", "a_parents", "kids", "a_grandkids")),
                                db=db)

    def test_tables_with_foreign_keys_come_in_their_order_and_rows_that_were_there_stay(self):
        for number, env in enumerate((self.env, self.sealed)):
            for jobs in ("1", "4"):
                with self.subTest(sealed=env is self.sealed, jobs=jobs):
                    made = harness.holdfast("backup", "--type", "dump", "--json", env=env).json()
                    back = f"back{number}{jobs}"
                    # What the extension brings is in neither the dump nor its counts.
                    harness.holdfast("restore", made["results"][0]["id"], "--database", back, "--jobs", jobs,
                                     "--read-back", "counts", env=env)
                    self.assertEqual(self.rows_of(back), self.rows_of("care"))


if __name__ == "__main__":
    unittest.main()
