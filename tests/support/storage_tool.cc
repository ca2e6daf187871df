// PlainStorage on a command line, for tests: opens the storage folder, does what the lines on its
// standard input say, and answers each with one line of JSON.
//
//   storage_tool --folder F --source-file FILE --bindir DIR [--held-max BYTES]
//
//   health | snapshot | snapshots | windows | head LINE | at-lsn LINE LSN | at-time LINE TIME
//   bring LINE TIMELINE RECORD END FOLDER | add-line ID FOLDER LINE TIMELINE RECORD END
//   remove-line ID | remove-snapshot ID | trim TIME [LINE TIMELINE RECORD END]... | pause | resume
//   adopt FOLDER LINE TIMELINE RECORD END | wait-received LSN SECONDS
//
// FILE holds the source's connection string, since a password has no place among arguments. What
// the storage logs goes to standard error. Ends at the end of its input.
#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/plain_storage.h"

namespace holdfast {
namespace {

using Json = nlohmann::json;

class StandardErrorLog final : public Log {
 public:
  void line(LogLevel level, std::string_view text) override {
    std::cerr << fmt::format("{} {}\n", static_cast<int>(level), text) << std::flush;
  }
};

Json time_json(const std::optional<UtcTime>& time) {
  return time ? Json(format_rfc3339(*time)) : Json(nullptr);
}

Json point_json(const RestorePoint& point) {
  return {{"line", point.line},
          {"timeline", point.timeline},
          {"record", format_lsn(point.record)},
          {"end", format_lsn(point.end)},
          {"commit_time", time_json(point.commit_time)}};
}

Json snapshot_json_of(const SnapshotInfo& info) {
  return {{"id", info.id},
          {"timeline", info.timeline},
          {"start", format_lsn(info.start)},
          {"end", format_lsn(info.end)},
          {"started_at", format_rfc3339(info.started_at)},
          {"ended_at", format_rfc3339(info.ended_at)},
          {"bytes", info.bytes},
          {"server_version", info.server_version}};
}

Json health_json(const StorageHealth& health) {
  return {{"receiving", health.receiving},
          {"trouble", health.trouble},
          {"received", format_lsn(health.received)},
          {"source", format_lsn(health.source)},
          {"lag_bytes", health.lag_bytes},
          {"caught_up_at", time_json(health.caught_up_at)},
          {"slot", health.slot},
          {"slot_state", health.slot_state},
          {"held_bytes", health.held_bytes},
          {"restarts", health.restarts},
          {"gaps", health.gaps}};
}

class Session {
 public:
  Session(PlainStorage& storage, const Run& run) : storage_(storage), run_(run) {}

  Json answer(const std::string& line) {
    words_.clear();
    std::istringstream input(line);
    for (std::string word; input >> word;) words_.push_back(word);
    next_ = 0;
    std::string command = word();
    if (command == "health") return health_json(storage_.health());
    if (command == "snapshot") return snapshot_json_of(storage_.take_snapshot(run_));
    if (command == "snapshots") return list(storage_.snapshots(), snapshot_json_of);
    if (command == "windows") return list(storage_.windows(), window);
    if (command == "head") return point_json(storage_.head(word()));
    if (command == "at-lsn") {
      std::string line_id = word();
      return point_json(storage_.at_lsn(line_id, parse_lsn(word())));
    }
    if (command == "at-time") {
      std::string line_id = word();
      return point_json(storage_.at_time(line_id, parse_rfc3339(word())));
    }
    if (command == "bring") return bring();
    change(command);
    return {{"done", true}};
  }

 private:
  const std::string& word() {
    if (next_ >= words_.size()) throw Error(ErrorCode::invalid, "a word is missing");
    return words_[next_++];
  }

  RestorePoint point() {
    RestorePoint found;
    found.line = word();
    found.timeline = static_cast<Timeline>(std::stoul(word()));
    found.record = parse_lsn(word());
    found.end = parse_lsn(word());
    return found;
  }

  template <typename Items, typename Make>
  static Json list(const Items& items, Make&& make) {
    Json found = Json::array();
    for (const auto& each : items) found.push_back(make(each));
    return found;
  }

  static Json window(const Window& each) {
    return {{"timeline", each.timeline},
            {"from", format_lsn(each.from)},
            {"to", format_lsn(each.to)},
            {"from_time", format_rfc3339(each.from_time)},
            {"to_time", format_rfc3339(each.to_time)}};
  }

  Json bring() {
    RestorePoint where = point();
    BroughtFolder brought = storage_.bring(where, word(), run_);
    Json settings = Json::array();
    for (const auto& [name, value] : brought.settings) settings.push_back({name, value});
    return {{"settings", settings},
            {"source_settings", brought.source_settings},
            {"snapshot", brought.snapshot.id},
            {"copied_bytes", brought.copied_bytes},
            {"cloned", brought.cloned}};
  }

  void change(const std::string& command) {
    if (command == "add-line") {
      Line line;
      line.id = word();
      line.wal_folder = word();
      line.parent = point();
      storage_.add_line(line);
    } else if (command == "remove-line") {
      storage_.remove_line(word());
    } else if (command == "remove-snapshot") {
      storage_.remove_snapshot(word());
    } else if (command == "trim") {
      UtcTime since = parse_rfc3339(word());
      std::vector<RestorePoint> needed;
      while (next_ < words_.size()) needed.push_back(point());
      storage_.trim(since, needed);
    } else if (command == "pause") {
      storage_.pause();
    } else if (command == "resume") {
      storage_.resume();
    } else if (command == "adopt") {
      std::string folder = word();
      storage_.adopt_timeline(folder, point());
    } else if (command == "wait-received") {
      Lsn lsn = parse_lsn(word());
      wait_received(lsn, std::stod(word()));
    } else {
      throw Error(ErrorCode::invalid, "unknown command " + command);
    }
  }

  void wait_received(Lsn lsn, double seconds) {
    double until = run_.clock.monotonic_seconds() + seconds;
    while (storage_.health().received < lsn) {
      if (run_.clock.monotonic_seconds() > until)
        throw Error(ErrorCode::unavailable, "it was not received in time");
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }

  PlainStorage& storage_;
  const Run& run_;
  std::vector<std::string> words_;
  size_t next_ = 0;
};

Json error_json(const Error& error) {
  return {{"error", error.what()},
          {"code", std::string(error_code_name(error.code()))},
          {"hint", error.hint()}};
}

int run(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 1; i + 1 < argc; i += 2) options[argv[i]] = argv[i + 1];
  PlainStorageSettings settings;
  settings.folder = options["--folder"];
  settings.source =
      Conninfo::parse(std::string(trim(read_file(options["--source-file"], 1 << 16))));
  settings.tools = find_client_tools(options["--bindir"]).front();
  if (options.contains("--held-max")) settings.held_bytes_max = std::stoull(options["--held-max"]);
  SystemClock clock;
  StandardErrorLog log;
  NullProgress progress;
  Run run{clock, log, progress, {}};
  PlainStorage storage(settings, clock, log);
  Session session(storage, run);
  for (std::string line; std::getline(std::cin, line);) {
    Json answer;
    try {
      answer = session.answer(line);
    } catch (const Error& error) {
      answer = error_json(error);
    }
    std::cout << answer.dump(-1, ' ', false, Json::error_handler_t::replace) << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  try {
    return holdfast::run(argc, argv);
  } catch (const holdfast::Error& error) {
    std::cout << holdfast::error_json(error).dump() << std::endl;
    return holdfast::exit_code_of(error.code());
  }
}
