// A copy of a folder's files that costs as little as the file system allows: shared blocks where it
// can clone (reflink), else a copy within the kernel, in parallel, with holes kept as holes.
//
// The target gets folders of mode 0700 and files of 0600, whatever the source has. Symbolic links
// and special files are left out: the caller makes those that it needs. Nothing is synced. A copy
// that fails or is interrupted leaves what it has made to the caller.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/run.h"

namespace holdfast {

struct FolderCopy {
  uint64_t files = 0;
  uint64_t bytes = 0;   // of content
  bool cloned = false;  // every file shares its blocks with its original
};

// `to` must not exist, but its parent must. `skip(relative path)` leaves out a file or a folder
// with all that is in it. Counts bytes in run.progress. Throws Error naming the file.
FolderCopy copy_folder(const std::string& from, const std::string& to,
                       const std::function<bool(const std::string&)>& skip, int jobs,
                       const Run& run);

// What the files in `folder` take on the disk.
uint64_t disk_bytes(const std::string& folder);

}  // namespace holdfast
