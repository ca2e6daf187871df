#include "seal/hmac.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/error.h"

namespace holdfast {

Mac hmac_sha256(ByteView key, std::string_view text) {
  Mac mac{};
  unsigned size = 0;
  if (HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), as_bytes(text).data(),
           text.size(), mac.data(), &size) == nullptr ||
      size != mac.size())
    throw Error(ErrorCode::internal, "HMAC-SHA-256 failed");
  return mac;
}

}  // namespace holdfast
