"""Holds requests and answers of the API against its OpenAPI file. Part of harness.py, which tests import.

Why: the engine says that it speaks the Neon API, and the only judge of that which is not this project's own is the
API's description in the npm package @neondatabase/api-client (install-neon fetches it).

    api = OpenApi(path)
    api.check_request("POST", "/projects/p/branches", [], body)       -> problems, one line each; [] is good
    api.check_response("POST", "/projects/p/branches", 201, "application/json", body)

What is checked: that the path is known, parameters (known, required, types), status and media type, and of
bodies every keyword that the file uses: $ref, allOf, oneOf, anyOf, type, format, pattern, enum, nullable, required,
properties, additionalProperties, items and all bounds. A keyword that is not known here is an error when the
file is read, so that nothing goes unjudged in silence.

Stricter than the file: a property that it does not name is a problem, since a misspelt optional property
would pass otherwise. `NEWER` lists what newer descriptions of the same API have in addition.

Immutable after construction, so any thread may use it.
"""

import json
import re
from datetime import datetime
from urllib.parse import unquote

# What the newest client sends and the file (2.7.3) does not know yet: (schema or operation, name).
NEWER = {("Snapshot", "slug"), ("createSnapshot", "slug"), ("updateSnapshot", "slug"),
         ("deleteProjectBranch", "hard_delete")}

ANNOTATIONS = frozenset("description title example examples default deprecated readOnly writeOnly "
                        "externalDocs discriminator".split())
TYPES = {
    "object": lambda v: isinstance(v, dict), "array": lambda v: isinstance(v, list),
    "string": lambda v: isinstance(v, str), "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
}
INTEGERS = {"int32": (-2**31, 2**31 - 1), "int": (-2**31, 2**31 - 1), "int64": (-2**63, 2**63 - 1),
            "uint64": (0, 2**64 - 1)}
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
METHODS = ("get", "post", "put", "patch", "delete")


def _is_time(text: str) -> bool:
    if not TIME.fullmatch(text):
        return False
    try:
        datetime.fromisoformat(text[:19])
    except ValueError:
        return False
    return True


FORMATS = {
    "date-time": _is_time,
    "uuid": re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch,
    "email": re.compile(r"[^@\s]+@[^@\s]+").fullmatch,
    "uri": re.compile(r"[a-z][a-z0-9+.-]*:\S*").fullmatch,
    "binary": lambda text: True, "double": lambda number: True,
}
FORMATS |= {name: (lambda n, low=low, high=high: low <= n <= high)
            for name, (low, high) in INTEGERS.items()}
# keyword: (what it applies to, whether the value keeps to it)
BOUNDS = {
    "minimum": ("number", lambda v, bound: v >= bound), "maximum": ("number", lambda v, bound: v <= bound),
    "minLength": ("string", lambda v, n: len(v) >= n), "maxLength": ("string", lambda v, n: len(v) <= n),
    "minItems": ("array", lambda v, n: len(v) >= n), "maxItems": ("array", lambda v, n: len(v) <= n),
    "minProperties": ("object", lambda v, n: len(v) >= n),
    "maxProperties": ("object", lambda v, n: len(v) <= n),
    "pattern": ("string", lambda v, pattern: re.search(pattern, v)),
}
KEYWORDS = ANNOTATIONS | BOUNDS.keys() | frozenset(
    "$ref allOf oneOf anyOf type format enum nullable required properties additionalProperties items".split())


class Operation:
    """One method of one path: `id`, `method`, `template`, and its part of the file."""

    def __init__(self, method: str, template: str, definition: dict, parameters: list[dict]):
        self.method, self.template, self.definition = method, template, definition
        self.id = definition["operationId"]
        self.parameters = parameters


