// What every command is handed, and the commands themselves, one per file.
//
// A command does its work, writes its result to `output` (both for people and as a document: Output
// chooses), and returns the exit code. What it cannot do it throws as Error; program.cc turns that
// into a line, a document and an exit code. What it does for somebody it tells to `operation`,
// which records it in the audit trail and raises alerts.
#pragma once

#include <string>
#include <vector>

#include "base/run.h"
#include "cli/config.h"
#include "cli/console.h"
#include "cli/operation.h"
#include "cli/output.h"

namespace holdfast {

struct CommandContext {
  const Config& config;
  const std::vector<std::string>& arguments;  // without options
  const Run& run;
  Console& console;
  Output& output;
  Operation& operation;

  std::string argument_or(const std::string& fallback) const {
    return arguments.empty() ? fallback : arguments.front();
  }
};

// `<database>_restored_<YYYYMMDD_HHMMSS>`, at most as long as PostgreSQL's names.
std::string restored_name(const std::string& database, UtcTime now);

int command_backup(CommandContext& context);
int command_list(CommandContext& context);
int command_show(CommandContext& context);
int command_verify(CommandContext& context);
int command_restore(CommandContext& context);
int command_recover(CommandContext& context);
int command_doctor(CommandContext& context);
int command_prune(CommandContext& context);
int command_hold(CommandContext& context);
int command_unhold(CommandContext& context);
int command_copy(CommandContext& context);
int command_config(CommandContext& context);
int command_serve(CommandContext& context);
int command_key(CommandContext& context);
int command_branch(CommandContext& context);
int command_psql(CommandContext& context);
int command_audit(CommandContext& context);
int command_alert(CommandContext& context);
int command_drill(CommandContext& context);
int command_status(CommandContext& context);
int command_report(CommandContext& context);
// Needs no configuration, so that it works where that is broken.
int command_version(Output& output);

}  // namespace holdfast
