#include "cli/documents_serve.h"

#include "cli/document_json.h"

namespace holdfast {
namespace {

Json schedule_json(const ServingView& view) {
  Json jobs = Json::array();
  for (const ScheduledTask& task : *view.tasks)
    jobs.push_back({{"source", task.source},
                    {"job", task.job},
                    {"schedule", task.plan.schedule.to_string()},
                    {"zone", task.plan.zone.name()},
                    {"lock", task.claims ? Json(task.claims->store().location()) : Json(nullptr)}});
  return {{"url", text_or_null(view.schedule_url)}, {"jobs", std::move(jobs)}};
}

}  // namespace

std::string serving_document(const ServingView& view) {
  Json document = {{"url", text_or_null(view.url)}};
  if (view.engine != nullptr) {
    document["source"] = view.engine->source.display();
    document["managed"] = view.engine->managed.has_value();
    document["storage_dir"] = view.engine->storage_folder;
    document["work_dir"] = view.engine->work_folder;
  }
  if (view.has_schedule) document["schedule"] = schedule_json(view);
  return document_text(document);
}

std::string once_document(const std::vector<OnceRun>& runs, int exit_code) {
  Json list = Json::array();
  for (const OnceRun& run : runs)
    list.push_back({{"source", run.source},
                    {"job", run.job},
                    {"firing", format_rfc3339(run.end.firing)},
                    {"exit_code", run.end.exit_code},
                    {"over_limit", run.end.over_limit},
                    {"stopped", run.end.stopped}});
  return document_text({{"ok", exit_code == 0}, {"runs", std::move(list)}});
}

}  // namespace holdfast
