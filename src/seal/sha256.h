// SHA-256 (FIPS 180-4) over a stream, by OpenSSL. One object per stream, one thread at a time.
#pragma once

#include <array>
#include <memory>
#include <string>

#include "base/bytes.h"

namespace holdfast {

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(ByteView bytes);
  // The digest in lower-case hexadecimal; the object is spent afterwards.
  std::string finish_hex();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string sha256_hex(ByteView bytes);

}  // namespace holdfast
