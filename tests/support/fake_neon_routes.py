"""What FakeNeon answers to each operation of the API. Part of fake_neon.py.

`ROUTES`: the API's operationId → (status, whether it has to wait for running operations, function of a Call). A
function returns the answer's JSON, or None for 204. Snapshots are in fake_neon_snapshots.py.
"""

import base64
from urllib.parse import quote

from fake_neon_project import REGION, Branch, Project, Refused, time_text

PAGE_MAX = 100  # of branches, whatever is asked for
EPOCH = "2026-01-01T00:00:00.000Z"


class Call:
    """One request: `project`, `path` (name → value), `query`, `body` (JSON or {})."""

    def __init__(self, project: Project, path: dict, query: dict, body):
        self.project, self.path, self.query, self.body = project, path, query, body
        if path.get("project_id", project.id) != project.id:
            raise Refused(404, "project not found")

    branch = property(lambda self: self.project.branch(self.path["branch_id"]))
    endpoint = property(lambda self: self.project.endpoint(self.path["endpoint_id"]))

    def page(self, items: list, limit_default: int, limit_max: int) -> tuple[list, str | None]:
        """The items asked for, and where to go on; None at the end."""
        try:
            start = int(base64.b64decode(self.query["cursor"])) if "cursor" in self.query else 0
        except ValueError:
            raise Refused(400, "invalid cursor") from None
        limit = min(int(self.query.get("limit", limit_default)), limit_max)
        end = start + limit
        return items[start:end], base64.b64encode(str(end).encode()).decode() if end < len(items) else None


# account and project

def me(call):
    return {"id": "1f7cf6b0-0000-4000-8000-000000000001", "email": "nurse@care.test", "login": "nurse",
            "name": "Nurse", "last_name": "Fake", "image": "", "projects_limit": 10,
            "branches_limit": call.project.limits["branches"], "max_autoscaling_limit": 2,
            "active_seconds_limit": 360000, "auth_accounts": [], "plan": call.project.plan}


def project_fields(project: Project, listed: bool) -> dict:
    fields = {"id": project.id, "platform_id": "aws", "region_id": REGION, "name": "care",
              "provisioner": "k8s-neonvm", "pg_version": 15, "proxy_host": "eu-central-1.aws.neon.tech",
              "branch_logical_size_limit": 512, "branch_logical_size_limit_bytes": 512 << 20,
              "store_passwords": True, "cpu_used_sec": 0, "creation_source": "console",
              "history_retention_seconds": project.retention_s, "created_at": time_text(project.created),
              "updated_at": time_text(project.created), "owner_id": "1f7cf6b0"}
    if listed:
        return fields | {"active_time": 0}
    return fields | {
        "consumption_period_start": EPOCH, "consumption_period_end": EPOCH, "active_time_seconds": 0,
        "compute_time_seconds": 0, "written_data_bytes": 0, "data_transfer_bytes": 0,
        "data_storage_bytes_hour": 0,
        "owner": {"email": "nurse@care.test", "name": "Nurse", "branches_limit": project.limits["branches"],
                  "subscription_type": project.plan}}


def list_projects(call):
    """The last page has a cursor as well, as at Neon's."""
    page, _ = call.page([project_fields(call.project, True)], 10, 400)
    answer = {"projects": page, "applications": {}, "integrations": {}}
    return answer | ({"pagination": {"cursor": base64.b64encode(b"1").decode()}} if page else {})


def show_project(call):
    return {"project": project_fields(call.project, False)}


def update_project(call):
    asked = call.body["project"]
    if "history_retention_seconds" in asked:
        call.project.retention_s = asked["history_retention_seconds"]
    operations = call.project.schedule(("apply_storage_config", call.project.default().id, None, None))
    return show_project(call) | {"operations": operations}


def list_operations(call):
    call.project.look()
    newest_first = [o.fields for o in reversed(call.project.operations)]
    page, following = call.page(newest_first, 100, 1000)
    following = following or (page and base64.b64encode(str(len(newest_first)).encode()).decode())
    return {"operations": page} | ({"pagination": {"cursor": following}} if following else {})


