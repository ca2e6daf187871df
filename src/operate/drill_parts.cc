#include "operate/drill_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "base/text.h"

namespace holdfast {
namespace {

// "visits" is the table of that name in whatever schema; "public.visits" only that one.
bool names_table(const std::string& wanted, const std::string& table) {
  if (table == wanted) return true;
  return wanted.find('.') == std::string::npos && table.size() > wanted.size() + 1 &&
         table.ends_with("." + wanted);
}

bool is_of_this_machine(const Error& error) {
  switch (error.code()) {
    case ErrorCode::unavailable:
    case ErrorCode::busy:
    case ErrorCode::denied:
      return true;
    default:
      return std::string_view(error.what()).find("No space left on device") !=
             std::string_view::npos;
  }
}

}  // namespace

const std::vector<std::string>& usual_critical_tables() {
  static const std::vector<std::string> kUsual = {"organizations", "users",  "clients",
                                                  "caregivers",    "visits", "evv_records"};
  return kUsual;
}

RunningDrill::RunningDrill(DrillRecord begun, const DrillSettings& settings, const Run& run)
    : settings_(settings), run_(run), begin_(run.clock.monotonic_seconds()) {
  outcome_.record = std::move(begun);
  outcome_.report.level = VerifyLevel::restore;
}

void RunningDrill::guarded(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    absorb(error);
  } catch (const std::exception& error) {
    undecided(fmt::format("unexpected failure: {}", printable(error.what())));
  }
}

void RunningDrill::absorb(const Error& error) {
  if (error.code() == ErrorCode::cancelled || run_.stop.stop_requested()) {
    outcome_.interrupted = true;
    undecided("interrupted");
  } else if (is_of_this_machine(error)) {
    undecided(error.in_one_line());
  } else {
    outcome_.report.problems.push_back({"rehearsed restore", error.what()});
    failed(error.what());
  }
}

void RunningDrill::phase(const char* name, const std::function<void()>& work) {
  double begin = run_.clock.monotonic_seconds();
  auto note = [&] { record().phases.push_back({name, run_.clock.monotonic_seconds() - begin}); };
  try {
    work();
  } catch (...) {
    note();
    throw;
  }
  note();
}

void RunningDrill::failed(const std::string& why) {
  failed_ = true;
  record().problems.push_back(why);
}

void RunningDrill::undecided(const std::string& why) {
  undecided_ = true;
  record().problems.push_back(why);
}

void RunningDrill::usable() {
  record().rto_seconds = run_.clock.monotonic_seconds() - begin_;
}

void RunningDrill::ask(const Conninfo& database) {
  run_.progress.phase("asking the operator's queries");
  record().queries =
      ask_drill_questions(database, settings_.questions, settings_.query_timeout_seconds, run_);
  for (const DrillQuery& query : record().queries)
    if (!query.passed) failed(fmt::format("query {}: {}", query.name, query.problem));
}

void RunningDrill::take_report(const std::vector<std::pair<std::string, uint64_t>>& expected) {
  VerifyReport& found = report();
  for (const Problem& problem : found.problems) {
    std::string line = fmt::format("{}: {}", problem.where, problem.what);
    // One that ended the drill has been said already.
    if (problem.where != "rehearsed restore") failed(line);
  }
  for (const std::string& note : found.notes) record().notes.push_back(note);
  std::map<std::string, uint64_t> rows(expected.begin(), expected.end());
  for (const TableVerdict& table : found.tables) {
    DrillTable read{table.name, table.rows, std::nullopt, false, false};
    if (auto known = rows.find(table.name); known != rows.end()) {
      read.expected = known->second;
      read.same = table.ok;
    }
    record().rows += table.rows;
    record().tables.push_back(std::move(read));
  }
}

void RunningDrill::mark_critical(const std::vector<std::string>& known) {
  bool named = !settings_.critical_tables.empty();
  for (const std::string& wanted : named ? settings_.critical_tables : usual_critical_tables()) {
    auto is_it = [&](const std::string& table) { return names_table(wanted, table); };
    if (named && std::none_of(known.begin(), known.end(), is_it))
      failed(fmt::format("critical table {} is not in the backup", wanted));
    for (DrillTable& table : record().tables)
      if (is_it(table.name)) {
        table.critical = true;
        if (table.rows == 0)
          record().notes.push_back(fmt::format("critical table {} has no row", table.name));
      }
  }
}

DrillOutcome RunningDrill::finish() {
  record().ended_at = run_.clock.now();
  record().verdict = failed_      ? DrillVerdict::failed
                     : undecided_ ? DrillVerdict::inconclusive
                                  : DrillVerdict::passed;
  VerifyReport& found = report();
  found.id = record().backup;
  found.seconds = run_.clock.monotonic_seconds() - begin_;
  // A proof says something of the backup alone: that it came through, or that it did not.
  found.verdict = !found.problems.empty()              ? Verdict::fail
                  : undecided_ || found.tables.empty() ? Verdict::inconclusive
                  : found.notes.empty()                ? Verdict::pass
                                                       : Verdict::pass_with_notes;
  return std::move(outcome_);
}

}  // namespace holdfast
