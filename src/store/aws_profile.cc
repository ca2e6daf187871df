#include "store/aws_profile.h"

#include <fmt/format.h>

#include <cctype>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace holdfast {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

// What stands before a comment: `#` or `;` after white space.
std::string_view without_comment(std::string_view text) {
  for (size_t i = 1; i < text.size(); ++i)
    if ((text[i] == '#' || text[i] == ';') && is_blank(text[i - 1])) return text.substr(0, i);
  return text;
}

// `profile  "care team"` → `profile care team`
std::string heading(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\'') continue;
    if (is_blank(c) && (out.empty() || out.back() == ' ')) continue;
    out += is_blank(c) ? ' ' : c;
  }
  while (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

class FileReader {
 public:
  explicit FileReader(const std::string& file) : file_(file) {}

  void line(std::string_view text) {
    ++number_;
    if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
    std::string_view content = trim(text);
    if (content.empty() || content[0] == '#' || content[0] == ';') return;
    if (content[0] == '[' && !is_blank(text[0])) return open_section(content);
    if (section_ == nullptr) throw wrong("an option before the first [section]");
    if (is_blank(text[0]) && !option_.empty()) return nested(content);
    size_t equals = content.find('=');
    std::string name = lower(trim(content.substr(0, equals)));
    if (equals == std::string_view::npos || name.empty())
      throw wrong("expected 'name = value' or '[section]'");
    option_ = name;
    (*section_)[name] = trim(without_comment(content.substr(equals + 1)));
  }

  AwsSections take() { return std::move(sections_); }

 private:
  void open_section(std::string_view content) {
    size_t end = content.find(']');
    if (end == std::string_view::npos) throw wrong("a section's name without ']'");
    std::string name = heading(content.substr(1, end - 1));
    if (name.empty()) throw wrong("a section without a name");
    section_ = &sections_[name];
    option_.clear();
  }

  // A line of a group (`s3 =`), or more of a value, which nothing here needs.
  void nested(std::string_view content) {
    size_t equals = content.find('=');
    if (equals == std::string_view::npos || !(*section_)[option_].empty()) return;
    std::string name = lower(trim(content.substr(0, equals)));
    if (!name.empty())
      (*section_)[option_ + "." + name] = trim(without_comment(content.substr(equals + 1)));
  }

  Error wrong(const char* what) const {
    return Error(ErrorCode::invalid, fmt::format("{}:{}: {}", file_, number_, what),
                 "see 'aws configure'; the format is that of AWS's own tools");
  }

  const std::string& file_;
  size_t number_ = 0;
  AwsSections sections_;
  AwsSection* section_ = nullptr;
  std::string option_;
};

// Of variables or of a section; what is empty counts as not there.
std::string value_or(const std::map<std::string, std::string>& values, const char* name,
                     std::string otherwise = {}) {
  auto found = values.find(name);
  return found == values.end() || found->second.empty() ? otherwise : found->second;
}

// `~/x` is below HOME.
std::string expanded(const std::string& path, const std::string& home) {
  return path.starts_with("~/") && !home.empty() ? home + path.substr(1) : path;
}

AwsSections load_file(const std::string& path) {
  if (path.empty() || !file_exists(path)) return {};
  return parse_aws_file(read_file(path, kAwsFileBytesMax), path);
}

}  // namespace

AwsSections parse_aws_file(std::string_view text, const std::string& file) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  FileReader reader(file);
  while (!text.empty()) {
    size_t end = text.find('\n');
    reader.line(text.substr(0, end));
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  }
  return reader.take();
}

AwsProfiles AwsProfiles::of(const AwsSections& config, const AwsSections& credentials) {
  AwsProfiles profiles;
  for (const auto& [name, section] : config) {
    if (name == "default" || name == "profile default")
      profiles.profiles_["default"].insert(section.begin(), section.end());
    else if (name.starts_with("profile "))
      profiles.profiles_[name.substr(8)] = section;
  }
  for (const auto& [name, section] : credentials)
    for (const auto& [option, value] : section) profiles.profiles_[name][option] = value;
  return profiles;
}

AwsProfiles AwsProfiles::load(const Environment& environment) {
  std::string home = value_or(environment, "HOME");
  std::string folder = home.empty() ? "" : home + "/.aws/";
  auto place = [&](const char* variable, const char* name) {
    return expanded(value_or(environment, variable, folder.empty() ? "" : folder + name), home);
  };
  std::string config = place("AWS_CONFIG_FILE", "config");
  std::string credentials = place("AWS_SHARED_CREDENTIALS_FILE", "credentials");
  AwsProfiles profiles = of(load_file(config), load_file(credentials));
  profiles.files_ = config.empty() || credentials.empty()
                        ? "no files, for HOME is not set"
                        : fmt::format("{} and {}", config, credentials);
  return profiles;
}

std::optional<AwsSection> AwsProfiles::find(const std::string& profile) const {
  auto found = profiles_.find(profile);
  if (found == profiles_.end()) return std::nullopt;
  return found->second;
}

std::vector<std::string> AwsProfiles::names() const {
  std::vector<std::string> found;
  for (const auto& [name, section] : profiles_) found.push_back(name);
  return found;
}

std::string aws_profile_name(const Environment& environment) {
  return value_or(environment, "AWS_PROFILE", value_or(environment, "AWS_DEFAULT_PROFILE"));
}

AwsDefaults aws_defaults(const Environment& environment, const std::string& profile) {
  std::string name = profile.empty() ? aws_profile_name(environment) : profile;
  AwsProfiles profiles = AwsProfiles::load(environment);
  AwsSection section = profiles.find(name.empty() ? "default" : name).value_or(AwsSection{});
  auto either = [](const std::string& first, const std::string& second) {
    return first.empty() ? second : first;
  };
  AwsDefaults defaults;
  defaults.region =
      value_or(environment, "AWS_REGION",
               value_or(environment, "AWS_DEFAULT_REGION", value_or(section, "region")));
  defaults.endpoint = value_or(
      environment, "AWS_ENDPOINT_URL_S3",
      value_or(environment, "AWS_ENDPOINT_URL",
               either(value_or(section, "s3.endpoint_url"), value_or(section, "endpoint_url"))));
  defaults.ca_file = value_or(environment, "AWS_CA_BUNDLE", value_or(section, "ca_bundle"));
  defaults.path_style = value_or(section, "s3.addressing_style") == "path";
  return defaults;
}

}  // namespace holdfast
