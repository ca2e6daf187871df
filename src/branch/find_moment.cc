#include "branch/find_moment.h"

#include <fmt/format.h>

#include <optional>
#include <stop_token>
#include <utility>

#include "base/text.h"
#include "pg/connection.h"

namespace holdfast {
namespace {

using std::chrono::sys_seconds;

// A condition that needs longer would make the search last for hours.
constexpr int kConditionSecondsMax = 600;

// What the operator's SQL can be wrong in: names and syntax, data, writing (25006), parameters
// (08P01), and exceptions of functions that it calls.
bool is_about_the_sql(const std::string& sqlstate) {
  if (sqlstate == "42501") return false;  // a privilege that the login lacks
  return sqlstate.starts_with("42") || sqlstate.starts_with("22") || sqlstate.starts_with("0A") ||
         sqlstate == "25006" || sqlstate == "08P01" || sqlstate.starts_with("P0");
}

// Looks into the branch at a second, and remembers what all looks have in common. While one look
// goes on, the branch of the look before is being removed: removing takes about as long as making.
class Prober {
 public:
  Prober(neon::Client& client, const FindRequest& request, const Run& run)
      : client_(client), request_(request), run_(run), login_(request.login) {}
  Prober(const Prober&) = delete;
  Prober& operator=(const Prober&) = delete;
  ~Prober() {
    try {
      await_removal();
    } catch (const Error& error) {
      run_.log.warning(
          fmt::format("a branch is left over and expires by itself: {}", error.what()));
    }
  }

  bool holds_at(sys_seconds second) {
    std::string at = second_text(second);
    run_.progress.phase(fmt::format("look at {}", at));
    return with_context("at " + at, [&] {
      ScratchBranch scratch(client_, "find", {request_.branch.id, UtcTime(second), std::nullopt},
                            run_);
      bool holds = look_into(scratch.branch());
      await_removal();
      removal_ = scratch.begin_removal();
      return holds;
    });
  }
  // Until the branch of the last look is gone. Throws Error.
  void await_removal() {
    neon::Client::ToTheEnd guard(client_);
    client_.finish(std::exchange(removal_, {}));
  }
  // Whether any look has found the table.
  bool table_seen() const { return table_seen_; }

 private:
  bool look_into(const neon::Branch& branch) {
    if (login_.role.empty() || login_.database.empty()) {
      BranchLogin chosen = branch_login(client_, branch, login_);  // the same at every look
      login_.role = chosen.role;
      login_.database = chosen.database;
    }
    ComputeAccess access(client_, branch, login_, run_);
    Connection connection = Connection::open_as_configured(access.conninfo(), "holdfast find");
    std::stop_callback cancelling(run_.stop, [&] { connection.cancel(); });
    connection.execute("BEGIN READ ONLY");
    // Rows that a policy hides would be taken for rows that are not there.
    connection.execute(fmt::format(
        "SET LOCAL statement_timeout = '{}s';SET LOCAL row_security = off", kConditionSecondsMax));
    std::optional<std::string> table = find_table(connection);
    if (!table) {
      if (!table_seen_) check_syntax(connection);
      return false;
    }
    table_seen_ = true;
    return ask(connection, *table);
  }

  std::optional<std::string> find_table(Connection& connection) {
    try {
      QueryResult found = connection.query(
          "SELECT format('%I.%I', n.nspname, c.relname), c.relkind IN ('r', 'p', 'v', 'm', 'f')"
          " FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
          " WHERE c.oid = to_regclass($1::text)",
          {request_.table});
      if (found.rows() == 0) return std::nullopt;
      if (found.boolean(0, 1)) return found.text(0, 0);
    } catch (const Error& error) {
      if (!is_about_the_sql(connection.last_sqlstate())) throw;
      throw Error(ErrorCode::invalid,
                  fmt::format("--table: '{}' is not a table's name: {}",
                              printable(request_.table, 100), error.what()),
                  "write it as in SQL: visits, billing.invoices or \"Odd one\"");
    }
    throw Error(ErrorCode::invalid,
                fmt::format("--table: {} is no table", printable(request_.table, 100)));
  }