def show_operation(call):
    call.project.look()
    for operation in call.project.operations:
        if operation.id == call.path["operation_id"]:
            return {"operation": operation.fields}
    raise Refused(404, "operation not found")


# branches

def annotation(branch: Branch) -> dict:
    return {"object": {"type": "console/branch", "id": branch.id}, "value": branch.annotation}


def found_branches(call) -> list[Branch]:
    text = call.query.get("search", "")
    return [b for b in call.project.branches.values() if text in b.name or text in b.id]


def list_branches(call):
    sort_by, order = call.query.get("sort_by", "updated_at"), call.query.get("sort_order", "desc")
    found = sorted(found_branches(call), key=lambda b: (b.fields[sort_by], b.id), reverse=order == "desc")
    page, following = call.page(found, PAGE_MAX, PAGE_MAX)
    pagination = {"sort_by": sort_by, "sort_order": order} | ({"next": following} if following else {})
    return {"branches": [b.fields for b in page], "pagination": pagination,
            "annotations": {b.id: annotation(b) for b in page if b.annotation}}


def count_branches(call):
    return {"count": len(found_branches(call))}


def show_branch(call):
    return {"branch": call.branch.fields, "annotation": annotation(call.branch)}


def create_branch(call):
    project = call.project
    branch, endpoints, operations = project.create_branch(call.body)
    answer = {"branch": branch.fields, "endpoints": endpoints, "operations": operations,
              "roles": [role_fields(branch, r) for r in branch.roles],
              "databases": [database_fields(branch, d) for d in branch.databases]}
    if endpoints and len(branch.roles) == len(branch.databases) == 1:
        (role, password), (database, _) = *branch.roles.items(), *branch.databases.items()
        host = endpoints[0]["host"]
        answer["connection_uris"] = [{
            "connection_uri": project.uri_of(role, password, host, database),
            "connection_parameters": {"database": database, "password": password, "role": role,
                                      "host": host, "pooler_host": pooler(endpoints[0])}}]
    return answer


def update_branch(call):
    call.project.update_branch(call.branch, call.body["branch"])
    return {"branch": call.branch.fields, "operations": []}


def delete_branch(call):
    if call.path["branch_id"] not in call.project.branches:
        return None
    call.project.require_idle()
    branch = call.branch
    return {"operations": call.project.delete_branch(branch), "branch": branch.fields}


def restore_branch(call):
    branch = call.branch
    return {"operations": call.project.restore(branch, call.body), "branch": branch.fields}


def set_default(call):
    branch = call.branch
    call.project.default().fields["default"] = False
    branch.fields["default"] = True
    return {"branch": branch.fields, "operations": []}


# computes

def pooler(endpoint: dict) -> str:
    return endpoint["host"].replace(endpoint["id"], f"{endpoint['id']}-pooler")


def list_endpoints(call):
    return {"endpoints": list(call.project.endpoints.values())}


def list_branch_endpoints(call):
    return {"endpoints": call.project.endpoints_of(call.branch)}


def show_endpoint(call):
    return {"endpoint": call.endpoint}


def create_endpoint(call):
    project, asked = call.project, call.body["endpoint"]
    branch = project.branch(asked["branch_id"])
    endpoint = project.endpoint_on(branch, asked, "init")
    operations = project.schedule(("start_compute", branch.id, endpoint["id"],
                                   lambda: project.compute_is(endpoint, "active")))
    return {"endpoint": endpoint, "operations": operations}


def update_endpoint(call):
    asked = call.body["endpoint"]
    call.endpoint.update({n: v for n, v in asked.items() if n != "branch_id"})
    step = ("apply_config", call.endpoint["branch_id"], call.endpoint["id"], None)
    return {"endpoint": call.endpoint, "operations": call.project.schedule(step)}


def delete_endpoint(call):
    if call.path["endpoint_id"] not in call.project.endpoints:
        return None
    call.project.require_idle()
    endpoint = call.project.endpoints.pop(call.path["endpoint_id"])
    return {"endpoint": endpoint, "operations": call.project.schedule(
        ("suspend_compute", endpoint["branch_id"], endpoint["id"], None))}


def mover(state: str, again: bool = False):
    def move(call):
        return {"operations": call.project.move_compute(call.endpoint, state, again),
                "endpoint": call.endpoint}
    return move


