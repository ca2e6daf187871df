#include "dump/hook.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/process.h"
#include "base/text.h"
#include "pg/connection.h"

namespace holdfast {
namespace {

constexpr size_t kHookLineBytesMax = 4096;
constexpr int kLookEveryMs = 200;
constexpr double kGraceSeconds = 5;  // between SIGTERM and SIGKILL

std::string percent_encoded(const std::string& text) {
  std::string result;
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '_' || c == '.' || c == '~';
    result += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return result;
}

void blot_out(std::string& line, const std::string& secret) {
  if (secret.empty()) return;
  for (size_t at = 0; (at = line.find(secret, at)) != std::string::npos;)
    line.replace(at, secret.size(), "***");
}

// A child's output as lines of the log.
class LineLog {
 public:
  LineLog(const Hook& hook, const Secret& password, Log& log)
      : hook_(hook), password_(password), log_(log) {}

  void add(std::string_view part) {
    for (char c : part) {
      if (c != '\n') line_ += c;
      if (c == '\n' || line_.size() >= kHookLineBytesMax) flush();
    }
  }
  void flush() {
    if (line_.empty()) return;
    blot_out(line_, password_.reveal());
    blot_out(line_, percent_encoded(password_.reveal()));
    log_.info(fmt::format("{}: {}", hook_.name, printable(line_, kHookLineBytesMax)));
    line_.clear();
  }

 private:
  const Hook& hook_;
  const Secret& password_;
  Log& log_;
  std::string line_;
};

std::map<std::string, std::string> hook_environment(const HookSetting& setting) {
  std::map<std::string, std::string> env = setting.environment;
  env["DATABASE_URL"] = setting.database_url.reveal();
  env["HOLDFAST_BACKUP_ID"] = setting.backup_id;
  env["HOLDFAST_DATABASE"] = setting.database;
  return env;
}

// Asks the hook to end, and makes it.
void end_hook(Process& process, const Clock& clock) {
  process.terminate();
  double begin = clock.monotonic_seconds();
  while (!process.ended() && clock.monotonic_seconds() - begin < kGraceSeconds) {
    pollfd ended{process.ended_fd(), POLLIN, 0};
    ::poll(&ended, 1, kLookEveryMs);
  }
  process.kill();
}

// Reads what there is within a moment; false at the end of the output. What a hook leaves running
// in the background with its output open ends with the hook.
bool read_some(Process& process, LineLog& lines) {
  std::array<pollfd, 2> fds{{{process.stdout_fd(), POLLIN, 0}, {process.ended_fd(), POLLIN, 0}}};
  ::poll(fds.data(), fds.size(), kLookEveryMs);
  if (fds[0].revents == 0) return fds[1].revents == 0;
  std::array<char, 4096> buffer;
  ssize_t got = ::read(process.stdout_fd(), buffer.data(), buffer.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN;
  if (got == 0) process.close_stdout();  // it may go on without
  lines.add({buffer.data(), static_cast<size_t>(got)});
  return got > 0;
}

}  // namespace

UrlWithPassword url_with_password(const Conninfo& database) {
  Connection connection = Connection::open(database, "holdfast recover");
  auto text = [](const char* value) { return std::string(value == nullptr ? "" : value); };
  std::string host = text(PQhost(connection.raw()));
  std::string password = text(PQpass(connection.raw()));
  std::string login = percent_encoded(text(PQuser(connection.raw())));
  if (!password.empty()) login.append(":").append(percent_encoded(password));
  // A socket's folder cannot stand where a host does, nor can an IPv6 address without brackets.
  bool socket = host.starts_with("/") || host.starts_with("@");
  bool ipv6 = host.find(':') != std::string::npos;
  std::string place = socket ? std::string()
                      : ipv6 ? fmt::format("[{}]", host)
                             : percent_encoded(host);
  std::string url =
      fmt::format("postgresql://{}@{}:{}/{}", login, place, text(PQport(connection.raw())),
                  percent_encoded(text(PQdb(connection.raw()))));
  std::string more = socket ? "?host=" + percent_encoded(host) : "";
  std::map<std::string, std::string> resolved = database.resolved();
  for (const char* keyword : {"sslmode", "sslrootcert", "sslcert", "sslkey", "channel_binding"})
    if (auto found = resolved.find(keyword); found != resolved.end() && !found->second.empty())
      more +=
          fmt::format("{}{}={}", more.empty() ? "?" : "&", keyword, percent_encoded(found->second));
  return {Secret(url + more), Secret(password)};
}

HookOutcome run_hook(const Hook& hook, const HookSetting& setting, const Run& run) {
  HookOutcome outcome;
  outcome.name = hook.name;
  outcome.ran = true;
  double begin = run.clock.monotonic_seconds();
  auto elapsed = [&] { return run.clock.monotonic_seconds() - begin; };
  ProcessOptions options;
  options.argv = {"/bin/sh", "-c", "exec 2>&1\n" + hook.command};
  options.env = hook_environment(setting);
  options.pipe_stdout = true;
  Process process(options);
  LineLog lines(hook, setting.password, run.log);
  while (read_some(process, lines) || !process.ended()) {
    bool late = elapsed() > setting.limit_seconds;
    if (!late && !run.stop.stop_requested()) continue;
    end_hook(process, run.clock);
    lines.flush();
    run.check_stop();
    outcome.error =
        fmt::format("ended after its time limit, {}", human_seconds(setting.limit_seconds));
    break;
  }
  lines.flush();
  outcome.exit_code = process.wait();
  outcome.seconds = elapsed();
  if (outcome.error.empty() && outcome.exit_code != 0)
    outcome.error = fmt::format("ended with exit code {}", outcome.exit_code);
  return outcome;
}

}  // namespace holdfast
