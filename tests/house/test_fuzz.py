"""fuzz/run-libfuzzer says what became of a run, whatever that is. A stand-in plays the fuzz target."""

import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

WELL = "echo stat::number_of_executed_units: 42"
# Like libFuzzer: $prefix is what -artifact_prefix says.
FINDING = """echo '#1 NEW'
printf bad > "${prefix}crash-1234"
echo "artifact_prefix='$prefix'; Test unit written to ${prefix}crash-1234"
exit 77"""


class RunLibfuzzer(unittest.TestCase):
    def setUp(self):
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory())).resolve()
        self.program = self.folder / "fuzz_cron"

    def run_target(self, body: str, *options: str) -> subprocess.CompletedProcess:
        self.program.write_text(f"""#!/bin/bash
printf '%s\\n' "$@" > "$0.arguments"
for argument in "$@"; do [[ $argument != -artifact_prefix=* ]] || prefix=${{argument#*=}}; done
{body}
""")
        self.program.chmod(0o755)
        return self.run_program(*options)

    def run_program(self, *options: str) -> subprocess.CompletedProcess:
        return subprocess.run([str(ROOT / "fuzz/run-libfuzzer"), *options, str(self.program), "1"],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60)

    def arguments(self) -> list[str]:
        return (self.folder / "fuzz_cron.arguments").read_text().splitlines()

    def test_nothing_found(self):
        done = self.run_target(WELL)
        self.assertEqual((done.returncode, done.stdout, done.stderr),
                         (0, "fuzz_cron: nothing found in 42 runs\n", ""))

    def test_seeds_are_read_and_never_written(self):
        self.run_target(WELL)
        folders = [a for a in self.arguments() if not a.startswith("-")]
        # The first is where libFuzzer puts what it keeps.
        self.assertEqual(folders, [str(self.folder / "corpus/fuzz_cron"), str(ROOT / "fuzz/corpus/cron")])

    def test_a_finding_fails_and_says_how_to_see_it_again(self):
        done = self.run_target(FINDING)
        found = self.folder / "found/fuzz_cron-crash-1234"
        self.assertEqual(done.returncode, 1)
        self.assertEqual(found.read_text(), "bad")
        self.assertIn("#1 NEW", done.stderr)
        self.assertIn(f"fuzz_cron: FOUND something, the input is in {found}\n"
                      f"again: {self.program} {found}\n", done.stderr)

    def test_what_ends_without_an_input_fails(self):
        done = self.run_target("echo the sanitizer cannot start; exit 1")
        self.assertEqual(done.returncode, 1)
        self.assertIn("the sanitizer cannot start", done.stderr)
        self.assertIn("fuzz_cron: FAILED without an input", done.stderr)

    def test_no_run_is_no_success(self):
        for body in ("true", "echo stat::number_of_executed_units: 0"):
            done = self.run_target(body)
            self.assertEqual(done.returncode, 1, body)
            self.assertIn("ended without a run", done.stderr)

    def test_no_program_is_no_success(self):
        done = self.run_program()
        self.assertEqual(done.returncode, 1)
        self.assertIn("there is no program", done.stderr)

    def test_what_earlier_runs_kept(self):
        self.run_target(WELL)
        kept = self.folder / "corpus/fuzz_cron/kept"
        kept.write_text("x")
        self.run_target(WELL)
        self.assertTrue(kept.exists())
        self.run_target(WELL, "--from-seeds")
        self.assertFalse(kept.exists())


if __name__ == "__main__":
    unittest.main()
