// HMAC-SHA-256 (RFC 2104), by OpenSSL: what signs requests to S3 and the webhooks of alerts. Pure.
#pragma once

#include <array>
#include <string_view>

#include "base/bytes.h"

namespace holdfast {

using Mac = std::array<uint8_t, 32>;

Mac hmac_sha256(ByteView key, std::string_view text);

}  // namespace holdfast
