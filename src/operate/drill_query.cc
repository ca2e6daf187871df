#include "operate/drill_query.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <optional>

#include "base/text.h"
#include "pg/connection.h"
#include "pg/query_message.h"

namespace holdfast {
namespace {

// pg_type.dat
constexpr uint32_t kDrillBoolType = 16;
constexpr std::array<uint32_t, 6> kDrillNumberTypes = {20, 21, 23, 700, 701, 1700};
constexpr int64_t kMsPerSecond = 1000;
constexpr int kAskAgainMs = 100;

constexpr std::array<std::string_view, 7> kComparisons = {">=", "<=", "!=", "<>", "=", ">", "<"};

struct Expectation {
  std::string comparison;  // empty: a boolean is expected
  std::string value;       // a number, or "t" or "f"
};

template <typename Number>
std::optional<Number> whole(const std::string& text) {
  Number number{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Negative, equal, positive; nothing if one is no number (PostgreSQL writes NaN).
std::optional<int> order_of(const std::string& a, const std::string& b) {
  auto sign = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  auto exact_a = whole<int64_t>(a), exact_b = whole<int64_t>(b);
  if (exact_a && exact_b) return sign(*exact_a, *exact_b);
  auto real_a = whole<double>(a), real_b = whole<double>(b);
  if (!real_a || !real_b || std::isnan(*real_a) || std::isnan(*real_b)) return std::nullopt;
  return sign(*real_a, *real_b);
}

Expectation parse_expectation(const std::string& expect) {
  std::string text(trim(expect));
  std::string word = lower(text);
  if (word == "true" || word == "false") return {"", word.substr(0, 1)};
  for (std::string_view comparison : kComparisons) {
    if (!text.starts_with(comparison)) continue;
    std::string value(trim(std::string_view(text).substr(comparison.size())));
    std::optional<double> number = whole<double>(value);
    if (!number || !std::isfinite(*number)) break;
    return {std::string(comparison), value};
  }
  throw Error(ErrorCode::invalid, fmt::format("'{}' is no condition", printable(text, 60)),
              "write = 0, != 0, > 0, >= 500, < 10, <= 10, true or false, or leave it out");
}

bool is_number_type(uint32_t type) {
  return std::find(kDrillNumberTypes.begin(), kDrillNumberTypes.end(), type) !=
         kDrillNumberTypes.end();
}

// Rows come one by one and are dropped, so that a query that answers with a whole table costs no
// memory; the first is kept to be looked at.
struct Answer {
  uint64_t rows = 0;
  int columns = 0;
  uint32_t type = 0;
  std::optional<std::string> value;  // of the first row's first column; nothing: NULL
};

class Asking {
 public:
  Asking(const Conninfo& database, const Run& run)
      : connection_(Connection::open_as_configured(database, "holdfast drill")), run_(run) {}

  DrillQuery ask(const DrillQuestion& question, int64_t timeout_seconds) {
    run_.check_stop();
    double begin = run_.clock.monotonic_seconds();
    DrillQuery result;
    result.name = question.name;
    try {
      connection_.execute("BEGIN READ ONLY");
      connection_.execute(
          fmt::format("SET LOCAL statement_timeout = {}", timeout_seconds * kMsPerSecond));
      result.problem = problem_of(question, answer_of(question.sql));
    } catch (const Error& error) {
      run_.check_stop();
      result.problem = error.what();
    }
    result.passed = result.problem.empty();
    result.seconds = run_.clock.monotonic_seconds() - begin;
    try {
      connection_.execute("ROLLBACK");
    } catch (const Error& error) {
      if (result.passed) result.problem = error.what();
      result.passed = false;
    }
    return result;
  }

 private:
  // A request to cancel that reaches the server before the query does is lost: so it is asked
  // again, as long as somebody wants to stop.
  PGresult* next_result(PGconn* pg) {
    while (PQisBusy(pg) != 0) {
      pollfd readable{PQsocket(pg), POLLIN, 0};
      int ready = ::poll(&readable, 1, kAskAgainMs);
      if (run_.stop.stop_requested()) connection_.cancel();
      if (ready > 0 && PQconsumeInput(pg) != 1) throw connection_.error("ask");
    }
    return PQgetResult(pg);
  }

  Answer answer_of(const std::string& sql) {
    PGconn* pg = connection_.raw();
    // With parameters, though there are none: the server then takes one statement alone.
    if (PQsendQueryParams(pg, sql.c_str(), 0, nullptr, nullptr, nullptr, nullptr, 0) != 1)
      throw connection_.error("ask");
    PQsetSingleRowMode(pg);
    Answer answer;
    std::optional<Error> failure;
    while (PGresult* raw = next_result(pg)) {
      QueryResult result(raw);
      switch (PQresultStatus(raw)) {
        case PGRES_SINGLE_TUPLE:
        case PGRES_TUPLES_OK:
          answer.columns = result.columns();
          if (answer.columns > 0) answer.type = result.column_type(0);
          if (result.rows() > 0 && answer.rows == 0 && answer.columns > 0 && !result.null(0, 0))
            answer.value = result.text(0, 0);
          answer.rows += static_cast<uint64_t>(result.rows());
          break;
        case PGRES_COMMAND_OK:
        case PGRES_EMPTY_QUERY:
          break;
        case PGRES_COPY_OUT:
        case PGRES_COPY_IN:
        case PGRES_COPY_BOTH:
          throw Error(ErrorCode::invalid, "COPY is no question", "write a SELECT");
        default:
          if (!failure) failure = refusal(raw, sql);
      }
    }
    if (failure) throw Error(*failure);
    return answer;
  }

  Error refusal(const PGresult* result, const std::string& sql) {
    auto field = [&](int code) {
      const char* text = PQresultErrorField(result, code);
      return std::string(text == nullptr ? "" : text);
    };
    std::string state = field(PG_DIAG_SQLSTATE);
    if (state.empty()) return connection_.error("the server is gone");
    // DETAIL may quote what stands in rows.
    bool of_parser = !field(PG_DIAG_STATEMENT_POSITION).empty();
    return server_error(state, message_of_query(field(PG_DIAG_MESSAGE_PRIMARY), sql, of_parser));
  }

  std::string problem_of(const DrillQuestion& question, const Answer& answer) {
    if (trim(question.expect).empty()) return {};
    std::string wanted = fmt::format("expected {}", trim(question.expect));
    bool boolean = answer.type == kDrillBoolType, number = is_number_type(answer.type);
    if (answer.rows != 1 || answer.columns != 1)
      return fmt::format("{}, found {} of {}", wanted, plural(answer.rows, "row"),
                         plural(static_cast<uint64_t>(answer.columns), "column"));
    if (!answer.value) return wanted + ", found NULL";
    if (!boolean && !number) return wanted + ", found neither a number nor true or false";
    if (meets_drill_expectation(question.expect, *answer.value)) return {};
    return fmt::format("{}, found {}", wanted,
                       !boolean               ? *answer.value
                       : *answer.value == "t" ? "true"
                                              : "false");
  }

  Connection connection_;
  const Run& run_;
};

}  // namespace

void check_drill_expectation(const std::string& expect) {
  if (!trim(expect).empty()) parse_expectation(expect);
}

bool meets_drill_expectation(const std::string& expect, const std::string& value) {
  Expectation expected = parse_expectation(expect);
  if (expected.comparison.empty()) return value == expected.value;
  std::optional<int> order = order_of(value, expected.value);
  if (!order) return false;
  const std::string& comparison = expected.comparison;
  if (comparison == "=") return *order == 0;
  if (comparison == "!=" || comparison == "<>") return *order != 0;
  if (comparison == ">") return *order > 0;
  if (comparison == ">=") return *order >= 0;
  if (comparison == "<") return *order < 0;
  return *order <= 0;
}

std::vector<DrillQuery> ask_drill_questions(const Conninfo& database,
                                            const std::vector<DrillQuestion>& questions,
                                            int64_t timeout_seconds, const Run& run) {
  std::vector<DrillQuery> results;
  if (questions.empty()) return results;
  Asking asking(database, run);
  for (const DrillQuestion& question : questions)
    results.push_back(asking.ask(question, timeout_seconds));
  return results;
}

}  // namespace holdfast
