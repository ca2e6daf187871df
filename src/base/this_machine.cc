#include "base/this_machine.h"

#include <pwd.h>
#include <unistd.h>

#include <vector>

#include "base/file.h"
#include "base/text.h"

namespace holdfast {

std::string host_name() {
  char name[256] = {};
  return ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
}

std::string machine_id() {
  constexpr uint64_t kBytesMax = 4096;
  for (const char* file : {"/etc/machine-id", "/var/lib/dbus/machine-id"}) {
    if (!file_exists(file)) continue;
    std::string id(trim(read_file(file, kBytesMax)));
    if (!id.empty()) return id;
  }
  return {};
}

std::string user_name() {
  std::vector<char> buffer(16 << 10);
  passwd entry{}, *found = nullptr;
  uid_t user = ::getuid();
  if (::getpwuid_r(user, &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr)
    return found->pw_name;
  return "uid " + std::to_string(user);
}

}  // namespace holdfast
