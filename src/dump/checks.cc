#include "dump/checks.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "dump/sql_tokens.h"
#include "pg/connection.h"

namespace holdfast {
namespace {

constexpr size_t kShownBytesMax = 200;
constexpr uint32_t kBoolType = 16;  // pg_type.dat

std::string first_row(const QueryResult& result) {
  std::string row;
  for (int column = 0; column < result.columns(); ++column) {
    if (column > 0) row += " | ";
    row += result.null(0, column) ? "NULL" : result.text(0, column);
  }
  if (result.rows() > 1) row += fmt::format(" (and {} more rows)", result.rows() - 1);
  return printable(row, kShownBytesMax);
}

void ask(Connection& connection, CheckOutcome& outcome) {
  try {
    QueryResult result = connection.query(outcome.query);
    if (result.rows() == 0 || result.columns() == 0) {
      outcome.result = "no row";
      return;
    }
    outcome.result = first_row(result);
    bool is_false = result.column_type(0) == kBoolType && !result.boolean(0, 0);
    outcome.ok = !result.null(0, 0) && !is_false;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::unavailable || connection.last_sqlstate().empty()) throw;
    outcome.result = error.what();
  }
}

}  // namespace

std::vector<std::string> read_checks(const std::string& sql, const std::string& file) {
  std::vector<std::string> queries;
  for (const auto& tokens : sql_statements(sql)) queries.emplace_back(text_of(tokens));
  if (queries.empty())
    throw Error(ErrorCode::invalid, fmt::format("{} holds no query", printable(file)),
                "write queries that return true, with ; between them");
  return queries;
}

std::vector<CheckOutcome> run_checks(const Conninfo& database,
                                     const std::vector<std::string>& queries, const Run& run) {
  std::vector<CheckOutcome> outcomes;
  Connection connection = Connection::open_as_configured(database, "holdfast check");
  connection.execute("SET default_transaction_read_only = on");
  for (const std::string& query : queries) {
    run.check_stop();
    double begin = run.clock.monotonic_seconds();
    CheckOutcome outcome;
    outcome.query = query;
    ask(connection, outcome);
    outcome.seconds = run.clock.monotonic_seconds() - begin;
    std::string line = fmt::format("check {}: {} → {}", outcome.ok ? "passed" : "FAILED",
                                   printable(query, kShownBytesMax), outcome.result);
    run.log.line(outcome.ok ? LogLevel::info : LogLevel::warning, line);
    outcomes.push_back(std::move(outcome));
  }
  return outcomes;
}

std::string failed_checks(const std::vector<CheckOutcome>& outcomes) {
  auto failed = std::count_if(outcomes.begin(), outcomes.end(),
                              [](const CheckOutcome& outcome) { return !outcome.ok; });
  if (failed == 0) return {};
  auto first = std::find_if(outcomes.begin(), outcomes.end(),
                            [](const CheckOutcome& outcome) { return !outcome.ok; });
  return fmt::format("{} of {} checks failed: {} → {}", failed, outcomes.size(),
                     printable(first->query, kShownBytesMax), first->result);
}

}  // namespace holdfast
