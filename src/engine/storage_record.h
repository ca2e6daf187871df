// storage.json, kept in memory and on disk: what the storage knows of itself and its source. Every
// change is durable when change() returns. Thread-safe.
#pragma once

#include <functional>
#include <mutex>
#include <string>

#include "engine/storage_documents.h"

namespace holdfast {

class StorageRecordFile {
 public:
  // Reads it, or makes one with a new id. Throws corrupt, unsupported, denied.
  explicit StorageRecordFile(const std::string& storage_folder);

  StorageRecord get() const;
  void change(const std::function<void(StorageRecord&)>& change);

 private:
  const std::string path_;
  mutable std::mutex mutex_;
  StorageRecord record_;
};

}  // namespace holdfast
