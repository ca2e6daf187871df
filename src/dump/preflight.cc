#include "dump/preflight.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "base/text.h"
#include "dump/name_pattern.h"
#include "pg/connection.h"

namespace holdfast {
namespace {

// An archive is about a quarter of its tables; more is asked for, because a full disk costs a run.
constexpr double kArchiveShare = 0.35;
constexpr double kSkewSecondsNoted = 5;
constexpr int kPgBouncerPort = 6432;

class Preflight {
 public:
  Preflight(const DumpOptions& options, const Run& run) : options_(options), run_(run) {}

  std::vector<Finding> check(ObjectStore* store) {
    attempt("connection", [&] { check_connection(); });
    attempt("client version", [&] { check_client(); });
    if (connection_) {
      attempt("row security", [&] { check_row_security(); });
      attempt("rights", [&] { check_rights(); });
      attempt("extensions", [&] { check_extensions(); });
      attempt("clock", [&] { check_clock(); });
      attempt("size", [&] { measure(); });
    }
    if (store != nullptr) attempt("store", [&] { check_store(*store); });
    return std::move(findings_);
  }

 private:
  // One check; what it throws is its finding, and the others are still made.
  template <typename Check>
  void attempt(const char* name, Check&& check) {
    check_name_ = name;
    try {
      check();
    } catch (const Error& error) {
      findings_.push_back(
          {FindingLevel::failure, name, error.what(), error.hint(), error.code()});
    }
  }
  void add(FindingLevel level, std::string message, std::string hint = {},
           ErrorCode code = ErrorCode::internal) {
    findings_.push_back({level, check_name_, std::move(message), std::move(hint), code});
  }

  void check_connection() {
    Conninfo direct = options_.source.direct();
    if (options_.source.pooled())
      add(FindingLevel::note,
          fmt::format("{} is a connection pooler's endpoint (-pooler), which a dump cannot go "
                      "through; using {}",
                      options_.source.get("host"), direct.get("host")),
          "put the direct host into DATABASE_URL");
    if (direct.get("port") == std::to_string(kPgBouncerPort))
      add(FindingLevel::note, "port 6432 is usually PgBouncer's; a dump needs a direct connection",
          "use the server's own port (5432) if the snapshot cannot be imported");
    connection_ = Connection::open(direct, "holdfast preflight");
    connection_->execute("SET search_path = ''; SET statement_timeout = 0");
    bool standby = connection_->query("SELECT pg_is_in_recovery()").boolean(0, 0);
    add(FindingLevel::ok,
        fmt::format("{} (PostgreSQL {})", direct.display(),
                    connection_->query_text("SELECT current_setting('server_version')")));
    if (standby)
      add(FindingLevel::note,
          "the server is a standby: a long dump can be cancelled by replay, and unlogged tables "
          "have no data there",
          "raise max_standby_streaming_delay or set hot_standby_feedback = on");
  }

  void check_client() {
    std::vector<ClientTools> found = find_client_tools(options_.client_folder);
    int major = connection_ ? connection_->server_major() : 0;
    ClientTools tools = choose_client_tools(found, major);
    add(FindingLevel::ok, fmt::format("pg_dump {} in {}", tools.version, tools.folder));
  }

  // A condition on pg_class c and pg_namespace n: what the dump would hold with its data.
  std::string dumped_tables() {
    std::string condition =
        "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'"
        " AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid ="
        " 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')";
    auto matches = [&](const char* column, const std::string& regex) {
      return fmt::format("{} ~ {}", column, connection_->quote_literal(regex));
    };
    std::string wanted;
    for (const std::string& pattern : options_.schemas)
      wanted += (wanted.empty() ? "" : " OR ") +
                matches("n.nspname", parse_name_pattern(pattern).name_regex);
    if (!wanted.empty()) condition += " AND (" + wanted + ")";
    for (const std::string& pattern : options_.exclude_schemas)
      condition += " AND NOT " + matches("n.nspname", parse_name_pattern(pattern).name_regex);
    for (const std::string& pattern : options_.exclude_table_data) {
      NamePattern parsed = parse_name_pattern(pattern);
      std::string both = matches("c.relname", parsed.name_regex);
      if (!parsed.schema_regex.empty()) both += " AND " + matches("n.nspname", parsed.schema_regex);
      condition += " AND NOT (" + both + ")";
    }
    return condition;
  }

