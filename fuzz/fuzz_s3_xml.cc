// What an S3 server says in XML. Whatever the bytes, the readers return or throw Error(corrupt), an
// error's text is fit for a terminal, and a page that is not the last says where to go on.
#include "base/error.h"
#include "base/text.h"
#include "expect.h"
#include "store/s3_xml.h"

namespace {

using namespace holdfast;

template <typename Read>
void try_to_read(Read&& read) {
  try {
    read();
  } catch (const Error& error) {
    FUZZ_EXPECT(error.code() == ErrorCode::corrupt);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view body(reinterpret_cast<const char*>(data), size);
  if (std::optional<S3ErrorBody> error = parse_s3_error(body))
    for (const std::string& text : {error->code, error->message, error->region})
      FUZZ_EXPECT(text == printable(text, 300));
  try_to_read([&] {
    for (const S3Object& object : parse_s3_objects(body).objects)
      FUZZ_EXPECT(object.key.size() <= size);
  });
  try_to_read([&] {
    S3UploadPage page = parse_s3_uploads(body);
    FUZZ_EXPECT(page.last || !page.next_key.empty());
  });
  try_to_read([&] { FUZZ_EXPECT(!parse_s3_upload_id(body).empty()); });
  is_s3_completion(body);
  parse_http_time(body);
  return 0;
}
