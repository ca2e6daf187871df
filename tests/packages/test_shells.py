"""The manual page renders without a complaint, bash, zsh and fish complete as they are told, and both are installed.

Each shell is the real one: a line is put to it, and what it offers is held against what is expected of all
three.
"""

import os
import re
import shutil
import subprocess
import sys
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))
import harness  # noqa: E402

# A line up to the cursor → what is offered there, of which all of the first set and none of the second.
CASES = (
    ("holdfast ver", {"verify", "version"}, {"backup", "latest"}),
    ("holdfast --dir folder ver", {"verify", "version"}, {"folder"}),
    ("holdfast --json verify --level ", {"quick", "deep", "restore"}, {"none", "latest"}),
    ("holdfast verify --level=q", {"quick"}, {"deep"}),
    ("holdfast verify lat", {"latest"}, {"list"}),
    ("holdfast verify fi", {"file.dump"}, {"find"}),
    ("holdfast verify latest ", set(), {"latest", "backup"}),
    ("holdfast backup --ty", {"--type"}, {"--table", "--verify"}),
    ("holdfast restore --json --fr", set(), {"--from"}),
    ("holdfast backup --key-file fi", {"file.dump"}, {"folder"}),
    ("holdfast --dir f", {"folder"}, {"file.dump"}),
    ("holdfast key ", {"add", "list", "revoke"}, {"latest"}),
    ("holdfast branch cr", {"create"}, {"compare"}),
    ("holdfast completion ", {"bash", "zsh", "fish"}, {"latest"}),
    ("holdfast help co", {"config", "configuration", "copy", "completion"}, {"--config"}),
)

BASH = """
source "$1"
line=$2
COMP_WORDS=() COMP_LINE=$line
for word in $line; do
  if [[ $word == --*=* ]]; then COMP_WORDS+=("${word%%=*}" = "${word#*=}"); else COMP_WORDS+=("$word"); fi
done
[[ $line != *' ' ]] || COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_holdfast
printf '%s\\n' "${COMPREPLY[@]}"
"""


def offered_lines(text: str) -> set[str]:
    return {line.split("\t")[0].rstrip("/ ") for line in text.splitlines() if line.strip()}


class Completion(unittest.TestCase):
    def setUp(self):
        self.folder = harness.temp_dir("hf-shells-")
        (self.folder / "work" / "folder").mkdir(parents=True)
        (self.folder / "work" / "file.dump").touch()

    def script(self, shell: str, name: str) -> Path:
        if shutil.which(shell) is None:
            self.skipTest(f"{shell} is not installed")
        path = self.folder / name
        path.write_text(harness.holdfast("completion", shell).out)
        return path

    def run_shell(self, *args) -> str:
        env = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TERM": "dumb", "LANG": "C.UTF-8"}
        done = subprocess.run([str(a) for a in args], cwd=self.folder / "work", env=env, timeout=60,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (0, ""), args)
        return done.stdout

    def check(self, ask) -> None:
        for line, expected, unwanted in CASES:
            with self.subTest(line):
                offered = ask(line)
                self.assertLessEqual(expected, offered)
                self.assertFalse(offered & unwanted, offered)

    def test_bash(self):
        script = self.script("bash", "holdfast")
        self.check(lambda line: offered_lines(self.run_shell("bash", "-c", BASH, "bash", script, line)))
        says = self.run_shell("bash", "-c", 'source "$1"; complete -p holdfast', "bash", script)
        self.assertIn("-F _holdfast holdfast", says)

    def test_zsh(self):
        script = self.script("zsh", "_holdfast")
        here = Path(__file__).resolve().parent

        def ask(line):
            said = self.run_shell("zsh", "-f", here / "zsh_complete.zsh", script.parent,
                                  here / "zsh_setup.zsh", line)
            return {match.rstrip("/") for match in re.findall("<match>(.*)</match>", said)}

        self.check(ask)

    def test_fish(self):
        script = self.script("fish", "holdfast.fish")

        def ask(line):
            said = self.run_shell("fish", "--no-config", "-c", 'source $argv[1]; complete -C $argv[2]',
                                  script, line)
            # fish shows the whole word, the option in front of the value too.
            return {word.split("=")[-1] for word in offered_lines(said)}

        self.check(ask)

    def test_bash_script_is_clean(self):
        script = self.script("bash", "holdfast")
        if shutil.which("shellcheck") is None:
            self.skipTest("shellcheck is not installed")
        self.assertEqual(self.run_shell("shellcheck", "--shell=bash", script), "")


class Manual(unittest.TestCase):
    def test_renders_without_a_complaint(self):
        if shutil.which("mandoc") is None:
            self.skipTest("mandoc is not installed")
        page = harness.temp_dir("hf-man-") / "holdfast.1"
        page.write_text(harness.holdfast("help", "man").out)
        lint = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True)
        # The same sources give the same bytes: the page bears a version instead of a date.
        complaints = [line for line in lint.stdout.splitlines() if "missing date" not in line]
        self.assertEqual((complaints, lint.stderr), ([], ""))
        shown = subprocess.run(["mandoc", "-T", "utf8", page], capture_output=True, text=True, check=True)
        plain = re.sub(".\b", "", shown.stdout)
        for words in ("NAME", "holdfast backup", "--critical-table TABLE", "DATABASE_URL",
                      "postgresql://user:password@host:port/database", "EXIT STATUS"):
            self.assertIn(words, plain)



class Installed(unittest.TestCase):
    """`cmake --install` of the build that is tested, below a prefix and a DESTDIR."""

    def test_below_any_prefix(self):
        folder = harness.temp_dir("hf-install-")
        done = subprocess.run(["cmake", "--install", harness.holdfast_bin().parent, "--prefix", "/opt/holdfast"],
                              env={**os.environ, "DESTDIR": str(folder)}, capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        there = {str(path.relative_to(folder / "opt/holdfast")) for path in folder.rglob("*") if path.is_file()}
        self.assertEqual(there, {
            "bin/holdfast", "share/man/man1/holdfast.1", "share/bash-completion/completions/holdfast",
            "share/zsh/site-functions/_holdfast", "share/fish/vendor_completions.d/holdfast.fish",
            "share/holdfast/grafana/holdfast.json", "share/holdfast/prometheus/holdfast.rules.yml"})
        for path in there - {"bin/holdfast"}:
            self.assertIn("holdfast", (folder / "opt/holdfast" / path).read_text().lower(), path)


if __name__ == "__main__":
    unittest.main()
