"""Support for the integration tests: throwaway servers, the holdfast binary, leak watching, comparing.

Why: every integration test needs the same five things, and each is easy to get subtly wrong: a real
PostgreSQL that goes away whatever happens, holdfast in an environment nothing leaks into, an eye on
secrets, writers that keep a database busy, and a comparison that does not trust holdfast's own SQL.

Use: tests start with
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
    import harness
and end with `if __name__ == "__main__": harness.main()`; `python3 -m unittest` finds them as well.

Invariants
- Nothing is shared between two test files that run at once: ports are reserved, folders are unique.
- Everything started here is ended at exit, by its own process id, and every folder made is removed.
- No password ever stands in an argument or an environment variable of a process started from here,
  so that SecretWatch may treat each such sight as a fault.
- As root the servers run as an unprivileged user, since PostgreSQL refuses root.

Failure is an exception whose text holds what the program printed. `Unavailable` means that a PostgreSQL
major version cannot be had on this machine; `skip_unless_server` turns that into a skipped test.

Environment: HOLDFAST_BIN (the program under test), HOLDFAST_TEST_PG<major> (a folder with bin/),
TMPDIR, XDG_CACHE_HOME, HOLDFAST_TEST_SECONDS (after which a file that still runs shows where it is).
Standard library only, Python 3.11.
"""

import faulthandler
import os
import signal
import sys
import unittest

from ceph_server import Ceph  # noqa: F401
from fake_s3 import FakeS3  # noqa: F401
from harness_base import (  # noqa: F401  (all of these are this module's interface)
    Unavailable, assert_no_secrets, descendants, free_port, processes, random_secret, redact,
    register_secret, secrets, temp_dir, wait_until,
)
from harness_data import Writers, rows, rows_difference, schema_dump  # noqa: F401
from harness_program import (  # noqa: F401
    ENV_PASSED_ON, Result, Spawned, holdfast, holdfast_bin, home, spawn_holdfast,
)
from harness_server import (  # noqa: F401
    Server, cache_dir, ident, literal, server_bindir, skip_unless_server,
)
from harness_watch import SecretWatch  # noqa: F401
from kitchen_sink import (  # noqa: F401
    kitchen_sink_drop_roles_sql, kitchen_sink_roles_sql, kitchen_sink_sql,
)
from s3_servers import S3Server, S3rver  # noqa: F401
from swift_server import Swift  # noqa: F401

# A test that hangs is ended by ctest, which knows nothing of it: it says itself, just before, what it waits for.
if os.environ.get("HOLDFAST_TEST_SECONDS"):
    faulthandler.dump_traceback_later(float(os.environ["HOLDFAST_TEST_SECONDS"]), file=sys.__stderr__)


def main() -> None:
    """For the end of a test file: unittest.main with buffered output; SIGTERM cleans up as well."""
    faulthandler.enable()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    unittest.main(module="__main__", buffer=True)
