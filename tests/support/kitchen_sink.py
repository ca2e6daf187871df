"""SQL that fills one database with everything awkward a logical backup may meet.

Why: what a backup loses, it loses in the corners: names that need quoting, numbers a sequence has not
handed out yet, disabled triggers, views nobody refreshed. Each corner stands here once, with rows in it.

Use: run kitchen_sink_roles_sql() once per server, kitchen_sink_sql() in an empty database as a superuser,
kitchen_sink_drop_roles_sql() after the databases are gone. The result restores with stock pg_dump and
pg_restore of PostgreSQL 15, 17 and 18 without a message; test_harness.py proves it. Everything is
deterministic: two databases made with the same arguments hold the same rows.
"""

ROLE_A = "hf_reader"
ROLE_B = 'hf "odd" röle'

NAUGHTY_NAMES = (
    'double"quote', "back\\slash", "dot.ted", "paren(the)ses", " leading and trailing ", "semi;colon",
    "x FROM stdin;", "-- comment", "/* open", "new\nline", "tab\there", "'quote'", "$tag$", "%s %I",
    "ünïcödé 名前 🐘", "UPPER lower", "select", "\\.", "{a,b}", "*?[glob]", "~!@#&|<>=",
    "x" * 63,
)


def _ident(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def kitchen_sink_roles_sql() -> str:
    """The two roles that privileges, ownership and policies refer to; harmless when they exist."""
    statements = []
    for name in (ROLE_A, ROLE_B):
        statements.append(f"""
DO $do$ BEGIN
  IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {_literal(name)}) THEN
    CREATE ROLE {_ident(name)} NOLOGIN;
  END IF;
END $do$;""")
    statements.append(f"\nGRANT {_ident(ROLE_A)} TO {_ident(ROLE_B)};\n")
    return "".join(statements)


def kitchen_sink_drop_roles_sql() -> str:
    return f"DROP ROLE IF EXISTS {_ident(ROLE_A)}, {_ident(ROLE_B)};\n"


def kitchen_sink_sql(version: int = 15, wide_bytes: int = 2_000_000,
                     large_object_bytes: int = 3_000_000) -> str:
    """The whole database as one psql script.

    version: the server's major version; newer ones get what only they know. wide_bytes: size of the wide
    row's bytea field. large_object_bytes: size of the biggest large object. Extensions and xml are used
    where the server has them.
    """
    parts = [_SETTINGS, _EXTENSIONS, _TYPES, _FUNCTIONS, _TABLES, _naughty_tables(), _TEXT,
             _PARTITIONS, _CONSTRAINTS, _INDEXES, _SEQUENCES, _VIEWS, _TRIGGERS, _SECURITY,
             _LARGE_OBJECTS, _FOREIGN, _COMMENTS, _EVENT_TRIGGER]
    if version >= 17:
        parts.append(_SINCE_17)
    if version >= 18:
        parts.append(_SINCE_18)
    return ("".join(parts).replace("@WIDE@", str(wide_bytes)).replace("@LO@", str(large_object_bytes))
            .replace("@A@", _ident(ROLE_A)).replace("@B@", _ident(ROLE_B)))


def _naughty_tables() -> str:
    """A table, a column, a constraint, an index and a comment for each awkward name."""
    sql = ["CREATE SCHEMA \"sch ema.\"\"x\"\"\\\";\nSET search_path = \"sch ema.\"\"x\"\"\\\", ks, public;\n"]
    for number, name in enumerate(NAUGHTY_NAMES):
        short = name[:55]
        sql.append(
            f"CREATE TABLE {_ident(name)} ({_ident(name)} int CONSTRAINT {_ident(short + ' pk')} PRIMARY KEY,"
            f" \"v\"\"al\" text DEFAULT {_literal(name)});\n"
            f"CREATE INDEX {_ident(short + ' ix')} ON {_ident(name)} (\"v\"\"al\");\n"
            f"COMMENT ON TABLE {_ident(name)} IS {_literal(name)};\n"
            f"COMMENT ON COLUMN {_ident(name)}.{_ident(name)} IS {_literal('column ' + name)};\n"
            f"INSERT INTO {_ident(name)} SELECT g FROM generate_series(0, {number}) g;\n")
    sql.append("GRANT SELECT ON ALL TABLES IN SCHEMA \"sch ema.\"\"x\"\"\\\" TO @B@;\n"
               "SET search_path = ks, public;\n")
    return "".join(sql)

_SETTINGS = r"""
SET client_min_messages = warning;
SET standard_conforming_strings = on;
SET timezone = 'UTC';
CREATE SCHEMA ks;
SET search_path = ks, public;
"""

_EXTENSIONS = r"""
CREATE SCHEMA ext;
SELECT format('CREATE EXTENSION %I SCHEMA ext', name) FROM pg_available_extensions
WHERE name IN ('pgcrypto', 'citext', 'hstore', 'btree_gist', 'pg_trgm', 'file_fdw') ORDER BY name \gexec
SELECT 'CREATE TABLE citexts (name ext.citext PRIMARY KEY)',
       $$INSERT INTO citexts VALUES ('MiXed'), ('other')$$
FROM pg_extension WHERE extname = 'citext' \gexec
SELECT 'CREATE TABLE hstores (h ext.hstore)',
       $$INSERT INTO hstores VALUES ('a=>1, "b c"=>NULL, "q\"q"=>"x\\y"'), (NULL), ('')$$
FROM pg_extension WHERE extname = 'hstore' \gexec
DO $do$ BEGIN
  PERFORM xmlparse(document '<a/>');
  EXECUTE 'CREATE TABLE xmls (id int, x xml)';
  EXECUTE $$INSERT INTO xmls VALUES (1, '<a b="c">text &amp; more</a>'), (2, '<?xml version="1.0"?><r/>'), (3, NULL)$$;
EXCEPTION WHEN feature_not_supported THEN NULL;
END $do$;
"""

_TYPES = r"""
CREATE TYPE mood AS ENUM ('sad', 'it''s ok', 'häppy', '');
ALTER TYPE mood ADD VALUE 'between' BEFORE 'häppy';
CREATE TYPE point3 AS (x float8, "y y" numeric(10, 3), label text);
CREATE DOMAIN positive AS int DEFAULT 1 CONSTRAINT "must be > 0" CHECK (VALUE > 0);
CREATE DOMAIN percent AS numeric(5, 2) NOT NULL CHECK (VALUE BETWEEN 0 AND 100);
CREATE TYPE float_range AS RANGE (subtype = float8, subtype_diff = float8mi,
                                  multirange_type_name = float_multirange);
CREATE TYPE shell_only;
CREATE COLLATION german (provider = icu, locale = 'de-u-kn-true');
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
"""

_FUNCTIONS = r"""
CREATE FUNCTION add_one(i int) RETURNS int LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 7
  AS $$ SELECT i + 1 $$;
CREATE FUNCTION new_style(i int) RETURNS int LANGUAGE sql IMMUTABLE RETURN i * 2;
CREATE FUNCTION atomic_body(i int) RETURNS int LANGUAGE sql BEGIN ATOMIC
  SELECT ks.add_one(i); SELECT i; END;
CREATE FUNCTION dollars() RETURNS text LANGUAGE plpgsql SECURITY DEFINER SET search_path = ks, pg_temp AS
$outer$
DECLARE body text := $inner$ $$ nested $$ ; -- COPY x FROM stdin;
\.
$inner$;
BEGIN
  -- a comment in the body
  RETURN body || E'\\ \t';
END
$outer$;
CREATE FUNCTION overloaded(a int) RETURNS text LANGUAGE sql AS $$ SELECT 'int' $$;
CREATE FUNCTION overloaded(a text, VARIADIC rest text[] DEFAULT '{}') RETURNS text LANGUAGE sql
  AS $$ SELECT 'text' $$;
CREATE FUNCTION out_args(a int, OUT b int, INOUT "c c" text, OUT d mood) LANGUAGE sql
  AS $$ SELECT a, "c c", 'sad'::ks.mood $$;
CREATE FUNCTION set_of(n int) RETURNS TABLE (i int, t text) LANGUAGE sql ROWS 5
  AS $$ SELECT g, g::text FROM generate_series(1, n) g $$;
CREATE FUNCTION any_first(a anyarray) RETURNS anyelement LANGUAGE sql IMMUTABLE AS $$ SELECT a[1] $$;
CREATE PROCEDURE do_it(INOUT n int, note text DEFAULT 'it''s') LANGUAGE plpgsql
  AS $$ BEGIN n := n + 1; COMMIT; END $$;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP <> 'DELETE' THEN NEW.note := coalesce(NEW.note, '') || '+'; RETURN NEW; END IF;
  RETURN OLD;
END $$;

CREATE FUNCTION concat_step(state text, item text) RETURNS text LANGUAGE sql IMMUTABLE
  AS $$ SELECT state || coalesce(item, '-') $$;
CREATE AGGREGATE concat_all(text) (SFUNC = concat_step, STYPE = text, INITCOND = '');
CREATE AGGREGATE middle(float8 ORDER BY anyelement)
  (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE FUNCTION approx(a float8, b float8) RETURNS bool LANGUAGE sql IMMUTABLE
  AS $$ SELECT abs(a - b) < 0.5 $$;
CREATE OPERATOR ~=~ (FUNCTION = approx, LEFTARG = float8, RIGHTARG = float8, COMMUTATOR = ~=~);
CREATE FUNCTION point3_cmp(a point3, b point3) RETURNS int LANGUAGE sql IMMUTABLE
  AS $$ SELECT btfloat8cmp(coalesce(a.x, 0), coalesce(b.x, 0)) $$;
CREATE FUNCTION point3_lt(a point3, b point3) RETURNS bool LANGUAGE sql IMMUTABLE
  AS $$ SELECT coalesce(a.x, 0) < coalesce(b.x, 0) $$;
CREATE OPERATOR <<# (FUNCTION = point3_lt, LEFTARG = point3, RIGHTARG = point3);
CREATE OPERATOR FAMILY point3_ops USING btree;
CREATE OPERATOR CLASS point3_x_ops FOR TYPE point3 USING btree FAMILY point3_ops AS
  OPERATOR 1 <<#, FUNCTION 1 point3_cmp(point3, point3);
CREATE FUNCTION mood_number(m mood) RETURNS int LANGUAGE sql IMMUTABLE
  AS $$ SELECT array_position(enum_range(NULL::ks.mood), m) $$;
CREATE CAST (mood AS int) WITH FUNCTION mood_number(mood) AS ASSIGNMENT;

CREATE TEXT SEARCH DICTIONARY plain_simple (TEMPLATE = pg_catalog.simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION "odd search" (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION "odd search" ALTER MAPPING FOR asciiword WITH plain_simple, english_stem;
"""

_TABLES = r"""
CREATE TABLE all_types (
  id int GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 5) PRIMARY KEY,
  by_default bigint GENERATED BY DEFAULT AS IDENTITY,
  small smallserial, big bigserial,
  r real, d double precision, n numeric, n2 numeric(30, 10), m money,
  b bool, c char(5), v varchar(20), t text COLLATE "C", g text COLLATE german, nm name, ch "char",
  by bytea, bi bit(5), vb bit varying,
  ts timestamp, tz timestamptz, da date, ti time(3), tt timetz, iv interval,
  u uuid, j json, jb jsonb, jp jsonpath, ip inet, ci cidr, mac macaddr, mac8 macaddr8,
  p point, l line, ls lseg, bx box, pa path, po polygon, ce circle,
  tv tsvector, tq tsquery, ar int[], ar2 text[][], en mood, ens mood[], co point3, cos point3[],
  dm positive, pc percent DEFAULT 5, ir int4range, fr float_range, mr int4multirange, fmr float_multirange,
  o oid, rc regclass, ln pg_lsn, sn pg_snapshot,
  gen text GENERATED ALWAYS AS (coalesce(v, '') || '!' || coalesce(t, '')) STORED
);
INSERT INTO all_types (by_default, r, d, n, n2, m, b, c, v, t, g, nm, ch, by, bi, vb, ts, tz, da, ti, tt, iv,
  u, j, jb, jp, ip, ci, mac, mac8, p, l, ls, bx, pa, po, ce, tv, tq, ar, ar2, en, ens, co, cos, dm, ir, fr,
  mr, fmr, o, rc, ln, sn) VALUES
 (7, 0.1, 1e-300, 1e100, 1234567890.0123456789, 12.34, true, 'ab', 'v', E'a\\b', 'Straße', 'nm', '\',
  '\x00ff5c0a', B'10101', B'', '1999-12-31 23:59:59.999999', '2024-03-31 01:30:00+01', '4713-01-01 BC',
  '24:00', '12:00+05:30', '1 year -2 days 00:00:00.5', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11',
  '{"a": [1,  2, {"é": null}], "a": "\u0041\\"}', '{"b": 1.50, "a": "\\.\n"}', '$.a[*] ? (@ > 1)',
  '::1/64', '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', '(1,2)', '{1,2,3}',
  '[(0,0),(1,1)]', '(1,1),(0,0)', '[(0,0),(1,1)]', '((0,0),(1,1),(1,0))', '<(0,0),1>', 'a:1A b:2',
  'a & !b', '{1,NULL,3}', '{{"a","b\"c"},{"{}",NULL}}', 'häppy', '{"it''s ok","",between}',
  '(1.5,2.250,"a,""b""\\")', ARRAY[ROW(1, 2, NULL)::point3], 3, '[1,10)', '[0.5,)', '{[1,2),[5,6)}',
  '{(,1]}', 4294967295, 'pg_class', '16/B374D848', '10:20:10,14'),
 (8, 'NaN', '-Infinity', 'NaN', NULL, '-$0.01', NULL, '', '', '', '', '', '',
  '', B'00000', B'1', 'infinity', '-infinity', 'infinity', '00:00', '00:00-15:59', '0', NULL, 'null', 'null',
  '$', '0.0.0.0/0', '::/0', NULL, NULL, '(NaN,Infinity)', NULL, NULL, NULL, NULL, NULL, NULL, '', '', '{}',
  '{}', '', '{}', '(,,)', '{}', NULL, 'empty', 'empty', '{}', '{}', 0, NULL, '0/0', NULL);
INSERT INTO all_types DEFAULT VALUES;

CREATE TABLE bulk (id int PRIMARY KEY, a int, t text, note text, ts timestamptz, f float8);
INSERT INTO bulk SELECT g, (g * 7919) % 1000, md5(g::text), CASE WHEN g % 10 = 0 THEN NULL ELSE 'n' || g END,
  timestamptz '2024-01-01' + g * interval '1 min', g / 7.0 FROM generate_series(1, 20000) g;
CREATE TABLE empty_table (id int PRIMARY KEY, t text);
CREATE TABLE no_columns ();
INSERT INTO no_columns SELECT FROM generate_series(1, 5);
CREATE TABLE no_columns_no_rows ();
CREATE TABLE dropped_columns (a int, gone1 text, b text DEFAULT 'b', gone2 int, c int);
INSERT INTO dropped_columns SELECT g, 'gone', 'b' || g, g, -g FROM generate_series(1, 50) g;
ALTER TABLE dropped_columns DROP COLUMN gone1, DROP COLUMN gone2;
ALTER TABLE dropped_columns ADD COLUMN added_later int DEFAULT 42;
CREATE TABLE wide (id int, big bytea, t text);
ALTER TABLE wide ALTER COLUMN big SET STORAGE EXTERNAL;
INSERT INTO wide VALUES
  (1, (SELECT substr(string_agg(sha512(g::text::bytea), ''::bytea ORDER BY g), 1, @WIDE@)
       FROM generate_series(0, (@WIDE@ + 63) / 64) g), repeat('ü\', 50000)), (2, '', ''), (3, NULL, NULL);
CREATE UNLOGGED TABLE unlogged (id serial PRIMARY KEY, t text);
INSERT INTO unlogged (t) VALUES ('lost after a crash'), (NULL);
CREATE TABLE options (id int, t text) WITH (fillfactor = 70, autovacuum_enabled = false,
  toast.autovacuum_enabled = false, parallel_workers = 2);
ALTER TABLE options ALTER COLUMN t SET STORAGE MAIN, ALTER COLUMN t SET STATISTICS 500,
  ALTER COLUMN id SET (n_distinct = -0.5), ALTER COLUMN t SET COMPRESSION pglz;
ALTER TABLE options REPLICA IDENTITY FULL;
INSERT INTO options SELECT g, repeat('x', g) FROM generate_series(1, 30) g;
CREATE TABLE generated_columns (a int, "b b" int GENERATED ALWAYS AS (add_one(a)) STORED, c text,
  gone int, d text GENERATED ALWAYS AS (upper(c) || a) STORED);
ALTER TABLE generated_columns DROP COLUMN gone;
INSERT INTO generated_columns (a, c) SELECT g, 'c' || g FROM generate_series(1, 20) g;
CREATE TABLE typed OF point3 (PRIMARY KEY (x), label WITH OPTIONS DEFAULT 'none');
INSERT INTO typed (x) VALUES (1), (2);
CREATE TABLE any_case_names (n text COLLATE any_case UNIQUE);
INSERT INTO any_case_names VALUES ('Anna'), ('bert');

CREATE TABLE parent (id int PRIMARY KEY, t text NOT NULL DEFAULT 'p', CHECK (id > 0));
CREATE TABLE child (extra numeric DEFAULT 1.5, t text DEFAULT 'c') INHERITS (parent);
CREATE TABLE grandchild (more text) INHERITS (child);
CREATE TABLE unchecked (CONSTRAINT own_only CHECK (id < 1000) NO INHERIT) INHERITS (parent);
INSERT INTO parent VALUES (1, 'one');
INSERT INTO child (id, extra) VALUES (2, 2.5), (1, NULL);
INSERT INTO grandchild (id, more) VALUES (3, 'deep');
"""

_TEXT = r"""
CREATE TABLE texts (id int PRIMARY KEY, t text, u text);
INSERT INTO texts VALUES (1, NULL, ''), (2, '', NULL), (3, E'\\N', '\.'), (4, E'\\.', E'\n\\.\n'),
  (5, E'tab\there', E'line\nfeed'), (6, E'carriage\rreturn', E'crlf\r\n'), (7, E'\b\f\v\x01\x1f\x7f', '\\\\'),
  (8, '''single''', '"double"'), (9, '$$;--', '/* */'), (10, E'\\t', '\n'), (11, ' ', '  lead trail  '),
  (12, 'ünïcödé 名前 🐘', E'\u200b\ufeff'), (13, ':variable :''quoted''', E'\\copy x from stdin'),
  (14, repeat('long line ', 20000), E'a\\\nb'), (15, 'NULL', 'null'), (16, E'\\', E'x\\');
CREATE TABLE one_text (t text);
INSERT INTO one_text VALUES (''), (NULL), (E'\\.'), (E'\\N'), (E'\n'), (E'\\'), ('\.'), (E'\r');
"""

_PARTITIONS = r"""
CREATE TABLE measured (at date NOT NULL, region text, v int, CONSTRAINT measured_pk PRIMARY KEY (at, region))
  PARTITION BY RANGE (at);
CREATE TABLE measured_old PARTITION OF measured FOR VALUES FROM (MINVALUE) TO ('2023-01-01');
CREATE TABLE measured_2023 PARTITION OF measured FOR VALUES FROM ('2023-01-01') TO ('2024-01-01')
  PARTITION BY LIST (region);
CREATE TABLE "measured 2023 eu" PARTITION OF measured_2023 FOR VALUES IN ('eu', 'it''s');
CREATE TABLE measured_2023_default PARTITION OF measured_2023 DEFAULT;
CREATE TABLE measured_empty PARTITION OF measured FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE measured_rest PARTITION OF measured DEFAULT;
CREATE TABLE measured_late (v int, gone int, region text NOT NULL, at date NOT NULL);
ALTER TABLE measured_late DROP COLUMN gone;
ALTER TABLE measured ATTACH PARTITION measured_late FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE INDEX measured_v ON measured (v);
INSERT INTO measured SELECT date '2022-12-01' + g * 7, (ARRAY['eu', 'us', 'it''s', ''])[1 + g % 4], g
  FROM generate_series(0, 45) g;
INSERT INTO measured VALUES ('2030-01-01', 'far', 1), ('2026-05-05', 'late', 2);
CREATE TABLE hashed (id int, t text) PARTITION BY HASH (id);
CREATE TABLE hashed_0 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE hashed_1 PARTITION OF hashed FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO hashed SELECT g, 'h' || g FROM generate_series(1, 100) g;
CREATE TABLE by_expression (t text) PARTITION BY LIST (lower(t));
CREATE TABLE by_expression_a PARTITION OF by_expression FOR VALUES IN ('a', NULL);
INSERT INTO by_expression VALUES ('A'), ('a'), (NULL);
CREATE TABLE partitioned_without_partitions (i int) PARTITION BY RANGE (i);
"""

_CONSTRAINTS = r"""
CREATE TABLE hen (id int PRIMARY KEY, egg int NOT NULL);
CREATE TABLE egg (id int PRIMARY KEY, hen int REFERENCES hen ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED);
INSERT INTO hen VALUES (1, 10), (2, 20);
INSERT INTO egg VALUES (10, 1), (20, 2), (30, NULL);
ALTER TABLE hen ADD CONSTRAINT hen_egg FOREIGN KEY (egg) REFERENCES egg DEFERRABLE INITIALLY IMMEDIATE;
CREATE TABLE tree (id int PRIMARY KEY, up int REFERENCES tree ON DELETE SET NULL ON UPDATE CASCADE);
INSERT INTO tree VALUES (3, NULL), (2, 3), (1, 2);
CREATE TABLE refers (at date, region text, n int CONSTRAINT n_small CHECK (n < 100),
  FOREIGN KEY (at, region) REFERENCES measured MATCH FULL);
INSERT INTO refers SELECT at, region, 1 FROM measured LIMIT 0;
INSERT INTO refers VALUES ('2030-01-01', 'far', 5), (NULL, NULL, 6), (NULL, NULL, 50);
ALTER TABLE refers ADD CONSTRAINT not_checked_yet CHECK (n < 10) NOT VALID;
ALTER TABLE refers ADD CONSTRAINT nobody_home FOREIGN KEY (n) REFERENCES tree NOT VALID;
CREATE TABLE uniques (a int, b int, UNIQUE NULLS NOT DISTINCT (a), UNIQUE (b) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO uniques VALUES (1, 1), (NULL, 2);
CREATE TABLE rooms (room int, during tsrange, EXCLUDE USING gist (during WITH &&));
INSERT INTO rooms VALUES (1, '[2024-01-01,2024-01-02)'), (2, '[2024-01-02,2024-01-03)');
CREATE UNIQUE INDEX later_pk ON uniques (b, a) INCLUDE (a);
CREATE TABLE clustered (id int, t text);
CREATE UNIQUE INDEX clustered_id ON clustered (id);
INSERT INTO clustered SELECT 100 - g, 'c' FROM generate_series(1, 50) g;
ALTER TABLE clustered CLUSTER ON clustered_id;
ALTER TABLE clustered ALTER COLUMN id SET NOT NULL;
ALTER TABLE clustered REPLICA IDENTITY USING INDEX clustered_id;
"""

_INDEXES = r"""
CREATE INDEX bulk_partial ON bulk (a) WHERE note IS NULL;
CREATE INDEX bulk_expression ON bulk (lower(t) text_pattern_ops, (a + 1) DESC NULLS LAST);
CREATE INDEX bulk_brin ON bulk USING brin (ts) WITH (pages_per_range = 16);
CREATE INDEX bulk_hash ON bulk USING hash (t);
CREATE INDEX bulk_gin ON bulk USING gin (to_tsvector('ks."odd search"', t)) WITH (fastupdate = off);
CREATE INDEX types_gin ON all_types USING gin (jb jsonb_path_ops);
CREATE INDEX types_gist ON all_types USING gist (ir, bx);
CREATE INDEX types_spgist ON all_types USING spgist (v);
CREATE INDEX types_own_class ON all_types (co point3_x_ops);
CREATE INDEX types_collated ON all_types (t COLLATE german);
CREATE STATISTICS bulk_stats (ndistinct, dependencies, mcv) ON a, note FROM bulk;
CREATE STATISTICS "bulk stats 2" ON (a % 10), (lower(t)) FROM bulk;
ALTER STATISTICS bulk_stats SET STATISTICS 50;
ALTER INDEX bulk_expression ALTER COLUMN 2 SET STATISTICS 200;
ANALYZE bulk;
"""

_SEQUENCES = r"""
CREATE SEQUENCE never_called START 17;
CREATE SEQUENCE called_once AS smallint INCREMENT BY -3 MINVALUE -1000 MAXVALUE 50 START 50 CYCLE;
SELECT nextval('called_once') \g /dev/null
CREATE SEQUENCE "seq uence.""q"" x" CACHE 20;
SELECT nextval('"seq uence.""q"" x"') FROM generate_series(1, 3) \g /dev/null
CREATE SEQUENCE set_not_called;
SELECT setval('set_not_called', 99, false) \g /dev/null
CREATE SEQUENCE huge MAXVALUE 9223372036854775807;
SELECT setval('huge', 9223372036854775807) \g /dev/null
CREATE SEQUENCE owned_one OWNED BY bulk.id;
SELECT setval('owned_one', 20000) \g /dev/null
CREATE TABLE uses_sequence (id int DEFAULT nextval('called_once'), t text);
INSERT INTO uses_sequence (t) VALUES ('a'), ('b');
"""

_VIEWS = r"""
CREATE VIEW simple_view AS SELECT id, t FROM parent WHERE id > 0 WITH CASCADED CHECK OPTION;
CREATE VIEW "view on view" WITH (security_barrier) AS SELECT * FROM simple_view;
CREATE RECURSIVE VIEW counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 5;
CREATE VIEW grouped AS SELECT id, t, count(*) FROM parent GROUP BY id; -- needs the primary key
CREATE MATERIALIZED VIEW mat_a AS SELECT a % 10 AS k, count(*) AS n FROM bulk GROUP BY 1;
CREATE MATERIALIZED VIEW mat_b AS SELECT sum(n) AS total FROM mat_a;
CREATE MATERIALIZED VIEW mat_0_before_a AS SELECT total + 1 AS more FROM mat_b;
CREATE MATERIALIZED VIEW mat_never AS SELECT * FROM bulk WITH NO DATA;
CREATE UNIQUE INDEX mat_a_k ON mat_a (k);
CREATE VIEW over_mat AS SELECT * FROM mat_never;
CREATE TABLE rule_target (id int, t text);
CREATE VIEW with_rules AS SELECT id, t FROM rule_target;
CREATE RULE ins AS ON INSERT TO with_rules DO INSTEAD INSERT INTO rule_target VALUES (NEW.id, NEW.t || ' by rule');
CREATE RULE "no delete" AS ON DELETE TO with_rules DO INSTEAD NOTHING;
INSERT INTO with_rules VALUES (1, 'row');
CREATE RULE also AS ON INSERT TO empty_table DO ALSO NOTIFY "odd channel";
ALTER TABLE empty_table DISABLE RULE also;
"""

_TRIGGERS = r"""
CREATE TABLE triggered (id int PRIMARY KEY, note text);
CREATE TRIGGER a_normal BEFORE INSERT OR UPDATE OF note ON triggered FOR EACH ROW
  WHEN (NEW.id > 0) EXECUTE FUNCTION touch();
CREATE TRIGGER b_disabled BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION touch('arg', 'it''s');
CREATE TRIGGER c_always BEFORE DELETE ON triggered FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER "d replica" BEFORE INSERT ON triggered FOR EACH ROW EXECUTE FUNCTION touch();
CREATE CONSTRAINT TRIGGER e_deferred AFTER INSERT ON triggered DEFERRABLE INITIALLY DEFERRED
  FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER f_transition AFTER DELETE ON triggered REFERENCING OLD TABLE AS gone
  FOR EACH STATEMENT EXECUTE FUNCTION touch();
ALTER TABLE triggered DISABLE TRIGGER b_disabled;
ALTER TABLE triggered ENABLE ALWAYS TRIGGER c_always;
ALTER TABLE triggered ENABLE REPLICA TRIGGER "d replica";
INSERT INTO triggered VALUES (1, NULL), (2, 'x'), (-1, 'untouched');
CREATE TRIGGER instead INSTEAD OF INSERT ON grouped FOR EACH ROW EXECUTE FUNCTION touch();
CREATE TRIGGER on_partitions AFTER INSERT ON measured FOR EACH ROW EXECUTE FUNCTION touch();
ALTER TABLE measured_rest DISABLE TRIGGER on_partitions;
"""

_SECURITY = r"""
CREATE TABLE tenants (tenant text, secret text);
INSERT INTO tenants VALUES ('a', 'one'), ('b', 'two');
ALTER TABLE tenants ENABLE ROW LEVEL SECURITY;
ALTER TABLE tenants FORCE ROW LEVEL SECURITY;
CREATE POLICY own_rows ON tenants FOR SELECT TO @A@ USING (tenant = current_user);
CREATE POLICY "re strictive" ON tenants AS RESTRICTIVE TO @B@, @A@ USING (true) WITH CHECK (secret <> '');
CREATE TABLE enabled_only (i int);
ALTER TABLE enabled_only ENABLE ROW LEVEL SECURITY;
INSERT INTO enabled_only VALUES (1);
GRANT USAGE ON SCHEMA ks TO @A@ WITH GRANT OPTION;
GRANT SELECT ON ALL TABLES IN SCHEMA ks TO @A@;
GRANT SELECT (id), UPDATE (t) ON parent TO @B@ WITH GRANT OPTION;
GRANT INSERT ON parent TO PUBLIC;
REVOKE ALL ON empty_table FROM CURRENT_USER, @A@;
GRANT USAGE ON SEQUENCE never_called TO @B@;
REVOKE EXECUTE ON FUNCTION dollars() FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE do_it(int, text) TO @A@;
GRANT USAGE ON TYPE mood TO @A@;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
GRANT USAGE ON LANGUAGE plpgsql TO @A@;
CREATE SCHEMA owned_by_b AUTHORIZATION @B@;
CREATE TABLE owned_by_b.theirs (i int);
ALTER TABLE owned_by_b.theirs OWNER TO @B@;
INSERT INTO owned_by_b.theirs VALUES (1);
ALTER DEFAULT PRIVILEGES IN SCHEMA ks GRANT SELECT ON TABLES TO @A@;
ALTER DEFAULT PRIVILEGES FOR ROLE @B@ REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
CREATE PUBLICATION some_tables FOR TABLE bulk (id, t) WHERE (id > 5), clustered WITH (publish = 'insert, delete');
CREATE PUBLICATION "whole schema" FOR TABLES IN SCHEMA owned_by_b;
CREATE PUBLICATION everything FOR ALL TABLES WITH (publish_via_partition_root);
"""

_LARGE_OBJECTS = r"""
SELECT lo_from_bytea(910001, '\x00010203fffe5c0a') \g /dev/null
SELECT lo_create(910002) \g /dev/null
SELECT lo_from_bytea(910003, (SELECT substr(string_agg(sha512(('lo' || g)::bytea), ''::bytea ORDER BY g), 1, @LO@)
  FROM generate_series(0, (@LO@ + 63) / 64) g)) \g /dev/null
SELECT lo_put(lo_create(910004), 1000000, 'after a hole') \g /dev/null
SELECT lo_from_bytea(920000 + g, ('small ' || g)::bytea) FROM generate_series(1, 40) g \g /dev/null
COMMENT ON LARGE OBJECT 910001 IS 'it''s "large"
with a second line';
GRANT SELECT, UPDATE ON LARGE OBJECT 910001 TO @B@;
GRANT SELECT ON LARGE OBJECT 910003 TO PUBLIC;
ALTER LARGE OBJECT 910002 OWNER TO @A@;
CREATE TABLE refers_lo (name text, lo oid);
INSERT INTO refers_lo VALUES ('empty', 910002), ('big', 910003);
"""

_FOREIGN = r"""
CREATE FOREIGN DATA WRAPPER idle_wrapper OPTIONS (debug 'it''s');
CREATE SERVER idle_server TYPE 'none' VERSION '1' FOREIGN DATA WRAPPER idle_wrapper OPTIONS (host 'no"where');
CREATE USER MAPPING FOR @B@ SERVER idle_server OPTIONS ("user" 'someone');
CREATE FOREIGN TABLE idle_foreign (id int OPTIONS (col 'x') NOT NULL, t text) SERVER idle_server
  OPTIONS (path 'a b');
SELECT 'CREATE SERVER files FOREIGN DATA WRAPPER file_fdw',
  $$CREATE FOREIGN TABLE from_file (line text) SERVER files OPTIONS (filename '/nonexistent', format 'text')$$
FROM pg_extension WHERE extname = 'file_fdw' \gexec
"""

_COMMENTS = r"""
COMMENT ON SCHEMA ks IS 'a schema; with ''quotes'', a
new line, and \ backslash';
COMMENT ON TABLE bulk IS E'--\n\\.\nCOPY x FROM stdin;\n';
COMMENT ON COLUMN bulk.a IS 'column';
COMMENT ON INDEX bulk_gin IS 'index';
COMMENT ON CONSTRAINT hen_egg ON hen IS 'constraint';
COMMENT ON CONSTRAINT "must be > 0" ON DOMAIN positive IS 'constraint of a domain';
COMMENT ON SEQUENCE never_called IS 'sequence';
COMMENT ON VIEW simple_view IS 'view';
COMMENT ON COLUMN simple_view.id IS 'column of a view';
COMMENT ON MATERIALIZED VIEW mat_never IS 'materialized view';
COMMENT ON FUNCTION dollars() IS 'function';
COMMENT ON PROCEDURE do_it(int, text) IS 'procedure';
COMMENT ON AGGREGATE concat_all(text) IS 'aggregate';
COMMENT ON OPERATOR ~=~ (float8, float8) IS 'operator';
COMMENT ON OPERATOR CLASS point3_x_ops USING btree IS 'operator class';
COMMENT ON OPERATOR FAMILY point3_ops USING btree IS 'operator family';
COMMENT ON TYPE mood IS 'type';
COMMENT ON COLUMN point3."y y" IS 'column of a type';
COMMENT ON DOMAIN positive IS 'domain';
COMMENT ON CAST (mood AS int) IS 'cast';
COMMENT ON COLLATION german IS 'collation';
COMMENT ON TRIGGER a_normal ON triggered IS 'trigger';
COMMENT ON RULE ins ON with_rules IS 'rule';
COMMENT ON POLICY own_rows ON tenants IS 'policy';
COMMENT ON PUBLICATION some_tables IS 'publication';
COMMENT ON STATISTICS bulk_stats IS 'statistics';
COMMENT ON TEXT SEARCH CONFIGURATION "odd search" IS 'text search configuration';
COMMENT ON TEXT SEARCH DICTIONARY plain_simple IS 'text search dictionary';
COMMENT ON FOREIGN DATA WRAPPER idle_wrapper IS 'foreign data wrapper';
COMMENT ON SERVER idle_server IS 'server';
COMMENT ON FOREIGN TABLE idle_foreign IS 'foreign table';
COMMENT ON LANGUAGE plpgsql IS 'language';
SELECT format('COMMENT ON DATABASE %I IS %L', current_database(), 'data''base') \gexec
SELECT format('ALTER DATABASE %I SET work_mem = %L', current_database(), '5MB') \gexec
"""

_EVENT_TRIGGER = r"""
CREATE FUNCTION on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END $$;
CREATE EVENT TRIGGER watch_ddl ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP TABLE')
  EXECUTE FUNCTION on_ddl();
CREATE EVENT TRIGGER "sleeping watch" ON sql_drop EXECUTE FUNCTION on_ddl();
ALTER EVENT TRIGGER "sleeping watch" DISABLE;
COMMENT ON EVENT TRIGGER watch_ddl IS 'event trigger';
"""

_SINCE_17 = r"""
GRANT MAINTAIN ON bulk TO @A@;
CREATE TABLE identity_partitioned (id int GENERATED ALWAYS AS IDENTITY, k int) PARTITION BY LIST (k);
CREATE TABLE identity_partitioned_1 PARTITION OF identity_partitioned FOR VALUES IN (1);
INSERT INTO identity_partitioned (k) VALUES (1), (1);
CREATE TABLE excluded_partitioned (k int, during int4range, EXCLUDE USING gist (during WITH &&, k WITH =))
  PARTITION BY LIST (k);
CREATE TABLE excluded_partitioned_1 PARTITION OF excluded_partitioned FOR VALUES IN (1);
CREATE COLLATION builtin_utf8 (provider = builtin, locale = 'C.UTF-8');
CREATE EVENT TRIGGER at_login ON login EXECUTE FUNCTION on_ddl();
ALTER EVENT TRIGGER at_login DISABLE;
"""

_SINCE_18 = r"""
CREATE TABLE virtual_columns (a int, v int GENERATED ALWAYS AS (a * 2) VIRTUAL,
  s int GENERATED ALWAYS AS (a * 3) STORED);
INSERT INTO virtual_columns (a) VALUES (1), (2), (NULL);
CREATE TABLE named_not_null (a int CONSTRAINT "a is there" NOT NULL, b int);
INSERT INTO named_not_null VALUES (1, NULL), (2, 2);
ALTER TABLE named_not_null ADD CONSTRAINT "b later" NOT NULL b NOT VALID;
COMMENT ON CONSTRAINT "a is there" ON named_not_null IS 'not null';
CREATE TABLE not_enforced (a int CONSTRAINT wish CHECK (a > 0) NOT ENFORCED);
INSERT INTO not_enforced VALUES (-1);
CREATE TABLE booked (room int, during daterange, PRIMARY KEY (room, during WITHOUT OVERLAPS));
INSERT INTO booked VALUES (1, '[2024-01-01,2024-01-05)'), (1, '[2024-01-05,2024-01-07)');
CREATE TABLE guests (name text, room int, during daterange,
  FOREIGN KEY (room, PERIOD during) REFERENCES booked (room, PERIOD during));
INSERT INTO guests VALUES ('someone', 1, '[2024-01-02,2024-01-06)');
CREATE PUBLICATION with_generated FOR TABLE generated_columns WITH (publish_generated_columns = stored);
"""
