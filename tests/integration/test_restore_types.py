"""Every type that a restore loads as binary rows arrives to the last bit; what is not converted goes as text.

One table has all the types and thousands of random rows, awkward ones among them, and must be binary
throughout. Beside it each value that is refused has a small table of its own, so that no refusal hides
another value that should have been one. What arrived is compared by the server: as text, and by the
bytes of its own binary COPY.
"""

import json
import math
import random
import re
import struct
import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

ROWS = 4000
SEED = 20260

PIECES = ("a", "Zz", " ", "  ", "\t", "\n", "\r", "\b", "\f", "\v", "\\", "\\\\", '"', '""', "'", ",", ";",
          "{", "}", "{}", "[1:2]=", "(", ")", "NULL", "null", "\\N", "\\.", "\\x", "\\101", "ü", "東京", "🙂",
          "\x01", "\x7f", "%", "0", "1e5", "\u00a0", "\u2028")
WORDS = ("", "NULL", "null", "Null", "\\N", "\\.", "{}", '"', "\\", ",", " ", "plain", "two words", "\n")


def words(rng):
    if rng.random() < 0.3:
        return rng.choice(WORDS)
    return "".join(rng.choice(PIECES) for _ in range(rng.randrange(12)))


def integer(bits):
    low, high = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    return lambda rng: str(rng.choice((low, high, 0, -1, rng.randrange(-100, 100), rng.randint(low, high))))


NUMERICS = ("0", "-0", "-0.000", "0.0000", "1e-200", "10000", "100000000", "99999999.00001", "0.00010000",
            "-0.00001", "9999", "99990000", "1e300", "-12345678901234567890.12345678901234567890", "1.0000",
            "0.9999", "10000.0001", "1000", "0.0001", "0.1", "1e-1990", "9" * 1999)


def digits(rng, most):
    zeros = rng.random() < 0.5
    return "".join(rng.choice("0000123456789" if zeros else "0123456789") for _ in range(rng.randrange(1, most)))


def numeric(rng):
    if rng.random() < 0.1:
        return rng.choice(NUMERICS)
    sign = rng.choice(("", "-"))
    return sign + digits(rng, rng.choice((3, 6, 30))) + rng.choice(("", "." + digits(rng, rng.choice((3, 9, 60)))))


def short_numeric(rng):
    return f"{rng.randrange(-10**9, 10**9) / 1000:.3f}"


def from_bits(form, size):
    def value(rng):
        while True:
            number = struct.unpack(form, rng.randbytes(size))[0]
            if math.isfinite(number):
                return repr(number)
    return value


def real(rng):
    return rng.choice(("0", "-0", "1", "0.1", "1e-45", "1.1754944e-38", "3.4028235e38", "16777217", "1e10",
                       repr(rng.uniform(-1e6, 1e6)), from_bits(">f", 4)(rng)))


def double(rng):
    return rng.choice(("0", "-0", "1", "0.1", "5e-324", "2.225073858507201e-308", "1.7976931348623157e308",
                       "9007199254740993", "1e22", "1e23", repr(rng.uniform(-1e6, 1e6)), from_bits(">d", 8)(rng)))


def date(rng):
    if rng.random() < 0.05:
        return rng.choice(("0001-01-01", "5874897-12-31", "2000-02-29", "1900-02-28", "10000-01-01"))
    return f"{rng.randrange(1, 9999):04}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02}"


def time(rng):
    if rng.random() < 0.1:
        return rng.choice(("00:00:00", "23:59:59.999999", "00:00:00.000001", "12:00:00.5"))
    return (f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}"
            + rng.choice(("", f".{rng.randrange(10**6):06}")))


def timestamp(rng):
    if rng.random() < 0.05:
        return rng.choice(("0001-01-01 00:00:00", "294276-12-31 23:59:59.999999", "1999-12-31 23:59:59.999999"))
    return f"{rng.randrange(2, 9999):04}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02} {time(rng)}"


def timestamptz(rng):
    return timestamp(rng) + "+00"


def uuid(rng):
    text = rng.randbytes(16).hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def document(rng):
    value = rng.choice((None, True, 0, -1.5e-7, words(rng), [], {}, [words(rng), 1, [None]],
                        {words(rng): words(rng), "k": {"ü": [words(rng)]}}))
    return json.dumps(value, ensure_ascii=rng.random() < 0.5, indent=rng.choice((None, 1)))