  // Names of at most three of the tables that `condition` finds, and how many there are.
  struct Named {
    uint64_t count = 0;
    std::string first;
  };
  Named named(const std::string& condition) {
    QueryResult found = connection_->query(
        "SELECT n.nspname || '.' || c.relname FROM pg_catalog.pg_class c"
        " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE " +
        dumped_tables() + " AND " + condition + " ORDER BY 1");
    Named result;
    result.count = static_cast<uint64_t>(found.rows());
    for (int row = 0; row < std::min(found.rows(), 3); ++row)
      result.first += (row == 0 ? "" : ", ") + printable(found.text(row, 0));
    return result;
  }

  void check_row_security() {
    std::string login = connection_->query_text("SELECT current_user");
    Named hemmed = named("c.relkind IN ('r', 'p') AND pg_catalog.row_security_active(c.oid)");
    if (hemmed.count == 0) return add(FindingLevel::ok, "every row of every table is visible");
    add(FindingLevel::failure,
        fmt::format("row security would hide rows of {} from {} ({})",
                    plural(hemmed.count, "table"), printable(login), hemmed.first),
        fmt::format("dump as the tables' owner, or: ALTER ROLE {} BYPASSRLS", printable(login)),
        ErrorCode::denied);
  }

  void check_rights() {
    std::string login = connection_->query_text("SELECT current_user");
    Named closed = named(
        "c.relkind IN ('r', 'p', 'S') AND NOT CASE WHEN c.relkind = 'S'"
        " THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')"
        " ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END");
    if (closed.count == 0) return add(FindingLevel::ok, "every table and sequence may be read");
    add(FindingLevel::failure,
        fmt::format("{} may not read {} ({})", printable(login),
                    plural(closed.count, "table or sequence"), closed.first),
        fmt::format("GRANT pg_read_all_data TO {} (PostgreSQL 14 and later), or use the owner",
                    printable(login)),
        ErrorCode::denied);
  }

  void check_extensions() {
    QueryResult found = connection_->query(
        "SELECT extname || ' ' || extversion FROM pg_catalog.pg_extension"
        " WHERE extname <> 'plpgsql' ORDER BY 1");
    std::string names;
    for (int row = 0; row < found.rows(); ++row)
      names += (row == 0 ? "" : ", ") + printable(found.text(row, 0));
    add(FindingLevel::ok, names.empty() ? "none but plpgsql"
                                        : names + " (a restore needs them installed)");
  }

  void check_clock() {
    double server =
        std::stod(connection_->query_text("SELECT extract(epoch FROM clock_timestamp())::text"));
    double ours = std::chrono::duration<double>(run_.clock.now().time_since_epoch()).count();
    double skew = std::abs(server - ours);
    if (skew < kSkewSecondsNoted) return add(FindingLevel::ok, "agrees with the server's");
    add(FindingLevel::note,
        fmt::format("this machine's clock and the server's differ by {}", human_seconds(skew)),
        "backups are named and kept by this machine's time: let both follow NTP");
  }

  void measure() {
    QueryResult size = connection_->query(
        "SELECT coalesce(sum(pg_catalog.pg_table_size(c.oid)), 0)::bigint, count(*)"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'm') AND " +
        dumped_tables());
    auto bytes = static_cast<uint64_t>(size.integer(0, 0));
    archive_bytes_ = static_cast<uint64_t>(static_cast<double>(bytes) * kArchiveShare);
    add(FindingLevel::ok, fmt::format("{} in {}", human_bytes(bytes),
                                      plural(static_cast<uint64_t>(size.integer(0, 1)), "table")));
  }

  void check_store(ObjectStore& store) {
    store.check_writable(archive_bytes_);
    add(FindingLevel::ok, fmt::format("{} can be written and has room for about {}",
                                      store.location(), human_bytes(archive_bytes_)));
  }

  const DumpOptions& options_;
  const Run& run_;
  std::optional<Connection> connection_;
  std::string check_name_;
  std::vector<Finding> findings_;
  uint64_t archive_bytes_ = 0;
};

}  // namespace

std::vector<Finding> preflight(const DumpOptions& options, ObjectStore* store, const Run& run) {
  return Preflight(options, run).check(store);
}

void require_preflight(const std::vector<Finding>& findings, const Run& run) {
  for (const Finding& finding : findings)
    if (finding.level == FindingLevel::note)
      run.log.warning(finding.message + (finding.hint.empty() ? "" : " (" + finding.hint + ")"));
  for (const Finding& finding : findings)
    if (finding.level == FindingLevel::failure)
      throw Error(finding.code, finding.check + ": " + finding.message, finding.hint);
}

}  // namespace holdfast
