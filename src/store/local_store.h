// A store in a local folder. An object is one file, directly in the folder (a `/` in a name makes a
// sub-folder); it is written as `.holdfast-<random>.partial` beside its place, fsynced, linked into
// place (link(2), so that an existing object is never replaced), and the folder fsynced.
// Files are 0600, folders that it makes 0700: dumps hold people's records.
#pragma once

#include <memory>
#include <string>

#include "store/object_store.h"

namespace holdfast {

// The folder need not exist yet for reading (it then lists as empty); put() makes it.
std::unique_ptr<ObjectStore> make_local_store(const std::string& folder);

// One file under any name, which a store would not take: an archive of another maker. Throws
// Error(invalid) if it is no file.
std::unique_ptr<ObjectReader> open_local_file(const std::string& path);

}  // namespace holdfast
