"""A strict reading of Prometheus' text format, version 0.0.4. Standard library only.

Stricter than Prometheus itself: whatever a scraper might forgive is a ValueError that names the line. A metric has
HELP and TYPE before its samples, its samples stand together, and no sample comes twice.
"""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^\\"\n]|\\\\|\\"|\\n)*)"')
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|NaN|[+-]Inf)")
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def _labels(text: str, line: str) -> tuple:
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        if not match or match.group(1) in labels:
            raise ValueError(f"labels: {line!r}")
        labels[match.group(1)] = re.sub(r'\\[\\"n]', lambda m: ESCAPES[m.group()], match.group(2))
        at = match.end()
        if at < len(text):
            if text[at] != "," or at + 1 == len(text):
                raise ValueError(f"labels: {line!r}")
            at += 1
    return tuple(sorted(labels.items()))


def read(text: str) -> dict[str, dict[tuple, float]]:
    """Metric → (labels as sorted pairs → value); metrics without samples as well."""
    if not text.endswith("\n"):
        raise ValueError("the last line does not end")
    metrics: dict[str, dict[tuple, float]] = {}
    helped: set[str] = set()
    open_metric = None
    for line in text.removesuffix("\n").split("\n"):
        if match := re.fullmatch(rf"# HELP ({NAME}) (?:[^\\]|\\\\|\\n)*", line):
            if match.group(1) in helped:
                raise ValueError(f"HELP twice: {line!r}")
            helped.add(match.group(1))
        elif match := re.fullmatch(rf"# TYPE ({NAME}) (gauge|counter|untyped|histogram|summary)", line):
            open_metric = match.group(1)
            if open_metric in metrics or open_metric not in helped:
                raise ValueError(f"TYPE: {line!r}")
            metrics[open_metric] = {}
        elif match := SAMPLE.fullmatch(line):
            name, labels, value = match.groups()
            if name != open_metric:
                raise ValueError(f"a sample away from its TYPE: {line!r}")
            key = _labels(labels or "", line)
            if key in metrics[name]:
                raise ValueError(f"a sample twice: {line!r}")
            metrics[name][key] = float(value)
        else:
            raise ValueError(f"no line of the format: {line!r}")
    if helped != set(metrics):
        raise ValueError(f"HELP without TYPE: {helped ^ set(metrics)}")
    return metrics


def value(metrics: dict, name: str, **labels) -> float | None:
    """The one sample of `name` that has these labels (and others perhaps); None without one."""
    found = [v for key, v in metrics[name].items() if set(labels.items()) <= set(key)]
    if len(found) > 1:
        raise ValueError(f"{name} {labels}: {len(found)} samples")
    return found[0] if found else None
