#include "dump/hold.h"

#include <fmt/format.h>

#include "base/text.h"
#include "dump/claim.h"
#include "dump/names.h"
#include "seal/document.h"
#include "seal/json_fields.h"

namespace holdfast {
namespace {

constexpr const char* kHoldFormat = "holdfast-hold";
constexpr uint64_t kHoldVersion = 1;
constexpr std::string_view kHoldSealKey = "hold_sha256";

Hold parse_hold(const std::string& text, const std::string& id) {
  Json document = parse_sealed(text, kHoldSealKey);
  JsonFields fields(document, "");
  check_format(fields, kHoldFormat, kHoldVersion);
  if (fields.text("id") != id) throw Error(ErrorCode::corrupt, "it is of another backup");
  return {fields.text("reason"), fields.text("by"), fields.time("at")};
}

}  // namespace

std::string Hold::text() const {
  return by.empty() ? reason : fmt::format("{} ({})", reason, by);
}

void put_hold(ObjectStore& store, const std::string& id, const Hold& hold) {
  if (trim(hold.reason).empty() || hold.reason.size() > kHoldReasonBytesMax ||
      !is_utf8(hold.reason))
    throw Error(ErrorCode::invalid,
                fmt::format("a hold needs a reason of at most {} bytes", kHoldReasonBytesMax),
                "say why: --reason 'audit 2026'");
  std::string body = fmt::format(
      "{{\n  \"format\": \"{}\",\n  \"version\": {},\n  \"id\": {},\n  \"reason\": {},\n"
      "  \"by\": {},\n  \"at\": \"{}\"",
      kHoldFormat, kHoldVersion, json_text(id), json_text(hold.reason), json_text(hold.by),
      format_rfc3339(hold.at));
  write_object(store, hold_name(id), as_bytes(seal_document(std::move(body), kHoldSealKey)));
  // Whoever removes it writes a claim and then looks for a hold; here it is the other way round, so
  // one of the two always sees the other. Without a claim, it may be gone altogether.
  bool claimed = stands(store, claim_name(id));
  if (!claimed && stands(store, manifest_name(id))) return;
  store.remove(hold_name(id));
  if (!claimed)
    throw Error(ErrorCode::not_found,
                fmt::format("{} has just been removed from {}", id, store.location()),
                "holdfast list shows those that are there");
  throw Error(
      ErrorCode::busy,
      fmt::format("{} is just being removed from {}, or was when a run crashed", id,
                  store.location()),
      "holdfast prune clears what a crashed run left; see holdfast list, and hold it again");
}

std::optional<Hold> read_hold(ObjectStore& store, const std::string& id) {
  try {
    return parse_hold(read_object(store, hold_name(id), kHoldBytesMax), id);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return std::nullopt;
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::unsupported) throw;
    return Hold{fmt::format("a hold that does not read: {}", error.what()), "", {}};
  }
}

bool remove_hold(ObjectStore& store, const std::string& id) {
  if (!stands(store, hold_name(id))) return false;
  store.remove(hold_name(id));
  return true;
}

}  // namespace holdfast
