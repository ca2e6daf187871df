// Which timelines a timeline came from, and where it left each of them: what PostgreSQL keeps in
// `<timeline>.history` files (src/backend/access/transam/timeline.c). Timeline 1 has no such file.
//
// A file lists ancestors, oldest first, one a line: timeline, the LSN at which it was left, a
// reason, with tabs between; empty lines and those that begin with '#' count for nothing. Bytes
// are foreign: anything that PostgreSQL would refuse is Error(corrupt). Values; pure functions.
#pragma once

#include <string_view>
#include <vector>

#include "pg/lsn.h"

namespace holdfast {

// One part of a lineage: the WAL of `timeline` from `from` up to and without `to`. Where it says
// so, a `to` of 0 means: up to the end of what there is.
struct WalPart {
  Timeline timeline = 0;
  Lsn from, to;
  bool operator==(const WalPart&) const = default;
};
using Lineage = std::vector<WalPart>;  // oldest first; each part begins where the one before ends

// A history file is text of a few lines; 65,536 ancestors would not fill this.
inline constexpr size_t kTimelineHistoryBytesMax = 4 << 20;

// The lineage of `timeline` that `content`, its history file, spells; the last part is `timeline`
// itself, with a `to` of 0. Throws Error(corrupt).
Lineage parse_timeline_history(Timeline timeline, std::string_view content);

// What `timeline` is without a file: a lineage of one part.
Lineage first_timeline(Timeline timeline);

// The timeline that LSNs of `lineage` lie on: the one of the part that holds the byte *before*
// `end`, so that a fork belongs to the timeline that wrote up to it. 0 if none does.
Timeline timeline_of(const Lineage& lineage, Lsn end);

}  // namespace holdfast
