"""The project behind FakeNeon: branches and operations, by Neon's rules. Part of fake_neon.py.

No data: what is in a branch is a word, `state`. A child of a point has "<parent's state>@<point>", so a test sees
that exactly the right point was asked for, and that an old state is still somewhere.

The rules are those of the API's documents; what is not established there (whether a protected branch can be
restored to a point, say) is not imitated. Everything here raises Refused with the API's status, code and message.
Not thread-safe: FakeNeon holds its lock.
"""

import uuid
from datetime import datetime, timedelta, timezone

HOUR_S = 3600
EXPIRY_MAX = timedelta(days=30)
LSN_FIRST, LSN_HEAD = 0x1000000, 0x3000000  # what the history holds: 0/1000000 to 0/3000000
ENDED = ("finished", "failed", "cancelled")
REGION = "aws-eu-central-1"
BUSY = "project already has running operations, scheduling of new ones is prohibited"


class Refused(Exception):
    def __init__(self, status: int, message: str, code: str = "", headers: dict | None = None):
        super().__init__(message)
        self.status, self.message, self.code, self.headers = status, message, code, headers or {}


def now() -> datetime:
    return datetime.now(timezone.utc)


def time_text(time: datetime) -> str:
    return time.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_time(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def parse_lsn(text: str) -> int:
    high, slash, low = text.partition("/")
    try:
        if slash:
            return (int(high, 16) << 32) + int(low, 16)
    except ValueError:
        pass
    raise Refused(400, f"invalid LSN {text!r}")


class Branch:
    """fields: as the API shows them. roles: name → password. databases: name → owner."""

    def __init__(self, fields: dict, state: str, roles: dict, databases: dict):
        self.fields, self.state = fields, state
        self.roles, self.databases = dict(roles), dict(databases)
        self.annotation: dict[str, str] = {}
        self.schedule: list = []
        self.is_original_root = False  # replaced by another branch's state: cannot be deleted
        self.takes_place_of: str | None = None  # of a restored snapshot: the branch that it is meant for

    id = property(lambda self: self.fields["id"])
    name = property(lambda self: self.fields["name"])
    parent_id = property(lambda self: self.fields.get("parent_id"))


class Operation:
    """looks: how often somebody has to look until it ends. done(): its effect. error: it fails instead."""

    def __init__(self, fields: dict, looks: int, done, error: str | None):
        self.fields, self.looks, self.done, self.error = fields, looks, done, error

    id = property(lambda self: self.fields["id"])
    ended = property(lambda self: self.fields["status"] in ENDED)


class Project:
    """roles: name → password. new_password(): for children of protected branches; None inherits.

    looks: until an operation ends, unless a fault says otherwise; 0: it has ended when it is told of.
    """

    def __init__(self, roles: dict, databases: dict, host_of, uri_of, new_password=None, looks: int = 0,
                 retention_s: int = 6 * HOUR_S, branches_limit: int = 10, roots_limit: int = 3,
                 protected_limit: int = 2, snapshots_limit: int = 10, plan: str = "free_v3"):
        self.created = now() - timedelta(days=2)
        self.limits = {"branches": branches_limit, "roots": roots_limit, "protected": protected_limit,
                       "snapshots": snapshots_limit}
        self.plan, self.retention_s, self.looks = plan, retention_s, looks
        self.host_of, self.uri_of, self.new_password = host_of, uri_of, new_password
        self.id = "cold-lake-12345678"
        self.branches: dict[str, Branch] = {}
        self.endpoints: dict[str, dict] = {}
        self.operations: list[Operation] = []
        self.snapshots: dict[str, dict] = {}
        self.of_snapshot: dict[str, tuple] = {}  # what is in it: state, roles, databases
        self.next_looks: int | None = None  # of what the current request schedules
        self.next_error: str | None = None
        self._numbers: dict[str, int] = {}
        main = self._new_branch("main", None, "main's", roles, databases)
        main.fields["default"] = True
        self.endpoint_on(main, {"type": "read_write"}, "active")

    # ids and times

    def new_id(self, words: str) -> str:
        """The same in each project that lives through the same, so that two can be compared."""
        self._numbers[words] = self._numbers.get(words, 0) + 1
        return f"{words}-{self._numbers[words]:08d}"

    def stamps(self) -> dict:
        return {"created_at": time_text(now()), "updated_at": time_text(now())}

    # operations

    def require_idle(self) -> None:
        if any(not operation.ended for operation in self.operations):
            self.look()  # else those who never look would be refused for ever
            raise Refused(423, BUSY)

    def schedule(self, *steps) -> list[dict]:
        """steps: (action, branch id, endpoint id or None, effect or None), carried out one after another.

        A fault of operations hits the last one: those before it are done.
        """
        made = []
        for number, (action, branch_id, endpoint_id, done) in enumerate(steps):
            self._numbers["operation"] = self._numbers.get("operation", 0) + 1
            fields = {"id": str(uuid.UUID(int=self._numbers["operation"])), "project_id": self.id,
                      "branch_id": branch_id, "action": action, "failures_count": 0, "total_duration_ms": 0,
                      "status": "scheduling" if number else "running", **self.stamps()}
            if endpoint_id:
                fields["endpoint_id"] = endpoint_id
            looks = self.looks if self.next_looks is None else self.next_looks
            last = number == len(steps) - 1
            made.append(Operation(fields, looks, done, self.next_error if last else None))
        self.operations += made
        for operation in made:
            if operation.looks > 0:
                break
            self._end(operation)
        return [dict(operation.fields) for operation in made]

    def look(self) -> None:
        """Somebody asks for operations: time goes on by a step for the one that runs."""
        running = next((o for o in self.operations if not o.ended), None)
        if running is None:
            return
        running.fields["status"] = "running"
        running.looks -= 1
        if running.looks <= 0:
            self._end(running)

    def _end(self, operation: Operation) -> None:
        operation.fields["updated_at"] = time_text(now())
        if operation.error:
            operation.fields |= {"status": "failed", "error": operation.error, "failures_count": 1}
            for later in self.operations:
                if not later.ended:
                    later.fields["status"] = "cancelled"
            return
        operation.fields["status"] = "finished"
        if operation.done:
            operation.done()

    # branches

    def branch(self, id: str) -> Branch:
        if id not in self.branches:
            raise Refused(404, "branch not found")
        return self.branches[id]

    def called(self, name: str) -> Branch | None:
        return next((b for b in self.branches.values() if b.name == name), None)

    def default(self) -> Branch:
        return next(b for b in self.branches.values() if b.fields["default"])

    def children(self, branch: Branch) -> list[Branch]:
        return [b for b in self.branches.values() if b.parent_id == branch.id]

    def writer(self, branch: Branch) -> dict | None:
        return next((e for e in self.endpoints_of(branch) if e["type"] == "read_write"), None)

    def endpoints_of(self, branch: Branch) -> list[dict]:
        return [e for e in self.endpoints.values() if e["branch_id"] == branch.id]

    def is_root(self, branch: Branch) -> bool:
        return branch.parent_id is None or branch.fields.get("restore_status") == "detaching"

    def _new_branch(self, name, parent_id, state, roles, databases) -> Branch:
        fields = {"id": self.new_id("br-quiet-sun"), "project_id": self.id, "name": name,
                  "current_state": "ready", "state_changed_at": time_text(now()), "creation_source": "console",
                  "default": False, "protected": False, "cpu_used_sec": 0, "active_time_seconds": 0,
                  "compute_time_seconds": 0, "written_data_bytes": 0, "data_transfer_bytes": 0,
                  "logical_size": 30 << 20, **self.stamps()}
        if parent_id:
            fields["parent_id"] = parent_id
        branch = self.branches[fields["id"]] = Branch(fields, state, roles, databases)
        return branch

    def add_branch(self, name: str, compute: str | None = None, parent: str = "main", **fields) -> Branch:
        """For a test's beginning: one that is ready. compute: None, "active" or "idle"."""
        above = self.called(parent)
        branch = self._new_branch(name, above.id, f"{name}'s", above.roles, above.databases)
        branch.fields |= fields
        if compute:
            self.endpoint_on(branch, {"type": "read_write"}, compute)
        return branch

    def add_root(self, name: str, state: str, roles: dict, databases: dict) -> Branch:
        return self._new_branch(name, None, state, roles, databases)

    def check_name(self, name: str | None, besides: Branch | None = None) -> None:
        if name is not None and (found := self.called(name)) is not None and found is not besides:
            raise Refused(409, f'branch with name "{name}" already exists')

    def check_limits(self, more: int = 1, roots: int = 0, protected: int = 0) -> None:
        all_ = self.branches.values()
        if len(all_) + more > self.limits["branches"]:
            raise Refused(422, f"branches limit exceeded: the limit is {self.limits['branches']}",
                          "BRANCHES_LIMIT_EXCEEDED")
        if roots and sum(map(self.is_root, all_)) + roots > self.limits["roots"]:
            raise Refused(422, f"root branches limit exceeded: the limit is {self.limits['roots']}",
                          "ROOT_BRANCHES_LIMIT_EXCEEDED")
        if protected and sum(b.fields["protected"] for b in all_) + protected > self.limits["protected"]:
            raise Refused(422, f"protected branches limit exceeded: the limit is {self.limits['protected']}",
                          "BRANCHES_PROTECTED_LIMIT_EXCEEDED")

    def point(self, lsn: str | None, timestamp: str | None) -> str:
        """"@<point>", or "" for the head. Refused outside the history window."""
        if lsn and timestamp:
            raise Refused(400, "a point is either an LSN or a timestamp, not both")
        if lsn:
            if not LSN_FIRST <= parse_lsn(lsn) <= LSN_HEAD:
                raise Refused(400, f"LSN {lsn} is outside the history window")
            return f"@{lsn}"
        if timestamp:
            at = parse_time(timestamp)
            if at > now():
                raise Refused(400, "the timestamp is in the future")
            if at < max(self.created, now() - timedelta(seconds=self.retention_s)):
                raise Refused(400, "the timestamp is outside the history window of "
                                   f"{self.retention_s // HOUR_S} hours")
            return f"@{time_text(at)}"
        return ""

    def check_expiry(self, branch_fields: dict, expires_at: str | None) -> None:
        if expires_at is None:
            return
        if branch_fields["default"] or branch_fields["protected"]:
            raise Refused(422, "a default or protected branch cannot expire")
        if not now() < parse_time(expires_at) <= now() + EXPIRY_MAX:
            raise Refused(422, "expires_at must be in the future and within 30 days")

    def create_branch(self, body: dict) -> tuple[Branch, list[dict], list[dict]]:
        """The branch, its endpoints and operations."""
        asked, computes = body.get("branch") or {}, body.get("endpoints") or []
        if asked.get("init_source", "parent-data") != "parent-data":
            raise Refused(422, f"init_source {asked['init_source']} is not imitated")
        parent = self.branch(asked["parent_id"]) if asked.get("parent_id") else self.default()
        point = self.point(asked.get("parent_lsn"), asked.get("parent_timestamp"))
        if sum(c["type"] == "read_write" for c in computes) > 1:
            raise Refused(422, "a branch has one read_write endpoint")
        protected = bool(asked.get("protected"))
        self.check_expiry({"default": False, "protected": protected}, asked.get("expires_at"))
        if parent.fields.get("expires_at"):
            raise Refused(422, "a branch that expires cannot have children")
        self.check_name(asked.get("name"))
        self.check_limits(protected=int(protected))
        renewed = parent.fields["protected"] and self.new_password
        roles = {name: self.new_password() for name in parent.roles} if renewed else parent.roles
        branch = self._new_branch(asked.get("name"), parent.id, parent.state + point, roles, parent.databases)
        fields = branch.fields
        fields["name"] = fields["name"] or branch.id
        fields |= {"protected": protected, "current_state": "init", "pending_state": "ready",
                   "init_source": "parent-data", "parent_lsn": asked.get("parent_lsn", "0/3000000")}
        fields |= {ours: asked[ours] for ours in ("parent_timestamp", "expires_at") if asked.get(ours)}
        branch.annotation = dict(body.get("annotation_value") or {})
        made = [self.endpoint_on(branch, compute, "init") for compute in computes]
        steps = [("create_branch", branch.id, None, lambda: self._ready(branch))]
        steps += [("start_compute", branch.id, e["id"], lambda e=e: self.compute_is(e, "active")) for e in made]
        return branch, made, self.schedule(*steps)

    def _ready(self, branch: Branch) -> None:
        branch.fields.pop("pending_state", None)
        branch.fields |= {"current_state": "ready", "state_changed_at": time_text(now())}

    def update_branch(self, branch: Branch, asked: dict) -> None:
        self.check_name(asked.get("name"), besides=branch)
        if asked.get("protected") and not branch.fields["protected"]:
            self.check_limits(more=0, protected=1)
        self.check_expiry(branch.fields | {"protected": asked.get("protected", branch.fields["protected"])},
                          asked.get("expires_at"))
        branch.fields |= {n: asked[n] for n in ("name", "protected") if n in asked}
        if asked.get("expires_at"):
            branch.fields["expires_at"] = asked["expires_at"]
        elif "expires_at" in asked:
            branch.fields.pop("expires_at", None)
        branch.fields["updated_at"] = time_text(now())

    def delete_branch(self, branch: Branch) -> list[dict]:
        if branch.fields["default"]:
            raise Refused(422, "cannot delete the default branch of the project")
        if branch.fields["protected"]:
            raise Refused(422, "cannot delete a protected branch")
        if self.children(branch):
            raise Refused(422, "cannot delete branch that has children")
        if branch.is_original_root:
            raise Refused(422, "cannot delete the root branch of the project")
        del self.branches[branch.id]
        computes = self.endpoints_of(branch)
        for endpoint in computes:
            del self.endpoints[endpoint["id"]]
        steps = [("suspend_compute", branch.id, e["id"], None) for e in computes]
        operations = self.schedule(*steps, ("delete_timeline", branch.id, None, None))
        if self.next_error:  # it will still be there
            self.branches[branch.id] = branch
            self.endpoints |= {e["id"]: e for e in computes}
        return operations

    def restore(self, branch: Branch, body: dict) -> list[dict]:
        source = self.branch(body["source_branch_id"])
        lsn, timestamp, kept_name = (body.get(n) for n in (
            "source_lsn", "source_timestamp", "preserve_under_name"))
        if source is branch and not (lsn or timestamp):
            raise Refused(400, "a restore of a branch to itself needs a timestamp or an LSN")
        if not kept_name and (source is branch or self.children(branch)):
            raise Refused(422, "preserve_under_name is required")
        if branch.fields.get("restore_status") == "detaching" or branch.fields.get("restored_from"):
            raise Refused(422, "restore from snapshot on target branch is still ongoing")
        if branch.fields["protected"] and source.id == branch.parent_id and not (lsn or timestamp):
            raise Refused(422, "cannot reset a protected branch")
        point = self.point(lsn, timestamp)
        self.check_name(kept_name)
        was_root = self.is_root(branch)
        state, kept = source.state + point, None
        if kept_name:
            self.check_limits(roots=int(was_root))
            kept = self._new_branch(kept_name, branch.parent_id, branch.state, branch.roles, branch.databases)
            kept.is_original_root = was_root and source is not branch
            for child in self.children(branch):
                if child is not kept:
                    child.fields["parent_id"] = kept.id
        branch.state, fields = state, branch.fields
        branch.roles, branch.databases = dict(source.roles), dict(source.databases)
        fields["parent_id"] = kept.id if kept else source.id
        fields |= {"current_state": "resetting", "last_reset_at": time_text(now()),
                   "updated_at": time_text(now())}

        def finished():
            self._ready(branch)
            if lsn:
                fields["parent_lsn"] = lsn
            if timestamp:
                fields["parent_timestamp"] = timestamp

        def detached():
            for name in ("parent_id", "parent_lsn", "parent_timestamp", "restore_status"):
                fields.pop(name, None)

        steps = [("create_timeline", branch.id, None, finished)]
        steps += [("apply_config", branch.id, e["id"], None) for e in self.endpoints_of(branch)]
        if was_root:  # root and kept state end up as two roots
            fields["restore_status"] = "detaching"
            steps.append(("detach_parent_branch", branch.id, None, detached))
        return self.schedule(*steps)

    # computes

    def endpoint(self, id: str) -> dict:
        if id not in self.endpoints:
            raise Refused(404, "endpoint not found")
        return self.endpoints[id]

    def endpoint_on(self, branch: Branch, asked: dict, state: str) -> dict:
        if asked["type"] == "read_write" and self.writer(branch):
            raise Refused(409, "read_write endpoint already exists on the branch")
        id = self.new_id("ep-calm-rain")
        fields = {"id": id, "host": self.host_of(id), "project_id": self.id, "branch_id": branch.id,
                  "region_id": REGION, "type": asked["type"], "current_state": state, "disabled": False,
                  "autoscaling_limit_min_cu": asked.get("autoscaling_limit_min_cu", 0.25),
                  "autoscaling_limit_max_cu": asked.get("autoscaling_limit_max_cu", 0.25),
                  "pooler_enabled": False, "pooler_mode": "transaction", "passwordless_access": True,
                  "creation_source": "console", "settings": asked.get("settings", {"pg_settings": {}}),
                  "proxy_host": "eu-central-1.aws.neon.tech", "provisioner": "k8s-neonvm",
                  "suspend_timeout_seconds": asked.get("suspend_timeout_seconds", 0), **self.stamps()}
        if asked.get("name"):
            fields["name"] = asked["name"]
        self.endpoints[id] = fields
        return fields

    def compute_is(self, endpoint: dict, state: str) -> None:
        endpoint.pop("pending_state", None)
        endpoint |= {"current_state": state, "updated_at": time_text(now())}

    def move_compute(self, endpoint: dict, state: str, again: bool = False) -> list[dict]:
        """To active or idle; no operation if it is that already, unless `again`."""
        if endpoint["current_state"] == state and not again:
            return []
        endpoint["pending_state"] = state
        return self.schedule((f"{'start' if state == 'active' else 'suspend'}_compute", endpoint["branch_id"],
                              endpoint["id"], lambda: self.compute_is(endpoint, state)))

    # as tests see it

    def view(self) -> dict[str, dict]:
        """Name → what matters of each branch, without ids and times."""
        names = {b.id: b.name for b in self.branches.values()}
        return {b.name: {"state": b.state, "parent": names.get(b.parent_id), "default": b.fields["default"],
                         "protected": b.fields["protected"], "expires": b.fields.get("expires_at"),
                         "computes": sorted((e["type"], e["current_state"]) for e in self.endpoints_of(b))}
                for b in self.branches.values()}

    def states(self) -> set[str]:
        return {b.state for b in self.branches.values()}
