#include "dump/names.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr size_t kTimeBytes = 24;  // 2026-11-10T14-30-00-123Z
// So that every name made of it fits a file system's 255.
constexpr size_t kDatabasePartBytesMax = 180;

bool stands_for_itself(char c) {
  auto byte = static_cast<unsigned char>(c);
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         byte >= 0x80 || std::string_view("._ +=@~-").find(c) != std::string_view::npos;
}

// Upper-case hexadecimal, as in URLs. A name that is not UTF-8 gets every byte beyond ASCII
// escaped; a leading dot (a hidden file) or dash (an option) is escaped too.
std::string escape(std::string_view name) {
  bool utf8 = is_utf8(name);
  std::string out;
  for (size_t i = 0; i < name.size(); ++i) {
    bool plain = stands_for_itself(name[i]) && (utf8 || !(name[i] & 0x80)) &&
                 !(i == 0 && (name[i] == '.' || name[i] == '-'));
    if (plain)
      out.push_back(name[i]);
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(name[i]));
  }
  return out;
}

std::string unescape(std::string_view text) {
  auto digit = [](char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    bool escaped =
        text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0;
    out.push_back(escaped ? static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]))
                          : text[i]);
    if (escaped) i += 2;
  }
  return out;
}

// The time in the id of a branch backup; nothing if it is none.
std::optional<UtcTime> branch_time(std::string_view id) {
  if (id.size() != kBranchIdBeginning.size() + kTimeBytes || !id.starts_with(kBranchIdBeginning))
    return std::nullopt;
  try {
    return parse_name_time(id.substr(kBranchIdBeginning.size()));
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Which suffixes only dumps have, and which only branch backups; the others both have.
bool fits_kind(std::string_view suffix, bool is_branch) {
  if (suffix == kBranchSuffix || suffix == kTablesSuffix) return is_branch;
  if (suffix == kArchiveSuffix || suffix == kManifestSuffix || suffix == kGlobalsSuffix)
    return !is_branch;
  return true;
}

}  // namespace

std::string id_beginning(const std::string& database) {
  std::string name = escape(database);
  if (name.empty()) throw Error(ErrorCode::invalid, "the database's name is empty");
  if (name.size() > kDatabasePartBytesMax)
    throw Error(
        ErrorCode::invalid,
        fmt::format("the name of database '{}' is too long for a file's name", printable(database)),
        "characters such as / and \" take three in a file's name: rename the database");
  return name + "_";
}

std::string backup_id(const std::string& database, UtcTime at) {
  return id_beginning(database) + format_name_time(at);
}

std::string branch_backup_id(UtcTime at) {
  return fmt::format("{}{}", kBranchIdBeginning, format_name_time(at));
}

std::optional<BackupId> parse_backup_id(const std::string& id) {
  if (std::optional<UtcTime> at = branch_time(id)) return BackupId{"", *at, true};
  if (id.size() < kTimeBytes + 2 || id[id.size() - kTimeBytes - 1] != '_') return std::nullopt;
  std::string name = id.substr(0, id.size() - kTimeBytes - 1);
  BackupId parts{unescape(name), {}, false};
  // Only what backup_id makes is an id; every other spelling is somebody else's file.
  if (name.size() > kDatabasePartBytesMax || escape(parts.database) != name) return std::nullopt;
  try {
    parts.at = parse_name_time(std::string_view(id).substr(id.size() - kTimeBytes));
  } catch (const Error&) {
    return std::nullopt;
  }
  return parts;
}

std::string archive_name(const std::string& id, bool sealed) {
  return fmt::format("{}{}{}", id, kArchiveSuffix, sealed ? kSealedSuffix : "");
}
std::string manifest_name(const std::string& id) {
  return fmt::format("{}{}", id, branch_time(id) ? kBranchSuffix : kManifestSuffix);
}
std::string tables_name(const std::string& id) {
  return fmt::format("{}{}", id, kTablesSuffix);
}
std::string globals_name(const std::string& id, bool sealed) {
  return fmt::format("{}{}{}", id, kGlobalsSuffix, sealed ? kSealedSuffix : "");
}
std::string hold_name(const std::string& id) {
  return fmt::format("{}{}", id, kHoldSuffix);
}
std::string claim_name(const std::string& id) {
  return fmt::format("{}{}", id, kClaimSuffix);
}

std::string proof_name(const std::string& id, const std::string& level, UtcTime at) {
  return fmt::format("{}.proof-{}-{}.json", id, level, format_name_time(at));
}

std::optional<ProofName> parse_proof_name(const std::string& object_name) {
  constexpr std::string_view kMark = ".proof-";
  size_t mark = object_name.rfind(kMark);
  if (mark == std::string::npos || !object_name.ends_with(".json")) return std::nullopt;
  std::string_view rest = std::string_view(object_name).substr(mark + kMark.size());
  rest.remove_suffix(5);
  if (rest.size() < kTimeBytes + 2 || rest[rest.size() - kTimeBytes - 1] != '-')
    return std::nullopt;
  ProofName parts{
      object_name.substr(0, mark), std::string(rest.substr(0, rest.size() - kTimeBytes - 1)), {}};
  if (!parse_backup_id(parts.id)) return std::nullopt;
  try {
    parts.at = parse_name_time(rest.substr(rest.size() - kTimeBytes));
  } catch (const Error&) {
    return std::nullopt;
  }
  return parts;
}

std::vector<std::string> claimed_names(const std::string& id) {
  if (branch_time(id)) return {tables_name(id)};
  return {archive_name(id), archive_name(id, true), globals_name(id), globals_name(id, true)};
}

std::optional<std::string> id_of_content(const std::string& object_name) {
  std::string_view name = object_name;
  bool sealed = name.ends_with(kSealedSuffix);
  if (sealed) name.remove_suffix(kSealedSuffix.size());
  for (std::string_view suffix :
       {kArchiveSuffix, kGlobalsSuffix, kManifestSuffix, kBranchSuffix, kTablesSuffix})
    if (!sealed || suffix == kArchiveSuffix || suffix == kGlobalsSuffix)
      if (std::optional<std::string> id = id_of(std::string(name), suffix)) return id;
  return std::nullopt;
}

std::optional<std::string> id_of(const std::string& object_name, std::string_view suffix) {
  if (!object_name.ends_with(suffix)) return std::nullopt;
  std::string id = object_name.substr(0, object_name.size() - suffix.size());
  std::optional<BackupId> parts = parse_backup_id(id);
  if (!parts || !fits_kind(suffix, parts->is_branch)) return std::nullopt;
  return id;
}

}  // namespace holdfast
