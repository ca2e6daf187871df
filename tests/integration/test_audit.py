"""The audit trail under what happens to it: writers at once, kill -9, a full disk, and whoever edits its files.

Two readers judge it: Holdfast's own verification (tests/support/audit_tool.cc), and one written here from
docs/format/audit.md alone, so that neither the writer nor the verifier is its own witness.
"""

import hashlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import harness  # noqa: E402

KILLS = 200 if os.environ.get("HOLDFAST_TEST_LONG") else 60
WRITERS = 4
SEED = int(os.environ.get("HOLDFAST_TEST_SEED", random.randrange(10**6)))
MEMBERS = ["v", "seq", "time", "organization", "actor_kind", "actor", "host", "address", "action", "target",
           "outcome", "run", "detail", "prev", "hash"]


def tool_path() -> Path:
    tool = harness.holdfast_bin().parent / "tests" / "audit_tool"
    if not tool.exists():
        raise unittest.SkipTest("audit_tool is not built")
    return tool


def tool(*words, expect: int = 0, stdin: str = "", **options) -> subprocess.CompletedProcess:
    done = subprocess.run([tool_path(), *map(str, words)], input=stdin, capture_output=True, text=True,
                          timeout=300, **options)
    if done.returncode != expect:
        raise AssertionError(f"audit_tool {words}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


def segments(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if re.fullmatch(r"audit-\d{8,}\.jsonl", p.name))


def records(folder: Path) -> list[dict]:
    """All lines of a whole log, by the format page alone; AssertionError where they do not hold."""
    found, prev = [], "0" * 64
    for number, path in enumerate(segments(folder), 1):
        data = path.read_bytes()
        assert data.endswith(b"\n"), f"{path} does not end in a line break"
        for index, line in enumerate(data[:-1].split(b"\n")):
            record = json.loads(line)
            assert list(record) == MEMBERS, line
            assert json.dumps(record, separators=(",", ":"), ensure_ascii=False).encode() == line, line
            assert hashlib.sha256((line + b"\n")[:-76]).hexdigest() == record["hash"], line
            assert record["prev"] == prev, line
            assert record["seq"] == len(found) + 1, line
            opening = "audit.begin" if number == 1 else "audit.segment"
            assert (record["action"] in ("audit.begin", "audit.segment")) == (index == 0), line
            assert index > 0 or record["action"] == opening, line
            prev = record["hash"]
            found.append(record)
    return found


class Verifier:
    """One audit_tool that verifies folder after folder."""

    def __init__(self, store: Path | None = None):
        self.process = subprocess.Popen([tool_path(), "verify", *([str(store)] if store else [])],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __call__(self, folder: Path) -> tuple[bool, list[str]]:
        self.process.stdin.write(f"{folder}\n")
        self.process.stdin.flush()
        problems = []
        while True:
            line = self.process.stdout.readline()
            if not line:
                raise AssertionError("audit_tool verify ended")
            problems.append(line.rstrip("\n"))
            if line.startswith(("ok ", "bad ")):
                return line.startswith("ok "), problems

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=30)


def spawn_writer(folder: Path, name: str, count: int = 0, segment_bytes: int = 64 << 20) -> subprocess.Popen:
    return subprocess.Popen([tool_path(), "--segment-bytes", str(segment_bytes), "append", str(folder), name,
                             str(count)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def acknowledged(output: bytes) -> list[tuple[int, str, str]]:
    """What a writer said was written; a line that the kill cut was not said."""
    lines = output.decode().split("\n")[:-1]
    return [(int(seq), digest, target) for seq, digest, target in (line.split(" ") for line in lines)]


class AuditTest(unittest.TestCase):
    def setUp(self):
        self.root = harness.temp_dir("hf-audit-", 0o700)
        self.folder = self.root / "audit"

    def verifier(self, store: Path | None = None) -> Verifier:
        verifier = Verifier(store)
        self.addCleanup(verifier.close)
        return verifier

    def assert_whole(self, said) -> list[dict]:
        """Both readers find nothing, and every acknowledged line stands in its place."""
        found = records(self.folder)
        ok, problems = self.verifier()(self.folder)
        self.assertTrue(ok, f"seed {SEED}: {problems}")
        for seq, digest, target in said:
            self.assertEqual((digest, target), (found[seq - 1]["hash"], found[seq - 1]["target"]),
                             f"seed {SEED}: line {seq} was acknowledged")
        self.assertEqual(len(said), len({seq for seq, _, _ in said}), f"seed {SEED}")
        return found


class Writers(AuditTest):
    def test_several_processes_at_once_make_one_chain(self):
        count = 60
        writers = [spawn_writer(self.folder, f"w{i}", count, 8000) for i in range(WRITERS)]
        said = []
        for writer in writers:
            out, err = writer.communicate(timeout=240)
            self.assertEqual(0, writer.returncode, err)
            said += acknowledged(out)
        self.assertEqual(WRITERS * count, len(said))
        found = self.assert_whole(said)
        self.assertGreater(len(segments(self.folder)), 3)
        for i in range(WRITERS):  # each one's own in its order
            own = [r["target"] for r in found if r["target"].startswith(f"w{i}.")]
            self.assertEqual([f"w{i}.{k}" for k in range(count)], own)
        self.assertEqual(0o700, self.folder.stat().st_mode & 0o777)
        for path in segments(self.folder):
            self.assertEqual(0o600, path.stat().st_mode & 0o777, path)

    def test_killed_writers_lose_nothing_that_was_acknowledged(self):
        moments = random.Random(SEED)
        said, killed = [], 0
        while killed < KILLS:
            writers = [spawn_writer(self.folder, f"k{killed}x{i}", 0, 20_000) for i in range(WRITERS)]
            for writer in writers:
                time.sleep(moments.uniform(0, 0.06))
                writer.send_signal(signal.SIGKILL)
                killed += 1
            for writer in writers:
                said += acknowledged(writer.communicate(timeout=60)[0])
                self.assertEqual(-signal.SIGKILL, writer.returncode)
        done = spawn_writer(self.folder, "end", 1)
        said += acknowledged(done.communicate(timeout=60)[0])
        found = self.assert_whole(said)
        self.assertGreater(len(said), KILLS, f"seed {SEED}: the moments miss the writing")
        # Beside what was acknowledged, each kill can have left one line.
        extra = [r for r in found if r["action"] == "test.append"]
        self.assertLessEqual(len(extra), len(said) + killed, f"seed {SEED}")
        self.assertEqual([], [p.name for p in self.folder.iterdir() if p.name.endswith(".pending")])

    def test_a_line_torn_anywhere_is_set_aside(self):
        """The kernel writes a line whole more often than not, so the torn ones are made here."""
        tool("append", self.folder, "a", 2)
        path = segments(self.folder)[-1]
        whole = path.read_bytes()
        last = whole[whole[:-1].rindex(b"\n") + 1:]
        said, moments = [], random.Random(SEED)
        for _ in range(20):
            torn = last[:moments.randrange(1, len(last) - 1)]
            before = len(records(self.folder))
            with path.open("ab") as file:
                file.write(torn)
            said += acknowledged(tool("append", self.folder, "b", 1).stdout.encode())
            found = self.assert_whole(said)
            recovery = found[before]
            self.assertEqual("audit.recover", recovery["action"])
            self.assertEqual(torn, (self.folder / recovery["detail"]["file"]).read_bytes())

    def test_a_full_disk_is_one_error_and_breaks_nothing(self):
        said = acknowledged(tool("append", self.folder, "before", 3).stdout.encode())
        for limit in (1, 200, 700):  # within the next line, and behind it
            size = segments(self.folder)[-1].stat().st_size + limit
            done = tool("append", self.folder, "full", 5, expect=1,
                        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)))
            said += acknowledged(done.stdout.encode())
            self.assertEqual(1, len(done.stderr.splitlines()), done.stderr)
            self.assertIn("unavailable: audit log: write", done.stderr)
            self.assert_whole(said)
            said += acknowledged(tool("append", self.folder, "after", 1).stdout.encode())
            self.assert_whole(said)

    def test_a_full_file_system(self):
        mounted = self.root / "small"
        mounted.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", mounted],
                          capture_output=True).returncode:
            self.skipTest("no file system can be mounted here")
        self.addCleanup(subprocess.run, ["umount", mounted], check=True)
        self.folder = mounted / "audit"
        done = tool("--segment-bytes", 10_000, "append", self.folder, "full", 1000, expect=1)
        self.assertIn("unavailable: audit log: ", done.stderr)
        self.assertIn("No space left on device", done.stderr)
        said = acknowledged(done.stdout.encode())
        self.assertGreater(len(said), 20)
        ok, problems = self.verifier()(self.folder)
        self.assertTrue(ok, problems)
        self.assertEqual([s[1] for s in said], [r["hash"] for r in records(self.folder)
                                                if r["action"] == "test.append"])


