// Lists that come in pages, whatever the API calls its cursors: loaded to their end, within bounds.
// Pure but for `load`.
#pragma once

#include <functional>
#include <set>
#include <string>

#include "base/error.h"

namespace holdfast::neon {

inline constexpr size_t kPagesMax = 2000;  // a server that never ends its list is none

// `load` fetches the page at `cursor` ("": the first) and keeps it; it returns the next one's
// cursor, "" at the end. Throws Error(unavailable), within `what`, if pages come again.
inline void load_pages(const std::string& what,
                       const std::function<std::string(const std::string& cursor)>& load) {
  std::set<std::string> seen;
  std::string cursor;
  for (size_t page = 0; page < kPagesMax; ++page) {
    cursor = load(cursor);
    if (cursor.empty()) return;
    if (!seen.insert(cursor).second) break;
  }
  throw Error(ErrorCode::unavailable, what + ": the list does not end",
              "the API repeats its pages: try again later");
}

}  // namespace holdfast::neon
