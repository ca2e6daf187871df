// The --json documents of `holdfast serve`. As documents.h: pure, fields are added and never
// renamed.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "serve/job_run.h"

namespace holdfast {

struct ServingView {
  std::string url;                         // of the engine's API
  const EngineSettings* engine = nullptr;  // null: it does not run
  bool has_schedule = false;
  std::string schedule_url;                           // of its pages; empty: none
  const std::vector<ScheduledTask>* tasks = nullptr;  // of the schedule
};
// Once what is served can be called.
std::string serving_document(const ServingView& view);

struct OnceRun {
  std::string source, job;
  JobEnd end;
};
// After `serve --once`.
std::string once_document(const std::vector<OnceRun>& runs, int exit_code);

}  // namespace holdfast
