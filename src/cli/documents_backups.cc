// The JSON documents of backups that are branches: see documents.h.
#include "cli/branch_backups.h"
#include "cli/document_json.h"

namespace holdfast {

Json branch_record_json(const BranchBackupRecord& record) {
  return {{"id", record.branch_id},
          {"name", record.id},
          {"host", record.host},
          {"project_id", record.project_id},
          {"parent_id", text_or_null(record.parent_id)},
          {"parent", text_or_null(record.parent_name)},
          {"lsn", text_or_null(record.lsn)},
          {"protected", record.is_protected}};
}

Json branch_backup_json(const BranchBackupView& view) {
  const BranchBackup& backup = view.backup;
  Json object = {{"id", backup.id}, {"kind", "branch"}};
  if (backup.record) {
    object["database"] = text_or_null(backup.record->database);
    object["source"] = backup.record->source;
    object["created_at"] = format_rfc3339(backup.record->created_at);
    object["lsn"] = text_or_null(backup.record->lsn);
    object["branch"] = branch_record_json(*backup.record);
  } else {
    object["created_at"] = format_rfc3339(backup.created_at());
    object["damaged"] = backup.damage;
  }
  object["stores"] = view.locations;
  object["proof"] = proof_json(backup.proof);
  object["held"] = backup.hold.has_value();
  if (backup.hold) object["hold"] = hold_json(*backup.hold);
  return object;
}

std::string show_branch_backup_document(const BranchBackupView& view,
                                        const std::optional<BranchTables>& tables) {
  Json document = {{"backup", branch_backup_json(view)}};
  document["tables"] = Json::array();
  if (tables)
    for (const TableSum& table : tables->tables)
      document["tables"].push_back(
          {{"name", table.name}, {"rows", table.sum.rows}, {"checksum", table.sum.sum_hex()}});
  return document_text(document);
}

}  // namespace holdfast