  // The parameterised protocol takes one statement only, so the condition cannot end the
  // transaction; a line of its own keeps a comment in it from taking the parentheses along.
  bool ask(Connection& connection, const std::string& table) {
    try {
      return connection
          .query(fmt::format("SELECT EXISTS (SELECT 1 FROM {} WHERE (\n{}\n))", table,
                             request_.condition),
                 {})
          .boolean(0, 0);
    } catch (const Error& error) {
      run_.check_stop();
      throw explained(connection.last_sqlstate(), error);
    }
  }

  // Without the table all that can be told of the condition is whether it is SQL at all.
  void check_syntax(Connection& connection) {
    try {
      connection.query(
          fmt::format("PREPARE holdfast_condition AS SELECT 1 WHERE (\n{}\n)", request_.condition),
          {});
    } catch (const Error& error) {
      if (connection.last_sqlstate() == "42601") throw explained("42601", error);
      if (connection.last_sqlstate().empty()) throw;
    }
  }

  Error explained(const std::string& sqlstate, const Error& error) const {
    if (sqlstate == "57014")
      return Error(
          ErrorCode::unavailable,
          fmt::format("--where: the condition took longer than {} s", kConditionSecondsMax),
          "write one that an index answers");
    if (!is_about_the_sql(sqlstate)) return error;
    return Error(ErrorCode::invalid, fmt::format("--where: {}", error.what()),
                 sqlstate == "42703"
                     ? fmt::format("a column that was not always there can be asked for as "
                                   "to_jsonb({}) ->> 'column'",
                                   printable(request_.table, 100))
                     : "write a condition as it would stand behind WHERE: \"status = 'paid'\"");
  }

  neon::Client& client_;
  const FindRequest& request_;
  const Run& run_;
  LoginChoice login_;
  neon::Changed removal_;  // under way
  bool table_seen_ = false;
};

}  // namespace

std::string second_text(sys_seconds second) {
  return format_rfc3339(UtcTime(second)).substr(0, 19) + "Z";
}

Bisection bisect_seconds(sys_seconds from, sys_seconds to,
                         const std::function<bool(sys_seconds)>& holds) {
  Bisection result;
  auto probe = [&](sys_seconds second) {
    ++result.probes;
    return holds(second);
  };
  if (probe(to)) {
    result.outcome = Bisection::Outcome::still_holds;
    result.last_held = to;
    return result;
  }
  if (from >= to || !probe(from)) {
    result.outcome = Bisection::Outcome::not_at_start;
    return result;
  }
  sys_seconds held = from, not_held = to;
  while (not_held - held > std::chrono::seconds(1)) {
    sys_seconds middle = held + (not_held - held) / 2;
    (probe(middle) ? held : not_held) = middle;
  }
  result.last_held = held;
  return result;
}

FoundMoment find_moment(neon::Client& client, const FindRequest& request, const Run& run) {
  double began = run.clock.monotonic_seconds();
  Prober prober(client, request, run);
  Bisection found = bisect_seconds(request.from, request.to,
                                   [&](sys_seconds second) { return prober.holds_at(second); });
  run.progress.phase("remove the last branch");
  prober.await_removal();
  if (found.outcome == Bisection::Outcome::not_at_start && !prober.table_seen())
    throw Error(
        ErrorCode::not_found,
        fmt::format("there is no table {}, neither at {} nor at {}", printable(request.table, 100),
                    second_text(request.from), second_text(request.to)),
        "name it with its schema, as billing.invoices; if it was there in between only, give "
        "a --from at which it was");
  if (found.outcome == Bisection::Outcome::not_at_start)
    throw Error(ErrorCode::not_found,
                fmt::format("it held neither at {} nor at {}", second_text(request.from),
                            second_text(request.to)),
                "give an earlier --from; if it held in between only, a --from at which it did");
  return {found.outcome == Bisection::Outcome::still_holds, found.last_held, found.probes,
          run.clock.monotonic_seconds() - began};
}

}  // namespace holdfast
