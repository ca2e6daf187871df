#include "dump/preflight.h"

#include <fmt/format.h>

#include <algorithm>
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
constexpr uint64_t kNamesShown = 3;
constexpr int kReadAllDataMajor = 14;

class Preflight {
 public:
  Preflight(const DumpOptions& options, const Run& run) : options_(options), run_(run) {}

  PreflightReport check(std::span<ObjectStore* const> stores) {
    attempt("connection", [&] { check_connection(); });
    attempt("client version", [&] { check_client(); });
    if (connection_) {
      attempt("session", [&] { check_session(); });
      attempt("row security", [&] { check_row_security(); });
      attempt("rights", [&] { check_rights(); });
      attempt("extensions", [&] { check_extensions(); });
      attempt("clock", [&] { check_clock(); });
      attempt("size", [&] { measure(); });
    }
    for (size_t i = 0; i < stores.size(); ++i) {
      attempt("store", [&] { check_store(*stores[i]); });
      findings_.back().store = i;
    }
    return {std::move(findings_), archive_bytes_, clock_skew_};
  }

 private:
  // One check; what it throws is its finding, and the others are still made.
  template <typename Check>
  void attempt(const char* name, Check&& check) {
    run_.check_stop();
    check_name_ = name;
    try {
      check();
    } catch (const Error& error) {
      findings_.push_back({FindingLevel::failure, name, error.what(), error.hint(), error.code()});
    }
  }
  void add(FindingLevel level, std::string message, std::string hint = {},
           ErrorCode code = ErrorCode::internal) {
    findings_.push_back({level, check_name_, std::move(message), std::move(hint), code});
  }

  void check_connection() {
    direct_ = options_.source.direct();
    if (options_.source.pooled())
      add(FindingLevel::note,
          fmt::format("{} is a connection pooler's endpoint (-pooler), which a dump cannot go "
                      "through; using {}",
                      options_.source.display_server(), direct_.display_server()),
          "put the direct host into DATABASE_URL");
    connection_ = Connection::open(direct_, "holdfast preflight");
    // Even asking for a table's size queues behind an exclusive lock.
    connection_->execute(fmt::format("SET lock_timeout = {}", options_.lock_timeout_ms));
    login_ = connection_->query_text("SELECT current_user");
    add(FindingLevel::ok,
        fmt::format("{} (PostgreSQL {})", direct_.display(),
                    connection_->query_text("SELECT current_setting('server_version')")));
    if (connection_->query("SELECT pg_catalog.pg_is_in_recovery()").boolean(0, 0))
      add(FindingLevel::note,
          "the server is a standby: a long dump can be cancelled by replay, and unlogged tables "
          "have no data there",
          "raise max_standby_streaming_delay, or set hot_standby_feedback = on");
    check_encryption();
  }

  void check_encryption() {
    const char* host = PQhost(connection_->raw());
    std::string_view name = host == nullptr ? "" : host;
    bool local = name.empty() || name.front() == '/' || name.front() == '@' ||
                 name == "localhost" || name.starts_with("127.") || name == "::1";
    bool encrypted = PQsslInUse(connection_->raw()) != 0 || PQgssEncInUse(connection_->raw()) != 0;
    if (!local && !encrypted)
      add(FindingLevel::note, "the connection to the server is not encrypted",
          "add sslmode=verify-full (or at least sslmode=require) to the connection string");
  }

  // Whether the sessions that a dump needs are ours alone. A proxy makes up the process id that it
  // tells us. One that shares servers between transactions gives us another server as soon as
  // somebody else holds the one we had.
  void check_session() {
    std::string process = backend_of(*connection_);
    if (process == std::to_string(PQbackendPID(connection_->raw())))
      return add(FindingLevel::ok, "straight to the server, without a pooler");
    Connection other = Connection::open(direct_, "holdfast preflight");
    other.execute("BEGIN");
    std::string taken = backend_of(other);
    bool shared = taken == process || backend_of(*connection_) != process;
    if (!shared) return add(FindingLevel::ok, "through a proxy that keeps sessions apart");
    add(FindingLevel::failure,
        fmt::format("{} is a connection pooler that shares sessions between transactions",
                    direct_.display_server()),
        "connect to the server itself (its own port, usually 5432), or to a pool with "
        "pool_mode = session",
        ErrorCode::unsupported);
  }

