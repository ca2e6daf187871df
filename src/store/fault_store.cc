#include "store/fault_store.h"

#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "base/text.h"

namespace holdfast {

template <typename Operation>
auto FaultStore::run(const char* what, const std::string& name, Operation&& operation) {
  uint64_t number = ++operations_;
  bool fails = plan_.fail_at != 0 &&
               (number == plan_.fail_at || (plan_.and_later && number > plan_.fail_at));
  if (!fails) return operation();
  if (plan_.after_effect) static_cast<void>(operation());
  throw Error(plan_.code,
              fmt::format("{} {}: injected fault at operation {}", what, printable(name), number));
}

void FaultStore::take_space(const std::string& name, uint64_t bytes) {
  if (bytes_written_ + bytes > plan_.space_bytes)
    throw system_error(fmt::format("write {}", printable(name)), ENOSPC);
  bytes_written_ += bytes;
}

class FaultWriter final : public ObjectWriter {
 public:
  FaultWriter(FaultStore& store, std::string name, std::unique_ptr<ObjectWriter> inner)
      : store_(store), name_(std::move(name)), inner_(std::move(inner)) {}

  void write(ByteView bytes) override {
    store_.run("write", name_, [&] {
      store_.take_space(name_, bytes.size());
      inner_->write(bytes);
    });
  }
  void commit() override {
    store_.run("commit", name_, [&] { inner_->commit(); });
  }

 private:
  FaultStore& store_;
  std::string name_;
  std::unique_ptr<ObjectWriter> inner_;
};

class FaultReader final : public ObjectReader {
 public:
  FaultReader(FaultStore& store, std::string name, std::unique_ptr<ObjectReader> inner)
      : store_(store), name_(std::move(name)), inner_(std::move(inner)) {}

  uint64_t size() const override { return inner_->size(); }
  size_t read(uint64_t offset, uint8_t* out, size_t size) override {
    return store_.run("read", name_, [&] { return inner_->read(offset, out, size); });
  }

 private:
  FaultStore& store_;
  std::string name_;
  std::unique_ptr<ObjectReader> inner_;
};

void FaultStore::restart(FaultPlan plan) {
  plan_ = plan;
  operations_ = 0;
  bytes_written_ = 0;
}

std::unique_ptr<ObjectWriter> FaultStore::put(const std::string& name, const PutOptions& options) {
  return run("put", name, [&]() -> std::unique_ptr<ObjectWriter> {
    return std::make_unique<FaultWriter>(*this, name, inner_.put(name, options));
  });
}

std::unique_ptr<ObjectReader> FaultStore::open(const std::string& name) {
  return run("open", name, [&]() -> std::unique_ptr<ObjectReader> {
    return std::make_unique<FaultReader>(*this, name, inner_.open(name));
  });
}

ObjectInfo FaultStore::head(const std::string& name) {
  return run("head", name, [&] { return inner_.head(name); });
}

std::vector<ObjectInfo> FaultStore::list(const std::string& prefix) {
  return run("list", prefix, [&] { return inner_.list(prefix); });
}

void FaultStore::remove(const std::string& name) {
  run("remove", name, [&] { inner_.remove(name); });
}

void FaultStore::check_writable(uint64_t bytes_expected) {
  run("check", location(), [&] {
    if (bytes_expected > plan_.space_bytes)
      throw system_error(fmt::format("write to {}", location()), ENOSPC);
    inner_.check_writable(bytes_expected);
  });
}

size_t FaultStore::reap_unfinished(const LeftoverTest& may_clear) {
  return run("reap", location(), [&] { return inner_.reap_unfinished(may_clear); });
}

}  // namespace holdfast
