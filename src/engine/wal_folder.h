// The two folders that the WAL of `main` is kept in, and what lies in which.
//
// pg_receivewal goes on from the newest segment in its folder, whatever timeline that is on and
// whether the source still knows it. So its folder, `wal`, holds only what it may go on from;
// segments of timelines that the source left, and those on the other side of a gap, lie in
// `wal-earlier`, where they are as good for recovery as before. A complete segment and a shorter
// `.partial` of the same name may lie in the two: the complete one holds all of the other.
//
// arrange() moves by rename, so a crash in its midst loses nothing and the next call goes on. Not
// while pg_receivewal runs. One thread at a time, but for list(). Throws Error for files that
// cannot be read or moved.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "pg/lsn.h"
#include "pg/timeline_history.h"
#include "pg/wal_format.h"

namespace holdfast {

struct SegmentFile {
  Timeline timeline = 0;
  uint64_t number = 0;  // counted from LSN 0
  bool partial = false;
  std::string path;
  bool earlier = false;  // in `wal-earlier`

  Lsn start(uint32_t segment_bytes) const { return {number * segment_bytes}; }
  Lsn end(uint32_t segment_bytes) const { return {(number + 1) * segment_bytes}; }
};

// Whether pg_receivewal may go on from `segment` towards a source with this lineage: it lies on it,
// not beyond a fork, not behind a gap (`receive_from`); and is not complete where the source left
// its timeline within it, since pg_receivewal would ask for what comes behind it there.
bool may_receive_after(const SegmentFile& segment, const Lineage& source, Lsn receive_from,
                       uint32_t segment_bytes);

// Where pg_receivewal would go on (its FindStreamingStart): behind the highest segment, at the
// beginning of one that is partial; of equals, on the higher timeline. Nothing if there is none.
struct ReceiveStart {
  Timeline timeline = 0;
  Lsn lsn;
  bool operator==(const ReceiveStart&) const = default;
};
std::optional<ReceiveStart> receive_start(const std::vector<SegmentFile>& segments,
                                          uint32_t segment_bytes);

class WalFolder {
 public:
  // Makes the folders.
  explicit WalFolder(const std::string& storage_folder);

  const std::string& current() const { return current_; }
  const std::string& earlier() const { return earlier_; }
  // Where a segment is looked for, best first: of two partial ones, the one that was left behind
  // reaches further on a timeline that was left.
  std::vector<std::string> folders() const { return {earlier_, current_}; }

  // Every segment in both folders, in the order of the WAL.
  std::vector<SegmentFile> list(uint32_t segment_bytes) const;
  std::vector<Timeline> timelines() const;

  // Puts every segment where it belongs, and gives those that a killed pg_receivewal had not made
  // to their full size yet that size. Returns where pg_receivewal will go on.
  std::optional<ReceiveStart> arrange(const Lineage& source, Lsn receive_from,
                                      uint32_t segment_bytes);

  // The history file of `timeline`, if it is there.
  std::optional<std::string> history(Timeline timeline) const;

  // Takes over the segments of `timeline` from a server's pg_wal, of which `end` is the end: they
  // are complete up to the one that holds the last byte, which becomes `.partial`. What is here
  // already stays as it is. Durable when it returns.
  void adopt(const std::string& pg_wal, Timeline timeline, Lsn end, uint32_t segment_bytes);

  // Removes the segments that `unneeded` says so of, oldest first, but never the newest one of the
  // receiver's. Returns how many bytes that were.
  uint64_t remove(const std::function<bool(const SegmentFile&)>& unneeded, uint32_t segment_bytes);

 private:
  void move(const SegmentFile& segment, const std::string& folder) const;
  void mend_sizes(uint32_t segment_bytes) const;
  std::string current_, earlier_;
};

}  // namespace holdfast