  static std::string backend_of(Connection& connection) {
    return connection.query_text("SELECT pg_catalog.pg_backend_pid()");
  }

  void check_client() {
    const std::string& folder = options_.client_folder;
    if (!folder.empty() && !holds_programs(folder))
      throw Error(
          ErrorCode::unsupported,
          fmt::format("{} (--pg-bindir) holds no pg_dump and pg_restore", folder),
          "point it at PostgreSQL's bin folder, such as /usr/lib/postgresql/17/bin, or leave "
          "it out");
    int major = connection_ ? connection_->server_major() : 0;
    ClientTools tools = choose_client_tools(find_client_tools(folder), major);
    add(FindingLevel::ok, fmt::format("pg_dump {} in {}", tools.version, tools.folder));
  }

  static bool holds_programs(const std::string& folder) {
    ClientTools tools;
    tools.folder = folder;
    return tools.has("pg_dump") && tools.has("pg_restore");
  }

  // A condition on pg_class c and pg_namespace n: what the dump would hold with its data.
  std::string dumped_tables() {
    std::string condition =
        "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND c.relpersistence <> 't'"
        " AND (NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid ="
        " 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid AND d.deptype = 'e')"
        // An extension's tables are its own, but for those that hold the user's configuration.
        " OR EXISTS (SELECT FROM pg_catalog.pg_extension x WHERE c.oid = ANY (x.extconfig)))";
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
    for (int row = 0; row < std::min(found.rows(), static_cast<int>(kNamesShown)); ++row)
      result.first += (row == 0 ? "" : ", ") + printable(found.text(row, 0));
    return result;
  }
  static std::string first_of(const Named& found) {
    return found.first + (found.count > kNamesShown ? ", …" : "");
  }

  void check_row_security() {
    Named hemmed = named("c.relkind IN ('r', 'p') AND pg_catalog.row_security_active(c.oid)");
    if (hemmed.count == 0) return add(FindingLevel::ok, "every row of every table is visible");
    add(FindingLevel::failure,
        fmt::format("the login {} would see only part of {} ({})", printable(login_),
                    plural(hemmed.count, "table"), first_of(hemmed)),
        fmt::format("let a superuser say ALTER ROLE {} BYPASSRLS, or dump as such a role or as the "
                    "tables' owner",
                    connection_->quote_identifier(login_)),
        ErrorCode::denied);
  }

  void check_rights() {
    Named closed = named(
        "c.relkind IN ('r', 'p', 'S') AND NOT (pg_catalog.has_schema_privilege(n.oid, 'USAGE')"
        " AND CASE WHEN c.relkind = 'S'"
        " THEN pg_catalog.has_sequence_privilege(c.oid, 'SELECT')"
        " ELSE pg_catalog.has_table_privilege(c.oid, 'SELECT') END)");
    if (closed.count > 0)
      add(FindingLevel::failure,
          fmt::format("the login {} may not read {} ({})", printable(login_),
                      closed.count == 1 ? "a table or sequence"
                                        : fmt::format("{} tables and sequences", closed.count),
                      first_of(closed)),
          connection_->server_major() >= kReadAllDataMajor
              ? fmt::format("GRANT pg_read_all_data TO {}, or use the owner",
                            connection_->quote_identifier(login_))
              : std::string(
                    "use the tables' owner, or grant USAGE on the schemas and SELECT on all "
                    "tables and sequences in them"),
          ErrorCode::denied);
    uint64_t objects = closed_large_objects();
    if (objects > 0)
      add(FindingLevel::failure,
          fmt::format("the login {} may not read {}", printable(login_),
                      plural(objects, "large object")),
          "use their owner or a superuser, or GRANT SELECT ON LARGE OBJECT …", ErrorCode::denied);
    if (closed.count == 0 && objects == 0)
      add(FindingLevel::ok, "every table, sequence and large object may be read");
  }

