"""Comparing databases, and writing to them all the time. Part of harness.py.

The comparison uses SQL of its own, so that it does not share a mistake with the program under test.
"""

import json
import os
import subprocess
import threading
import time
from pathlib import Path

from harness_base import at_exit, forget_exit, wait_until
from harness_server import Server, conninfo, ident, literal

# One statement per relation, made by the first query and run by \gexec; JSON, since names may hold anything.
_ROWS_SQL = r"""
SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres';
SET bytea_output = 'hex'; SET extra_float_digits = 1; SET row_security = off; SET search_path = pg_catalog;
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
SELECT format(
  'SELECT json_build_array(%L, count(*), coalesce(sum((''x'' || substr(md5(t.*::text), 1, 15))::bit(60)::bigint), 0)::text)'
  ' FROM ONLY %I.%I t', n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE (c.relkind = 'r' OR (c.relkind = 'm' AND c.relispopulated))
  AND c.relpersistence = ANY ('{@PERSISTENCE@}')
  AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast')
  AND NOT EXISTS (SELECT FROM pg_depend d
                  WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname \gexec
SELECT format('SELECT json_build_array(%L, last_value, is_called::text) FROM %I.%I',
              'sequence ' || n.nspname || '.' || c.relname, n.nspname, c.relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND c.relpersistence = ANY ('{@PERSISTENCE@}') ORDER BY n.nspname, c.relname \gexec
SELECT json_build_array('large objects', count(*), coalesce(sum(
         ('x' || substr(md5(oid::text || '=' || md5(lo_get(oid))), 1, 15))::bit(60)::bigint), 0)::text)
FROM pg_largeobject_metadata;
COMMIT;
"""


def rows(server: Server, db: str, unlogged: bool = True) -> dict[str, tuple[int, str]]:
    """What a database holds, as one snapshot: 'schema.table' → (rows, checksum that ignores their order).

    Also 'sequence schema.name' → (last value, called?) and 'large objects' → (number, checksum of numbers
    and bytes). Tables, leaf partitions and populated materialized views count, each without its heirs. Two
    databases with the same content give equal dicts, on any version and whoever copied them.
    unlogged: False leaves out unlogged tables, which a physical restore empties.
    """
    sql = _ROWS_SQL.replace("@PERSISTENCE@", "p,u" if unlogged else "p")
    found = {}
    for line in server.psql(sql, db).splitlines():
        name, count, checksum = json.loads(line)
        found[name] = (count, checksum)
    return found


def rows_difference(left: dict, right: dict) -> str:
    """Empty, or one line for each table that differs."""
    return "\n".join(f"{name!r}: {left.get(name)} against {right.get(name)}"
                     for name in sorted(left.keys() | right.keys())
                     if left.get(name) != right.get(name))


def schema_dump(server: Server, db: str, bindir=None) -> str:
    """pg_dump's text of the schema without comment lines, blank lines and \\restrict keys.

    bindir: another version's programs, so that two servers of different versions are read by the same one.
    """
    program = Path(bindir or server.bindir) / "pg_dump"
    done = subprocess.run([program, "-s", "-d", f"dbname={conninfo(db)}"], capture_output=True,
                          env=server.client_env(), cwd=server.dir, timeout=300)
    if done.returncode != 0:
        raise AssertionError(done.stderr.decode(errors="replace"))
    dropped = ("--", "\\restrict ", "\\unrestrict ")
    return "\n".join(line for line in done.stdout.decode().split("\n")
                     if line.strip() and not line.startswith(dropped)) + "\n"


