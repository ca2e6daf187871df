// The shell script that a recovering server fetches its WAL with (restore_command): from the
// folders of its own history and from nowhere else.
//
// Why a map from timelines to folders: timelines are numbered within a lineage, and two branches of
// one source both call theirs 2. It copies; a hard link would be recycled, and so overwritten, by
// the server. It answers 1 ("not there") only when it has seen that a file is not there, twice
// (segments are moved between folders), and 255 for every other failure, upon which PostgreSQL
// stops instead of ending its recovery too early. Pure.
#pragma once

#include <string>
#include <vector>

#include "pg/lsn.h"

namespace holdfast {

struct RestoreScript {
  struct Segments {
    Timeline timeline = 0;
    std::vector<std::string> folders;  // best first
  };
  std::vector<Segments> segments;
  // History files that are there, whole paths. A new timeline gets the next number that is free
  // among them.
  std::vector<std::string> histories;
};

std::string restore_script(const RestoreScript& script);

// `text` as one word of a POSIX shell.
std::string shell_word(std::string_view text);

// For postgresql.conf: runs the script at `path`.
std::string restore_command(const std::string& path);

}  // namespace holdfast
