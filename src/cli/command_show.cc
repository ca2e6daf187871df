// holdfast show: what a backup's manifest says.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/text.h"
#include "cli/backups.h"
#include "cli/branch_backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/stores.h"
#include "pg/encoding.h"

namespace holdfast {
namespace {

void show_field(Output& output, const std::string& name, const std::string& value) {
  if (!value.empty()) output.line(fmt::format("{:<14}{}", name, printable(value, 2000)));
}

std::string proof_line(const std::optional<Proof>& proof) {
  if (!proof) return "none yet (holdfast verify)";
  return fmt::format("{} {}, {}", proof->level, proof->verdict, format_rfc3339(proof->at));
}

// Empty for a plain one, whose line is then left out.
std::string seal_line(const Manifest& manifest) {
  if (!manifest.seal) return {};
  const SealRecord& seal = *manifest.seal;
  std::string to = seal.method == SealMethod::passphrase ? "with a passphrase" : "to";
  for (const std::string& recipient : seal.recipients) to += " " + recipient;
  return fmt::format("{}, by {}; stored sha256 {}", to, seal.program, seal.archive.sha256);
}

void show_copies(Output& output, const std::vector<BackupCopy>& copies) {
  for (const BackupCopy& copy : copies) {
    std::string state = copy.backup.manifest ? "proof: " + proof_line(copy.backup.proof)
                                             : "DAMAGED: " + copy.backup.damage;
    show_field(output, "store " + copy.store, fmt::format("{}, {}", copy.location, state));
  }
}

void show_manifest(Output& output, const std::vector<BackupCopy>& copies) {
  const Manifest& manifest = *copies.front().backup.manifest;
  show_field(output, "id", manifest.id);
  show_field(output, "database", manifest.database);
  show_field(output, "source", fmt::format("{} ({})", manifest.source, manifest.server));
  show_field(output, "server", "PostgreSQL " + manifest.server_version);
  show_field(output, "created", format_rfc3339(manifest.created_at));
  show_field(output, "lsn", manifest.lsn);
  show_field(output, "archive",
             fmt::format("{}, {}, {}, archive version {}", manifest.archive_object,
                         human_bytes(manifest.stored_bytes()), codec_name(manifest.codec),
                         manifest.archive_version));
  show_field(output, "sha256", manifest.archive_sha256);
  show_field(output, "sealed", seal_line(manifest));
  show_field(output, "globals", manifest.globals_object.value_or("none"));
  show_field(
      output, "made by",
      fmt::format("holdfast {}, pg_dump {}", manifest.holdfast_version, manifest.pg_dump_version));
  std::string extensions, excluded;
  for (const ExtensionRecord& extension : manifest.extensions)
    extensions +=
        fmt::format("{}{} {}", extensions.empty() ? "" : ", ", extension.name, extension.version);
  for (const std::string& what : manifest.excluded)
    excluded += (excluded.empty() ? "" : ", ") + what;
  show_field(output, "extensions", extensions);
  show_field(output, "left out", excluded);
  for (const BackupCopy& copy : copies)
    if (copy.backup.hold) {
      show_field(output, "held", copy.backup.hold->text());
      break;
    }
  show_copies(output, copies);
  show_field(
      output, "contents",
      fmt::format("{}, {}, {} of text", plural(manifest.tables.size(), "table"),
                  plural(manifest.total_rows(), "row"), human_bytes(manifest.total_text_bytes())));
  for (const TableRecord& table : manifest.tables)
    output.line(fmt::format("  {:>13} rows {:>10}  {}", table.sum.rows,
                            human_bytes(table.text_bytes),
                            printable(text_in_utf8(table.name, manifest.encoding))));
}

int show_branch_backup(CommandContext& context, const std::vector<OpenStore>& stores,
                       const LocatedBranch& located) {
  BranchBackupView view = view_of(located, stores);
  std::optional<BranchTables> tables = known_tables(stores, located, context.run);
  Output& output = context.output;
  output.document(show_branch_backup_document(view, tables));
  if (!view.backup.record)
    throw Error(ErrorCode::corrupt,
                fmt::format("{} is damaged: {}", located.id, view.backup.damage),
                "use another backup: holdfast list");
  const BranchBackupRecord& record = *view.backup.record;
  show_field(output, "id", record.id);
  show_field(output, "kind", "branch");
  show_field(output, "database", record.database);
  show_field(output, "source", record.source);
  show_field(output, "created", format_rfc3339(record.created_at));
  show_field(output, "lsn", record.lsn);
  show_field(output, "branch",
             fmt::format("{} at {}, project {}{}", record.branch_id, record.host, record.project_id,
                         record.is_protected ? ", protected" : ""));
  show_field(output, "branch of",
             record.parent_name.empty() ? record.parent_id : record.parent_name);
  show_field(output, "made by", "holdfast " + record.holdfast_version);
  if (view.backup.hold) show_field(output, "held", view.backup.hold->text());
  show_field(output, "recorded in", fmt::format("{}", fmt::join(view.locations, ", ")));
  show_field(output, "proof", proof_line(view.backup.proof));
  if (tables)
    for (const TableSum& table : tables->tables)
      output.line(fmt::format("  {:>13} rows  {}", table.sum.rows, printable(table.name)));
  return kExitDone;
}

}  // namespace

int command_show(CommandContext& context) {
  if (context.arguments.empty())
    throw Error(ErrorCode::invalid, "show: which backup?", "name its id, or: holdfast show latest");
  std::vector<OpenStore> stores = open_stores(context.config, context.run);
  if (auto branch = find_branch_everywhere(stores, context.arguments.front(), context.run))
    return show_branch_backup(context, stores, *branch);
  Located located = find_everywhere(stores, context.config, context.arguments.front(), context.run);
  std::vector<BackupCopy> copies = copies_of(located, stores);
  const Backup& backup = copies.front().backup;
  context.output.document(show_document(copies));
  if (!backup.manifest)
    throw Error(ErrorCode::corrupt, fmt::format("{} is damaged: {}", backup.id, backup.damage),
                "use another backup: holdfast list");
  show_manifest(context.output, copies);
  return kExitDone;
}

}  // namespace holdfast
