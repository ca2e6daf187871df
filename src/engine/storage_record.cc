#include "engine/storage_record.h"

#include "base/error.h"
#include "base/file.h"

namespace holdfast {

StorageRecordFile::StorageRecordFile(const std::string& storage_folder)
    : path_(storage_folder + "/storage.json") {
  if (file_exists(path_)) {
    record_ = with_context("read " + path_, [&] {
      return parse_storage_json(read_file(path_, kStorageJsonBytesMax));
    });
    return;
  }
  change([](StorageRecord& record) { record.id = random_hex(4); });
}

StorageRecord StorageRecordFile::get() const {
  std::lock_guard lock(mutex_);
  return record_;
}

void StorageRecordFile::change(const std::function<void(StorageRecord&)>& change) {
  std::lock_guard lock(mutex_);
  StorageRecord changed = record_;
  change(changed);
  write_file_atomic(path_, storage_json(changed));
  record_ = std::move(changed);
}

}  // namespace holdfast
