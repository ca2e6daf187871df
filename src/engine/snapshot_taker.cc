#include "engine/snapshot_taker.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"
#include "engine/folder_copy.h"

namespace holdfast {
namespace {

constexpr int kPollMs = 200;
constexpr size_t kTakerWordsShown = 1000;

// Runs a program to its end, or until the user stops us. Throws Error with its last words.
void run_tool(const ProcessOptions& options, ErrorCode code, const Run& run) {
  Process process(options);
  while (!process.ended()) {
    run.check_stop();  // ~Process kills it
    pollfd ended{process.ended_fd(), POLLIN, 0};
    ::poll(&ended, 1, kPollMs);
  }
  if (int exit_code = process.wait(); exit_code != 0)
    throw Error(code,
                fmt::format("{} failed (exit code {}): {}",
                            std::filesystem::path(options.argv[0]).filename().string(), exit_code,
                            printable(trim(process.stderr_tail()), kTakerWordsShown)));
}

ProcessOptions tool_options(std::vector<std::string> argv) {
  ProcessOptions options;
  options.argv = std::move(argv);
  options.env = clean_environment();
  options.env["LC_ALL"] = "C";
  options.env.erase("LANG");
  options.die_with_parent = true;
  return options;
}

// `=` separates the two folders of a mapping and is escaped in either.
std::string mapping(const std::string& from, const std::string& to) {
  auto escaped = [](const std::string& path) {
    std::string text;
    for (char c : path) text += c == '=' ? "\\=" : std::string(1, c);
    return text;
  };
  return fmt::format("--tablespace-mapping={}={}", escaped(from), escaped(to));
}

void back_up(const SnapshotSource& source, const std::string& folder,
             const std::vector<SnapshotTablespace>& tablespaces, const Run& run) {
  ChildLogin login(source.conninfo.with("application_name", source.application_name));
  ProcessOptions options =
      tool_options({source.tools.path("pg_basebackup"), "--dbname=" + login.dbname_argument(),
                    "--pgdata=" + folder + "/data", "--format=plain", "--wal-method=none",
                    "--checkpoint=fast", "--no-password", "--label=holdfast"});
  for (const SnapshotTablespace& each : tablespaces)
    options.argv.push_back(mapping(each.path, fmt::format("{}/tablespaces/{}", folder, each.oid)));
  options.env.merge(login.env());
  options.inherit = login.inherit();
  run_tool(options, ErrorCode::unavailable, run);
}

// pg_basebackup's links name the folder that the snapshot has while it is made: they become
// relative, which fits its final name as well.
void fix_tablespace_links(const std::string& folder,
                          const std::vector<SnapshotTablespace>& tablespaces) {
  size_t links = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder + "/data/pg_tblspc"))
    if (entry.is_symlink()) ++links;
  if (links != tablespaces.size())
    throw Error(ErrorCode::unavailable,
                "a tablespace was made or dropped while the snapshot was taken",
                "take the snapshot again");
  for (const SnapshotTablespace& each : tablespaces) {
    std::string link = fmt::format("{}/data/pg_tblspc/{}", folder, each.oid);
    std::string target = fmt::format("../../tablespaces/{}", each.oid);
    if (::unlink(link.c_str()) != 0 || ::symlink(target.c_str(), link.c_str()) != 0)
      throw system_error("make link " + link, errno);
  }
}

BackupRange wal_range(const std::string& data_folder) {
  std::string path = data_folder + "/backup_manifest";
  Fd file = open_file(path, O_RDONLY);
  struct stat info {};
  if (::fstat(file.get(), &info) != 0) throw system_error("look at " + path, errno);
  auto size = static_cast<uint64_t>(info.st_size);
  std::string tail(std::min<uint64_t>(size, kManifestTailBytes), '\0');
  size_t got = pread_all(file.get(), reinterpret_cast<uint8_t*>(tail.data()), tail.size(),
                         size - tail.size(), path);
  tail.resize(got);
  std::vector<BackupRange> ranges = manifest_wal_ranges(tail);
  if (ranges.size() != 1)
    throw Error(ErrorCode::unavailable,
                "the source changed its timeline while the snapshot was taken",
                "take the snapshot again");
  return ranges.front();
}

void sync_all(const std::string& folder) {
  Fd fd = open_file(folder, O_RDONLY | O_DIRECTORY);
  if (::syncfs(fd.get()) != 0) throw system_error("sync " + folder, errno);
}

}  // namespace

StoredSnapshot take_base_backup(const SnapshotSource& source, SourceLink& link,
                                SnapshotCatalog& catalog, uint64_t system_identifier,
                                const std::function<void(const BackupRange&)>& wait_for_wal,
                                const Run& run) {
  run.progress.phase("taking a snapshot");
  StoredSnapshot record = link.describe();
  check_same_cluster(system_identifier, record.system_identifier);
  SnapshotInfo& info = record.info;
  info.id = catalog.new_id();
  std::string folder = catalog.partial_folder(info.id);
  try {
    make_folders(folder);
    info.started_at = link.clock();
    back_up(source, folder, record.tablespaces, run);
    info.ended_at = link.clock();
    fix_tablespace_links(folder, record.tablespaces);
    BackupRange range = wal_range(folder + "/data");
    info.timeline = range.timeline;
    info.start = range.start;
    info.end = range.end;
    if (source.tools.has("pg_verifybackup")) {
      run.progress.phase("verifying the snapshot");
      run_tool(tool_options({source.tools.path("pg_verifybackup"), "--no-parse-wal", "--quiet",
                             folder + "/data"}),
               ErrorCode::corrupt, run);
      record.verified = true;
    }
    run.progress.phase("waiting for the snapshot's WAL");
    wait_for_wal(range);
    info.bytes = disk_bytes(folder);
    record.made_by = "pg_basebackup " + source.tools.version;
    sync_all(folder);
    catalog.add(record);
  } catch (...) {
    try {
      catalog.discard(info.id);
    } catch (const Error& error) {
      run.log.warning(error.what());  // the next start removes it
    }
    throw;
  }
  return record;
}

}  // namespace holdfast
