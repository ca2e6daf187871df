#include "engine/compute_server.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>
#include <thread>

#include "base/daemon.h"
#include "base/text.h"
#include "engine/control_file.h"

namespace holdfast {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kComputePoll{2};  // a small file is read that often while a server starts
constexpr milliseconds kStopPoll{100};   // only for noticing that we are to stop waiting
constexpr double kStopSecondsMax = 300;  // a shutdown's checkpoint; then recovery does the rest
constexpr uint64_t kLogBytesMax = 16 << 20;
constexpr size_t kLogBytesShown = 2000;
constexpr double kReloadSecondsMax = 10;

size_t size_of(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 ? static_cast<size_t>(status.st_size) : 0;
}

std::string text_from(const std::string& path, size_t offset) {
  constexpr size_t kBytesMax = 64 << 10;
  size_t size = size_of(path);
  if (size <= offset) return {};
  offset = std::max(offset, size - std::min(size, kBytesMax));
  std::string text(size - offset, '\0');
  Fd fd = open_file(path, O_RDONLY);
  text.resize(
      pread_all(fd.get(), reinterpret_cast<uint8_t*>(text.data()), text.size(), offset, path));
  return text;
}

// The lines that say why: those that are fatal, else the last ones.
std::string last_words(const std::string& log) {
  std::string fatal;
  for (const std::string& line : split(log, '\n'))
    if (size_t at = line.find("FATAL:  "); at != std::string::npos)
      fatal += (fatal.empty() ? "" : "; ") + line.substr(at + 8);
  if (!fatal.empty()) return printable(fatal, kLogBytesShown);
  std::string_view tail = trim(log);
  if (tail.size() > kLogBytesShown) tail = tail.substr(tail.size() - kLogBytesShown);
  return tail.empty() ? "it said nothing" : printable(tail, kLogBytesShown);
}

// Of the point that the folder is recovered to (bring.cc names it by its number).
int timeline_of_point(const ComputeRecord& record) {
  for (const auto& [name, value] : record.brought)
    if (name == "recovery_target_timeline") return static_cast<int>(std::stoll(value));
  throw Error(ErrorCode::corrupt, "the compute's record does not say which timeline it is of");
}

void wait(milliseconds time) {
  std::this_thread::sleep_for(time);
}

}  // namespace

void ComputeServer::write_access(bool open) const {
  write_file_atomic(data() + "/pg_hba.conf", pg_hba_conf(settings_.listen_address, open));
}

void ComputeServer::write_configuration(const ComputeRecord& record, bool recovering) const {
  write_file_atomic(data() + "/postgresql.conf", postgresql_conf(plan(record, recovering)));
  write_file_atomic(data() + "/pg_ident.conf", "# Written by holdfast: nobody is mapped.\n");
  write_access(record.open);
}

