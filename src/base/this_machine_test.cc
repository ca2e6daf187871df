#include "base/this_machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "base/text.h"

namespace holdfast {
namespace {

TEST(ThisMachine, HasTheNameThatItsKernelKnows) {
  EXPECT_EQ(host_name(), trim(read_file("/proc/sys/kernel/hostname", 4096)));
}

TEST(ThisMachine, IsToldFromOthersByItsId) {
  if (!file_exists("/etc/machine-id")) GTEST_SKIP() << "this machine has none";
  EXPECT_EQ(machine_id(), trim(read_file("/etc/machine-id", 4096)));
}

TEST(ThisMachine, NamesWhoRunsThis) {
  if (::getuid() == 0)
    EXPECT_EQ(user_name(), "root");
  else
    EXPECT_THAT(user_name(), testing::Not(testing::IsEmpty()));
}

}  // namespace
}  // namespace holdfast
