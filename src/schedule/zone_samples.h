// For tests: the C library's opinion on time zones, which reads the same files with other code.
//
// The C library knows one zone at a time, by the environment of the process: not for tests that run
// in several threads.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>

#include "base/file.h"
#include "schedule/zone.h"

namespace holdfast {

// While it exists, localtime_r is of this zone. Ends the process if there is no tzdata: a test of
// zones that is passed over would be none.
class CLibraryZone {
 public:
  explicit CLibraryZone(const std::string& name) {
    std::string folder(kZoneinfoFolder);
    if (!file_exists(folder + "/" + name)) {
      std::fprintf(stderr, "there is no %s/%s\nhint: tools/install-dependencies --for check\n",
                   folder.c_str(), name.c_str());
      std::abort();
    }
    ::setenv("TZ", (":" + folder + "/" + name).c_str(), 1);
    ::tzset();
  }
  CLibraryZone(const CLibraryZone&) = delete;
  CLibraryZone& operator=(const CLibraryZone&) = delete;
  ~CLibraryZone() {
    ::unsetenv("TZ");
    ::tzset();
  }

  ZoneType at(std::chrono::sys_seconds instant) const {
    time_t time = instant.time_since_epoch().count();
    std::tm parts{};
    ::localtime_r(&time, &parts);
    return {std::chrono::seconds(parts.tm_gmtoff), parts.tm_isdst > 0, parts.tm_zone};
  }
};

}  // namespace holdfast