// A port that somebody else has would only show in the server's log.
void ComputeServer::check_port() const {
  addrinfo hints{};
  hints.ai_flags = AI_PASSIVE;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const std::string& address = settings_.listen_address;
  const bool any = address.empty() || address == "*";
  int error = ::getaddrinfo(any ? nullptr : address.c_str(), std::to_string(settings_.port).c_str(),
                            &hints, &found);
  if (error != 0)
    throw Error(ErrorCode::invalid,
                fmt::format("cannot listen on {}: {}", address, ::gai_strerror(error)),
                "set the engine's listen address to one of this machine");
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> addresses(found, ::freeaddrinfo);
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    Fd probe(::socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (!probe.open()) continue;  // no IPv6 here, say
    int on = 1;
    ::setsockopt(probe.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (each->ai_family == AF_INET6)
      ::setsockopt(probe.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    if (::bind(probe.get(), each->ai_addr, each->ai_addrlen) == 0) continue;
    if (errno == EADDRINUSE)
      throw Error(ErrorCode::unavailable,
                  fmt::format("port {} of {} is taken by another program", settings_.port,
                              any ? "this machine" : address),
                  "end it, or give the engine another range of ports");
    if (errno == EADDRNOTAVAIL || errno == EACCES)
      throw system_error(fmt::format("listen on {} port {}", address, settings_.port), errno);
  }
}

void ComputeServer::launch(const ComputeRecord& record, const Run& run) const {
  // What is left of one that was killed; then nobody uses the socket's folder.
  if (file_exists(data() + "/postmaster.pid")) {
    end_processes(data(), false);
    remove_stale_postmaster_file(data());
  }
  if (!record.open) keep_recovering(tools_, data(), timeline_of_point(record));
  std::error_code ignored;
  std::filesystem::remove_all(run_folder(), ignored);
  make_folders(run_folder(), 0700);
  check_port();

  DaemonOptions daemon;
  daemon.argv = {tools_.path("postgres"), "-D", data()};
  for (std::string& argument : quarantine_arguments(plan(record, false)))
    daemon.argv.push_back(std::move(argument));
  daemon.env = clean_environment();
  daemon.env["LC_ALL"] = std::string("C");
  daemon.env["HOME"] = folder();
  daemon.env.erase("LANG");
  daemon.env.erase("TZ");
  daemon.folder = folder();
  daemon.output_file = log_file();
  bound_log();
  size_t log_from = size_of(log_file());
  Fd launched = open_process(start_daemon(daemon));
  wait_until_ready(std::move(launched), log_from, run);
}

void ComputeServer::start(const ComputeRecord& record, const Run& run) const {
  while (auto server = find_server(data())) {
    if (!server->stopping()) return wait_until_ready(std::move(server->handle), 0, run);
    run.check_stop();
    server->ended(kStopPoll);
  }
  launch(record, run);
}

// Recovery may take hours: there is no limit but the end of the process and the caller's wish.
void ComputeServer::wait_until_ready(Fd launched, size_t log_from, const Run& run) const {
  while (true) {
    if (auto server = find_server(data()); server && server->ready()) return;
    run.check_stop();
    if (!launched.open() || process_ended(launched, kComputePoll)) {
      // Another one may have been before it: an engine that was killed had just started it.
      auto other = find_server(data());
      if (!other) throw not_started(log_from);
      launched = std::move(other->handle);
    }
  }
}

Error ComputeServer::not_started(size_t log_from) const {
  std::string log = text_from(log_file(), log_from);
  auto says = [&](std::string_view part) { return log.find(part) != std::string::npos; };
  std::string words = last_words(log);
  if (says("could not create any TCP/IP sockets"))
    return Error(ErrorCode::unavailable,
                 fmt::format("port {} of {} is taken by another program", settings_.port,
                             settings_.listen_address),
                 "end it, or give the engine another range of ports");
  if (says("contains errors") || says("unrecognized configuration parameter") ||
      says("invalid value for parameter"))
    return Error(ErrorCode::invalid, "the server refuses its settings: " + words,
                 "correct the endpoint's pg_settings");
  return Error(ErrorCode::unavailable, "the server does not start: " + words,
               fmt::format("its log is {}", log_file()));
}

void ComputeServer::reload(const std::string& admin, Connection& before, const Run& run) const {
  constexpr char kQuery[] = "SELECT pg_conf_load_time()";
  auto server = find_server(data());
  if (!server) throw not_started(0);
  const std::string loaded_before = before.query_text(kQuery);
  server->signal(SIGHUP);
  double deadline = run.clock.monotonic_seconds() + kReloadSecondsMax;
  // A new session has from the postmaster, its parent, when that one read its files last.
  while (connect_anywhere(admin).query_text(kQuery) == loaded_before) {
    run.check_stop();
    if (run.clock.monotonic_seconds() > deadline)
      throw Error(ErrorCode::unavailable, "the server does not take its new configuration",
                  fmt::format("its log is {}", log_file()));
    wait(kComputePoll);
  }
}

void ComputeServer::stop(const Run& run) const {
  auto server = find_server(data());
  if (!server) return;
  server->signal(SIGINT);  // fast: sessions end, a checkpoint is written
  double deadline = run.clock.monotonic_seconds() + kStopSecondsMax;
  while (!server->ended(kStopPoll)) {
    run.check_stop();
    if (run.clock.monotonic_seconds() < deadline) continue;
    run.log.warning(
        fmt::format("the server in {} does not shut down: it is ended and will recover "
                    "at its next start",
                    folder()));
    end_processes(data(), true);
  }
}

void ComputeServer::bound_log() const {
  if (size_of(log_file()) <= kLogBytesMax) return;
  // Copied and emptied, since the server keeps the file open; it appends.
  std::error_code failed;
  std::filesystem::copy_file(log_file(), log_file() + ".1",
                             std::filesystem::copy_options::overwrite_existing, failed);
  if (!failed) std::filesystem::resize_file(log_file(), 0, failed);
  if (failed)
    throw Error(ErrorCode::unavailable,
                fmt::format("cannot shorten {}: {}", log_file(), failed.message()));
}

}  // namespace holdfast
