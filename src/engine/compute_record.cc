#include "engine/compute_record.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr int kFormat = 1;
constexpr uint64_t kComputeRecordBytesMax = 1 << 20;

using Json = nlohmann::json;

Error damaged(const std::string& path) {
  return Error(ErrorCode::corrupt, path + " is not what was written",
               "delete the compute and make it again: its branch is not affected");
}

ComputeRecord record_of(const Json& json) {
  ComputeRecord record;
  if (json.at("format").get<int>() != kFormat) throw std::out_of_range("format");
  record.open = json.at("open").get<bool>();
  record.major = json.at("major").get<int>();
  record.admin = json.at("admin").get<std::string>();
  for (const Json& setting : json.at("brought"))
    record.brought.emplace_back(setting.at(0).get<std::string>(), setting.at(1).get<std::string>());
  record.source = json.at("source").get<std::map<std::string, std::string>>();
  return record;
}

}  // namespace

std::optional<ComputeRecord> read_compute_record(const std::string& path) {
  if (!file_exists(path)) return std::nullopt;
  try {
    return record_of(Json::parse(read_file(path, kComputeRecordBytesMax)));
  } catch (const Error&) {
    throw;
  } catch (const std::exception&) {  // of the JSON, or of its shape
    throw damaged(path);
  }
}

void write_compute_record(const std::string& path, const ComputeRecord& record) {
  Json brought = Json::array(), source = Json::object();
  for (const auto& [name, value] : record.brought) {
    if (!is_utf8(value))
      throw Error(ErrorCode::invalid, fmt::format("the setting {} is not in UTF-8", name),
                  "choose folders whose names are");
    brought.push_back(Json::array({name, value}));
  }
  for (const auto& [name, value] : record.source)
    if (is_utf8(value)) source[name] = value;
  Json json = {{"format", kFormat},     {"open", record.open}, {"major", record.major},
               {"admin", record.admin}, {"brought", brought},  {"source", source}};
  write_file_atomic(path, json.dump(2) + "\n");
}

}  // namespace holdfast
