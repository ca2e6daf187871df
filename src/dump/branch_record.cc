#include "dump/branch_record.h"

#include <fmt/format.h>

#include "dump/names.h"
#include "seal/document.h"
#include "seal/json_fields.h"

namespace holdfast {
namespace {

constexpr const char* kRecordFormat = "holdfast-branch";
constexpr const char* kTablesFormat = "holdfast-tables";
constexpr uint64_t kBranchDocumentsVersion = 1;
constexpr std::string_view kRecordSealKey = "branch_sha256";
constexpr std::string_view kTablesSealKey = "tables_sha256";

}  // namespace

std::string write_branch_record(const BranchBackupRecord& record) {
  std::string body = fmt::format(
      "{{\n  \"format\": \"{}\",\n  \"version\": {},\n  \"id\": {},\n  \"database\": {},\n"
      "  \"source\": {},\n  \"created_at\": \"{}\",\n  \"host\": {},\n  \"project_id\": {},\n"
      "  \"branch_id\": {},\n  \"parent_id\": {},\n  \"parent_name\": {},\n  \"lsn\": {},\n"
      "  \"protected\": {},\n  \"holdfast_version\": {}",
      kRecordFormat, kBranchDocumentsVersion, json_text(record.id), json_text(record.database),
      json_text(record.source), format_rfc3339(record.created_at), json_text(record.host),
      json_text(record.project_id), json_text(record.branch_id), json_text(record.parent_id),
      json_text(record.parent_name), json_text(record.lsn), record.is_protected,
      json_text(record.holdfast_version));
  return seal_document(std::move(body), kRecordSealKey);
}

BranchBackupRecord read_branch_record(const std::string& text) {
  Json document = parse_sealed(text, kRecordSealKey);
  JsonFields fields(document, "");
  check_format(fields, kRecordFormat, kBranchDocumentsVersion);
  BranchBackupRecord record;
  record.id = fields.text("id");
  std::optional<BackupId> id = parse_backup_id(record.id);
  if (!id || !id->is_branch)
    throw Error(ErrorCode::corrupt,
                fmt::format("field id: '{}' is no branch backup's id", printable(record.id)));
  record.database = fields.text("database");
  record.source = fields.text("source");
  record.created_at = fields.time("created_at");
  record.host = fields.text("host");
  record.project_id = fields.text("project_id");
  record.branch_id = fields.text("branch_id");
  record.parent_id = fields.text("parent_id");
  record.parent_name = fields.text("parent_name");
  record.lsn = fields.text("lsn");
  record.is_protected = fields.boolean("protected");
  record.holdfast_version = fields.text("holdfast_version");
  return record;
}

std::string write_branch_tables(const std::string& id, const BranchTables& tables) {
  std::string body = fmt::format(
      "{{\n  \"format\": \"{}\",\n  \"version\": {},\n  \"id\": {},\n  \"dump_id\": {},\n"
      "  \"partial\": {},\n  \"tables\": [",
      kTablesFormat, kBranchDocumentsVersion, json_text(id), json_text(tables.dump_id),
      tables.partial);
  for (size_t i = 0; i < tables.tables.size(); ++i) {
    const TableSum& table = tables.tables[i];
    body +=
        fmt::format("{}\n    {{\"name\": {}, \"rows\": {}, \"checksum\": \"{}\"}}",
                    i == 0 ? "" : ",", json_text(table.name), table.sum.rows, table.sum.sum_hex());
  }
  body += "\n  ]";
  return seal_document(std::move(body), kTablesSealKey);
}

BranchTables read_branch_tables(const std::string& text, const std::string& id) {
  Json document = parse_sealed(text, kTablesSealKey);
  JsonFields fields(document, "");
  check_format(fields, kTablesFormat, kBranchDocumentsVersion);
  if (fields.text("id") != id) throw Error(ErrorCode::corrupt, "it is of another backup");
  BranchTables tables;
  tables.dump_id = fields.text("dump_id");
  tables.partial = fields.boolean("partial");
  for (const Json& entry : fields.list("tables")) {
    JsonFields table(entry, "tables");
    tables.tables.push_back(
        {table.text("name"), RowChecksum::from(table.number("rows"), table.text("checksum"))});
  }
  return tables;
}

}  // namespace holdfast
