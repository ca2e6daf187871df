#include "engine/control_file.h"

#include <charconv>

#include "base/error.h"
#include "base/file.h"
#include "base/process.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr size_t kControlWordsShown = 300;
constexpr size_t kControlBytesMax = 1 << 20;
constexpr std::chrono::seconds kControlDataMax{60};

// The one member of `key: value` lines.
std::string member_of(const std::string& text, const std::string& key) {
  for (const std::string& line : split(text, '\n'))
    if (line.starts_with(key + ":")) return std::string(trim(line.substr(key.size() + 1)));
  return {};
}

}  // namespace

ControlFile read_control_file(const ClientTools& tools, const std::string& data_folder) {
  ProcessOptions options;
  options.argv = {tools.path("pg_controldata"), "--pgdata=" + data_folder};
  options.env = clean_environment();
  options.env["LC_ALL"] = "C";
  options.env.erase("LANG");
  ProcessResult read = run_process(options, {}, kControlBytesMax, kControlDataMax);
  if (read.exit_code != 0)
    throw Error(ErrorCode::unavailable,
                "pg_controldata failed: " + printable(trim(read.err), kControlWordsShown));
  ControlFile control;
  control.state = member_of(read.out, "Database cluster state");
  control.checkpoint_lsn = member_of(read.out, "Latest checkpoint location");
  std::string timeline = member_of(read.out, "Latest checkpoint's TimeLineID");
  auto [end, error] = std::from_chars(timeline.data(), timeline.data() + timeline.size(),
                                      control.checkpoint_timeline);
  if (error != std::errc() || end != timeline.data() + timeline.size())
    throw Error(ErrorCode::unavailable, "pg_controldata says no timeline");
  return control;
}

void keep_recovering(const ClientTools& tools, const std::string& data_folder, int timeline) {
  const std::string signal = data_folder + "/recovery.signal";
  if (file_exists(signal)) return;
  if (read_control_file(tools, data_folder).checkpoint_timeline <= timeline)
    write_file_atomic(signal, "");
}

}  // namespace holdfast
