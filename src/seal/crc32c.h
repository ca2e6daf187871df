// CRC-32C (Castagnoli, iSCSI's and PostgreSQL's): by ISA-L, which takes the processor's own
// instruction where there is one. Against accidents only, never as identity. Pure.
#pragma once

#include <cstdint>

#include "base/bytes.h"

namespace holdfast {

// Of `bytes`; or, with the checksum of what stands before them, of both together.
uint32_t crc32c(ByteView bytes, uint32_t before = 0);

}  // namespace holdfast
