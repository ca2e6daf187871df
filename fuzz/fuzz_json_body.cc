// Bodies of the API, as a server and as a client read them. Whatever the bytes, a reader returns or
// throws Error with its own code, and what was read as a request is read as the same when it is
// written again.
#include "base/error.h"
#include "expect.h"
#include "neon/json.h"

namespace {

using namespace holdfast;

template <typename Read>
void try_to_read(ErrorCode code, Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == code);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view body(reinterpret_cast<const char*>(data), size);
  auto request = [&](auto&& read) { try_to_read(ErrorCode::invalid, read); };
  auto answer = [&](auto&& read) { try_to_read(ErrorCode::unavailable, read); };
  request([&] {
    std::string once = neon::write_branch_create(neon::read_branch_create(body));
    FUZZ_EXPECT(neon::write_branch_create(neon::read_branch_create(once)) == once);
  });
  request([&] {
    std::string once = neon::write_branch_update(neon::read_branch_update(body));
    FUZZ_EXPECT(neon::write_branch_update(neon::read_branch_update(once)) == once);
  });
  request([&] { FUZZ_EXPECT(neon::is_id(neon::read_branch_restore(body).source_branch_id)); });
  request([&] { neon::read_endpoint_create(body); });
  request([&] { neon::read_endpoint_update(body); });
  request([&] { FUZZ_EXPECT(neon::read_role_create(body).name.size() <= 63); });
  request([&] { neon::read_database_create(body); });
  request([&] { neon::read_snapshot_create(body); });
  request([&] { neon::read_snapshot_update(body); });
  request([&] { neon::read_snapshot_restore(body); });
  request([&] { neon::read_project_update(body); });
  request([&] {
    for (const neon::ScheduleItem& item : neon::read_schedule_request(body))
      FUZZ_EXPECT(!item.hour || (*item.hour >= 0 && *item.hour < 24));
  });
  request([&] { neon::parse_time(body); });
  answer([&] { neon::read_changed(body); });
  answer([&] {
    neon::BranchList list = neon::read_branch_list(body);
    FUZZ_EXPECT(neon::read_branch_list(neon::write_branch_list(list)).branches.size() ==
                list.branches.size());
  });
  answer([&] { neon::read_operation_list(body); });
  answer([&] { neon::read_project_list(body); });
  neon::read_error(body);
  return 0;
}