class OpenApi:
    def __init__(self, path):
        """path: the file as JSON."""
        with open(path, encoding="utf-8") as handle:
            self.document = json.load(handle)
        self._routes: list[tuple[re.Pattern, Operation]] = []
        # Longer literal text first, so that /projects/shared is not taken for a project's id.
        for template in sorted(self.document["paths"], key=lambda t: -len(re.sub(r"{\w+}", "", t))):
            pattern = re.compile(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", template))
            item = self.document["paths"][template]
            for method in METHODS:
                if method in item:
                    own = item[method]
                    parameters = {(p["name"], p["in"]): p for p in map(self._resolved, [
                        *item.get("parameters", ()), *own.get("parameters", ())])}
                    self._routes.append((pattern, Operation(method.upper(), template, own,
                                                            list(parameters.values()))))
        for _, operation in self._routes:
            for parameter in operation.parameters:
                self._check_schema(parameter["schema"], f"{operation.id}: {parameter['name']}")
            for name, schema in self._bodies(operation):
                self._check_schema(schema, f"{operation.id}: {name}")
        for name, schema in self.document["components"]["schemas"].items():
            self._check_schema(schema, name)

    # what the file says

    def operation(self, method: str, path: str) -> Operation | None:
        """path: below the mount path, without its query."""
        for pattern, operation in self._routes:
            if operation.method == method.upper() and pattern.fullmatch(path):
                return operation
        return None

    def operations(self) -> list[Operation]:
        return [operation for _, operation in self._routes]

    def _resolved(self, part: dict) -> dict:
        while "$ref" in part:
            node = self.document
            for step in part["$ref"].removeprefix("#/").split("/"):
                node = node[step]
            part = node
        return part

    def _bodies(self, operation: Operation):
        if body := operation.definition.get("requestBody"):
            for media, content in self._resolved(body)["content"].items():
                yield f"request {media}", content["schema"]
        for status, answer in operation.definition["responses"].items():
            for media, content in self._resolved(answer).get("content", {}).items():
                if "schema" in content:
                    yield f"{status} {media}", content["schema"]

    def _check_schema(self, schema: dict, where: str) -> None:
        for keyword in schema:
            if keyword not in KEYWORDS and not keyword.startswith("x-"):
                raise ValueError(f"{where}: the keyword {keyword!r} is not known to openapi.py")
        if schema.get("format", "double") not in FORMATS:
            raise ValueError(f"{where}: the format {schema['format']!r} is not known to openapi.py")
        inner = [*schema.get("allOf", ()), *schema.get("oneOf", ()), *schema.get("anyOf", ()),
                 *schema.get("properties", {}).values()]
        inner += [s for s in (schema.get("items"), schema.get("additionalProperties"))
                  if isinstance(s, dict)]
        for part in inner:
            self._check_schema(part, where)

    # what goes over the wire

    def check_request(self, method: str, path: str, query: list[tuple[str, str]],
                      body: bytes | None, media: str = "application/json") -> list[str]:
        """query: decoded, in order. body: None or empty when there is none."""
        operation = self.operation(method, path)
        if operation is None:
            return [f"{method} {path}: no such operation in the API"]
        problems = self._check_parameters(operation, path, query)
        definition = self._resolved(operation.definition.get("requestBody", {}))
        if not body:
            if definition.get("required"):
                problems.append("body: is missing")
        elif not definition:
            problems.append("body: the operation takes none")
        else:
            problems += self._check_content(definition, media, body)
        return [f"{method} {path}: {p}" for p in problems]

    def check_response(self, method: str, path: str, status: int, media: str | None,
                       body: bytes) -> list[str]:
        operation = self.operation(method, path)
        if operation is None:
            return [f"{method} {path}: no such operation in the API"]
        answers = operation.definition["responses"]
        answer = next((answers[key] for key in (str(status), f"{status // 100}XX")
                       if key in answers), None)
        if answer is None and status >= 400:
            answer = answers.get("default") or {"$ref": "#/components/responses/GeneralError"}
        if answer is None:
            problems = [f"the file knows no answer with this status, but {sorted(answers)}"]
        else:
            definition = self._resolved(answer)
            if "content" in definition:
                problems = self._check_content(definition, media, body)
            else:
                problems = ["has a body, and should have none"] if body else []
        return [f"{method} {path}: {status}: {p}" for p in problems]

    def _check_parameters(self, operation: Operation, path: str, query) -> list[str]:
        problems = []
        match = re.fullmatch(re.sub(r"{(\w+)}", r"(?P<\1>[^/]+)", operation.template), path)
        given = {("path", name): [unquote(value)] for name, value in match.groupdict().items()}
        for name, value in query:
            given.setdefault(("query", name), []).append(value)
        known = {(p["in"], p["name"]): p for p in operation.parameters}
        for (place, name), values in given.items():
            if (place, name) in known:
                schema = self._resolved(known[place, name]["schema"])
                for value in values:
                    problems += self._errors(_from_text(value, schema), schema, f"{place} {name}")
            elif (operation.id, name) not in NEWER:
                problems.append(f"{place} {name}: the operation has no such parameter")
        return problems + [f"{place} {name}: is missing" for (place, name), p in known.items()
                           if p.get("required") and place in ("path", "query") and
                           (place, name) not in given]

    def _check_content(self, definition: dict, media: str | None, body: bytes) -> list[str]:
        media = (media or "").partition(";")[0].strip()
        content = definition["content"].get(media)
        if content is None:
            return [f"media type {media!r}, not {' or '.join(definition['content'])}"]
        if media != "application/json":
            return []
        try:
            value = json.loads(body)
        except ValueError as error:
            return [f"body: is no JSON: {error}"]
        return self._errors(value, content["schema"], "body")

    # values and schemas

    def errors(self, value, schema_name: str) -> list[str]:
        """What is wrong with a value that should be a schema of the file, by its name."""
        return self._errors(value, {"$ref": f"#/components/schemas/{schema_name}"}, schema_name)

    def _errors(self, value, schema: dict, where: str, closed: bool = True) -> list[str]:
        """closed: whether properties that no part of the schema names are problems."""
        if value is None and schema.get("nullable"):
            return []
        problems = self._own_errors(value, schema, where)
        if "$ref" in schema:
            problems += self._errors(value, self._resolved(schema), where, False)
        for part in schema.get("allOf", ()):
            problems += self._errors(value, part, where, False)
        for keyword in ("oneOf", "anyOf"):
            if keyword in schema:
                tried = [self._errors(value, part, where) for part in schema[keyword]]
                fitting = sum(not errors for errors in tried)
                if fitting == 0 or (keyword == "oneOf" and fitting > 1):
                    problems.append(f"{where}: fits {fitting} of the {len(tried)} schemas of {keyword}: "
                                    f"{min(tried, key=len)}")
        if closed and isinstance(value, dict) and (names := self._names(schema)) is not None:
            problems += [f"{where}: the API has no property {name!r} here" for name in value.keys() - names]
        return problems

    def _own_errors(self, value, schema: dict, where: str) -> list[str]:
        kind = schema.get("type")
        if kind and not TYPES[kind](value):
            return [f"{where}: {_shown(value)} is no {kind}"]
        problems = []
        if "enum" in schema and value not in schema["enum"]:
            problems.append(f"{where}: {_shown(value)} is none of {schema['enum']}")
        if "format" in schema and kind and not FORMATS[schema["format"]](value):
            problems.append(f"{where}: {_shown(value)} is no {schema['format']}")
        for keyword, (of, holds) in BOUNDS.items():
            if keyword in schema and TYPES[of](value) and not holds(value, schema[keyword]):
                problems.append(f"{where}: {_shown(value)} breaks {keyword} {schema[keyword]}")
        if isinstance(value, list) and "items" in schema:
            for number, item in enumerate(value):
                problems += self._errors(item, schema["items"], f"{where}[{number}]")
        if isinstance(value, dict):
            problems += [f"{where}: {name!r} is missing" for name in schema.get("required", ())
                         if name not in value]
            named, others = schema.get("properties", {}), schema.get("additionalProperties", True)
            for name, item in value.items():
                if name in named:
                    problems += self._errors(item, named[name], f"{where}.{name}")
                elif others is False:
                    problems.append(f"{where}: {name!r} is not allowed")
                elif isinstance(others, dict):
                    problems += self._errors(item, others, f"{where}.{name}")
        return problems

    def _names(self, schema: dict) -> set[str] | None:
        """Of the properties that a schema names, in all its parts; None when it takes any."""
        names, found = set(), False
        title = schema.get("$ref", "").rpartition("/")[2]
        if title:
            names |= {name for of, name in NEWER if of == title}
            schema = self._resolved(schema)
        if schema.get("additionalProperties"):
            return None
        if "properties" in schema:
            names |= schema["properties"].keys()
            found = True
        for part in (*schema.get("allOf", ()), *schema.get("oneOf", ()), *schema.get("anyOf", ())):
            inner = self._names(part)
            if inner is not None:
                names |= inner
                found = True
        return names if found else None


def _from_text(text: str, schema: dict):
    """What a parameter's text means, by its schema's type; the text itself where it means nothing."""
    kind = schema.get("type")
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind == "array":
        return text.split(",")
    if kind in ("integer", "number"):
        try:
            return int(text) if kind == "integer" else float(text)
        except ValueError:
            return text
    return text


def _shown(value) -> str:
    """Values in answers may be passwords: only what is short and plain is shown."""
    text = repr(value)
    return text if len(text) <= 80 else text[:60] + "…"
