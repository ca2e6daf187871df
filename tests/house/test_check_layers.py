"""tools/check-layers finds what it is there to find: each rule broken once, in a small tree of its own."""

import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

TOOL = Path(__file__).resolve().parents[2] / "tools" / "check-layers"

GOOD = {
    "CMakeLists.txt": "holdfast_layer(base USES PACKAGES fmt::fmt)\n"
                      "holdfast_layer(store USES base)\n"
                      "holdfast_layer(cli USES base store\n  PACKAGES CLI11::CLI11)\n",
    "src/main.cc": '#include "cli/program.h"\n',
    "src/base/error.h": "// Errors.\n#pragma once\n#include <string>\n",
    "src/base/error.cc": '#include "base/error.h"\n',
    "src/store/store.h": '// The store.\n#pragma once\n#include "base/error.h"\n',
    "src/cli/program.h": '// The program.\n#pragma once\n#include "store/store.h"\n',
}


class CheckLayers(unittest.TestCase):
    def run_on(self, **changes):
        """Runs the tool on GOOD with `changes` (path → content); returns its code and its words."""
        with tempfile.TemporaryDirectory() as folder:
            for path, content in {**GOOD, **changes.get("files", {})}.items():
                target = Path(folder) / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(content)
            done = subprocess.run([sys.executable, "-B", TOOL, folder], capture_output=True, text=True)
            return done.returncode, done.stdout + done.stderr

    def finds(self, path: str, content: str, *words: str) -> None:
        code, said = self.run_on(files={path: content})
        self.assertEqual(code, 1, said)
        self.assertEqual(len(said.splitlines()), 1, said)
        for word in words:
            self.assertIn(word, said)

    def test_good_tree(self):
        self.assertEqual(self.run_on(), (0, ""))

    def test_include_that_climbs(self):
        self.finds("src/base/error.cc", '#include "base/error.h"\n#include "store/store.h"\n',
                   "src/base/error.cc:2", "store")

    def test_include_of_a_layer_not_named(self):
        self.finds("src/store/store.cc", '#  include <cli/program.h>\n', "src/store/store.cc:1", "cli")

    def test_main_includes_only_cli(self):
        self.finds("src/main.cc", '#include "base/error.h"\n', "src/main.cc:1")

    def test_unit_tests_are_held_too(self):
        self.finds("src/base/error_test.cc", '#include "store/store.h"\n', "error_test.cc:1")

    def test_relative_include(self):
        self.finds("src/base/x.cc", '#include "../store/store.h"\n', "src/base/x.cc:1")

    def test_layer_list_that_climbs(self):
        self.finds("CMakeLists.txt", GOOD["CMakeLists.txt"].replace("base USES ", "base USES store "),
                   "CMakeLists.txt:1", "base uses store")

    def test_folder_that_is_no_layer(self):
        self.finds("src/extra/x.cc", "int x;\n", "src/extra")

    def test_heavy_header(self):
        self.finds("src/store/x.cc", "#include <nlohmann/json.hpp>\n", "src/store/x.cc:1", "heavy")
        self.finds("src/store/x.cc", '#include "toml++/toml.hpp"\n', "src/store/x.cc:1", "heavy")

    def test_header_without_comment_or_pragma(self):
        self.finds("src/base/x.h", "#pragma once\nint x();\n", "src/base/x.h:1", "comment")
        self.finds("src/base/x.h", "// X.\nint x();\n", "src/base/x.h:1", "pragma once")

    def test_tab(self):
        self.finds("src/base/x.cc", "int x;\n\tint y;\n", "src/base/x.cc:2", "tab")

    def test_long_file(self):
        self.finds("src/base/x.cc", "int x;\n" * 501, "src/base/x.cc", "501 lines")

    def test_machine_path(self):
        path = "/" + "home/somebody/holdfast"
        self.finds("docs/x.md", f"cd {path}\n", "docs/x.md:1", "one machine")
        self.finds("src/base/x.cc", f'const char* x = "{path}";\n', "src/base/x.cc:1")

    def test_no_layers_at_all(self):
        code, said = self.run_on(files={"CMakeLists.txt": "project(x)\n"})
        self.assertEqual(code, 1)
        self.assertIn("names no holdfast_layer", said)


if __name__ == "__main__":
    unittest.main()
