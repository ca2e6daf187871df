// The commands, as usage and help show them. The options are in option_table.cc.
#include "cli/option_table.h"

namespace holdfast {
namespace {

std::vector<CommandInfo> make_commands() {
  return {
      {kBackup,
       "backup",
       "",
       0,
       "make a backup and prove it",
       "Dumps the source into one pg_dump custom-format archive, and, where NEON_API_KEY and the "
       "like are set, makes a branch of it; records and proves both. Nothing is listed unless it "
       "is "
       "whole, and a kind that fails does not harm the other.",
       {"backup", "backup --type dump --jobs 4", "backup --dump-from branch",
        "backup --exclude-table-data 'audit_*'", "backup --source billing --json"}},
      {kList,
       "list",
       "",
       0,
       "list the backups, newest first",
       "Lists what the store holds, each backup with its newest proof. Damaged ones are listed as "
       "such.",
       {"list", "list --json"}},
      {kShow,
       "show",
       "ID|latest",
       1,
       "show what is in a backup",
       "Shows a backup's manifest: where it came from, its objects, its tables and their rows.",
       {"show latest", "show care_commons_2026-11-23T02-00-00-000Z --json"},
       {"latest"}},
      {kVerify,
       "verify",
       "[ID|latest|FILE]",
       1,
       "prove that a backup is what was written",
       "Levels: quick (objects, sizes, table of contents), deep (every byte, every row, every "
       "checksum), restore (deep, then restored into a scratch server and compared). FILE is an "
       "archive "
       "on this machine; one that holdfast did not write is checked as far as it can be.",
       {"verify", "verify latest --level restore", "verify --all --level quick",
        "verify ./old.dump"},
       {"latest"}},
      {kRestore,
       "restore",
       "[ID|latest|FILE]",
       1,
       "bring a backup back, by default into a new database",
       "Restores into a new database, <database>_restored_<time>, and compares it with the "
       "manifest. Over "
       "a live database only when its name is typed back with --confirm: then a safety backup is "
       "made first, and the old database is kept beside the new one.",
       {"restore", "restore latest --table visits --database visits_check",
        "restore care_commons_2026-11-23T02-00-00-000Z --confirm care_commons",
        "restore ./pg_dump_made_this.dump --to postgresql://postgres@localhost/"},
       {"latest"}},
      {kRecover,
       "recover",
       "[ID|latest]",
       1,
       "bring the newest proven backup to a new server",
       "Brings the newest proven backup of any store to the server named by --to: roles and "
       "tablespaces, the database under its own name, every row compared with the manifest, "
       "statistics, then the hooks post_restore and cutover. Nothing is replaced. What the server "
       "lacks is said before anything is written; --dry-run shows the plan and writes nothing.",
       {"recover --to postgresql://postgres@new-server/ --dry-run",
        "recover --to postgresql://postgres@new-server/",
        "recover --to postgresql://postgres@localhost/ --database care_drill --no-cutover"},
       {"latest"}},
      {kCopy,
       "copy",
       "ID|latest",
       1,
       "copy a backup to another store, and prove the copy",
       "Copies archive, globals and manifest, byte for byte, from a store that holds the backup to "
       "the store named by --to, and proves the copy. The archive is held against its manifest on "
       "the way: damage is not copied.",
       {"copy latest --to s3", "copy care_commons_2026-11-23T02-00-00-000Z --to offsite"},
       {"latest"}},
      {kPrune,
       "prune",
       "",
       0,
       "remove what retention no longer keeps",
       "Keeps every backup of the last retention_days, then one a month for retention_months, "
       "never "
       "fewer than 7 days' worth, always the last proven one and those that are held; says of each "
       "why it stays or goes. Nothing goes while the newest backup is not proven. `backup` does "
       "the "
       "same after its proof.",
       {"prune --dry-run", "prune --store s3 --json"}},
      {kHold,
       "hold",
       "ID",
       1,
       "keep a backup whatever retention says",
       "Writes a hold with its reason beside the backup, in every store that has it. Nothing "
       "removes "
       "it until unhold.",
       {"hold care_commons_2026-11-23T02-00-00-000Z --reason 'audit 2026'"}},
      {kUnhold,
       "unhold",
       "ID",
       1,
       "lift a hold",
       "Lifts the hold of a backup, in every store that has it. The next prune decides about it.",
       {"unhold care_commons_2026-11-23T02-00-00-000Z"}},
      {kServe,
       "serve",
       "",
       0,
       "run the schedule, the branch engine, or both",
       "With a table [schedule] in holdfast.toml, runs backup, verify, drill, prune, report and "
       "status at their times, each as a process of its own, and shows /healthz and /metrics; with "
       "[engine], receives the source's WAL, takes snapshots, and serves Neon's API (branches at "
       "any second, each with a PostgreSQL of its own). Until it is told to stop (SIGTERM). The "
       "engine runs as an unprivileged user, who owns the folders; see docs/schedule.md and "
       "docs/engine.md.",
       {"serve", "serve --once",
        "serve --listen 127.0.0.1:8474 --storage-dir /srv/holdfast/storage"}},
      {kKey,
       "key",
       "add NAME|list|revoke ID",
       2,
       "the engine's API keys",
       "Makes, lists and revokes keys of the engine whose work folder this is. A key is shown "
       "once, "
       "when it is made: only its hash is kept.",
       {"key add ci", "key list", "key revoke 7d1f"},
       {"add", "list", "revoke"}},
      {kBranch,
       "branch",
       "ACTION [BRANCH] [NAME]",
       3,
       "list, create, compare, restore, promote and remove branches",
       "Works through the Neon API (NEON_API_HOST, NEON_API_KEY), at Neon's cloud and at an engine "
       "alike. Actions: list; create NAME; show, start, suspend, url, delete BRANCH; rename BRANCH "
       "NAME; restore, promote BRANCH; window; compare BRANCH [OTHER]; find. A branch is named by "
       "its name "
       "or "
       "id. Restoring over the default branch needs its name typed back with --confirm, and the "
       "old "
       "state is always kept as a branch of its own. restore of a backup, and promote of any "
       "branch, "
       "put it in the live branch's place. compare reads rows and checksums of every "
       "table in BRANCH and in OTHER, or in the live branch as it is now. find bisects time, by "
       "throwaway branches, to the last second at which some row of --table satisfied --where.",
       {"branch list", "branch create before-update --at 2026-11-10T14:29:59Z",
        "branch url before-update", "branch restore main --at 2026-11-10T14:29:59Z --confirm main",
        "branch promote before-update --confirm main", "branch delete before-update",
        "branch window", "branch compare before-update",
        "branch find --table visits --where \"status = 'paid'\""},
       {"list", "create", "show", "start", "suspend", "url", "delete", "rename", "restore",
        "promote", "window", "compare", "find"}},
      {kPsql,
       "psql",
       "BRANCH [-- ARGUMENTS]",
       100,
       "psql on a branch",
       "Starts the branch's compute if it is suspended, and runs psql on it; what stands after -- "
       "is psql's. No password is on a command line or in a file.",
       {"psql before-update", "psql before-update -- -c 'select count(*) from visits'"}},
      {kDoctor,
       "doctor",
       "",
       0,
       "check that a backup could be made now, and the newest one brought back",
       "Checks connection, rights, versions, stores and configuration, the newest backup of each "
       "store (with "
       "--level deep every byte of it) and, with --to, the server that it would be recovered to; "
       "every finding "
       "has a next step.",
       {"doctor", "doctor --level deep", "doctor --to postgresql://postgres@new-server/",
        "doctor --json"}},
      {kStatus,
       "status",
       "",
       0,
       "show whether the backups are as good as promised",
       "Holds what was measured against what is promised: the age of the newest proven backup "
       "against the recovery point objective, the time that drills took against the recovery time "
       "objective. Shows the last and the last proven backup of each kind and store, the window "
       "that can be gone back into, retention, drills, the next run, sizes and their trend, and "
       "which parts of 3-2-1-1-0 are met. What was not measured is said to be so. Exit code 5 if "
       "anything is violated.",
       {"status", "status --json", "status --rpo 2h --rto 30m", "status --prometheus"}},
      {kDrill,
       "drill",
       "[ID|latest|random]",
       1,
       "rehearse a recovery, and record what it showed",
       "Restores a backup into a scratch server, compares every row and the schema with the "
       "manifest, "
       "counts the critical tables, asks the queries of [drill.query.NAME], lets amcheck look at "
       "the indexes, times each step, and destroys what was restored. Without an id it takes a "
       "random "
       "backup of last month, or of all if that has none. With --kind branch, or the id of one, a "
       "branch backup is drilled on a compute of its own. The record goes to every store "
       "(drills/), "
       "as JSON and as Markdown to be signed, also when the drill fails. Exit codes: 0 passed "
       "within the objectives, 5 passed but later than --rto or older than --rpo, 4 failed, 1 "
       "nothing can be said.",
       {"drill", "drill latest --rto 4h", "drill random --seed 4711 --json",
        "drill care_commons_2026-11-23T02-00-00-000Z --critical-table visits",
        "drill latest --kind branch"},
       {"latest", "random"}},
      {kReport,
       "report",
       "",
       0,
       "write the evidence of a period, as an auditor asks for it",
       "Writes what was backed up, proven, rehearsed, removed and accessed in a period, what "
       "failed and how it "
       "ended, and what each rule of HIPAA makes of that: PASS, GAP or NOT MEASURED, with what it "
       "rests on. With "
       "--out a bundle that sha256sum and openssl can check. Exit code 5 if there is a gap.",
       {"report --period 2026-10", "report --html > october.html",
        "report --period 2026-Q4 --out evidence-2026-Q4 --signing-key-file evidence.key"}},
      {kAudit,
       "audit",
       "show|verify [FILE]|export|anchor",
       2,
       "look into the audit trail, and check it",
       "Every operation and every access by the engine's API is a line of the audit trail, chained "
       "to the one before. Actions: show, the newest events first; verify, every line, and the "
       "anchors in all stores, or, with FILE, an export by the proof beside it; export, the lines "
       "of a period or a table of them; anchor, which puts the head of the trail into every store "
       "(under Object Lock where there is one) and prints it as one line. verify ends with 4 if "
       "anything was changed, taken out, put in or cut off, and says where.",
       {"audit show --since 2026-11-01 --action restore", "audit show --outcome denied --json",
        "audit verify", "audit anchor",
        "audit export --since 2026-01-01 --until 2026-12-31 --out audit-2026.jsonl",
        "audit verify audit-2026.jsonl"},
       {"show", "verify", "export", "anchor"}},
      {kAlert,
       "alert",
       "test|show",
       1,
       "try the alerts, or show what is open",
       "test sends a message that is marked as a test to every sink that is configured, and leaves "
       "nothing open; show lists the incidents that are open and what still waits to be delivered.",
       {"alert test", "alert show", "alert show --json"},
       {"test", "show"}},
      {kConfig,
       "config",
       "show",
       1,
       "show the effective configuration",
       "Shows every setting with its value and where it comes from. Secrets are not shown.",
       {"config show", "config show --source billing --json"},
       {"show"}},
      {kVersion,
       "version",
       "",
       0,
       "show versions of holdfast, its libraries and formats",
       "Shows the versions of holdfast, of the libraries it uses and of the formats it writes.",
       {"version", "version --json"}},
      {kCompletion,
       "completion",
       "bash|zsh|fish",
       1,
       "write what a shell completes commands and options with",
       "Writes a script for the shell that is named, which then completes commands, options and "
       "the "
       "values that are known beforehand. Debian's package brings all three to where the shells "
       "look "
       "for them.",
       {"completion bash > ~/.local/share/bash-completion/completions/holdfast",
        "completion fish > ~/.config/fish/completions/holdfast.fish"},
       {"bash", "zsh", "fish"}},
      {kHelp,
       "help",
       "[COMMAND]",
       1,
       "show this, or the help of a command",
       "Shows the help of a command; `help configuration` prints the configuration reference, "
       "`help "
       "man` the manual page.",
       {"help", "help restore", "help configuration", "help man | man -l -"},
       {"configuration", "man"}},
  };
}

// What help there is: of each command as well.
void complete_help(std::vector<CommandInfo>& table) {
  std::vector<std::string> names;
  for (const CommandInfo& command : table) names.push_back(command.name);
  for (CommandInfo& command : table)
    if (command.bit == kHelp) command.words.insert(command.words.end(), names.begin(), names.end());
}

}  // namespace

const std::vector<CommandInfo>& command_table() {
  static const std::vector<CommandInfo> table = [] {
    std::vector<CommandInfo> all = make_commands();
    complete_help(all);
    return all;
  }();
  return table;
}

const CommandInfo* find_command(std::string_view name) {
  for (const CommandInfo& command : command_table())
    if (command.name == name) return &command;
  return nullptr;
}

}  // namespace holdfast