  // pg_read_all_data does not cover them, and before PostgreSQL 18 no function tells.
  uint64_t closed_large_objects() {
    if (!options_.schemas.empty()) return 0;  // then pg_dump leaves them out
    return static_cast<uint64_t>(
        connection_
            ->query("SELECT count(*) FROM pg_catalog.pg_largeobject_metadata m"
                    " WHERE NOT (SELECT rolsuper FROM pg_catalog.pg_roles"
                    "  WHERE rolname = current_user)"
                    " AND NOT pg_catalog.pg_has_role(m.lomowner, 'USAGE')"
                    " AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(m.lomacl) a"
                    "  WHERE a.privilege_type = 'SELECT' AND (a.grantee = 0"
                    "  OR pg_catalog.pg_has_role(a.grantee, 'USAGE')))")
            .integer(0, 0));
  }

  void check_extensions() {
    QueryResult found = connection_->query(
        "SELECT extname || ' ' || extversion FROM pg_catalog.pg_extension"
        " WHERE extname <> 'plpgsql' ORDER BY 1");
    std::string names;
    for (int row = 0; row < found.rows(); ++row)
      names += (row == 0 ? "" : ", ") + printable(found.text(row, 0));
    add(FindingLevel::ok,
        names.empty() ? "none but plpgsql" : names + " (a restore needs them installed)");
  }

  void check_clock() {
    double server =
        connection_->query("SELECT extract(epoch FROM pg_catalog.clock_timestamp())").number(0, 0);
    double ours = std::chrono::duration<double>(run_.clock.now().time_since_epoch()).count();
    double skew = clock_skew_ = std::abs(server - ours);
    if (skew < kSkewSecondsNoted) return add(FindingLevel::ok, "agrees with the server's");
    add(FindingLevel::note,
        fmt::format("this machine's clock and the server's differ by {}", human_seconds(skew)),
        "backups are named and kept by this machine's time: let both machines follow NTP");
  }

  void measure() {
    QueryResult size = connection_->query(
        "SELECT coalesce(sum(pg_catalog.pg_table_size(c.oid)), 0)::bigint, count(*)"
        " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relkind IN ('r', 'm') AND " +
        dumped_tables());
    auto bytes = static_cast<uint64_t>(size.integer(0, 0));
    if (options_.schemas.empty())
      bytes += static_cast<uint64_t>(
          connection_
              ->query("SELECT "
                      "pg_catalog.pg_table_size('pg_catalog.pg_largeobject'::pg_catalog.regclass)")
              .integer(0, 0));
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
  Conninfo direct_;
  std::optional<Connection> connection_;
  std::string login_;
  std::string check_name_;
  std::vector<Finding> findings_;
  uint64_t archive_bytes_ = 0;
  double clock_skew_ = 0;
};

}  // namespace

PreflightReport preflight(const DumpOptions& options, std::span<ObjectStore* const> stores,
                          const Run& run) {
  return Preflight(options, run).check(stores);
}

void require_preflight(const std::vector<Finding>& findings, size_t stores, const Run& run) {
  for (const Finding& finding : findings)
    if (finding.level == FindingLevel::note)
      run.log.warning(finding.message + (finding.hint.empty() ? "" : " (" + finding.hint + ")"));
  auto unwritable = static_cast<size_t>(
      std::count_if(findings.begin(), findings.end(), [](const Finding& finding) {
        return finding.store && finding.level == FindingLevel::failure;
      }));
  for (const Finding& finding : findings)
    if (finding.level == FindingLevel::failure && (!finding.store || unwritable == stores))
      throw Error(finding.code, finding.check + ": " + finding.message, finding.hint);
}

}  // namespace holdfast
