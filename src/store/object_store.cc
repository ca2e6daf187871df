#include "store/object_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr size_t kNameBytesMax = 1024;     // S3's limit for a key
constexpr size_t kNamePartBytesMax = 255;  // what file systems allow between two slashes

bool allowed(char c) {
  auto byte = static_cast<unsigned char>(c);
  bool alphanumeric =
      (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || byte >= 0x80;
  return alphanumeric || std::string_view("._/ +%=@~-").find(c) != std::string_view::npos;
}

}  // namespace

void check_object_name(const std::string& name) {
  bool good = !name.empty() && name.size() <= kNameBytesMax && is_utf8(name) &&
              std::all_of(name.begin(), name.end(), allowed);
  for (const std::string& part : split(name, '/'))
    good = good && !part.empty() && part[0] != '.' && part.size() <= kNamePartBytesMax;
  if (!good)
    throw Error(ErrorCode::invalid,
                fmt::format("'{}' cannot be an object's name", printable(name)));
}

void write_object(ObjectStore& store, const std::string& name, ByteView content,
                  const PutOptions& options) {
  PutOptions known = options;
  known.bytes_expected = content.size();
  std::unique_ptr<ObjectWriter> writer = store.put(name, known);
  writer->write(content);
  writer->commit();
}

std::string read_object(ObjectStore& store, const std::string& name, uint64_t bytes_max) {
  std::unique_ptr<ObjectReader> reader = store.open(name);
  uint64_t size = reader->size();
  if (size > bytes_max)
    throw Error(ErrorCode::corrupt, fmt::format("{}: its {} bytes are more than it may have ({})",
                                                name, size, bytes_max));
  std::string content(size, '\0');
  size_t got = reader->read(0, reinterpret_cast<uint8_t*>(content.data()), content.size());
  if (got != size)
    throw Error(ErrorCode::corrupt,
                fmt::format("{}: it ends after {} of its {} bytes", name, got, size));
  return content;
}

}  // namespace holdfast
