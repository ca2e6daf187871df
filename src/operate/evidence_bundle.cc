#include "operate/evidence_bundle.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

constexpr const char* kSums = "SHA256SUMS";
constexpr size_t kReadBytes = 1 << 20;

std::string sha256_of_file(const std::string& path) {
  Fd file = open_file(path, O_RDONLY);
  std::vector<uint8_t> buffer(kReadBytes);
  Sha256 sum;
  for (uint64_t at = 0;;) {
    size_t got = pread_all(file.get(), buffer.data(), buffer.size(), at, path);
    sum.update({buffer.data(), got});
    at += got;
    if (got < buffer.size()) return sum.finish_hex();
  }
}

// Names within the folder, sorted.
std::vector<std::string> files_of(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
    if (entry.is_regular_file()) names.push_back(entry.path().lexically_relative(folder).string());
  std::sort(names.begin(), names.end());
  return names;
}

constexpr const char* kReadme =
    "Evidence of backup and recovery, made by holdfast.\n"
    "\n"
    "report.html, report.md and report.json say the same. What they rest on:\n"
    "  audit.jsonl        the lines of the audit trail of the period, as they are\n"
    "  audit.jsonl.proof.json  which lines they are, their hash chain's ends and anchors\n"
    "  manifests/         of each backup that is kept: what is in it, with the checksum of every "
    "table\n"
    "  drills/            the records of rehearsed recoveries\n"
    "\n"
    "To check that nothing was changed since, in this folder:\n"
    "\n"
    "  sha256sum -c SHA256SUMS\n";
constexpr const char* kReadmeSigned =
    "\n"
    "and that the list of sums is the signer's (compare public-key.pem with the one that you were "
    "given before):\n"
    "\n"
    "  openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin -in SHA256SUMS -sigfile "
    "SHA256SUMS.sig\n";
constexpr const char* kReadmeUnsigned = "\nIt is not signed: no signing key was configured.\n";

}  // namespace

EvidenceBundle::EvidenceBundle(std::string folder) : folder_(std::move(folder)) {
  while (folder_.size() > 1 && folder_.back() == '/') folder_.pop_back();
  if (file_exists(folder_))
    throw Error(ErrorCode::exists, printable(folder_) + " is there already",
                "name a folder that is not there yet: a bundle is never changed");
  working_ = fmt::format("{}.partial-{}", folder_, random_hex(4));
  make_folders(working_);
}

EvidenceBundle::~EvidenceBundle() {
  if (finished_) return;
  try {
    remove_tree(working_);
  } catch (const std::exception&) {
    // It is called partial, which tells what it is.
  }
}

std::string EvidenceBundle::path_of(const std::string& name) const {
  return working_ + "/" + name;
}

void EvidenceBundle::add(const std::string& name, std::string_view content) {
  std::string path = path_of(name);
  make_folders(parent_folder(path));
  write_file_atomic(path, content);
}

std::string EvidenceBundle::finish(const SigningKey* key) {
  if (key != nullptr) add("public-key.pem", key->public_pem());
  add("README", std::string(kReadme) + (key != nullptr ? kReadmeSigned : kReadmeUnsigned));
  std::string sums;
  for (const std::string& name : files_of(working_))
    sums += fmt::format("{}  {}\n", sha256_of_file(path_of(name)), name);
  add(kSums, sums);
  if (key != nullptr) add(std::string(kSums) + ".sig", key->sign(as_bytes(sums)));
  rename_folder(working_, folder_);
  finished_ = true;
  return sha256_hex(as_bytes(sums));
}

}  // namespace holdfast
