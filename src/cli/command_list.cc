// holdfast list: the backups of the store, newest first.
#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/backups.h"
#include "cli/command.h"
#include "cli/documents.h"
#include "cli/progress_line.h"
#include "dump/names.h"

namespace holdfast {
namespace {

using Row = std::vector<std::string>;

std::string proof_text(const Backup& backup) {
  if (!backup.proof) return "not proven";
  const Proof& proof = *backup.proof;
  return fmt::format("{} {} {}", proof.level, proof.verdict,
                     format_rfc3339(proof.at).substr(0, 10));
}

Row row_of(const Backup& backup) {
  if (!backup.manifest) return {backup.id, "", "", "", "", "DAMAGED: " + printable(backup.damage)};
  const Manifest& manifest = *backup.manifest;
  return {backup.id,
          format_rfc3339(manifest.created_at).substr(0, 19) + "Z",
          human_bytes(manifest.stored_bytes()),
          human_count(manifest.tables.size()),
          human_count(manifest.total_rows()),
          proof_text(backup)};
}

void show_table(Output& output, const std::vector<Row>& rows) {
  std::vector<size_t> widths(rows.front().size(), 0);
  for (const Row& row : rows)
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  for (const Row& row : rows) {
    std::string line;
    for (size_t i = 0; i < row.size(); ++i) {
      std::string padding(widths[i] - columns_of(row[i]), ' ');
      bool number = i >= 2 && i <= 4;
      bool last = i + 1 == row.size();
      line += number ? padding + row[i] : row[i] + (last ? "" : padding);
      if (!last) line += "  ";
    }
    output.line(line);
  }
}

}  // namespace

int command_list(CommandContext& context) {
  std::unique_ptr<ObjectStore> store = open_store(context.config);
  // Two sources may share a folder: naming one shows its own backups only.
  std::string database =
      context.config.source_chosen_by_name() ? configured_database(context.config) : std::string();
  std::vector<Backup> backups = list_backups(*store, database);
  context.output.document(list_document(backups, store->location()));
  if (backups.empty()) {
    context.output.line(fmt::format("no backups in {}", store->location()));
    return kExitDone;
  }
  std::vector<Row> rows = {{"ID", "CREATED", "SIZE", "TABLES", "ROWS", "PROOF"}};
  for (const Backup& backup : backups) rows.push_back(row_of(backup));
  show_table(context.output, rows);
  return kExitDone;
}

}  // namespace holdfast
