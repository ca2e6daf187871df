#include "dump/sealed_archive.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <vector>

#include "seal/gpg_stream.h"
#include "seal/sha256.h"

namespace holdfast {
namespace {

constexpr uint64_t kGlobalsBytesMax = uint64_t{256} << 20;
constexpr size_t kSkipBytes = size_t{256} << 10;

class SealingWriter final : public ObjectWriter {
 public:
  SealingWriter(std::unique_ptr<ObjectWriter> object, const SealSpec& spec, StoredObject& stored)
      : object_(std::move(object)), stored_(stored), gpg_(spec, [this](ByteView sealed) {
          object_->write(sealed);
          sha256_.update(sealed);
          bytes_ += sealed.size();
        }) {}

  void write(ByteView bytes) override { gpg_.write(bytes); }
  void commit() override {
    gpg_.finish();
    stored_ = {bytes_, sha256_.finish_hex()};
    object_->commit();
  }

 private:
  std::unique_ptr<ObjectWriter> object_;
  StoredObject& stored_;
  Sha256 sha256_;       // by gpg_'s thread, until it has finished
  uint64_t bytes_ = 0;  // likewise
  GpgSealer gpg_;       // last: its thread ends before what it uses
};

// Whether the first packet of an OpenPGP message is a session key under a passphrase (RFC 4880,
// 4.2 and 5.3): then there is no need for anybody's keyring.
bool under_passphrase(uint8_t first) {
  return (first & 0xFC) == 0x8C || first == 0xC3;
}
bool under_public_key(uint8_t first) {
  return (first & 0xFC) == 0x84 || first == 0xC1;
}

// More than the one byte is read: a range that ends at 0 is taken for an open one by some servers
// of S3 (s3rver).
uint8_t first_byte(ObjectReader& object) {
  std::array<uint8_t, 16> bytes{};
  object.read(0, bytes.data(), bytes.size());
  return bytes[0];
}

class UnsealingReader final : public ObjectReader {
 public:
  UnsealingReader(std::unique_ptr<ObjectReader> object, uint64_t plain_bytes, const OpenKeys& keys,
                  SealFindings* findings)
      : object_(std::move(object)), plain_bytes_(plain_bytes), keys_(keys), findings_(findings) {}

  uint64_t size() const override { return plain_bytes_; }

  size_t read(uint64_t offset, uint8_t* out, size_t size) override {
    if (!gpg_ || offset < position_) start();
    std::vector<uint8_t> skipped;
    while (position_ < offset) {
      skipped.resize(kSkipBytes);
      size_t got = next(skipped.data(),
                        static_cast<size_t>(std::min<uint64_t>(kSkipBytes, offset - position_)));
      if (got == 0) return 0;
    }
    size_t done = 0;
    while (done < size) {
      size_t got = next(out + done, size - done);
      if (got == 0) break;
      done += got;
    }
    return done;
  }

 private:
  size_t next(uint8_t* out, size_t size) {
    size_t got = 0;
    if (!first_.empty()) {
      got = std::min(size, first_.size());
      std::copy_n(first_.begin(), got, out);
      first_.erase(first_.begin(), first_.begin() + static_cast<ptrdiff_t>(got));
    } else {
      got = gpg_->read(out, size);
    }
    position_ += got;
    if (got == 0) at_end();
    return got;
  }

  void at_end() {
    if (findings_ != nullptr) {
      if (!ended_) findings_->stored = {sealed_bytes_, sha256_.finish_hex()};
      findings_->failure = gpg_->failure();
      ended_ = true;
      return;
    }
    if (gpg_->failure()) throw Error(*gpg_->failure());
  }

  // With the first key that opens it. If none does, the failure is thrown: nothing was read then.
  void start() {
    uint8_t first = first_byte(*object_);
    std::vector<OpenAttempt> attempts;
    for (const Secret& passphrase : keys_.passphrases)
      attempts.push_back({&passphrase, under_passphrase(first)});
    if (!under_passphrase(first) || attempts.empty())
      attempts.push_back({nullptr, under_passphrase(first)});
    for (size_t i = 0; i < attempts.size(); ++i) {
      begin(attempts[i]);
      first_.resize(kSkipBytes);
      first_.resize(gpg_->read(first_.data(), first_.size()));
      bool shut = first_.empty() && gpg_->failure() && gpg_->failure()->code() == ErrorCode::denied;
      if (!shut) return;
      if (i + 1 == attempts.size()) {
        Error error = *gpg_->failure();
        gpg_.reset();
        throw error;
      }
    }
  }

  void begin(const OpenAttempt& attempt) {
    gpg_.reset();
    position_ = sealed_bytes_ = 0;
    ended_ = false;
    sha256_ = Sha256();
    gpg_ = std::make_unique<GpgOpener>(
        attempt,
        [this](uint8_t* out, size_t size) {
          size_t got = object_->read(sealed_bytes_, out, size);
          if (findings_ != nullptr) sha256_.update(ByteView(out, got));
          sealed_bytes_ += got;
          return got;
        },
        findings_ != nullptr);
  }

