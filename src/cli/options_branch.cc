#include "cli/option_groups.h"

namespace holdfast {
namespace {

const char* const kBranchGroup = "Branches";

std::vector<Option> api_options() {
  using enum OptionKind;
  return {
      {"neon_api_host", "", "NEON_API_HOST", "neon_api_host", text, "URL",
       "https://console.neon.tech/api/v2", 0, kBranchGroup,
       "where the Neon API is, with its path: Neon's cloud, or an engine as "
       "http://127.0.0.1:8474/api/v2; plain http only to this machine"},
      {"neon_api_key", "", "NEON_API_KEY", "", secret, "KEY", "", 0, kBranchGroup,
       "the API's key: one of Neon's, or of holdfast key add"},
      {"neon_api_key_file", "", "NEON_API_KEY_FILE", "neon_api_key_file", text, "FILE", "", 0,
       kBranchGroup, "a file that holds the API's key, instead of NEON_API_KEY"},
      {"neon_project_id", "", "NEON_PROJECT_ID", "neon_project_id", text, "ID", "", 0, kBranchGroup,
       "the project whose branches are meant; not needed if the key sees only one"},
      {"neon_branch", "", "NEON_BRANCH", "neon_branch", text, "BRANCH", "", 0, kBranchGroup,
       "the live branch, by name or id: backups are made of it, and it is what is put back, "
       "searched "
       "and compared with; else the project's default one"},
      {"neon_ca_file", "", "NEON_CA_FILE", "neon_ca_file", text, "FILE", "", 0, kBranchGroup,
       "certificates to trust at the API instead of the system's"},
  };
}

std::vector<Option> branch_command_options() {
  using enum OptionKind;
  return {
      {"branch_parent", "--parent", "", "", text, "BRANCH", "", kBranch, kBranchGroup,
       "create: the branch to start from, find: the one to search; else the default one"},
      {"branch_from", "--from", "", "", text, "BRANCH|TIME", "", kBranch, kBranchGroup,
       "restore: the branch whose state is wanted; else the restored branch itself. find: the "
       "first "
       "second to look at; else the earliest that can be gone back to"},
      {"branch_to", "--to", "", "", text, "TIME", "", kBranch, kBranchGroup,
       "find: the last second to look at; else the latest that can be gone back to"},
      {"branch_table", "--table", "", "", list, "TABLE", "", kBranch, kBranchGroup,
       "find: the table that is asked about; compare and create: compare only this one; may be "
       "repeated for these"},
      {"branch_where", "--where", "", "", text, "CONDITION", "", kBranch, kBranchGroup,
       "find: SQL that some row satisfied, as behind WHERE; it is run on copies, read-only"},
      {"branch_compare", "--compare", "", "", flag, "", "", kBranch, kBranchGroup,
       "create: compare the branch's tables with those of the live branch as it is now"},
      {"branch_at", "--at", "", "", text, "TIME", "", kBranch, kBranchGroup,
       "create, restore: the state at this instant, as 2026-11-10T14:30:00Z; the last commit at or "
       "before it is there, the next is not"},
      {"branch_lsn", "--lsn", "", "", text, "LSN", "", kBranch, kBranchGroup,
       "create, restore: the state at this position in the WAL, as 0/16B3748"},
      {"branch_no_compute", "--no-compute", "", "", flag, "", "", kBranch, kBranchGroup,
       "create: only the record of it; branch start gives it a compute later"},
      {"branch_expires_at", "--expires-at", "", "", text, "TIME", "", kBranch, kBranchGroup,
       "create: when the branch is deleted by itself"},
      {"branch_protected", "--protected", "", "", flag, "", "", kBranch, kBranchGroup,
       "create: keep it from being deleted or restored over"},
      {"branch_preserve", "--preserve-under-name", "", "", text, "NAME", "", kBranch, kBranchGroup,
       "restore: the branch that keeps the old state; else <name>_old_<time>"},
      {"branch_confirm", "--confirm", "", "", text, "NAME", "", kBranch, kBranchGroup,
       "restore over the default branch, or delete a branch that holds a kept state: its name, "
       "typed once more"},
      {"branch_role", "--role", "", "", text, "NAME", "",
       kBranch | kPsql | kBackup | kVerify | kDrill, kBranchGroup,
       "the role to log in to a branch as; not needed if it shows only one, or (backup, verify) "
       "the "
       "source's"},
      {"branch_database", "--database", "", "", text, "NAME", "", kBranch | kPsql, kBranchGroup,
       "the database; not needed if the branch shows only one"},
      {"branch_pooled", "--pooled", "", "", flag, "", "", kBranch | kPsql, kBranchGroup,
       "through the connection pooler, where there is one (not for dumps)"},
  };
}

}  // namespace

std::vector<Option> branch_options() {
  std::vector<Option> all = api_options();
  for (Option& option : branch_command_options()) all.push_back(std::move(option));
  return all;
}

}  // namespace holdfast
