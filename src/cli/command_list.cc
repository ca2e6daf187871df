// holdfast list: the backups of the store, newest first.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/text.h"
#include "cli/backups.h"
#include "cli/branch_backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/stores.h"
#include "cli/table.h"
#include "dump/names.h"

namespace holdfast {
namespace {

constexpr size_t kCreated = 2;  // the column

std::string proof_text(const std::optional<Proof>& found) {
  if (!found) return "not proven";
  const Proof& proof = *found;
  return fmt::format("{} {} {}", proof.level, proof.verdict, format_date(proof.at));
}

Row row_of(const std::vector<BackupCopy>& copies) {
  const Backup& backup = copies.front().backup;
  std::string stores;
  for (const BackupCopy& copy : copies)
    stores += (stores.empty() ? "" : ",") + copy.store + (copy.backup.manifest ? "" : "(damaged)");
  if (!backup.manifest)
    return {backup.id, "dump", "", "", "", "", stores, "DAMAGED: " + printable(backup.damage)};
  const Manifest& manifest = *backup.manifest;
  return {backup.id,
          "dump",
          format_rfc3339(manifest.created_at).substr(0, 19) + "Z",
          human_bytes(manifest.stored_bytes()),
          human_count(manifest.tables.size()),
          human_count(manifest.total_rows()),
          stores,
          proof_text(backup.proof)};
}

Row row_of(const BranchBackupView& view) {
  const BranchBackup& backup = view.backup;
  return {backup.id,
          "branch",
          format_rfc3339(backup.created_at()).substr(0, 19) + "Z",
          "",
          "",
          "",
          fmt::format("{}", fmt::join(view.stores, ",")),
          backup.record ? proof_text(backup.proof) : "DAMAGED: " + printable(backup.damage)};
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
  std::vector<BranchBackupView> branches;
  for (const LocatedBranch& located : list_branches_everywhere(stores, database, context.run))
    branches.push_back(view_of(located, stores));
  context.output.document(list_document(backups, branches));
  if (backups.empty() && branches.empty()) {
    context.output.line(fmt::format("no backups in {}", locations_of(stores)));
    return kExitDone;
  }
  std::vector<Row> rows;
  for (const std::vector<BackupCopy>& copies : backups) rows.push_back(row_of(copies));
  for (const BranchBackupView& view : branches) rows.push_back(row_of(view));
  std::stable_sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) {
    return a[kCreated] > b[kCreated];  // newest first; damaged ones, without a time, last
  });
  rows.insert(rows.begin(), {"ID", "KIND", "CREATED", "SIZE", "TABLES", "ROWS", "STORES", "PROOF"});
  show_table(context.output, rows, {3, 4, 5});
  return kExitDone;
}

}  // namespace holdfast
