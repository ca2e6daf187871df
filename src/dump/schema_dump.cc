#include "dump/schema_dump.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/text.h"

namespace holdfast {
namespace {

constexpr size_t kPipeBytes = 64 << 10;

}  // namespace

Error client_program_error(const std::string& program, const std::string& stderr_tail) {
  // Its last error line says the cause; the lines after it are the query and the like.
  std::string cause, last;
  for (const std::string& line : split(stderr_tail, '\n')) {
    if (trim(line).empty()) continue;
    last = line;
    if (contains(line, "error: ") && !contains(line, "error: query was")) cause = line;
  }
  std::string text = printable(cause.empty() ? last : cause);
  if (contains(text, "row-level security") || contains(text, "row security"))
    return Error(ErrorCode::denied, text,
                 "dump as the tables' owner or as a role with BYPASSRLS: ALTER ROLE … BYPASSRLS");
  if (contains(text, "server version mismatch"))
    return Error(ErrorCode::unsupported, text, "install the client of the server's major version");
  if (contains(text, "permission denied"))
    return Error(ErrorCode::denied, text, "GRANT pg_read_all_data TO the login, or use the owner");
  if (contains(text, "lock timeout") || contains(text, "could not obtain lock"))
    return Error(
        ErrorCode::unavailable, text,
        "another session holds or waits for an exclusive lock (a migration?): retry later, "
        "or raise --lock-timeout");
  if (contains(text, "no matching"))
    return Error(ErrorCode::invalid, text,
                 "check the pattern: psql's \\dt and \\dn show the names");
  return Error(ErrorCode::unavailable, text.empty() ? program + " ended without a message" : text);
}

SchemaDump::SchemaDump(const ClientTools& tools, const Conninfo& source,
                       const std::string& snapshot, const std::vector<std::string>& arguments)
    : login_(source), buffer_(kPipeBytes) {
  ProcessOptions options;
  options.argv = {tools.path("pg_dump"), "--format=custom", "--compress=0", "--no-password",
                  "--dbname=" + login_.dbname_argument()};
  if (!snapshot.empty()) options.argv.push_back("--snapshot=" + snapshot);
  options.argv.insert(options.argv.end(), arguments.begin(), arguments.end());
  options.env = clean_environment();
  options.env.merge(login_.env());
  // Definitions hold points in time as the session's zone writes them (bounds of partitions), and
  // are compared with those of another server.
  options.env["PGTZ"] = "UTC";
  options.inherit = login_.inherit();
  options.pipe_stdout = true;
  process_ = std::make_unique<Process>(options);
  toc_ = read_archive_toc([this](uint8_t* out, size_t size) { read(out, size); });
}

bool SchemaDump::fill() {
  begin_ = 0;
  ssize_t got = 0;
  do {
    got = ::read(process_->stdout_fd(), buffer_.data(), buffer_.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw system_error("read from pg_dump", errno);
  end_ = static_cast<size_t>(got);
  return got > 0;
}

void SchemaDump::failed() {
  int code = process_->wait();
  if (code == 0) throw Error(ErrorCode::corrupt, "pg_dump's archive ends too early");
  throw client_program_error("pg_dump", process_->stderr_tail());
}

void SchemaDump::read(uint8_t* out, size_t size) {
  while (size > 0) {
    if (begin_ == end_ && !fill()) failed();
    size_t part = std::min(size, end_ - begin_);
    std::memcpy(out, buffer_.data() + begin_, part);
    begin_ += part;
    out += part;
    size -= part;
  }
}

bool SchemaDump::at_end() {
  if (begin_ != end_ || fill()) return false;
  if (process_->wait() != 0) failed();
  return true;
}

}  // namespace holdfast