class Writers:
    """Connections that keep inserting, updating and deleting until stopped.

    Each transaction does the same to every table of `tables` (made if missing), so that in any consistent
    snapshot all of them hold the same rows: `mismatch(server, db)` is empty exactly then. That is what a
    backup taken meanwhile must show.

    transactions: how many committed so far. stop() ends them and returns that number; an error in one of
    them (a killed server, say) then raises unless tolerate_errors, where `errors` keeps the texts.
    """

    TABLES = ("hf_ledger_a", "hf_ledger_b")

    def __init__(self, server: Server, db: str = "postgres", connections: int = 3,
                 tables: tuple[str, ...] = TABLES, body_bytes: int = 200,
                 tolerate_errors: bool = False):
        self.server, self.db, self.tables = server, db, tuple(tables)
        self.tolerate_errors, self.errors = tolerate_errors, []
        self._body_bytes, self._stop = body_bytes, threading.Event()
        self._counts = [0] * connections
        server.psql("".join(
            f"CREATE TABLE IF NOT EXISTS {ident(t)} (id text PRIMARY KEY, version int NOT NULL,"
            " body text, changed timestamptz NOT NULL);\n" for t in self.tables), db)
        self._processes = [self._connect() for _ in range(connections)]
        at_exit(self.abandon)
        self._threads = [threading.Thread(target=self._run, args=(i,), daemon=True)
                         for i in range(connections)]
        for thread in self._threads:
            thread.start()

    @property
    def transactions(self) -> int:
        return sum(self._counts)

    def wait_for(self, more: int, timeout: float = 60) -> None:
        """Until `more` further transactions have committed."""
        goal = self.transactions + more
        wait_until(lambda: self.transactions >= goal or self.errors, timeout, f"{more} transactions")

    def _connect(self) -> subprocess.Popen:
        return subprocess.Popen(
            [self.server.bindir / "psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1",
             "-d", f"dbname={conninfo(self.db)} application_name=hf_writer", "-f", "-"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.server.client_env(), cwd=self.server.dir)

    def _transaction(self, worker: int, number: int) -> str:
        """Inserts one row, updates an older one, and deletes one now and then."""
        def row(n):
            return literal(f"{worker}-{n}-{os.getpid()}-{id(self)}")

        body = literal((f"{number}: " + "é'\\\t" * self._body_bytes)[:self._body_bytes])
        sql = ["BEGIN;"]
        for table in map(ident, self.tables):
            sql.append(f"INSERT INTO {table} VALUES ({row(number)}, 0, {body}, now());")
            sql.append(f"UPDATE {table} SET version = version + 1, changed = now()"
                       f" WHERE id = {row(number // 2)};")
            if number % 3 == 0:
                sql.append(f"DELETE FROM {table} WHERE id = {row(number // 3)};")
        return "\n".join([*sql, "COMMIT;", "\\echo done", ""])

    def _run(self, worker: int) -> None:
        process, number = self._processes[worker], 0
        try:
            while not self._stop.is_set():
                number += 1
                process.stdin.write(self._transaction(worker, number))
                process.stdin.flush()
                if process.stdout.readline() != "done\n":
                    break
                self._counts[worker] += 1
            process.stdin.close()
        except OSError:  # psql went away; its standard error says why
            pass
        except Exception as error:
            self.errors.append(repr(error))
            process.kill()
        text = process.stderr.read()
        if process.wait() != 0 and not (self._stop.is_set() and process.returncode < 0):
            self.errors.append(text or f"psql ended with {process.returncode}")

    def stop(self, timeout: float = 60) -> int:
        self._stop.set()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        stuck = any(thread.is_alive() for thread in self._threads)
        self.abandon()
        if stuck:
            raise AssertionError(f"a writer was still busy after {timeout} s")
        if self.errors and not self.tolerate_errors:
            raise AssertionError("a writer failed: " + "\n".join(self.errors))
        return self.transactions

    def abandon(self) -> None:
        """Kills the connections that are left, without a word."""
        self._stop.set()
        for process in self._processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        forget_exit(self.abandon)

    def mismatch(self, server: Server | None = None, db: str | None = None) -> str:
        """Empty if all tables hold the same rows (here or in a restored copy), else one line per difference."""
        found = rows(server or self.server, db or self.db)
        first = found.get(f"public.{self.tables[0]}")
        return "\n".join(f"{table}: {found.get(f'public.{table}')}, {self.tables[0]}: {first}"
                         for table in self.tables if first is None
                         or found.get(f"public.{table}") != first)

    def __enter__(self) -> "Writers":
        return self

    def __exit__(self, kind, *_) -> None:
        if kind is None:
            self.stop()
        else:
            self.abandon()
