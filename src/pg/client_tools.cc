#include "pg/client_tools.h"

#include <fmt/format.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <set>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"

namespace holdfast {
namespace {

bool is_program(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::access(path.c_str(), X_OK) == 0;
}

std::vector<std::string> folders_like(const char* pattern) {
  glob_t found{};
  std::vector<std::string> folders;
  if (::glob(pattern, 0, nullptr, &found) == 0)
    folders.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  ::globfree(&found);
  return folders;
}

// The folder that holds the real program: on PATH it may be reached by a link.
std::string real_folder_of(const std::string& program) {
  std::unique_ptr<char, void (*)(void*)> real(::realpath(program.c_str(), nullptr), std::free);
  std::string path = real ? real.get() : program;
  return path.substr(0, path.rfind('/'));
}

// In the order in which they win for their major.
std::vector<std::string> candidate_folders(const std::string& only_folder) {
  if (!only_folder.empty()) return {only_folder};
  std::vector<std::string> folders;
  for (const char* pattern :
       {"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/lib/postgresql*/bin",
        "/usr/libexec/postgresql*", "/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql@*/bin"})
    for (std::string& folder : folders_like(pattern)) folders.push_back(std::move(folder));
  if (const char* path = std::getenv("PATH"))
    for (const std::string& folder : split(path, ':'))
      if (folder.starts_with('/')) folders.push_back(folder);
  return folders;
}

ClientTools ask_version(const std::string& folder) {
  ClientTools tools;
  tools.folder = folder;
  ProcessOptions options;
  options.argv = {tools.path("pg_dump"), "--version"};
  options.env = clean_environment();
  options.env["LC_ALL"] = std::string("C");
  constexpr size_t kVersionBytesMax = 4096;
  ProcessResult result = run_process(options, {}, kVersionBytesMax);
  if (result.exit_code == 0) tools.version = client_version_in(result.out);
  std::from_chars(tools.version.data(), tools.version.data() + tools.version.size(), tools.major);
  return tools;
}

}  // namespace

std::string client_version_in(const std::string& output) {
  constexpr std::string_view kBefore = "(PostgreSQL) ";
  size_t at = output.find(kBefore);
  if (at == std::string::npos) return {};
  std::string version = output.substr(at + kBefore.size());
  return std::string(trim(version.substr(0, version.find('\n'))));
}

bool ClientTools::has(const std::string& program) const {
  return is_program(path(program));
}

std::vector<ClientTools> find_client_tools(const std::string& only_folder) {
  std::vector<ClientTools> found;
  std::set<std::string> seen;
  std::set<int> majors;
  for (const std::string& folder : candidate_folders(only_folder)) {
    if (!is_program(folder + "/pg_dump")) continue;
    // Debian's /usr/bin/pg_dump is a link to a Perl script that picks a version by its own rules.
    // The real programs beside which pg_restore stands are what is wanted.
    std::string real = real_folder_of(folder + "/pg_dump");
    if (!is_program(real + "/pg_dump") || !is_program(real + "/pg_restore")) continue;
    if (!seen.insert(real).second) continue;
    ClientTools tools;
    try {
      tools = ask_version(real);
    } catch (const Error&) {
      continue;  // a program that cannot run here (another architecture) is none
    }
    if (tools.major > 0 && majors.insert(tools.major).second) found.push_back(std::move(tools));
  }
  std::sort(found.begin(), found.end(),
            [](const ClientTools& a, const ClientTools& b) { return a.major < b.major; });
  return found;
}

ClientTools choose_client_tools(const std::vector<ClientTools>& found, int server_major) {
  const ClientTools* newest = nullptr;
  for (const ClientTools& tools : found) {
    if (tools.major >= server_major) return tools;
    newest = &tools;
  }
  std::string hint = fmt::format(
      "install postgresql-client-{0}, or point pg_bindir (--pg-bindir) at a folder that has "
      "pg_dump "
      "{0} or newer",
      server_major);
  if (newest == nullptr)
    throw Error(ErrorCode::unsupported, "no pg_dump and pg_restore are installed here", hint);
  throw Error(ErrorCode::unsupported,
              fmt::format("pg_dump {} is older than the server ({})", newest->major, server_major),
              hint);
}

}  // namespace holdfast
