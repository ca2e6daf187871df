// Signatures by Ed25519 (RFC 8032), by OpenSSL, over PEM keys as `openssl genpkey -algorithm
// ed25519` makes them; so that whoever has openssl can verify without us:
//
//   openssl pkeyutl -verify -pubin -inkey public-key.pem -rawin -in FILE -sigfile FILE.sig
//
// Pure.
#pragma once

#include <string>

#include "base/bytes.h"
#include "base/secret.h"

namespace holdfast {

class SigningKey {
 public:
  // Throws Error(invalid) for what is no unencrypted Ed25519 private key in PEM.
  explicit SigningKey(const Secret& pem);

  std::string sign(ByteView message) const;  // 64 bytes
  std::string public_pem() const;

 private:
  Secret pem_;
};

// Throws Error(invalid) for a public key that is none.
bool verify_signature(const std::string& public_pem, ByteView message, ByteView signature);

}  // namespace holdfast
