// holdfast list: the backups of the store, newest first.
#include <fmt/format.h>

#include "base/text.h"
#include "cli/backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/stores.h"
#include "cli/table.h"
#include "dump/names.h"

namespace holdfast {
namespace {

std::string proof_text(const Backup& backup) {
  if (!backup.proof) return "not proven";
  const Proof& proof = *backup.proof;
  return fmt::format("{} {} {}", proof.level, proof.verdict,
                     format_rfc3339(proof.at).substr(0, 10));
}

Row row_of(const std::vector<BackupCopy>& copies) {
  const Backup& backup = copies.front().backup;
  std::string stores;
  for (const BackupCopy& copy : copies)
    stores += (stores.empty() ? "" : ",") + copy.store + (copy.backup.manifest ? "" : "(damaged)");
  if (!backup.manifest)
    return {backup.id, "", "", "", "", stores, "DAMAGED: " + printable(backup.damage)};
  const Manifest& manifest = *backup.manifest;
  return {backup.id,
          format_rfc3339(manifest.created_at).substr(0, 19) + "Z",
          human_bytes(manifest.stored_bytes()),
          human_count(manifest.tables.size()),
          human_count(manifest.total_rows()),
          stores,
          proof_text(backup)};
}

}  // namespace

int command_list(CommandContext& context) {
  std::vector<OpenStore> stores = open_stores(context.config, context.run);
  // Two sources may share a folder: naming one shows its own backups only.
  std::string database =
      context.config.source_chosen_by_name() ? configured_database(context.config) : std::string();
  std::vector<std::vector<BackupCopy>> backups;
  for (const Located& located : list_everywhere(stores, database, context.run))
    backups.push_back(copies_of(located, stores));
  context.output.document(list_document(backups));
  if (backups.empty()) {
    context.output.line(fmt::format("no backups in {}", locations_of(stores)));
    return kExitDone;
  }
  std::vector<Row> rows = {{"ID", "CREATED", "SIZE", "TABLES", "ROWS", "STORES", "PROOF"}};
  for (const std::vector<BackupCopy>& copies : backups) rows.push_back(row_of(copies));
  show_table(context.output, rows, {2, 3, 4});
  return kExitDone;
}

}  // namespace holdfast
