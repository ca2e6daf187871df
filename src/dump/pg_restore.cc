#include "dump/pg_restore.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <exception>
#include <optional>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/process.h"
#include "base/text.h"
#include "dump/sql_tokens.h"

namespace holdfast {
namespace {

constexpr int kPollMs = 100;
constexpr size_t kFeedBytes = 256 << 10;
constexpr std::string_view kError = "pg_restore: error: ";
constexpr std::string_view kIgnored = "errors ignored on restore: ";
constexpr std::string_view kQueryFailed = "could not execute query: ";
constexpr std::string_view kCommandWas = "Command was: ";

struct QueryFailure {
  std::string message;  // "ERROR:  schema "public" already exists"
  std::string command;  // its first line
};

std::string_view message_of(const QueryFailure& failure) {
  std::string_view message = failure.message;
  if (message.starts_with("ERROR:")) message.remove_prefix(6);
  return trim(message);
}

// Whether the data and its structure are complete without this command.
bool harmless(const QueryFailure& failure) {
  const std::string& message = failure.message;
  if (contains(message, "schema \"public\" already exists")) return true;
  // A newer pg_restore sets parameters that an older server does not know.
  if (contains(message, "unrecognized configuration parameter") &&
      failure.command.starts_with("SET "))
    return true;
  bool rights = contains(message, "must be ") || contains(message, "permission denied");
  if (!rights) return false;
  constexpr std::array<std::string_view, 10> kBesideTheData = {"COMMENT ON ",
                                                               "GRANT ",
                                                               "REVOKE ",
                                                               "ALTER DEFAULT PRIVILEGES",
                                                               "SECURITY LABEL ",
                                                               "CREATE PUBLICATION",
                                                               "ALTER PUBLICATION",
                                                               "CREATE EVENT TRIGGER",
                                                               "ALTER EVENT TRIGGER",
                                                               "CREATE SUBSCRIPTION"};
  return std::any_of(kBesideTheData.begin(), kBesideTheData.end(),
                     [&](std::string_view start) { return failure.command.starts_with(start); });
}

// What a failed command would have made, as the server names it: `event trigger "et"`, or "".
std::string would_have_made(const QueryFailure& failure) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 3> kKinds = {
      {{"CREATE EVENT TRIGGER ", "event trigger"},
       {"CREATE PUBLICATION ", "publication"},
       {"CREATE SUBSCRIPTION ", "subscription"}}};
  for (auto [start, kind] : kKinds) {
    if (!failure.command.starts_with(start)) continue;
    std::vector<std::string_view> name =
        sql_tokens(std::string_view(failure.command).substr(start.size()));
    if (!name.empty()) return fmt::format("{} \"{}\"", kind, plain_identifier(name.front()));
  }
  return {};
}

// Whether all that is wrong is that one of `missing` is not there.
bool follows_from(const std::set<std::string>& missing, const QueryFailure& failure) {
  bool beside = failure.command.starts_with("COMMENT ON ") ||
                failure.command.starts_with("SECURITY LABEL ") ||
                failure.command.starts_with("ALTER ");
  constexpr std::string_view kAbsent = " does not exist";
  std::string_view message = message_of(failure);
  if (!beside || !message.ends_with(kAbsent)) return false;
  return missing.contains(std::string(message.substr(0, message.size() - kAbsent.size())));
}

std::string in_words(const QueryFailure& failure) {
  std::string text(message_of(failure));
  if (!failure.command.empty()) text += " (" + failure.command + ")";
  return printable(text);
}

std::string_view first_line(std::string_view text) {
  return text.substr(0, text.find('\n'));
}

// Harmless ones become notes, and so do those that follow from them, in whatever order they came.
void sort_failures(const std::vector<QueryFailure>& failures, PgRestoreFindings& findings) {
  std::set<std::string> missing;
  for (const QueryFailure& failure : failures)
    if (harmless(failure))
      if (std::string object = would_have_made(failure); !object.empty()) missing.insert(object);
  for (const QueryFailure& failure : failures)
    (harmless(failure) || follows_from(missing, failure) ? findings.notes : findings.errors)
        .push_back(in_words(failure));
}

// How many errors pg_restore counted beyond those `seen`. With --jobs it counts each error of a
// worker, and once more each entry that had some (to PostgreSQL 18): up to twice what there was.
// Then only a lost beginning tells that some were not seen.
uint64_t unseen_errors(const PgRestoreOutput& output, uint64_t seen, uint64_t ignored) {
  uint64_t explained = output.parallel && !output.cut ? 2 * seen : seen;
  return ignored > explained ? ignored - explained : 0;
}

// What a line says without the pieces of pg_restore's prefix that stand before it. It is written
// piece by piece, so several processes mix theirs: "pg_restore:pg_restore: error: could not …".
std::string_view without_pieces(std::string_view line) {
  constexpr std::array<std::string_view, 4> kPieces = {" ", "pg_restore:", "error:", "warning:"};
  while (true) {
    auto piece = std::find_if(kPieces.begin(), kPieces.end(),
                              [&](std::string_view one) { return line.starts_with(one); });
    if (piece == kPieces.end()) return line;
    line.remove_prefix(piece->size());
  }
}

// Takes "pg_restore: error: " off a line; false if it tells of no error.
bool take_error_prefix(std::string_view& line, bool parallel) {
  if (std::string_view said = without_pieces(line); parallel && said.starts_with(kQueryFailed)) {
    line = said;
    return true;
  }
  if (!line.starts_with(kError)) return false;
  line.remove_prefix(kError.size());
  return true;
}

std::string hint_for(const std::string& error, const std::vector<std::string>& arguments) {
  auto said = [&](std::string_view option) {
    return std::find(arguments.begin(), arguments.end(), option) != arguments.end();
  };
  bool without_roles = said("--no-owner") && said("--no-privileges");
  if (contains(error, "role \"") && contains(error, "does not exist"))
    return fmt::format("create the roles first (the backup's .globals.sql has them){}",
                       without_roles ? "" : ", or restore with --no-owner --no-privileges");
  if (contains(error, "extension")) return "install the extension's package on the target server";
  if (contains(error, "permission denied") || contains(error, "must be "))
    return fmt::format("restore as a superuser or the owner{}",
                       without_roles ? "" : ", or with --no-owner --no-privileges");
  return {};
}

// Moves an archive into a child's standard input. Destroyed early, the child must have ended.
class ArchiveFeeder {
 public:
  ArchiveFeeder(ObjectReader& archive, Process& process)
      : archive_(archive), process_(process), thread_([this] { feed(); }) {}
  ArchiveFeeder(const ArchiveFeeder&) = delete;
  ArchiveFeeder& operator=(const ArchiveFeeder&) = delete;
  ~ArchiveFeeder() {
    process_.kill();
    if (thread_.joinable()) thread_.join();
  }
  // After the child has ended. Throws what reading the archive threw: the cause of all else.
  void finish() {
    thread_.join();
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void feed() {
    try {
      std::vector<uint8_t> block(kFeedBytes);
      uint64_t offset = 0;
      while (size_t got = archive_.read(offset, block.data(), block.size())) {
        offset += got;
        if (!write(ByteView(block.data(), got))) break;
      }
    } catch (...) {
      failure_ = std::current_exception();
    }
    process_.close_stdin();
  }
  // False when the child reads no more.
  bool write(ByteView bytes) {
    while (!bytes.empty()) {
      ssize_t count = ::write(process_.stdin_fd(), bytes.data(), bytes.size());
      if (count < 0 && errno == EINTR) continue;
      if (count < 0 && errno == EPIPE) return false;
      if (count < 0) throw system_error("write to pg_restore", errno);
      bytes = bytes.subspan(static_cast<size_t>(count));
    }
    return true;
  }

  ObjectReader& archive_;
  Process& process_;
  std::exception_ptr failure_;
  std::thread thread_;
};

}  // namespace

PgRestoreFindings classify_pg_restore_errors(const PgRestoreOutput& output, int exit_code) {
  PgRestoreFindings findings;
  uint64_t ignored = 0;
  bool fatal = false;
  std::vector<QueryFailure> failures;
  for (const std::string& line : split(output.text, '\n')) {
    std::string_view rest = line;
    if (size_t at = rest.find(kIgnored); at != std::string_view::npos) {
      rest.remove_prefix(at + kIgnored.size());
      std::from_chars(rest.data(), rest.data() + rest.size(), ignored);
    } else if (take_error_prefix(rest, output.parallel)) {
      if (rest.starts_with(kQueryFailed)) {
        failures.push_back({std::string(rest.substr(kQueryFailed.size())), {}});
      } else {
        fatal = true;
        findings.errors.push_back(printable(rest));
      }
    } else if (rest.starts_with(kCommandWas) && !failures.empty() &&
               failures.back().command.empty()) {
      failures.back().command = first_line(rest.substr(kCommandWas.size()));
    }
  }
  sort_failures(failures, findings);
  if (uint64_t unseen = unseen_errors(output, failures.size(), ignored); unseen > 0 && !fatal)
    findings.errors.push_back(fmt::format("{} more", plural(unseen, "error")));
  if (exit_code != 0 && findings.errors.empty() && (ignored == 0 || failures.empty())) {
    std::string_view last = trim(output.text);
    last = last.substr(last.rfind('\n') == std::string_view::npos ? 0 : last.rfind('\n') + 1);
    findings.errors.push_back(last.empty() ? fmt::format("it ended with status {}", exit_code)
                                           : printable(last));
  }
  return findings;
}

std::vector<std::string> run_pg_restore(const ClientTools& tools, const Conninfo& target,
                                        const PgRestoreCall& call, const Run& run) {
  std::string session = target.get("options");
  if (!session.empty() && !call.session_options.empty()) session += " ";
  ChildLogin login(call.session_options.empty()
                       ? target
                       : target.with("options", session + call.session_options));
  ProcessOptions options;
  options.argv = {tools.path("pg_restore"), "--no-password", "--dbname=" + login.dbname_argument()};
  options.argv.insert(options.argv.end(), call.arguments.begin(), call.arguments.end());
  options.env = clean_environment();
  options.env["LC_ALL"] = "C";  // its messages are read
  options.env.merge(login.env());
  options.inherit = login.inherit();
  options.inherit.insert(options.inherit.end(), call.handles.begin(), call.handles.end());
  options.pipe_stdin = call.archive != nullptr;
  Process process(options);
  std::optional<ArchiveFeeder> feeder;
  if (call.archive != nullptr) feeder.emplace(*call.archive, process);
  while (!process.ended()) {
    if (run.stop.stop_requested()) {
      process.terminate();  // it cancels what its sessions run
      process.wait();
      run.check_stop();
    }
    pollfd ended{process.ended_fd(), POLLIN, 0};
    ::poll(&ended, 1, kPollMs);
  }
  if (feeder) feeder->finish();
  int exit_code = process.wait();
  bool parallel = std::any_of(call.arguments.begin(), call.arguments.end(),
                              [](const std::string& said) { return said.starts_with("--jobs"); });
  PgRestoreFindings findings = classify_pg_restore_errors(
      {process.stderr_tail(), process.stderr_cut(), parallel}, exit_code);
  if (findings.errors.empty()) return findings.notes;
  std::string message = "pg_restore: " + findings.errors.front();
  if (findings.errors.size() > 1)
    message += fmt::format(" (and {} more)", findings.errors.size() - 1);
  throw Error(ErrorCode::unavailable, message, hint_for(findings.errors.front(), call.arguments));
}

}  // namespace holdfast
