#include "seal/sha256.h"

#include <openssl/evp.h>

#include "base/error.h"

namespace holdfast {
namespace {

// Fetched once: an implicit fetch at every use costs 11-25 % at small sizes (facts, OpenSSL 3.0).
const EVP_MD* sha256_algorithm() {
  static EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  if (algorithm == nullptr) throw Error(ErrorCode::internal, "this OpenSSL has no SHA-256");
  return algorithm;
}

}  // namespace

struct Sha256::Context {
  EVP_MD_CTX* md = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(md); }
};

Sha256::Sha256() : context_(std::make_unique<Context>()) {
  if (context_->md == nullptr || EVP_DigestInit_ex(context_->md, sha256_algorithm(), nullptr) != 1)
    throw Error(ErrorCode::internal, "SHA-256 could not be started");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(ByteView bytes) {
  if (EVP_DigestUpdate(context_->md, bytes.data(), bytes.size()) != 1)
    throw Error(ErrorCode::internal, "SHA-256 failed");
}

std::string Sha256::finish_hex() {
  std::array<uint8_t, 32> digest{};
  if (EVP_DigestFinal_ex(context_->md, digest.data(), nullptr) != 1)
    throw Error(ErrorCode::internal, "SHA-256 failed");
  return to_hex(digest);
}

std::string sha256_hex(ByteView bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish_hex();
}

}  // namespace holdfast
