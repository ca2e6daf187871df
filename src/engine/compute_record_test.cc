#include "engine/compute_record.h"

#include <gtest/gtest.h>

#include "base/expect_error.h"
#include "base/file.h"

namespace holdfast {
namespace {

TEST(ComputeRecord, ComesBackAsItWasWritten) {
  TempFolder folder("holdfast-compute-record-test-");
  std::string path = folder.path() + "/compute.json";
  EXPECT_FALSE(read_compute_record(path));
  ComputeRecord record;
  record.open = true;
  record.major = 15;
  record.admin = "päule \"q\"";
  record.brought = {{"restore_command", "'/a b/restore' \"%f\""}, {"max_connections", "100"}};
  record.source = {{"DateStyle", "ISO, MDY"}, {"default_tablespace", "\xff"}};
  write_compute_record(path, record);
  auto read = read_compute_record(path);
  ASSERT_TRUE(read);
  EXPECT_TRUE(read->open);
  EXPECT_EQ(read->major, 15);
  EXPECT_EQ(read->admin, record.admin);
  EXPECT_EQ(read->brought, record.brought);
  EXPECT_EQ(read->source, (std::map<std::string, std::string>{{"DateStyle", "ISO, MDY"}}));
}

TEST(ComputeRecord, RefusesWhatIsNone) {
  TempFolder folder("holdfast-compute-record-test-");
  std::string path = folder.path() + "/compute.json";
  for (const char* text : {"", "{", "[]", "{\"format\": 2}", "{\"format\": 1, \"open\": 1}"}) {
    write_file_atomic(path, text);
    EXPECT_ERROR(corrupt, read_compute_record(path));
  }
  ComputeRecord record;
  record.brought = {{"restore_command", "/\xff/restore"}};
  EXPECT_ERROR(invalid, write_compute_record(path, record));
}

}  // namespace
}  // namespace holdfast
