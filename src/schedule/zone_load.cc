#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "schedule/zone.h"

namespace holdfast {
namespace {

// tzdata has some 600 names, the longest of them 32 bytes, in three levels of folders at most.
constexpr size_t kZoneNameBytesMax = 64;
constexpr int kZoneFolderDepthMax = 3;
constexpr size_t kZoneNamesMax = 4000;

constexpr std::string_view kZoneExample = "name it as in Europe/Berlin, or UTC";

bool is_zone_name(std::string_view name) {
  if (name.empty() || name.size() > kZoneNameBytesMax) return false;
  for (const std::string& part : split(name, '/')) {
    // No name of tzdata has a dot, so that none leads elsewhere.
    if (part.empty() || part[0] == '-') return false;
    for (char c : part) {
      bool letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
      if (!letter && c != '_' && c != '-' && c != '+') return false;
    }
  }
  return true;
}

// Names in the folder that are no zones of their own: copies of all, and this machine's.
bool is_aside(std::string_view name) {
  return name == "posix" || name == "right" || name == "localtime" || name == "posixrules";
}

void collect_names(const std::filesystem::path& folder, const std::string& prefix, int depth,
                   std::vector<std::string>& names) {
  std::error_code failed;
  for (std::filesystem::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    std::string name = entry->path().filename().string();
    if (names.size() >= kZoneNamesMax || !is_zone_name(name) || (depth == 1 && is_aside(name)))
      continue;
    std::error_code unknown;
    if (!entry->is_directory(unknown))
      names.push_back(prefix + name);
    else if (depth < kZoneFolderDepthMax)
      collect_names(entry->path(), prefix + name + "/", depth + 1, names);
  }
}

// The zone that was probably meant: the same but for upper and lower case, a city of that name, or
// the nearest spelling. Empty if there is none.
std::string near_zone(std::string_view name, std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  std::string wanted = lower(name);
  std::vector<std::string> lowered;
  for (const std::string& known : names) {
    lowered.push_back(lower(known));
    if (lowered.back() == wanted || lowered.back().ends_with("/" + wanted)) return known;
  }
  std::string near = nearest_word(wanted, lowered);
  auto at = std::find(lowered.begin(), lowered.end(), near);
  return near.empty() ? "" : names[static_cast<size_t>(at - lowered.begin())];
}

Error no_such_zone(std::string_view name, const std::string& folder) {
  std::vector<std::string> names;
  collect_names(folder, "", 1, names);
  std::string message = fmt::format("there is no time zone '{}'", name);
  if (names.empty())
    return Error(ErrorCode::not_found, message + ", as there are no time zones in " + folder,
                 "install the package tzdata, or use UTC, which needs none");
  if (std::string near = near_zone(name, names); !near.empty())
    return Error(ErrorCode::not_found, message, fmt::format("did you mean {}?", near));
  return Error(ErrorCode::not_found, message,
               fmt::format("{}; old names may need the package tzdata-legacy", kZoneExample));
}

}  // namespace

Zone Zone::load(std::string_view name, const std::string& zoneinfo_folder) {
  if (name == "UTC" || name == "Etc/UTC") {
    Zone zone = utc();
    zone.name_ = name;
    return zone;
  }
  if (!is_zone_name(name))
    throw Error(ErrorCode::invalid,
                fmt::format("'{}' is not the name of a time zone", printable(name, 60)),
                std::string(kZoneExample));
  if (is_aside(name.substr(0, name.find('/'))))
    throw Error(ErrorCode::invalid,
                fmt::format("'{}' is not a time zone of its own", printable(name, 60)),
                std::string(kZoneExample));
  std::string path = zoneinfo_folder + "/" + std::string(name);
  std::error_code failed;
  if (!std::filesystem::is_regular_file(path, failed)) throw no_such_zone(name, zoneinfo_folder);
  return with_context(fmt::format("time zone {} ({})", name, path), [&] {
    return parse(std::string(name), as_bytes(read_file(path, kTzifBytesMax)));
  });
}

}  // namespace holdfast
