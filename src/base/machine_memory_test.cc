#include "base/machine_memory.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"

namespace holdfast {
namespace {

constexpr int64_t kPhysical = int64_t{8} << 30;

class MachineMemory : public testing::Test {
 protected:
  void put(const std::string& path, const std::string& text) {
    std::filesystem::path file = folder_.path() + path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  int64_t limited() { return limited_memory_bytes(folder_.path(), kPhysical); }

  TempFolder folder_{"machine-memory-"};
};

TEST_F(MachineMemory, OfTheMachineWhereNothingLimitsIt) {
  EXPECT_EQ(limited(), kPhysical);
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/memory.max", "max\n");
  EXPECT_EQ(limited(), kPhysical);
}

TEST_F(MachineMemory, OfAContainer) {
  put("/proc/self/cgroup", "0::/\n");
  put("/sys/fs/cgroup/memory.max", "536870912\n");
  EXPECT_EQ(limited(), 536870912);
}

TEST_F(MachineMemory, LeastOfAUnitAndWhatItIsIn) {
  put("/proc/self/cgroup", "1:name=systemd:/\n0::/system.slice/backup.service\n");
  put("/sys/fs/cgroup/system.slice/backup.service/memory.max", "max\n");
  put("/sys/fs/cgroup/system.slice/memory.max", "2147483648\n");
  EXPECT_EQ(limited(), 2147483648);
  put("/sys/fs/cgroup/system.slice/backup.service/memory.max", "1073741824\n");
  EXPECT_EQ(limited(), 1073741824);
}

TEST_F(MachineMemory, ALimitAboveTheMachineIsNone) {
  put("/sys/fs/cgroup/memory.max", "99999999999999\n");
  EXPECT_EQ(limited(), kPhysical);
  put("/sys/fs/cgroup/memory.max", "0\n");
  EXPECT_EQ(limited(), kPhysical);
  put("/sys/fs/cgroup/memory.max", "");
  EXPECT_EQ(limited(), kPhysical);
}

TEST(MachineMemoryHere, IsSomething) {
  EXPECT_GT(machine_memory_bytes(), 64 << 20);
}

}  // namespace
}  // namespace holdfast