  std::unique_ptr<ObjectReader> object_;
  const uint64_t plain_bytes_;
  const OpenKeys keys_;
  SealFindings* findings_;
  Sha256 sha256_;              // by gpg_'s thread, until it has ended
  uint64_t sealed_bytes_ = 0;  // likewise
  uint64_t position_ = 0;
  bool ended_ = false;
  std::vector<uint8_t> first_;  // read already, to see whether the key fits
  std::unique_ptr<GpgOpener> gpg_;
};

Error with_recipients(const Error& error, const Manifest& manifest) {
  if (error.code() != ErrorCode::denied || manifest.seal->recipients.empty()) return error;
  return Error(
      error.code(),
      fmt::format("{} (recipients: {})", error.what(), fmt::join(manifest.seal->recipients, ", ")),
      error.hint());
}

// Names the object and its recipients where the reader below cannot.
class NamedReader final : public ObjectReader {
 public:
  NamedReader(std::unique_ptr<ObjectReader> inner, const Manifest& manifest,
              const std::string& object)
      : inner_(std::move(inner)), manifest_(manifest), object_(object) {}
  uint64_t size() const override { return inner_->size(); }
  size_t read(uint64_t offset, uint8_t* out, size_t size) override {
    try {
      return inner_->read(offset, out, size);
    } catch (const Error& error) {
      throw with_recipients(error, manifest_).within(object_);
    }
  }

 private:
  std::unique_ptr<ObjectReader> inner_;
  const Manifest& manifest_;
  const std::string object_;
};

}  // namespace

std::unique_ptr<ObjectWriter> sealing_writer(std::unique_ptr<ObjectWriter> object,
                                             const SealSpec& spec, StoredObject& stored) {
  return std::make_unique<SealingWriter>(std::move(object), spec, stored);
}

StoredObject write_sealed_object(ObjectStore& store, const std::string& name, ByteView content,
                                 const SealSpec& spec, const PutOptions& options) {
  StoredObject stored;
  std::unique_ptr<ObjectWriter> writer = sealing_writer(store.put(name, options), spec, stored);
  writer->write(content);
  writer->commit();
  return stored;
}

std::unique_ptr<ObjectReader> open_archive(ObjectStore& store, const Manifest& manifest,
                                           const OpenKeys& keys, SealFindings* findings) {
  std::unique_ptr<ObjectReader> object = store.open(manifest.archive_object);
  if (!manifest.seal) return object;
  return std::make_unique<NamedReader>(
      std::make_unique<UnsealingReader>(std::move(object), manifest.archive_bytes, keys, findings),
      manifest, manifest.archive_object);
}

std::string read_globals(ObjectStore& store, const Manifest& manifest, const OpenKeys& keys) {
  const std::string& name = *manifest.globals_object;
  if (!manifest.seal) return read_object(store, name, kGlobalsBytesMax);
  NamedReader reader(
      std::make_unique<UnsealingReader>(store.open(name), manifest.globals_bytes, keys, nullptr),
      manifest, name);
  std::string text(static_cast<size_t>(std::min(manifest.globals_bytes, kGlobalsBytesMax)) + 1,
                   '\0');
  text.resize(reader.read(0, reinterpret_cast<uint8_t*>(text.data()), text.size()));
  return text;
}

bool looks_sealed(ObjectReader& object) {
  uint8_t first = first_byte(object);
  return under_passphrase(first) || under_public_key(first);
}

std::unique_ptr<ObjectReader> open_foreign(std::unique_ptr<ObjectReader> object,
                                           const OpenKeys& keys) {
  if (!looks_sealed(*object)) return object;
  uint64_t bytes = object->size();  // about; nobody knows before it was read
  return std::make_unique<UnsealingReader>(std::move(object), bytes, keys, nullptr);
}

std::vector<StoredPart> stored_parts(const Manifest& manifest) {
  std::vector<StoredPart> parts;
  parts.push_back({manifest.archive_object,
                   manifest.seal ? manifest.seal->archive
                                 : StoredObject{manifest.archive_bytes, manifest.archive_sha256}});
  if (manifest.globals_object)
    parts.push_back({*manifest.globals_object,
                     manifest.seal && manifest.seal->globals
                         ? *manifest.seal->globals
                         : StoredObject{manifest.globals_bytes, manifest.globals_sha256}});
  return parts;
}

StoredObject read_stored(ObjectStore& store, const std::string& name, const Run& run) {
  std::unique_ptr<ObjectReader> object = store.open(name);
  std::vector<uint8_t> block(kGpgBlockBytes);
  Sha256 sha256;
  StoredObject found;
  while (true) {
    run.check_stop();
    size_t got = object->read(found.bytes, block.data(), block.size());
    if (got == 0) break;
    sha256.update(ByteView(block.data(), got));
    found.bytes += got;
  }
  found.sha256 = sha256.finish_hex();
  return found;
}

}  // namespace holdfast
