// holdfast verify: proves one backup, all of them, or an archive named by its path.
#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "cli/backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "dump/sealed_archive.h"

namespace holdfast {
namespace {

constexpr size_t kProblemsShown = 50;

VerifyReport verify_file(CommandContext& context, const ArchiveFile& file,
                         const VerifyOptions& options) {
  if (file.id.empty()) {
    std::unique_ptr<ObjectReader> reader = open_foreign(open_local_file(file.path), options.keys);
    return with_context(file.path, [&] {
      return verify_foreign_archive(*reader, file.name, options, context.run);
    });
  }
  std::unique_ptr<ObjectStore> store = make_local_store(file.folder);
  return prove(*store, find_backup(*store, "", file.id), options, context.run);
}

// With several backups, one that cannot be looked at must not keep the others from being proven.
VerifyReport prove_one_of_many(CommandContext& context, ObjectStore& store, const Backup& backup,
                               const VerifyOptions& options) {
  try {
    return prove(store, backup, options, context.run);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::cancelled || context.run.stop.stop_requested()) throw;
    VerifyReport report;
    report.id = backup.id;
    report.level = options.level;
    report.verdict = error.code() == ErrorCode::corrupt ? Verdict::fail : Verdict::inconclusive;
    report.problems.push_back({backup.id, error.what()});
    return report;
  }
}

std::vector<VerifyReport> verify_all(CommandContext& context, const VerifyOptions& options) {
  std::unique_ptr<ObjectStore> store = open_store(context.config);
  std::string database =
      context.config.source_chosen_by_name() ? configured_database(context.config) : std::string();
  std::vector<Backup> backups = list_backups(*store, database);
  if (backups.empty())
    throw Error(ErrorCode::not_found, fmt::format("there is no backup in {}", store->location()),
                "make one with: holdfast backup");
  std::vector<VerifyReport> reports;
  for (const Backup& backup : backups) {
    context.run.check_stop();
    context.run.log.info(fmt::format("verifying {}", backup.id));
    reports.push_back(prove_one_of_many(context, *store, backup, options));
  }
  return reports;
}

std::vector<VerifyReport> verify_what_was_said(CommandContext& context,
                                               const VerifyOptions& options) {
  std::string said = context.argument_or("latest");
  if (context.config.flag("all")) {
    if (!context.arguments.empty())
      throw Error(ErrorCode::invalid,
                  fmt::format("verify: both --all and {} are given", shown(said)),
                  "leave one of them out");
    return verify_all(context, options);
  }
  if (std::optional<ArchiveFile> file = as_archive_file(said))
    return {verify_file(context, *file, options)};
  std::unique_ptr<ObjectStore> store = open_store(context.config);
  Backup backup = find_configured_backup(context.config, *store, said);
  return {prove(*store, backup, options, context.run)};
}

void show_report(Output& output, const VerifyReport& report) {
  output.line(report.id);
  for (size_t i = 0; i < std::min(report.problems.size(), kProblemsShown); ++i)
    output.line(fmt::format("  {}: {}", report.problems[i].where, report.problems[i].what));
  if (report.problems.size() > kProblemsShown)
    output.line(
        fmt::format("  and {} more (--json shows all)", report.problems.size() - kProblemsShown));
  for (const std::string& note : report.notes) output.line("  note: " + note);
  output.verdict(report.ok(), report.closing_line());
}

}  // namespace

int command_verify(CommandContext& context) {
  VerifyLevel level = parse_verify_level(context.config.text("verify_level"));
  std::vector<VerifyReport> reports =
      verify_what_was_said(context, verify_options(context.config, level));
  context.console.finish_phase();
  context.output.document(verify_document(reports, level));
  for (const VerifyReport& report : reports) show_report(context.output, report);

  auto count = [&](int code) {
    return std::count_if(reports.begin(), reports.end(),
                         [&](const VerifyReport& report) { return exit_code_of(report) == code; });
  };
  if (reports.size() > 1)
    context.output.line(fmt::format("{} proven, {} damaged, {} inconclusive", count(kExitDone),
                                    count(kExitDamage), count(kExitFailed)));
  if (count(kExitDamage) > 0) return kExitDamage;
  return count(kExitFailed) > 0 ? kExitFailed : kExitDone;
}

}  // namespace holdfast
