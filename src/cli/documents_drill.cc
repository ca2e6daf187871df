#include "cli/documents_drill.h"

#include "cli/document_json.h"

namespace holdfast {

std::string drill_document(const DrillRecord& record, bool ok,
                           const std::vector<std::string>& stores) {
  Json document = {{"ok", ok}};
  Json written = Json::parse(write_drill_record(record));
  written.erase("drill_sha256");  // of the stored bytes, which these are not
  document.update(written);
  document["within_rto"] = record.within_rto();
  document["within_rpo"] = record.within_rpo();
  document["kept_in"] = stores;
  return document_text(document);
}

}  // namespace holdfast
