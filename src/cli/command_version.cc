// holdfast version: of the program, of the libraries it runs with, of the formats it writes.
#include <fmt/format.h>
#include <isa-l.h>
#include <libpq-fe.h>
#include <openssl/crypto.h>
#include <zstd.h>

#include "cli/command.h"
#include "cli/documents.h"

namespace holdfast {
namespace {

std::string libpq_version() {
  int version = PQlibVersion();
  return fmt::format("{}.{}", version / 10000, version % 10000);
}

}  // namespace

int command_version(Output& output) {
  NamedTexts libraries = {
      {"libpq", libpq_version()},
      {"zstd", ZSTD_versionString()},
      {"isal", fmt::format("{}.{}.{}", ISAL_MAJOR_VERSION, ISAL_MINOR_VERSION, ISAL_PATCH_VERSION)},
      {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)}};
  NamedTexts formats = {{"archive", "pg_dump custom 1.12 to 1.16"}, {"manifest", "1"}};
  output.document(version_document(HOLDFAST_VERSION, libraries, formats));
  output.line(std::string("holdfast ") + HOLDFAST_VERSION);
  for (const auto& [name, version] : libraries) output.line(fmt::format("{:<10}{}", name, version));
  for (const auto& [name, version] : formats) output.line(fmt::format("{:<10}{}", name, version));
  return kExitDone;
}

}  // namespace holdfast
