"""The documentation is true: its commands run, the options it names exist, its links lead somewhere.

A fenced block that starts with ```sh run is run, the blocks of a page in order, each by a shell of its own
that stops at the first error (```sh run exit=4: must end with that code). A page finds what its reader
has: DATABASE_URL, BACKUP_DIR, a working login in ~/.pgpass, holdfast and PostgreSQL's programs on PATH, and a
database `care_commons` with the sample in it; its folder is empty and its own. The pages in ENGINE_PAGES find
an engine of that server running as well, and NEON_API_HOST and NEON_API_KEY_FILE that lead to it.

The pages in MANAGED_PAGES, which test_recovery.py runs, get a server to themselves, which their engine may stop
and put back; and, since theirs is the day on which everything may be gone: a bucket (S3_BACKUP_BUCKET) beside the
folder, another server to recover to (NEW_SERVER, its login in ~/.pgpass as well), and stock `aws` and `neon`
(without its reports of use) on PATH.
"""

import os
import re
import shlex
import subprocess
import sys
import unittest
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import engine  # noqa: E402
import harness  # noqa: E402
from neon_cli import neon_folder  # noqa: E402
from s3_servers import AWS  # noqa: E402

FENCE = re.compile(r"^```(.*)$")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ENGINE_PAGES = ("docs/engine.md",)
MANAGED_PAGES = ("docs/recovery.md",)
BUCKET = "care-commons-backups"
PAGES = ("README.md", *sorted(f"docs/{page.name}" for page in (ROOT / "docs").glob("*.md")))


class Block:
    def __init__(self, page: str, line: int, info: str, text: str):
        self.page, self.line, self.text = page, line, text
        words = info.split()
        self.shell = words[:1] == ["sh"]
        self.run = self.shell and "run" in words[1:]
        self.exit_code = next((int(w[5:]) for w in words if w.startswith("exit=")), 0)

    def __str__(self):
        return f"{self.page}:{self.line}"


def blocks_of(page: str) -> list[Block]:
    blocks, begin, info, lines = [], 0, "", []
    for number, line in enumerate((ROOT / page).read_text().splitlines(), 1):
        fence = FENCE.match(line)
        if fence and not begin:
            begin, info, lines = number, fence.group(1), []
        elif fence:
            blocks.append(Block(page, begin, info, "\n".join(lines) + "\n"))
            begin = 0
        elif begin:
            lines.append(line)
    if begin:
        raise AssertionError(f"{page}:{begin}: the block does not end")
    return blocks


def existing_pages() -> list[str]:
    return [page for page in PAGES if (ROOT / page).is_file()]


def make_sample(server: harness.Server, database: str) -> None:
    server.createdb(database)
    subprocess.run([ROOT / "examples/care-commons/make-sample", "--scale", "1"], check=True,
                   stdout=subprocess.DEVNULL, env={**server.client_env(), "PGDATABASE": database})


def reader_env(folder: Path, server: harness.Server, *others: harness.Server) -> dict[str, str]:
    """What the reader of a page has: a home with a login to these servers, programs, folders."""
    (folder / "work").mkdir()
    home = folder / "home"
    home.mkdir(mode=0o700)
    pgpass = home / ".pgpass"
    pgpass.touch(0o600)
    pgpass.write_text("".join(s.passfile.read_text().replace("*:*:*:", f"{s.host}:{s.port}:*:")
                              for s in (server, *others)))
    path = (folder / "bin", harness.holdfast_bin().parent, server.bindir, os.environ.get("PATH", os.defpath))
    env = {**server.client_env(), "PATH": ":".join(map(str, path)), "HOME": str(home),
           "BACKUP_DIR": str(folder / "backups"), "DATABASE_URL": server.url("care_commons", password=None)}
    del env["PGPASSFILE"]
    return env


def engine_env(folder: Path, served: engine.EngineServer) -> dict[str, str]:
    key = folder / "home" / "neon-key"
    key.touch(0o600)
    key.write_text(served.key + "\n")
    return {"NEON_API_HOST": f"http://127.0.0.1:{served.port}/api/v2", "NEON_API_KEY_FILE": str(key)}


def give_stock_programs(folder: Path) -> None:
    """Debian's `aws` is older than the variable that says where the bucket is."""
    (folder / "bin").mkdir()
    for name, command in (("aws", f'{AWS} --endpoint-url "$AWS_ENDPOINT_URL_S3" "$@"'),
                          ("neon", f'{neon_folder() / "neon-newest"} "$@" --no-analytics')):
        program = folder / "bin" / name
        program.write_text(f"#!/bin/sh\nexec {command}\n")
        program.chmod(0o755)