# roles, databases, connections

def role_fields(branch: Branch, name: str) -> dict:
    return {"branch_id": branch.id, "name": name, "protected": False, "authentication_method": "password",
            "created_at": EPOCH, "updated_at": EPOCH}


def database_fields(branch: Branch, name: str) -> dict:
    return {"id": 1 + list(branch.databases).index(name), "branch_id": branch.id, "name": name,
            "owner_name": branch.databases[name], "created_at": EPOCH, "updated_at": EPOCH}


def known_role(call, name: str) -> str:
    if name not in call.branch.roles:
        raise Refused(404, "role not found")
    return name


def known_database(call, name: str) -> str:
    if name not in call.branch.databases:
        raise Refused(404, "database not found")
    return name


def list_roles(call):
    return {"roles": [role_fields(call.branch, name) for name in call.branch.roles]}


def show_role(call):
    return {"role": role_fields(call.branch, known_role(call, call.path["role_name"]))}


def reveal_password(call):
    return {"password": call.branch.roles[known_role(call, call.path["role_name"])]}


def list_databases(call):
    return {"databases": [database_fields(call.branch, name) for name in call.branch.databases]}


def show_database(call):
    return {"database": database_fields(call.branch, known_database(call, call.path["database_name"]))}


def connection_uri(call):
    project = call.project
    branch = project.branch(call.query["branch_id"]) if "branch_id" in call.query else project.default()
    call.path["branch_id"] = branch.id
    role, database = known_role(call, call.query["role_name"]), known_database(call, call.query["database_name"])
    endpoint = (project.endpoint(call.query["endpoint_id"]) if "endpoint_id" in call.query
                else project.writer(branch))
    if endpoint is None:
        raise Refused(404, "the branch has no endpoint")
    host = pooler(endpoint) if call.query.get("pooled") == "true" else endpoint["host"]
    return {"uri": project.uri_of(role, branch.roles[role], host, database)}


def cloud_uri(role: str, password: str, host: str, database: str, parameters: str) -> str:
    return (f"postgresql://{quote(role, safe='')}:{quote(password, safe='')}@{host}/{quote(database, safe='')}"
            f"?{parameters}")


ROUTES = {
    "getCurrentUserInfo": (200, False, me),
    "getCurrentUserOrganizations": (200, False, lambda call: {"organizations": []}),
    "getAuthDetails": (200, False, lambda call: {"account_id": "1f7cf6b0", "auth_method": "api_key_user"}),
    "listProjects": (200, False, list_projects),
    "listSharedProjects": (200, False, lambda call: {"projects": []}),
    "getProject": (200, False, show_project),
    "updateProject": (200, True, update_project),
    "listProjectOperations": (200, False, list_operations),
    "getProjectOperation": (200, False, show_operation),
    "listProjectBranches": (200, False, list_branches),
    "countProjectBranches": (200, False, count_branches),
    "getProjectBranch": (200, False, show_branch),
    "createProjectBranch": (201, True, create_branch),
    "updateProjectBranch": (200, False, update_branch),
    "deleteProjectBranch": (200, False, delete_branch),
    "restoreProjectBranch": (200, True, restore_branch),
    "setDefaultProjectBranch": (200, False, set_default),
    "listProjectEndpoints": (200, False, list_endpoints),
    "listProjectBranchEndpoints": (200, False, list_branch_endpoints),
    "getProjectEndpoint": (200, False, show_endpoint),
    "createProjectEndpoint": (201, True, create_endpoint),
    "updateProjectEndpoint": (200, True, update_endpoint),
    "deleteProjectEndpoint": (200, False, delete_endpoint),
    "startProjectEndpoint": (200, True, mover("active")),
    "suspendProjectEndpoint": (200, True, mover("idle")),
    "restartProjectEndpoint": (200, True, mover("active", again=True)),
    "listProjectBranchRoles": (200, False, list_roles),
    "getProjectBranchRole": (200, False, show_role),
    "getProjectBranchRolePassword": (200, False, reveal_password),
    "listProjectBranchDatabases": (200, False, list_databases),
    "getProjectBranchDatabase": (200, False, show_database),
    "getConnectionURI": (200, False, connection_uri),
}
