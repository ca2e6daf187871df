"""The commands of docs/recovery.md work, with Holdfast and without: test_commands.py, for the pages that need an
engine that manages its source. On their own, because they take as long as all the others together.
"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import test_commands  # noqa: E402


class Recovery(test_commands.Pages):
    def test_pages(self):
        self.assertGreaterEqual(self.run_pages(test_commands.MANAGED_PAGES), 20)


if __name__ == "__main__":
    test_commands.harness.main()
