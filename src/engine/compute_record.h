// compute.json: what a compute has to remember between its starts (docs/format/compute.md). Written
// atomically. Throws Error(corrupt) for a file that is not one.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "engine/server_config.h"

namespace holdfast {

struct ComputeRecord {
  // False from before the first start until the quarantine is done: then the first start has to be
  // gone on with. Clients are let in only once it is true.
  bool open = false;
  int major = 0;
  std::string admin;  // the superuser that the engine connects as; empty until it is known
  std::vector<Setting> brought;
  std::map<std::string, std::string> source;  // those that matter
};

std::optional<ComputeRecord> read_compute_record(const std::string& path);
void write_compute_record(const std::string& path, const ComputeRecord& record);

}  // namespace holdfast
