"""Histories of backups for tests: one real backup, copied under earlier times.

The manifest's time is what counts, so each copy gets its own id and creation time there.
"""

import hashlib
import os
import re
from datetime import datetime, timedelta
from pathlib import Path

SEAL = re.compile(r',\n  "(\w+_sha256)": "[0-9a-f]{64}"\n}\n$')


def resealed(text: str) -> str:
    """A document whose own SHA-256 is right again."""
    match = SEAL.search(text)
    body = text[:match.start()]
    return f'{body},\n  "{match.group(1)}": "{hashlib.sha256(body.encode()).hexdigest()}"\n}}\n'


def age_backup(folder: Path, id: str, now: datetime, days: float, proven: bool = True) -> str:
    """Puts a copy of the backup `id` into its folder where one made `days` before `now` would be; its id."""
    at = now - timedelta(days=days)
    stamp = at.strftime("%Y-%m-%dT%H-%M-%S-") + f"{at.microsecond // 1000:03d}Z"
    old = f"{id[:-len(stamp)]}{stamp}"
    created = stamp[:10] + "T" + stamp[11:19].replace("-", ":") + "." + stamp[20:]
    for path in list(folder.iterdir()):
        if not path.name.startswith(id + ".") or (".proof-" in path.name and not proven):
            continue
        target = folder / path.name.replace(id, old)
        if path.suffix == ".dump":
            os.link(path, target)
            continue
        text = path.read_text().replace(id, old)
        if path.suffix == ".json":
            text = re.sub(r'"(created_at|finished_at)": "[^"]*"', rf'"\1": "{created}"', text)
            text = resealed(text)
        target.write_text(text)
    return old