class Tampering(AuditTest):
    """A random log over several segments, anchored at its end, and every change of one line of it."""

    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        for i in range(self.random.randrange(2, 5)):
            tool("--segment-bytes", self.random.randrange(2000, 6000), "append", self.folder, f"r{i}",
                 self.random.randrange(3, 8))
        self.store = self.root / "store"
        name, self.head = tool("anchor", self.folder, self.store).stdout.splitlines()
        self.assertTrue((self.store / name).is_file())
        self.anchored = self.verifier(self.store)
        self.plain = self.verifier()
        self.original = {path.name: path.read_bytes() for path in segments(self.folder)}
        self.assertEqual([True, True], [self.anchored(self.folder)[0], self.plain(self.folder)[0]])
        self.lines = [(name, line) for name, data in self.original.items()
                      for line in data[:-1].split(b"\n")]

    def with_lines(self, lines) -> Path:
        """A copy of the log whose segments hold these (file, line) pairs."""
        copy = self.root / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for name, line in lines:
            with (copy / name).open("ab") as file:
                file.write(line + b"\n")
        return copy

    def assert_found(self, lines, what: str, place: str | None = None, needs_anchor: bool = False):
        copy = self.with_lines(lines)
        ok, problems = self.anchored(copy)
        self.assertFalse(ok, f"seed {SEED}: {what} was not found")
        if place:
            self.assertIn(place, problems[0], f"seed {SEED}: {what}: {problems}")
        if not needs_anchor:
            self.assertFalse(self.plain(copy)[0], f"seed {SEED}: {what} was not found without an anchor")

    def place(self, index: int) -> str:
        """How the verification names a line of the whole log."""
        name = self.lines[index][0]
        first = next(i for i, (other, _) in enumerate(self.lines) if other == name)
        return f"{name} line {index - first + 1}:"

    @staticmethod
    def rehashed(line: bytes) -> bytes:
        body = line[:-75]
        return body + b',"hash":"' + hashlib.sha256(body).hexdigest().encode() + b'"}'

    def test_every_single_edit(self):
        last = len(self.lines) - 1
        for index, (name, line) in enumerate(self.lines):
            edited = line.replace(b"Care Commons", b"Care Common$")
            before, after = self.lines[:index], self.lines[index + 1:]
            self.assert_found([*before, (name, edited), *after], f"edit of {index}", self.place(index))
            # With a hash that is right for it, the line after does not hang on it any more; behind the
            # last line there is only the anchor.
            self.assert_found([*before, (name, self.rehashed(edited)), *after], f"forging of {index}",
                              needs_anchor=index == last)

    def test_every_rewriting_of_the_rest(self):
        """Whoever rewrites all that follows makes a log that is sound, and not the anchored one."""
        for start in range(len(self.lines)):
            lines, prev = self.lines[:start], None
            for index, (name, line) in enumerate(self.lines[start:]):
                if index == 0:
                    line = line.replace(b"Care Commons", b"Care Common$")
                else:
                    line = re.sub(rb'"prev":"[0-9a-f]{64}"', b'"prev":"' + prev + b'"', line)
                line = self.rehashed(line)
                prev = line[-66:-2]
                lines.append((name, line))
            copy = self.with_lines(lines)
            self.assertTrue(self.plain(copy)[0])
            ok, problems = self.anchored(copy)
            self.assertFalse(ok, start)
            self.assertIn("anchor: line", problems[0])

    def test_every_single_deletion(self):
        for index in range(len(self.lines) - 1):
            self.assert_found(self.lines[:index] + self.lines[index + 1:], f"deletion of {index}")

    def test_every_single_insertion(self):
        for index in range(len(self.lines) + 1):
            near = self.lines[min(index, len(self.lines) - 1)]
            for line in (self.random.choice(self.lines)[1], near[1], b"", b"{}"):
                self.assert_found([*self.lines[:index], (near[0], line), *self.lines[index:]],
                                  f"insertion at {index}")

    def test_every_swap(self):
        for one in range(len(self.lines)):
            for other in range(one + 1, len(self.lines)):
                lines = list(self.lines)
                lines[one] = (lines[one][0], self.lines[other][1])
                lines[other] = (lines[other][0], self.lines[one][1])
                self.assert_found(lines, f"swap of {one} and {other}", self.place(one))

    def test_every_cut_of_the_tail(self):
        for left in range(1, len(self.lines)):
            copy = self.with_lines(self.lines[:left])
            self.assertTrue(self.plain(copy)[0], left)  # what only an anchor can know
            ok, problems = self.anchored(copy)
            self.assertFalse(ok, left)
            self.assertIn(f"it ends with line {left}, ", problems[0])

    def test_every_cut_of_the_head_and_every_missing_file(self):
        for name in self.original:
            copy = self.with_lines([(other, line) for other, line in self.lines if other != name])
            self.assertFalse(self.anchored(copy)[0], name)
        names = list(self.original)
        for first in names[1:]:
            copy = self.with_lines([(name, line) for name, line in self.lines if name >= first])
            ok, problems = self.plain(copy)
            self.assertFalse(ok, first)
            self.assertIn(f"{first} line 1: cut: the log begins with its line", problems[0])

    def test_random_bytes(self):
        for _ in range(600):
            name = self.random.choice(list(self.original))
            data = bytearray(self.original[name])
            at = self.random.randrange(len(data))
            kind = self.random.choice(("flipped", "removed", "added"))
            if kind == "flipped":
                data[at] ^= 1 << self.random.randrange(8)
            elif kind == "removed":
                del data[at]
            else:
                data.insert(at, self.random.randrange(256))
            copy = self.with_lines(self.lines)
            (copy / name).write_bytes(data)
            ok, problems = self.plain(copy)
            self.assertFalse(ok, f"seed {SEED}: {kind} byte {at} of {name}")
            self.assertIn(name, problems[0], f"seed {SEED}: {kind} byte {at} of {name}")

    def test_an_export_and_its_proof_agree_with_sha256sum(self):
        done = tool("export", self.folder)
        proof = json.loads(done.stderr)
        self.assertEqual(b"".join(self.original.values()), done.stdout.encode())
        self.assertEqual(hashlib.sha256(done.stdout.encode()).hexdigest(), proof["sha256"])
        self.assertEqual(self.head.split()[-1], proof["last_hash"])
        self.assertEqual(self.head.split()[5], str(proof["last_seq"]))

    def test_the_shells_own_tools_see_the_hash(self):
        """The command that the format page gives."""
        name, line = self.lines[-1]
        number = self.original[name].count(b"\n")
        shell = subprocess.run(f"sed -n {number}p {name} | head -c -76 | sha256sum", shell=True, check=True,
                               cwd=self.folder, capture_output=True, text=True)
        self.assertEqual(line[-66:-2].decode(), shell.stdout.split()[0])


if __name__ == "__main__":
    harness.main()
