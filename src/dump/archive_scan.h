// One reading of a whole archive, in order, that feeds several decoding threads.
//
// The file is read once, front to back, in blocks of kScanBlockBytes; each block goes to
// `in_order` (SHA-256) and is cut by a Splitter into parts that belong to units (pieces of tables,
// blocks of large objects). A unit goes to one worker, part by part as it is read, so memory is
// kScanBlocks blocks and the workers' buffers, whatever the size of a unit.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>

#include "base/bytes.h"
#include "base/run.h"
#include "base/workers.h"
#include "store/object_store.h"

namespace holdfast {

constexpr size_t kScanBlockBytes = size_t{1} << 20;
constexpr size_t kScanBlocks = 24;

// Says what the next bytes of the file are. Called by the reading thread, in order.
class Splitter {
 public:
  virtual ~Splitter() = default;
  struct Part {
    size_t bytes = 0;      // how many of them, at least 1
    bool in_unit = false;  // else nobody decodes them
    size_t unit = 0;
    bool first = false, last = false;  // of the unit
  };
  virtual Part next(uint64_t offset, ByteView bytes) = 0;
};

// One per worker. What it learns it keeps where the caller finds it, under a lock of its own.
class UnitHandler {
 public:
  virtual ~UnitHandler() = default;
  virtual void begin(size_t unit) = 0;
  virtual void add(ByteView bytes) = 0;
  virtual void end() = 0;  // not called when the file ends before the unit does
};

// Returns how many bytes were read: the object's true size. Damage is the handlers' business: an
// exception from any of them ends the scan and is thrown.
uint64_t scan_archive(ObjectReader& archive, int workers, Splitter& splitter,
                      const std::function<void(ByteView)>& in_order,
                      const std::function<std::unique_ptr<UnitHandler>(WorkerScope&)>& make_handler,
                      const Run& run);

}  // namespace holdfast
