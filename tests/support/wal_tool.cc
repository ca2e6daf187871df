// The reading of WAL on a command line, for tests and for measuring: what pg_waldump and the server
// are compared with.
//
//   wal_tool dump TIMELINE FILE…      every record of consecutive segments, one a line:
//                                     `start prev end rmid info xid length`; then `stop …`
//   wal_tool archive FOLDER INDEX     answers commands from standard input, one a line, each answer
//                                     ended by a line with `.`; INDEX `-`: none
//       refresh                       `read BYTES verified N damaged N seconds S`
//       stretches                     `timeline from to last_record ending commits why`
//       head TIMELINE                 `timeline record end commit-microseconds-since-1970-or-'-'`
//       lsn TIMELINE LSN              the same
//       time TIMELINE MICROSECONDS    the same, and `exact` or `head`
//       needs TIMELINE [FROM TO]      five numbers, minimal LSN or `-`, then `oid:path` of
//       tablespaces missing TIMELINE [FROM TO]    `-` or what
//   wal_tool archive-of INDEX TIMELINE=FOLDER[,FOLDER]…    the same over several folders
//
// Errors are answers: `error CODE MESSAGE`.
#include <fcntl.h>
#include <fmt/format.h>

#include <chrono>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/wal_archive.h"
#include "pg/wal_reader.h"

namespace holdfast {
namespace {

void dump(Timeline timeline, const std::vector<std::string>& files) {
  std::unique_ptr<WalReader> reader;
  for (const std::string& path : files) {
    std::string bytes = read_file(path, kWalSegmentBytesMax);
    if (!reader) {
      WalReaderStart start;
      start.timeline = timeline;
      start.at = load_wal_page_header(as_bytes(bytes).data()).address;
      reader = std::make_unique<WalReader>(start);
    }
    reader->feed(as_bytes(bytes));
    WalRecord record;
    while (reader->next(record))
      fmt::print("{} {} {} {} {} {} {}\n", format_lsn(record.start), format_lsn(record.prev),
                 format_lsn(record.end), record.rmid, record.info, record.xid, record.total_bytes);
    if (reader->stopped()) break;
  }
  if (reader && reader->stopped())
    fmt::print("stop {} {}\n", reader->stopped()->kind == WalStop::Kind::end ? "end" : "damage",
               reader->stopped()->why);
}

std::string text(const WalPoint& point) {
  std::string time = "-";
  if (point.commit_time) time = std::to_string(point.commit_time->time_since_epoch().count());
  return fmt::format("{} {} {} {}", point.timeline, format_lsn(point.record), format_lsn(point.end),
                     time);
}

const char* text(StretchEnd ending) {
  switch (ending) {
    case StretchEnd::head:
      return "head";
    case StretchEnd::gap:
      return "gap";
    default:
      return "damage";
  }
}

// The lineage of a command's `TIMELINE [FROM TO]`.
Lineage lineage(const WalArchive& archive, std::istringstream& words) {
  Timeline timeline = 0;
  std::string from, to;
  words >> timeline >> from >> to;
  if (from.empty()) return archive.lineage(timeline);
  Lineage clipped;
  for (WalPart part : archive.lineage(timeline)) {
    part.from = std::max(part.from, parse_lsn(from));
    if (part.to.value == 0 || part.to > parse_lsn(to)) part.to = parse_lsn(to);
    if (part.from < part.to) clipped.push_back(part);
  }
  return clipped;
}

void answer(WalArchive& archive, const std::string& line) {
  std::istringstream words(line);
  std::string command;
  words >> command;
  if (command == "refresh") {
    auto began = std::chrono::steady_clock::now();
    WalRefresh done = archive.refresh();
    std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    fmt::print("read {} verified {} damaged {} seconds {:.6f} {}\n", done.read_bytes,
               done.segments_verified, done.segments_damaged, took.count(), done.index_trouble);
  } else if (command == "stretches") {
    for (const WalStretch& s : archive.stretches())
      fmt::print("{} {} {} {} {} {} {}\n", s.timeline, format_lsn(s.from), format_lsn(s.to),
                 format_lsn(s.last_record), text(s.ending), s.commits, s.why);
  } else if (command == "head") {
    fmt::print("{}\n", text(archive.head(lineage(archive, words))));
  } else if (command == "lsn") {
    Timeline timeline = 0;
    std::string lsn;
    words >> timeline >> lsn;
    fmt::print("{}\n", text(archive.at_lsn(archive.lineage(timeline), parse_lsn(lsn))));
  } else if (command == "time") {
    Timeline timeline = 0;
    int64_t microseconds = 0;
    words >> timeline >> microseconds;
    WalTimePoint found = archive.at_time(archive.lineage(timeline),
                                         WalTime(std::chrono::microseconds(microseconds)));
    fmt::print("{} {}\n", text(found.point), found.later_commit_seen ? "exact" : "head");
  } else if (command == "needs") {
    WalNeeds needs = archive.needs(lineage(archive, words));
    fmt::print("{} {} {} {} {} {}", needs.max_connections, needs.max_worker_processes,
               needs.max_wal_senders, needs.max_prepared_transactions,
               needs.max_locks_per_transaction,
               needs.minimal_wal ? format_lsn(*needs.minimal_wal) : "-");
    for (const WalTablespace& created : needs.tablespaces)
      fmt::print(" {}:{}", created.oid, created.path);
    fmt::print("\n");
  } else if (command == "missing") {
    fmt::print("{}\n", archive.missing(lineage(archive, words)).value_or("-"));
  } else {
    throw Error(ErrorCode::invalid, "unknown command " + command);
  }
}

void converse(WalArchive& archive) {
  for (std::string line; std::getline(std::cin, line);) {
    try {
      answer(archive, line);
    } catch (const Error& error) {
      fmt::print("error {} {}\n", error_code_name(error.code()), error.what());
    }
    fmt::print(".\n");
    std::fflush(stdout);
  }
}

int run(const std::vector<std::string>& words) {
  if (words.size() > 2 && words[0] == "dump") {
    dump(static_cast<Timeline>(std::stoul(words[1])), {words.begin() + 2, words.end()});
  } else if (words.size() == 3 && words[0] == "archive") {
    WalArchive archive(words[1], words[2] == "-" ? "" : words[2]);
    converse(archive);
  } else if (words.size() > 2 && words[0] == "archive-of") {
    WalArchive::Folders folders;
    for (size_t i = 2; i < words.size(); ++i) {
      size_t equals = words[i].find('=');
      folders[static_cast<Timeline>(std::stoul(words[i].substr(0, equals)))] =
          split(words[i].substr(equals + 1), ',');
    }
    WalArchive archive(folders, words[1] == "-" ? "" : words[1]);
    converse(archive);
  } else {
    fmt::print(stderr, "wal_tool: wrong usage; see its source\n");
    return kExitUsage;
  }
  return kExitDone;
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  try {
    return holdfast::run({argv + 1, argv + argc});
  } catch (const holdfast::Error& error) {
    fmt::print(stderr, "wal_tool: {}\n", error.what());
    return exit_code_of(error.code());
  }
}
