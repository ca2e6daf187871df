#include "serve/schedule_state.h"

#include <fmt/format.h>

#include <cstdio>

#include "base/file.h"
#include "seal/document.h"
#include "seal/json_fields.h"

namespace holdfast {
namespace {

constexpr const char* kScheduleFormat = "holdfast-schedule";
constexpr uint64_t kScheduleVersion = 1;
constexpr std::string_view kScheduleSeal = "state_sha256";
constexpr size_t kScheduleTextMax = 1000;
constexpr uint64_t kExitCodeMax = 255;

Json schedule_time(const std::optional<UtcTime>& time) {
  return time ? Json(format_rfc3339(*time)) : Json();
}

Json job_json(const std::string& name, const ScheduledJobState& job) {
  Json started = Json::array();
  for (UtcTime firing : job.record.started) started.push_back(format_rfc3339(firing));
  return {{"name", name},
          {"schedule", job.record.schedule},
          {"settled", schedule_time(job.record.settled)},
          {"started", std::move(started)},
          {"began", schedule_time(job.record.began)},
          {"ended", schedule_time(job.record.ended)},
          {"last_exit_code", job.last_exit_code ? Json(*job.last_exit_code) : Json()},
          {"missed", job.missed}};
}

std::string schedule_text(const JsonFields& fields, const char* key) {
  std::string text = fields.text(key);
  if (text.size() > kScheduleTextMax || printable(text, kScheduleTextMax) != text)
    throw Error(ErrorCode::corrupt, fmt::format("field {} is no plain text", key));
  return text;
}

std::optional<UtcTime> schedule_time(const JsonFields& fields, const char* key) {
  if (fields.at(key).is_null()) return std::nullopt;
  return fields.time(key);
}

ScheduledJobState job_of(const JsonFields& fields) {
  ScheduledJobState job;
  job.record.schedule = schedule_text(fields, "schedule");
  job.record.settled = schedule_time(fields, "settled");
  const Json& started = fields.list("started");
  if (started.size() > kStartedMax) throw Error(ErrorCode::corrupt, "field started is too long");
  for (const Json& firing : started) {
    if (!firing.is_string()) throw Error(ErrorCode::corrupt, "field started holds no time");
    try {
      job.record.started.push_back(parse_rfc3339(firing.get_ref<const std::string&>()));
    } catch (const Error& error) {
      throw Error(ErrorCode::corrupt, fmt::format("field started: {}", error.what()));
    }
  }
  job.record.began = schedule_time(fields, "began");
  job.record.ended = schedule_time(fields, "ended");
  const Json& code = fields.at("last_exit_code");
  if (!code.is_null())
    job.last_exit_code = static_cast<int>(number_of(code, "field last_exit_code", kExitCodeMax));
  job.missed = fields.number("missed");
  return job;
}

}  // namespace

std::string write_schedule_state(const ScheduleState& state) {
  Json json = {{"format", kScheduleFormat}, {"version", kScheduleVersion}};
  json["jobs"] = Json::array();
  for (const auto& [name, job] : state) json["jobs"].push_back(job_json(name, job));
  std::string text = json.dump(2, ' ', false, Json::error_handler_t::replace);
  text.resize(text.size() - std::string_view("\n}").size());
  return seal_document(std::move(text), kScheduleSeal);
}

ScheduleState read_schedule_state(const std::string& text) {
  if (text.size() > kScheduleStateBytesMax) throw Error(ErrorCode::corrupt, "it is too large");
  Json json = parse_sealed(text, kScheduleSeal);
  JsonFields fields(json, "");
  check_format(fields, kScheduleFormat, kScheduleVersion);
  const Json& jobs = fields.list("jobs");
  if (jobs.size() > kScheduledJobsMax) throw Error(ErrorCode::corrupt, "field jobs is too long");
  ScheduleState state;
  for (const Json& each : jobs) {
    JsonFields job(each, "job");
    if (!state.emplace(schedule_text(job, "name"), job_of(job)).second)
      throw Error(ErrorCode::corrupt, "a job stands there twice");
  }
  return state;
}

ScheduleState load_schedule_state(const std::string& path, Log& log) {
  if (!file_exists(path)) return {};
  try {
    return read_schedule_state(read_file(path, kScheduleStateBytesMax));
  } catch (const Error& error) {
    // One that is too large is damaged as well.
    if (error.code() != ErrorCode::corrupt && error.code() != ErrorCode::invalid)
      throw error.within(path);
    log.warning(fmt::format(
        "{} is damaged ({}): it is set aside as {}.damaged, and what was missed before now is not "
        "known",
        path, error.what(), path));
  }
  if (std::rename(path.c_str(), (path + ".damaged").c_str()) != 0)
    throw system_error("set aside " + path, errno);
  return {};
}

void save_schedule_state(const std::string& path, const ScheduleState& state) {
  write_file_atomic(path, write_schedule_state(state));
}

}  // namespace holdfast
