// What both kinds of drills share. Part of operate.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "operate/drill.h"

namespace holdfast {

// One drill while it runs: the record as it grows, and what keeps it from passing.
class RunningDrill {
 public:
  RunningDrill(DrillRecord begun, const DrillSettings& settings, const Run& run);

  DrillRecord& record() { return outcome_.record; }
  VerifyReport& report() { return outcome_.report; }
  DrillOutcome& outcome() { return outcome_; }

  // Runs the drill; whatever it throws becomes part of the record.
  void guarded(const std::function<void()>& work);
  // Takes the time of a phase, however it ends.
  void phase(const char* name, const std::function<void()>& work);

  // Something is wrong with what was recovered.
  void failed(const std::string& why);
  // Nothing can be said: it is this machine, or the way to the backup.
  void undecided(const std::string& why);

  // The recovered data can be used from now on.
  void usable();
  void ask(const Conninfo& database);
  // Takes problems, notes and tables of the report over; `expected` is what each table should hold.
  void take_report(const std::vector<std::pair<std::string, uint64_t>>& expected);
  // Marks the critical tables, of which those named by the operator must be among `known`.
  void mark_critical(const std::vector<std::string>& known);

  // Verdict and end.
  DrillOutcome finish();

 private:
  void absorb(const Error& error);

  const DrillSettings& settings_;
  const Run& run_;
  double begin_;
  DrillOutcome outcome_;
  bool failed_ = false, undecided_ = false;
};

}  // namespace holdfast