# The type → a value of it as text.
TYPES = {
    "boolean": lambda rng: rng.choice("tf"),
    "smallint": integer(16),
    "integer": integer(32),
    "bigint": integer(64),
    "text": words,
    "varchar": words,
    "varchar(20)": lambda rng: words(rng)[:20],
    "char(10)": lambda rng: words(rng)[:10],
    "json": document,
    "jsonb": document,
    "uuid": uuid,
    "date": date,
    "timestamp": timestamp,
    "timestamp(3)": lambda rng: timestamp(rng)[:23],  # nothing is rounded up, beyond the last year
    "timestamptz": timestamptz,
    "time": time,
    "time(2)": lambda rng: time(rng)[:11],  # likewise, to 24:00:00
    "numeric": numeric,
    "numeric(12,3)": short_numeric,
    "real": real,
    "double precision": double,
}


def array_of(value):
    def array(rng):
        items = [None if rng.random() < 0.1 else value(rng) for _ in range(rng.choice((0, 1, 1, 2, 3, 9)))]
        return "{" + ",".join("NULL" if item is None else
                              '"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in items) + "}"
    return array


# Types of the database's own, made before the tables.
OWN_TYPES = """
CREATE TYPE public.mood AS ENUM ('fine', 'so so', '', 'Käse', E'a\\tb\\\\c', 'null', '"', ',');
CREATE DOMAIN public.feeling AS public.mood;
CREATE DOMAIN public.share AS numeric CHECK (VALUE IS NULL OR VALUE >= 0);
CREATE DOMAIN public.tags AS text[] CHECK (cardinality(VALUE) < 100);
CREATE TYPE public.pair AS (a integer, b text);
"""
MOODS = ("fine", "so so", "", "Käse", "a\tb\\c", "null", '"', ",")


def columns(citext):
    """Their types and how values are made, in the table that must be binary throughout."""
    made = dict(TYPES)
    made.update({f"{name}[]": array_of(value) for name, value in TYPES.items()})
    made["bytea"] = lambda rng: "\\x" + rng.randbytes(rng.randrange(20)).hex()
    made["public.mood"] = made["public.feeling"] = lambda rng: rng.choice(MOODS)
    made["public.share"] = lambda rng: numeric(rng).removeprefix("-")
    made["public.tags"] = array_of(words)
    if citext:
        made["public.citext"] = words
    return made


# Values that are not converted: each is sent as text.
REFUSED = {
    "numeric": ("NaN", "Infinity", "-Infinity", "1" + "0" * 131071, "0." + "1" * 16383, "9" * 2001, "1e-2000"),
    "real": ("NaN", "Infinity", "-Infinity"),
    "double precision": ("NaN", "Infinity", "-Infinity"),
    "time": ("24:00:00",),
    "date": ("infinity", "-infinity", "0044-03-15 BC"),
    "timestamp": ("infinity", "0044-03-15 12:00:00 BC"),
    "timestamptz": ("-infinity", "4713-01-01 00:00:00+00 BC"),
    "integer[]": ("{{1,2},{3,4}}", "[0:1]={1,2}", "[2:2]={1}", "{{{1}}}", "[-1:0][5:6]={{1,2},{3,NULL}}"),
    "text[]": ("{{a,NULL},{\"\",\"b c\"}}", "[0:0]={\"[1:1]={a}\"}"),
    "numeric[]": ("{1,NaN}", "{Infinity}", "{{1.5}}"),
    "real[]": ("{-Infinity}",),
    "double precision[]": ("{1,NaN}",),
    "time[]": ("{24:00:00}",),
    "date[]": ("{infinity}", "{2024-01-01,\"0044-03-15 BC\"}"),
    "timestamp[]": ("{\"0044-03-15 12:00:00 BC\"}",),
}
# Types of which no table goes as binary.
TEXT_ONLY = {
    "interval": "1 mon -2 days",
    "timetz": "12:00:00+02",
    "bytea[]": r'{"\\x6162",NULL}',
    "public.mood[]": "{fine,NULL}",
    "public.pair": "(1,\"a b\")",
    "int4range": "[1,5)",
    "inet": "10.0.0.1",
    "\"char\"": "x",
    "money": "12.50",
}


def copy_text(value):
    if value is None:
        return "\\N"
    for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        value = value.replace(plain, escaped)
    return value


class RestoreTypes(unittest.TestCase):
    major = 15

    @classmethod
    def setUpClass(cls):
        bindir = harness.skip_unless_server(cls.major)
        cls.server = harness.Server(major=cls.major, settings={"log_statement": "all"})
        cls.server.createdb("types")
        cls.server.psql(OWN_TYPES, db="types")
        cls.citext = cls.server.psql("SELECT 1 FROM pg_available_extensions WHERE name = 'citext'") == "1"
        if cls.citext:
            cls.server.psql("CREATE EXTENSION citext SCHEMA public", db="types")
        cls.make_tables()
        folder = harness.temp_dir()
        for command in (("backup", "--type", "dump"), ("restore", "latest", "--database", "restored")):
            done = harness.holdfast(*command, "--dir", folder, "--pg-bindir", bindir, "--json", timeout=300,
                                    env={"DATABASE_URL": cls.server.url("types")}).json()
        cls.verdict = done["verdict"]
        cls.copies = cls.restoring_copies()

    @classmethod
    def tearDownClass(cls):
        if hasattr(cls, "server"):
            cls.server.close()

    @classmethod
    def make_tables(cls):
        """Fills `refused` and `text_only` with the names of the small tables, and what is in them."""
        rng = random.Random(SEED)
        made = columns(cls.citext)
        listed = ", ".join(f"c{i} {name}" for i, name in enumerate(made))
        plain = "\n".join("\t".join([str(row)] + [copy_text(None if rng.random() < 0.05 else value(rng))
                                                  for value in made.values()]) for row in range(ROWS))
        cls.server.psql(f"CREATE TABLE public.everything (id int PRIMARY KEY, {listed});\n"
                        f"COPY public.everything FROM STDIN;\n{plain}\n\\.\n", db="types")
        # In the middle, values that are refused.
        refused = [(i, value) for i, name in enumerate(made) for value in REFUSED.get(name, ())]
        cls.server.psql(
            "CREATE TABLE public.switching (LIKE public.everything);"
            f"INSERT INTO public.switching SELECT * FROM public.everything WHERE id < {ROWS // 2};" +
            "".join(f"INSERT INTO public.switching (id, c{i}) VALUES ({ROWS + place}, {harness.literal(value)});"
                    for place, (i, value) in enumerate(refused)) +
            f"INSERT INTO public.switching SELECT * FROM public.everything WHERE id >= {ROWS // 2}", db="types")
        cls.refused, cls.text_only = {}, {}
        script = []

        def small(kind, name, value):
            table = f"small_{len(cls.refused) + len(cls.text_only)}"
            kind[table] = f"{name} {value[:80]}"
            script.append(f"CREATE TABLE public.{table} (id int, v {name});"
                          f"INSERT INTO public.{table} VALUES (1, {harness.literal(value)}), (2, NULL);")

        for name, values in REFUSED.items():
            for value in values:
                small(cls.refused, name, value)
        for name, value in TEXT_ONLY.items():
            small(cls.text_only, name, value)
        cls.server.psql("\n".join(script), db="types")

    @classmethod
    def restoring_copies(cls):
        """The table → the set of formats in which the restore sent it, by the server's log."""
        copies = {}
        for line in cls.server.log_text().splitlines():
            found = re.search(r"@(\S+) LOG:  statement: COPY public\.(\w+) \(.*\) FROM STDIN"
                              r" \(FORMAT (binary|text), FREEZE \w+\)$", line)
            if found and found[1] != "types":
                copies.setdefault(found[2], set()).add(found[3])
        return copies

    def expect_same_text(self, table):
        def text(database):
            return self.server.psql(r"SELECT count(*), md5(string_agg(t::text, E'\n' ORDER BY id))"
                                    f" FROM public.{table} t", db=database)

        self.assertEqual(text("types"), text("restored"))

    def expect_equal(self, table):
        def binary(database):
            return self.server.tool("psql", "-X", "-q", "-d", database, "-c",
                                    f"COPY (SELECT * FROM public.{table} ORDER BY id) TO STDOUT (FORMAT binary)"
                                    ).out_bytes

        self.expect_same_text(table)
        self.assertTrue(binary("types") == binary("restored"), f"the bytes of {table} differ")

    def test_restore_is_proven(self):
        self.assertEqual("PASS", self.verdict)

    def test_every_type_is_loaded_as_binary(self):
        self.assertEqual(str(ROWS), self.server.psql("SELECT count(*) FROM public.everything", db="restored"))
        self.assertEqual({"binary"}, self.copies["everything"])
        self.expect_equal("everything")

    def test_values_that_are_not_converted_switch_to_text(self):
        self.assertEqual({"binary", "text"}, self.copies["switching"])
        self.expect_equal("switching")

    def test_each_refused_value_is_sent_as_text(self):
        for table, what in self.refused.items():
            with self.subTest(what):
                self.assertEqual({"binary", "text"}, self.copies[table])
                self.expect_equal(table)

    def test_other_types_go_as_text(self):
        for table, what in self.text_only.items():
            with self.subTest(what):
                self.assertEqual({"text"}, self.copies[table])
                self.expect_same_text(table)  # the bytes name types, by ids of this database alone


class RestoreTypes18(RestoreTypes):
    major = 18


if __name__ == "__main__":
    harness.main()
