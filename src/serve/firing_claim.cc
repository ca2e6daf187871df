#include "serve/firing_claim.h"

#include <fmt/format.h>

#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

constexpr std::string_view kFiringSuffix = ".claim";
constexpr size_t kDatabaseDigits = 8;
constexpr size_t kNameTimeSize = std::string_view("2026-11-10T14-30-00-123Z").size();
constexpr size_t kSourceBytesMax = 100;
// The folder of a store may be cleared of half-written files by a run that starts just then.
constexpr int kClaimTries = 3;

// A source's name as a part of an object's; one that is cut is still told apart by its database.
std::string name_part(const std::string& source) {
  std::string out;
  for (char c : source) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '_' || c == '-';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
    if (out.size() >= kSourceBytesMax) break;
  }
  return out;
}

// The firing that a claim is of; nothing for other objects.
std::optional<UtcTime> firing_of(std::string_view name) {
  if (!name.starts_with(kClaimsPrefix) || !name.ends_with(kFiringSuffix)) return std::nullopt;
  name.remove_suffix(kFiringSuffix.size());
  if (name.size() < kClaimsPrefix.size() + kNameTimeSize) return std::nullopt;
  try {
    return parse_name_time(name.substr(name.size() - kNameTimeSize));
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace

FiringClaims::FiringClaims(ObjectStore& store, const std::string& source,
                           const std::string& database, std::string host)
    : store_(store),
      source_(name_part(source) + "-" +
              sha256_hex(as_bytes(source + "\n" + database)).substr(0, kDatabaseDigits)),
      host_(std::move(host)) {}

std::string FiringClaims::beginning(const std::string& job) const {
  return fmt::format("{}{}-{}-", kClaimsPrefix, source_, job);
}

bool FiringClaims::claim(const std::string& job, UtcTime firing, UtcTime now) {
  std::string name = beginning(job) + format_name_time(firing) + std::string(kFiringSuffix);
  std::string text = fmt::format("holdfast schedule claim\nhost {}\nfiring {}\nclaimed {}\n", host_,
                                 format_rfc3339(firing), format_rfc3339(now));
  for (int tried = 1;; ++tried) {
    try {
      write_object(store_, name, as_bytes(text), {text.size(), std::nullopt});
      break;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::exists) return false;
      if (error.code() != ErrorCode::not_found || tried == kClaimTries)
        throw error.within("claim the run in " + store_.location());
    }
  }
  remove_old(now);
  return true;
}

size_t FiringClaims::claimed_between(const std::string& job, UtcTime first, UtcTime last) {
  size_t count = 0;
  std::string begin = beginning(job);
  for (const ObjectInfo& object : store_.list(begin)) {
    // Whole: a job's name may begin as another's.
    if (object.name.size() != begin.size() + kNameTimeSize + kFiringSuffix.size()) continue;
    std::optional<UtcTime> firing = firing_of(object.name);
    if (firing && *firing >= first && *firing <= last) ++count;
  }
  return count;
}

// What cannot be removed now (a locked bucket, a store that has just gone) the next winner tries.
void FiringClaims::remove_old(UtcTime now) {
  try {
    for (const ObjectInfo& object : store_.list(std::string(kClaimsPrefix))) {
      std::optional<UtcTime> firing = firing_of(object.name);
      if (firing && now - *firing > kClaimKeptFor && now - object.modified > kClaimKeptFor)
        store_.remove(object.name);
    }
  } catch (const Error&) {
  }
}

}  // namespace holdfast
