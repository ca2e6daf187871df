"""FakeNeon's snapshots: made, restored beside or over a branch, finalized. Part of fake_neon.py."""

from fake_neon_project import Branch, Refused, now, time_text


def list_snapshots(call):
    return {"snapshots": list(call.project.snapshots.values())}


def create_snapshot(call):
    """As the API wants it: all in the query."""
    project, branch = call.project, call.branch
    if not project.is_root(branch):
        raise Refused(422, "snapshots can only be created from root branches")
    if len(project.snapshots) >= project.limits["snapshots"]:
        raise Refused(422, "snapshots limit exceeded", "SNAPSHOTS_LIMIT_EXCEEDED")
    point = project.point(call.query.get("lsn"), call.query.get("timestamp"))
    id = project.new_id("snap-still-lake")
    snapshot = {"id": id, "name": call.query.get("name", f"{branch.name} {id}"),
                "created_at": time_text(now()), "source_branch_id": branch.id, "manual": True,
                "lsn": call.query.get("lsn", "0/3000000"), "full_size": 30 << 20, "diff_size": 0}
    snapshot |= {n: call.query[n] for n in ("timestamp", "expires_at", "slug") if n in call.query}
    project.snapshots[id] = snapshot
    project.of_snapshot[id] = (branch.state + point, branch.roles, branch.databases)
    # The API names no action for it; this is the one of its list that comes nearest.
    return {"snapshot": snapshot, "operations": project.schedule(("create_timeline", branch.id, None, None))}


def known_snapshot(call) -> dict:
    id = call.path["snapshot_id"]
    if id not in call.project.snapshots:
        raise Refused(404, "snapshot not found")
    return call.project.snapshots[id]


def update_snapshot(call):
    snapshot, asked = known_snapshot(call), call.body["snapshot"]
    for name, value in asked.items():
        if value is None:
            snapshot.pop(name, None)
        else:
            snapshot[name] = value
    return {"snapshot": snapshot}


def delete_snapshot(call):
    snapshot = known_snapshot(call)
    call.project.require_idle()
    del call.project.snapshots[snapshot["id"]]
    step = ("delete_timeline", snapshot["source_branch_id"], None, None)
    return {"operations": call.project.schedule(step)}


def restore_snapshot(call):
    """A new branch, a root; with finalize_restore it takes the place of the target at once."""
    project, snapshot = call.project, known_snapshot(call)
    target = project.branch(call.body.get("target_branch_id") or snapshot["source_branch_id"])
    name = call.body.get("name")
    project.check_name(name)
    project.check_limits(roots=1)
    branch = project.add_root(name or f"{target.name} (restored {project.new_id('no')[3:]})",
                              *project.of_snapshot[snapshot["id"]])
    branch.fields |= {"restored_from": snapshot["id"], "restore_status": "restored"}
    branch.takes_place_of = target.id
    steps = [("create_timeline", branch.id, None, None)]
    if call.body.get("finalize_restore"):
        steps += replace(project, branch, None)
    operations = project.schedule(*steps)
    return {"branch": branch.fields, "endpoints": project.endpoints_of(branch), "operations": operations}


def replace(project, branch: Branch, name: str | None) -> list[tuple]:
    """The steps left to do; names and computes move at once."""
    old = project.branch(branch.takes_place_of)
    project.check_name(name)
    name_now, computes = old.name, project.endpoints_of(old)
    old.fields["name"] = name or f"{old.name} (old)"
    branch.fields |= {"name": name_now, "default": old.fields["default"],
                      "protected": old.fields["protected"], "restore_status": "finalized"}
    old.fields |= {"default": False, "protected": False}
    for endpoint in computes:
        endpoint["branch_id"] = branch.id
    return [("swap_binding_id", branch.id, e["id"], None) for e in computes] or [
        ("apply_config", branch.id, None, None)]


def finalize_restore(call):
    branch = call.branch
    if branch.fields.get("restore_status") != "restored":
        raise Refused(422, "the branch is not one that was restored from a snapshot")
    return {"operations": call.project.schedule(
        *replace(call.project, branch, call.body.get("name") if call.body else None))}


def show_schedule(call):
    return {"schedule": call.branch.schedule}


def set_schedule(call):
    call.branch.schedule = call.body["schedule"]
    return {}


ROUTES = {
    "listSnapshots": (200, False, list_snapshots),
    "createSnapshot": (200, True, create_snapshot),
    "updateSnapshot": (200, False, update_snapshot),
    "deleteSnapshot": (202, False, delete_snapshot),
    "restoreSnapshot": (200, True, restore_snapshot),
    "finalizeRestoreBranch": (200, True, finalize_restore),
    "getSnapshotSchedule": (200, False, show_schedule),
    "setSnapshotSchedule": (200, False, set_schedule),
}