class Pages(unittest.TestCase):
    """Runs pages, each as a reader would who has just come to it."""

    server: harness.Server

    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.addClassCleanup(cls.server.close)
        make_sample(cls.server, "sample")

    def fresh_databases(self) -> None:
        names = self.server.psql("SELECT datname FROM pg_database WHERE datname LIKE 'care%'").split()
        for name in names:
            self.server.dropdb(name)
        self.server.createdb("care_commons", template="sample")

    def page_env(self, page: str, folder: Path, until_the_end: ExitStack) -> dict[str, str]:
        if page in MANAGED_PAGES:
            return self.managed_env(folder, until_the_end)
        env = reader_env(folder, self.server)
        if page in ENGINE_PAGES:
            served = until_the_end.enter_context(
                engine.EngineServer(self.server, settings={"databases": ["care_commons"]}))
            env |= engine_env(folder, served)
        return env

    def managed_env(self, folder: Path, until_the_end: ExitStack) -> dict[str, str]:
        self.server.dropdb("care_commons")  # the new server has nothing yet
        source = until_the_end.enter_context(engine.ManagedSource(settings={"max_wal_senders": 20}))
        make_sample(source, "care_commons")
        served = until_the_end.enter_context(
            engine.EngineServer(source, managed=True, settings={"databases": ["care_commons"]}))
        bucket = until_the_end.enter_context(harness.FakeS3())
        bucket.make_bucket(BUCKET)
        give_stock_programs(folder)
        return {**reader_env(folder, source, self.server), **engine_env(folder, served), **bucket.env(),
                "S3_BACKUP_BUCKET": BUCKET, "NEW_SERVER": self.server.url("postgres", password=None)}

    def run_page(self, page: str) -> int:
        wanted = [block for block in blocks_of(page) if block.run]
        if not wanted:
            return 0
        self.fresh_databases()
        folder = harness.temp_dir("hf-docs-")
        with ExitStack() as until_the_end:
            env = self.page_env(page, folder, until_the_end)
            until_the_end.callback(subprocess.run, ["gpgconf", "--kill", "gpg-agent"], env=env, check=False)
            for block in wanted:
                done = subprocess.run(["bash", "-euo", "pipefail", "-c", block.text], cwd=folder / "work",
                                      env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, timeout=300)
                said = done.stdout.decode(errors="replace")
                harness.assert_no_secrets(said, str(block))
                self.assertEqual(done.returncode, block.exit_code, f"{block}\n{block.text}---\n{said}")
        return len(wanted)

    def run_pages(self, pages) -> int:
        ran = 0
        for page in pages:
            with self.subTest(page):
                ran += self.run_page(page)
        return ran


class Commands(Pages):
    def test_pages(self):
        self.assertGreaterEqual(self.run_pages(p for p in existing_pages() if p not in MANAGED_PAGES), 15)


class Words(unittest.TestCase):
    def holdfast_lines(self):
        """(block, words) of every holdfast command in any shell block."""
        for page in existing_pages():
            for block in blocks_of(page):
                text = re.sub(r"<<-?\s*['\"]?(\w+).*?^\1$", "", block.text, flags=re.S | re.M)
                for line in text.replace("\\\n", " ").splitlines() if block.shell else ():
                    if line.strip().startswith("holdfast "):
                        words = shlex.split(line.strip().removesuffix(")"), comments=True)
                        ends = [words.index(mark) for mark in ("|", ">", "&&", "||") if mark in words]
                        yield block, words[1:min(ends, default=len(words))]

    def test_commands_and_options_exist(self):
        helps, seen = {}, 0
        for block, words in self.holdfast_lines():
            command = words[0]
            if command not in helps:
                helps[command] = harness.holdfast("help", command).out
            for word in words[1:]:
                if word.startswith("--"):
                    flag = word.split("=")[0]
                    self.assertRegex(helps[command], rf"(?<![\w-]){flag}(?![\w-])",
                                     f"{block}: holdfast {command} has no {flag}")
                    seen += 1
        self.assertGreater(seen, 15)

    def test_links(self):
        pages = [p for pattern in ("*.md", "docs/**/*.md", "bench/*.md", "fuzz/*.md", "examples/**/*.md")
                 for p in ROOT.glob(pattern)]
        self.assertGreater(len(pages), 5)
        for page in pages:
            for target in LINK.findall(page.read_text()):
                path = target.split("#")[0]
                if path and not re.match(r"[a-z]+:", path):
                    self.assertTrue((page.parent / path).exists(),
                                    f"{page.relative_to(ROOT)}: the link {target} leads nowhere")


if __name__ == "__main__":
    harness.main()
