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
       "run the branch engine: the Neon API over the source",
       "Receives the source's WAL, takes snapshots, and serves Neon's API (branches at any second, "
       "each with a PostgreSQL of its own) until it is told to stop (SIGTERM). Runs as an "
       "unprivileged user, who owns the folders; see docs/engine.md.",
       {"serve", "serve --listen 127.0.0.1:8474 --storage-dir /srv/holdfast/storage"}},
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
