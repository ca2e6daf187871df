// AWS's shared files, ~/.aws/config and ~/.aws/credentials: sections of `name = value`.
//
// Why our own reader: the format is AWS's dialect of ini. `[profile x]` in the one file is `[x]` in
// the other; indented lines belong to the option above (`s3 =` / `  addressing_style = path`, here
// "s3.addressing_style"); a comment is a line of its own or follows white space. Of an option that
// stands twice the later counts, and where both files have it, the credentials file's.
// Values may be secrets: errors name the file and the line, never what stands there. Pure but for
// load(), which reads the two files; a missing one is empty.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

using AwsSection = std::map<std::string, std::string>;  // names in lower case
using AwsSections = std::map<std::string, AwsSection>;
using Environment = std::map<std::string, std::string>;

constexpr size_t kAwsFileBytesMax = 1 << 20;

// Sections by their headings, white space and quotes normalised: "default", "profile care".
// Throws Error(invalid) that starts with `file`, a colon and the number of the line.
AwsSections parse_aws_file(std::string_view text, const std::string& file);

class AwsProfiles {
 public:
  // Where the files are: AWS_CONFIG_FILE, AWS_SHARED_CREDENTIALS_FILE, else below HOME.
  static AwsProfiles load(const Environment& environment);
  // For tests and for the fuzzer.
  static AwsProfiles of(const AwsSections& config, const AwsSections& credentials);

  // The profile of this name, or nothing if neither file has it.
  std::optional<AwsSection> find(const std::string& profile) const;
  // For errors: "~/.aws/config and ~/.aws/credentials", or what stands for them.
  const std::string& files() const { return files_; }
  std::vector<std::string> names() const;

 private:
  AwsSections profiles_;
  std::string files_;
};

// AWS_PROFILE, or AWS_DEFAULT_PROFILE as the `aws` command has it too; empty if neither is set.
std::string aws_profile_name(const Environment& environment);

// What is not a secret and may stand in the same places: variables first, then the profile's.
struct AwsDefaults {
  std::string region;       // AWS_REGION, AWS_DEFAULT_REGION; empty: not said
  std::string endpoint;     // AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile's endpoint_url
  std::string ca_file;      // AWS_CA_BUNDLE, the profile's ca_bundle
  bool path_style = false;  // the profile's s3.addressing_style = path
};
// `profile` overrides AWS_PROFILE if it is not empty.
AwsDefaults aws_defaults(const Environment& environment, const std::string& profile = {});

}  // namespace holdfast
