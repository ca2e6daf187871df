// holdfast key: the engine's API keys, in the work folder that a running engine looks into as well.
#include <fmt/format.h>
#include <unistd.h>

#include <charconv>

#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/documents_branch.h"
#include "cli/engine_config.h"
#include "cli/table.h"
#include "serve/api_keys.h"
#include "serve/daemon.h"

namespace holdfast {
namespace {

std::string minute_of(UtcTime time) {
  return format_rfc3339(time).substr(0, 16) + "Z";
}

int add_key(CommandContext& context, ApiKeys& keys) {
  if (context.arguments.size() < 2)
    throw Error(ErrorCode::invalid, "key add: for whom?",
                "name it after who uses it: holdfast key add ci");
  OperationPart& part =
      context.operation.begin("key.create", context.arguments[1], AuditNeed::required);
  NewApiKey key = keys.add(context.arguments[1]);
  part.detail("key", std::to_string(key.key.id));
  context.output.document(key_added_document(key));
  context.output.line(key.clear.reveal());
  context.run.log.info(
      fmt::format("key {} ({}): it is not shown again; clients take it as NEON_API_KEY", key.key.id,
                  printable(key.key.name, 80)));
  return kExitDone;
}

int list_keys(CommandContext& context, ApiKeys& keys) {
  std::vector<ApiKey> all = keys.list();
  context.output.document(key_list_document(all));
  if (all.empty()) {
    context.output.line("no keys: holdfast key add NAME");
    return kExitDone;
  }
  std::vector<Row> rows = {{"ID", "NAME", "CREATED", "LAST USED"}};
  for (const ApiKey& key : all)
    rows.push_back({std::to_string(key.id), printable(key.name, 80), minute_of(key.created_at),
                    key.last_used_at ? minute_of(*key.last_used_at) : "never"});
  show_table(context.output, rows, {0});
  return kExitDone;
}

int revoke_key(CommandContext& context, ApiKeys& keys) {
  std::string said = context.arguments.size() < 2 ? std::string() : context.arguments[1];
  int64_t id = 0;
  auto [end, error] = std::from_chars(said.data(), said.data() + said.size(), id);
  if (said.empty() || error != std::errc() || end != said.data() + said.size())
    throw Error(ErrorCode::invalid,
                said.empty() ? "key revoke: which key?"
                             : fmt::format("key revoke: {} is no key's id", shown(said)),
                "ids are shown by: holdfast key list");
  OperationPart& part =
      context.operation.begin("key.revoke", fmt::format("key {}", id), AuditNeed::wanted);
  ApiKey key = keys.revoke(id);
  part.detail("name", key.name);
  context.output.document(key_revoked_document(key));
  context.output.line(fmt::format("revoked key {} ({})", key.id, printable(key.name, 80)));
  return kExitDone;
}

}  // namespace

int command_key(CommandContext& context) {
  std::string action = context.argument_or("");
  auto run = action == "add"      ? add_key
             : action == "list"   ? list_keys
             : action == "revoke" ? revoke_key
                                  : nullptr;
  if (run == nullptr)
    throw Error(ErrorCode::invalid,
                action.empty() ? "key: what about it?"
                               : fmt::format("key: unknown action {}{}", shown(action),
                                             did_you_mean(action, {"add", "list", "revoke"})),
                "holdfast key add NAME, key list, key revoke ID");
  if (action == "list" && context.arguments.size() > 1)
    throw Error(ErrorCode::invalid,
                fmt::format("key list: unexpected argument {}", shown(context.arguments[1])),
                "see: holdfast help key");
  std::string folder = engine_work_folder(context.config);
  if (action == "add" && !file_exists(folder)) {
    if (::geteuid() == 0)  // the engine, which does not run as root, could not read them
      throw Error(ErrorCode::denied, "the engine's keys belong to the engine's user, not to root",
                  "run it as that user: sudo -u postgres holdfast key add NAME");
    make_folders(folder);
  }
  std::string path = keys_path(folder);
  if (!file_exists(path) && action != "add")
    throw Error(
        ErrorCode::not_found, fmt::format("there are no keys in {}", printable(folder)),
        "name the engine's work folder with --work-dir, or make the first key: holdfast key "
        "add NAME");
  ApiKeys keys(path, context.run.clock);
  return run(context, keys);
}

}  // namespace holdfast
