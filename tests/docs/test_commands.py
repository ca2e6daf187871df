"""The documentation is true: its commands run, the options it names exist, its links lead somewhere.

A fenced block that starts with ```sh run is run, the blocks of a page in order, each by a shell of its own
that stops at the first error (```sh run exit=4: must end with that code). A page finds what its reader
has: DATABASE_URL, BACKUP_DIR, a working login in ~/.pgpass, holdfast and PostgreSQL's programs on PATH, and a
database `care_commons` with the sample in it; its folder is empty and its own. The pages in ENGINE_PAGES find
an engine of that server running as well, and NEON_API_HOST and NEON_API_KEY_FILE that lead to it.
"""

import os
import re
import shlex
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import engine  # noqa: E402
import harness  # noqa: E402

FENCE = re.compile(r"^```(.*)$")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
ENGINE_PAGES = ("docs/engine.md",)
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


class Commands(unittest.TestCase):
    server: harness.Server

    @classmethod
    def setUpClass(cls):
        cls.server = harness.Server()
        cls.addClassCleanup(cls.server.close)
        cls.server.createdb("sample")
        subprocess.run([ROOT / "examples/care-commons/make-sample", "--scale", "1"], check=True,
                       stdout=subprocess.DEVNULL, env={**cls.reader_env(), "PGDATABASE": "sample"})

    @classmethod
    def reader_env(cls) -> dict[str, str]:
        holdfast = str(harness.holdfast_bin().parent)
        return {**cls.server.client_env(),
                "PATH": f"{holdfast}:{cls.server.bindir}:{os.environ.get('PATH', os.defpath)}"}

    def page_env(self, folder: Path) -> dict[str, str]:
        (folder / "work").mkdir()
        home = folder / "home"
        home.mkdir(mode=0o700)
        pgpass = home / ".pgpass"
        pgpass.write_bytes(self.server.passfile.read_bytes())
        pgpass.chmod(0o600)
        env = {**self.reader_env(), "HOME": str(home), "BACKUP_DIR": str(folder / "backups"),
               "DATABASE_URL": self.server.url("care_commons", password=None)}
        del env["PGPASSFILE"]
        return env

    def fresh_databases(self) -> None:
        names = self.server.psql("SELECT datname FROM pg_database WHERE datname LIKE 'care%'").split()
        for name in names:
            self.server.dropdb(name)
        self.server.createdb("care_commons", template="sample")

    def engine_env(self, folder: Path) -> dict[str, str]:
        served = engine.EngineServer(self.server, settings={"databases": ["care_commons"]})
        self.addCleanup(served.close)
        key = folder / "home" / "neon-key"
        key.write_text(served.key + "\n")
        key.chmod(0o600)
        return {"NEON_API_HOST": f"http://127.0.0.1:{served.port}/api/v2", "NEON_API_KEY_FILE": str(key)}

    def run_page(self, page: str) -> int:
        self.fresh_databases()
        folder = harness.temp_dir("hf-docs-")
        env = self.page_env(folder)
        if page in ENGINE_PAGES and any(block.run for block in blocks_of(page)):
            env |= self.engine_env(folder)
        ran = 0
        for block in blocks_of(page):
            if not block.run:
                continue
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", block.text], cwd=folder / "work",
                                  env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=300)
            said = done.stdout.decode(errors="replace")
            harness.assert_no_secrets(said, str(block))
            self.assertEqual(done.returncode, block.exit_code, f"{block}\n{block.text}---\n{said}")
            ran += 1
        return ran

    def test_pages(self):
        for page in existing_pages():
            with self.subTest(page):
                wanted = sum(block.run for block in blocks_of(page))
                self.assertEqual(self.run_page(page), wanted)
        self.assertGreaterEqual(
            sum(block.run for page in existing_pages() for block in blocks_of(page)), 15)


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
