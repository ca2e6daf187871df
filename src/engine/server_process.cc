#include "engine/server_process.h"

#include <dirent.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr uint64_t kProcessFileBytesMax = 64 << 10;
constexpr size_t kStatusLine = 7, kPortLine = 3;
constexpr std::chrono::milliseconds kQuickExit{2000};  // of children told to quit

template <typename Number>
std::optional<Number> number_in(std::string_view text) {
  Number number{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

std::string pid_file(const std::string& data_folder) {
  return data_folder + "/postmaster.pid";
}

std::optional<PostmasterFile> read_postmaster_file(const std::string& data_folder) {
  try {
    return parse_postmaster_file(read_file(pid_file(data_folder), kProcessFileBytesMax));
  } catch (const Error& error) {
    if (error.code() == ErrorCode::not_found) return std::nullopt;  // it may go at any moment
    throw;
  }
}

bool works_in(pid_t pid, const struct stat& folder) {
  struct stat status {};
  return ::stat(fmt::format("/proc/{}/cwd", pid).c_str(), &status) == 0 &&
         status.st_dev == folder.st_dev && status.st_ino == folder.st_ino;
}

// The first word of its command line; empty for one that has ended.
std::string command_of(pid_t pid) {
  try {
    std::string line = read_file(fmt::format("/proc/{}/cmdline", pid), kProcessFileBytesMax);
    return line.substr(0, line.find('\0'));
  } catch (const Error&) {
    return {};
  }
}

// Children of a postmaster show themselves as "postgres: checkpointer".
enum class Kind { other, postmaster, child };

Kind kind_of(pid_t pid) {
  std::string command = command_of(pid);
  if (command.starts_with("postgres: ")) return Kind::child;
  std::string_view name = std::string_view(command).substr(command.rfind('/') + 1);
  return name == "postgres" || name == "postmaster" ? Kind::postmaster : Kind::other;
}

}  // namespace

std::optional<PostmasterFile> parse_postmaster_file(std::string_view text) {
  std::vector<std::string> lines = split(text, '\n');
  auto line = [&](size_t at) { return at < lines.size() ? trim(lines[at]) : std::string_view(); };
  auto pid = number_in<pid_t>(line(0));
  if (!pid || *pid <= 0) return std::nullopt;
  PostmasterFile file;
  file.pid = *pid;
  file.port = number_in<int>(line(kPortLine)).value_or(0);
  file.status = line(kStatusLine);
  return file;
}

Fd open_process(pid_t pid) {
  return Fd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool process_ended(const Fd& handle, std::chrono::milliseconds at_most) {
  pollfd ended{handle.get(), POLLIN, 0};
  return ::poll(&ended, 1, static_cast<int>(at_most.count())) > 0;
}

void ServerProcess::signal(int number) const {
  if (::syscall(SYS_pidfd_send_signal, handle.get(), number, nullptr, 0) != 0 && errno != ESRCH)
    throw system_error(fmt::format("signal process {}", file.pid), errno);
}

bool ServerProcess::ended(std::chrono::milliseconds at_most) const {
  return process_ended(handle, at_most);
}

std::optional<ServerProcess> find_server(const std::string& data_folder) {
  struct stat folder {};
  if (::stat(data_folder.c_str(), &folder) != 0) return std::nullopt;
  std::optional<PostmasterFile> file = read_postmaster_file(data_folder);
  if (!file) return std::nullopt;
  ServerProcess server{*file, open_process(file->pid)};
  if (!server.handle.open() || !works_in(file->pid, folder) ||
      kind_of(file->pid) != Kind::postmaster || server.ended({}))
    return std::nullopt;
  return server;
}

void remove_stale_postmaster_file(const std::string& data_folder) {
  std::optional<PostmasterFile> file = read_postmaster_file(data_folder);
  if (!file || find_server(data_folder)) return;
  // One whose process is gone is PostgreSQL's own to judge: it looks at the shared memory, too.
  if (::kill(file->pid, 0) != 0 && errno == ESRCH) return;
  if (::unlink(pid_file(data_folder).c_str()) != 0 && errno != ENOENT)
    throw system_error("remove " + pid_file(data_folder), errno);
}

void end_processes(const std::string& data_folder, bool all) {
  struct stat folder {};
  if (::stat(data_folder.c_str(), &folder) != 0) return;
  std::unique_ptr<DIR, int (*)(DIR*)> processes(::opendir("/proc"), ::closedir);
  if (!processes) throw system_error("read /proc", errno);
  std::vector<ServerProcess> found;
  while (const dirent* entry = ::readdir(processes.get())) {
    auto pid = number_in<pid_t>(entry->d_name);
    if (!pid || !works_in(*pid, folder)) continue;
    ServerProcess process{{*pid, 0, {}}, open_process(*pid)};
    Kind kind = process.handle.open() ? kind_of(*pid) : Kind::other;
    if (kind == Kind::child || (all && kind == Kind::postmaster))
      found.push_back(std::move(process));
  }
  using std::chrono::steady_clock;
  for (const ServerProcess& process : found) process.signal(all ? SIGKILL : SIGQUIT);
  const auto deadline = steady_clock::now() + kQuickExit;
  for (const ServerProcess& process : found) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_clock::now());
    if (process.ended(std::max(left, std::chrono::milliseconds(0)))) continue;
    process.signal(SIGKILL);
    process.ended(kQuickExit);
  }
}

}  // namespace holdfast
