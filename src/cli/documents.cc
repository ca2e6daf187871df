#include "cli/documents.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/document_json.h"
#include "dump/names.h"

namespace holdfast {

double rounded(double seconds) {
  return static_cast<double>(static_cast<int64_t>(seconds * 1000 + 0.5)) / 1000;
}

Json error_json(const Error& error) {
  return {{"code", error_code_name(error.code())},
          {"message", error.what()},
          {"hint", text_or_null(error.hint().empty() ? std::string(general_hint(error.code()))
                                                     : error.hint())}};
}

void add_error(Json& object, const std::optional<Error>& error) {
  if (!error) return;
  object["error"] = error->what();
  if (!error->hint().empty()) object["hint"] = error->hint();
}

Json proof_json(const std::optional<Proof>& proof) {
  if (!proof) return nullptr;
  return {{"level", proof->level},
          {"at", format_rfc3339(proof->at)},
          {"ok", proof->ok},
          {"verdict", proof->verdict},
          {"seconds", rounded(proof->seconds)}};
}

Json problems_json(const std::vector<Problem>& problems) {
  Json list = Json::array();
  for (const Problem& problem : problems)
    list.push_back({{"where", problem.where}, {"what", problem.what}});
  return list;
}

Json hold_json(const Hold& hold) {
  return {{"reason", hold.reason}, {"by", text_or_null(hold.by)}, {"at", format_rfc3339(hold.at)}};
}

namespace {

Json phases_json(const std::vector<RestorePhase>& phases) {
  Json list = Json::array();
  for (const RestorePhase& phase : phases)
    list.push_back({{"name", phase.name}, {"seconds", rounded(phase.seconds)}});
  return list;
}

Json checks_json(const std::vector<CheckOutcome>& checks) {
  Json list = Json::array();
  for (const CheckOutcome& check : checks)
    list.push_back({{"query", check.query},
                    {"ok", check.ok},
                    {"result", check.result},
                    {"seconds", rounded(check.seconds)}});
  return list;
}

std::vector<std::string> all_notes(const RecoverReport& report) {
  std::vector<std::string> notes = report.globals.notes;
  notes.insert(notes.end(), report.restore.notes.begin(), report.restore.notes.end());
  return notes;
}

// The copies' first one, and where all of them are.
Json backup_json(const std::vector<BackupCopy>& copies) {
  const Backup& backup = copies.front().backup;
  Json object = {{"id", backup.id}, {"kind", "dump"}};
  if (const auto& manifest = backup.manifest) {
    object["database"] = manifest->database;
    object["source"] = manifest->source;
    object["created_at"] = format_rfc3339(manifest->created_at);
    object["bytes"] = manifest->stored_bytes();
    object["sealed"] = manifest->seal.has_value();
    object["tables"] = manifest->tables.size();
    object["rows"] = manifest->total_rows();
    if (!manifest->lsn.empty()) object["lsn"] = manifest->lsn;
  } else {
    auto parts = parse_backup_id(backup.id);
    object["database"] = parts ? Json(parts->database) : Json(nullptr);
    object["created_at"] = parts ? Json(format_rfc3339(parts->at)) : Json(nullptr);
    object["bytes"] = nullptr;
    object["tables"] = nullptr;
    object["rows"] = nullptr;
    object["damaged"] = backup.damage;
  }
  object["stores"] = Json::array();
  for (const BackupCopy& copy : copies) object["stores"].push_back(copy.location);
  object["proof"] = proof_json(backup.proof);
  object["copies"] = Json::array();
  for (const BackupCopy& copy : copies)
    object["copies"].push_back({{"store", copy.store},
                                {"location", copy.location},
                                {"damaged", text_or_null(copy.backup.damage)},
                                {"proof", proof_json(copy.backup.proof)}});
  const std::optional<Hold>* hold = &backup.hold;
  for (const BackupCopy& copy : copies)
    if (copy.backup.hold) hold = &copy.backup.hold;
  object["held"] = hold->has_value();
  if (*hold) object["hold"] = hold_json(**hold);
  return object;
}

Json seal_json(const SealRecord& seal) {
  return {{"method", seal_method_name(seal.method)},
          {"recipients", seal.recipients},
          {"program", seal.program},
          {"bytes", seal.archive.bytes},
          {"sha256", seal.archive.sha256}};
}

Json manifest_json(const Manifest& manifest) {
  Json object;
  object["server"] = manifest.server;
  object["server_version"] = manifest.server_version;
  object["finished_at"] = format_rfc3339(manifest.finished_at);
  object["holdfast_version"] = manifest.holdfast_version;
  object["pg_dump_version"] = manifest.pg_dump_version;
  object["archive"] = {
      {"object", manifest.archive_object},         {"bytes", manifest.archive_bytes},
      {"sha256", manifest.archive_sha256},         {"version", manifest.archive_version},
      {"compression", codec_name(manifest.codec)}, {"entries", manifest.toc_entries}};
  object["globals"] = manifest.globals_object ? Json({{"object", *manifest.globals_object},
                                                      {"bytes", manifest.globals_bytes},
                                                      {"sha256", manifest.globals_sha256}})
                                              : Json(nullptr);
  object["seal"] = manifest.seal ? seal_json(*manifest.seal) : Json(nullptr);
  object["encoding"] = manifest.encoding;
  object["schema_fingerprint"] = manifest.schema_fingerprint;
  object["excluded"] = manifest.excluded;
  object["extensions"] = Json::array();
  for (const ExtensionRecord& extension : manifest.extensions)
    object["extensions"].push_back({{"name", extension.name}, {"version", extension.version}});
  object["tables"] = Json::array();
  for (const TableRecord& table : manifest.tables)
    object["tables"].push_back({{"name", table.name},
                                {"rows", table.sum.rows},
                                {"text_bytes", table.text_bytes},
                                {"checksum", table.sum.sum_hex()},
                                {"pieces", table.pieces.size()}});
  uint64_t objects = 0;
  for (const LargeObjectRecord& record : manifest.large_objects) objects += record.sum.rows;
  object["large_objects"] = objects;
  return object;
}

Json named_texts(const NamedTexts& texts) {
  Json object = Json::object();
  for (const auto& [name, text] : texts) object[name] = text;
  return object;
}

}  // namespace

std::string error_document(const Error& error) {
  return document_text({{"error", error_json(error)}});
}

std::string backup_document(const std::vector<LegOutcome>& legs,
                            const std::vector<std::string>& notes) {
  Json document = {{"results", Json::array()}};
  for (const LegOutcome& leg : legs) {
    Json entry = {
        {"kind", leg.kind}, {"id", text_or_null(leg.id)}, {"status", leg.error ? "failed" : "ok"}};
    add_error(entry, leg.error);
    if (leg.bytes) entry["bytes"] = *leg.bytes;
    entry["seconds"] = rounded(leg.seconds);
    if (leg.proof) entry["proof"] = proof_json(leg.proof);
    if (leg.branch) entry["branch"] = branch_record_json(*leg.branch);
    if (!leg.removed.empty()) entry["removed"] = leg.removed;
    if (!leg.taken_from.empty()) entry["taken_from"] = leg.taken_from;
    if (!leg.problems.empty()) entry["problems"] = problems_json(leg.problems);
    if (!leg.stores.empty()) entry["stores"] = Json::array();
    for (const StoreOutcome& store : leg.stores) {
      Json outcome = {{"store", store.location}, {"status", store.error ? "failed" : "ok"}};
      add_error(outcome, store.error);
      if (store.proof) outcome["proof"] = proof_json(store.proof);
      if (!store.removed.empty()) outcome["removed"] = store.removed;
      entry["stores"].push_back(outcome);
    }
    document["results"].push_back(entry);
  }
  document["notes"] = notes;
  for (const LegOutcome& leg : legs)
    if (leg.error && !document.contains("error")) document["error"] = error_json(*leg.error);
  return document_text(document);
}

std::string list_document(const std::vector<std::vector<BackupCopy>>& backups,
                          const std::vector<BranchBackupView>& branches) {
  Json dumps = Json::array(), all = Json::array();
  for (const std::vector<BackupCopy>& copies : backups) dumps.push_back(backup_json(copies));
  size_t dump = 0, branch = 0;  // both newest first, and so is what they make together
  while (dump < dumps.size() || branch < branches.size()) {
    bool next_is_branch = dump == dumps.size() ||
                          (branch < branches.size() && dumps[dump]["created_at"].is_string() &&
                           dumps[dump]["created_at"].get<std::string>() <
                               format_rfc3339(branches[branch].backup.created_at()));
    all.push_back(next_is_branch ? branch_backup_json(branches[branch++]) : dumps[dump++]);
  }
  return document_text({{"backups", all}});
}

std::string show_document(const std::vector<BackupCopy>& copies) {
  Json document = {{"backup", backup_json(copies)}};
  if (copies.front().backup.manifest)
    document.update(manifest_json(*copies.front().backup.manifest));
  return document_text(document);
}

std::string copy_document(const std::string& id, const std::string& from, const std::string& to,
                          uint64_t bytes, const std::optional<Proof>& proof, double seconds) {
  return document_text({{"ok", !proof || proof->ok},
                        {"id", id},
                        {"from", from},
                        {"to", to},
                        {"bytes", bytes},
                        {"proof", proof_json(proof)},
                        {"seconds", rounded(seconds)}});
}

std::string prune_document(const std::vector<PrunedStore>& stores, bool dry_run) {
  Json list = Json::array();
  bool ok = true;
  for (const PrunedStore& store : stores) {
    Json kept = Json::array(), removed = Json::array(), not_yet = Json::array();
    for (const PruneEntry& entry : store.plan.entries) {
      Json item = {{"id", entry.decision.id},
                   {"database", entry.database},
                   {"bytes", entry.bytes},
                   {"reason", entry.decision.reason}};
      switch (entry.decision.action) {
        case RetentionAction::keep:
          kept.push_back(item);
          break;
        case RetentionAction::remove:
          removed.push_back(item);
          break;
        case RetentionAction::not_yet:
          not_yet.push_back(item);
          break;
      }
    }
    ok = ok && store.plan.blocked.empty() && !store.plan.failure;
    Json item = {
        {"store", store.store}, {"location", store.location}, {"blocked", store.plan.blocked},
        {"kept", kept},         {"removed", removed},         {"not_yet", not_yet}};
    if (store.plan.failure) item["error"] = store.plan.failure->what();
    list.push_back(std::move(item));
  }
  return document_text({{"ok", ok}, {"dry_run", dry_run}, {"stores", list}});
}

std::string hold_document(const std::string& id, const std::optional<Hold>& hold,
                          const std::vector<std::string>& stores) {
  Json document = {{"id", id}, {"held", hold.has_value()}, {"stores", stores}};
  if (hold) document["hold"] = hold_json(*hold);
  return document_text(document);
}

std::string verify_document(const std::vector<VerifiedCopy>& verified, VerifyLevel level,
                            const std::vector<PolicyProblem>& policy) {
  bool ok = true;
  Json backups = Json::array();
  for (const VerifiedCopy& copy : verified) {
    const VerifyReport& report = copy.report;
    ok = ok && report.ok();
    Json entry = {{"id", report.id},
                  {"store", text_or_null(copy.store)},
                  {"ok", report.ok()},
                  {"verdict", verdict_name(report.verdict)},
                  {"problems", problems_json(report.problems)},
                  {"notes", report.notes},
                  {"tables", Json::array()},
                  {"rows", report.rows},
                  {"sha256", text_or_null(report.sha256)},
                  {"seconds", rounded(report.seconds)}};
    for (const TableVerdict& table : report.tables)
      entry["tables"].push_back({{"name", table.name}, {"rows", table.rows}, {"ok", table.ok}});
    backups.push_back(entry);
  }
  Json problems = Json::array();
  for (const PolicyProblem& problem : policy)
    problems.push_back({{"where", problem.where}, {"what", problem.what}});
  return document_text({{"ok", ok && policy.empty()},
                        {"level", verify_level_name(level)},
                        {"backups", backups},
                        {"policy", {{"ok", policy.empty()}, {"problems", problems}}}});
}

std::string restore_document(const std::string& id, const RestoreReport& report,
                             const std::string& server, const std::string& safety_backup_id) {
  Json phases = phases_json(report.phases);
  bool ok = report.verdict == Verdict::pass || report.verdict == Verdict::pass_with_notes;
  return document_text(
      {{"ok", ok},
       {"id", id},
       {"database", report.database},
       {"server", server},
       {"kept_old_as", report.kept_old_as ? Json(*report.kept_old_as) : Json(nullptr)},
       {"safety_backup", text_or_null(safety_backup_id)},
       {"tables", report.tables},
       {"rows", report.rows},
       {"verdict", verdict_name(report.verdict)},
       {"problems", problems_json(report.problems)},
       {"notes", report.notes},
       {"checks", checks_json(report.checks)},
       {"phases", phases},
       {"seconds", rounded(report.seconds)}});
}

namespace {

std::string_view weight_name(RecoverFinding::Weight weight) {
  switch (weight) {
    case RecoverFinding::Weight::note:
      return "note";
    case RecoverFinding::Weight::choice:
      return "choice";
    case RecoverFinding::Weight::refusal:
      break;
  }
  return "refusal";
}

Json findings_json(const RecoverPlan& plan) {
  Json findings = Json::array();
  for (const RecoverFinding& finding : plan.findings)
    findings.push_back({{"weight", weight_name(finding.weight)},
                        {"check", finding.check},
                        {"message", finding.message},
                        {"hint", text_or_null(finding.hint)}});
  return findings;
}

}  // namespace

std::string recover_plan_document(const RecoverPlan& plan, bool ready) {
  Json steps = Json::array();
  for (const RecoverStep& step : plan.steps)
    steps.push_back(
        {{"name", step.name},
         {"what", step.what},
         {"estimate_seconds",
          step.estimate_seconds ? Json(rounded(*step.estimate_seconds)) : Json(nullptr)}});
  return document_text({{"ok", ready},
                        {"dry_run", true},
                        {"id", plan.id},
                        {"database", plan.database},
                        {"findings", findings_json(plan)},
                        {"steps", steps},
                        {"estimate_seconds", rounded(plan.estimate_seconds)},
                        {"estimate_basis", plan.estimate_basis}});
}

std::string recover_document(const RecoverPlan& plan, const RecoverReport& report,
                             const std::string& from, const std::string& server) {
  const RestoreReport& restore = report.restore;
  bool good = restore.verdict == Verdict::pass || restore.verdict == Verdict::pass_with_notes;
  Json hooks = Json::array();
  for (const HookOutcome& hook : report.hooks)
    hooks.push_back({{"name", hook.name},
                     {"ok", hook.ok()},
                     {"exit_code", hook.ran ? Json(hook.exit_code) : Json(nullptr)},
                     {"seconds", rounded(hook.seconds)},
                     {"error", text_or_null(hook.error)}});
  return document_text({{"ok", good && report.hooks_ok()},
                        {"dry_run", false},
                        {"id", plan.id},
                        {"store", from},
                        {"database", restore.database},
                        {"server", server},
                        {"findings", findings_json(plan)},
                        {"roles",
                         {{"created", report.globals.new_roles},
                          {"kept", report.globals.kept_roles},
                          {"placeholders", plan.unknown_roles}}},
                        {"tablespaces", report.globals.new_tablespaces},
                        {"tables", restore.tables},
                        {"rows", restore.rows},
                        {"verdict", verdict_name(restore.verdict)},
                        {"problems", problems_json(restore.problems)},
                        {"notes", all_notes(report)},
                        {"checks", checks_json(restore.checks)},
                        {"phases", phases_json(restore.phases)},
                        {"data_seconds", rounded(restore.seconds)},
                        {"hooks", hooks},
                        {"seconds", rounded(report.seconds)}});
}

std::string doctor_document(const std::vector<Finding>& findings) {
  bool ok = true;
  Json list = Json::array();
  for (const Finding& finding : findings) {
    ok = ok && finding.level != FindingLevel::failure;
    Json entry = {{"level", finding_level_name(finding.level)},
                  {"check", finding.check},
                  {"message", finding.message}};
    if (!finding.hint.empty()) entry["hint"] = finding.hint;
    list.push_back(entry);
  }
  return document_text({{"ok", ok}, {"findings", list}});
}

std::string config_document(const Config& config) {
  Json settings = Json::array();
  for (const Setting& setting : config.settings()) {
    const Option& option = *setting.option;
    if (option.variable.empty() && option.key.empty()) continue;
    std::optional<std::string> shown = shown_value(setting);
    Json value = nullptr;
    if (option.kind == OptionKind::list)
      value = setting.values;
    else if (option.kind == OptionKind::number)
      value = config.number(option.name);
    else if (shown)
      value = *shown;
    settings.push_back({{"name", option.name}, {"value", value}, {"origin", setting.origin}});
  }
  return document_text({{"file", text_or_null(config.file())},
                        {"source", text_or_null(config.source_name())},
                        {"sources", config.source_names()},
                        {"settings", settings},
                        {"warnings", config.warnings()}});
}

std::string version_document(const std::string& version, const NamedTexts& libraries,
                             const NamedTexts& formats) {
  return document_text({{"version", version},
                        {"libraries", named_texts(libraries)},
                        {"formats", named_texts(formats)}});
}

std::optional<std::string> shown_value(const Setting& setting) {
  const Option& option = *setting.option;
  if (option.kind == OptionKind::secret)
    return setting.secret.empty() ? std::nullopt : std::optional<std::string>("(set, not shown)");
  if (option.kind == OptionKind::url) {
    if (setting.secret.empty()) return std::nullopt;
    try {
      Conninfo conninfo = Conninfo::parse(setting.secret.reveal());
      return conninfo.display() + (conninfo.password().empty() ? "" : " (password not shown)");
    } catch (const Error&) {
      return "(set, but not a connection URL)";
    }
  }
  if (setting.values.empty()) return std::nullopt;
  return fmt::format("{}", fmt::join(setting.values, ", "));
}

std::string_view finding_level_name(FindingLevel level) {
  switch (level) {
    case FindingLevel::ok:
      return "ok";
    case FindingLevel::note:
      return "note";
    case FindingLevel::failure:
      return "failure";
  }
  return "failure";
}

}  // namespace holdfast
