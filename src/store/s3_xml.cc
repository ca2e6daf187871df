#include "store/s3_xml.h"

#include <fmt/format.h>

#include <charconv>
#include <cstring>
#include <pugixml.hpp>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr size_t kErrorTextBytesMax = 300;
constexpr size_t kXmlTextBytesMax =
    4096;  // S3 allows 1024; tokens and ids are longer, but not much

Error unreadable(std::string_view why) {
  return Error(ErrorCode::corrupt, fmt::format("the server's answer is not S3's: {}", why),
               "see that the endpoint is that of an S3 service");
}

// Elements are compared without a namespace's prefix: servers differ in that.
bool is_named(const pugi::xml_node& node, std::string_view name) {
  std::string_view full = node.name();
  size_t colon = full.find(':');
  return (colon == std::string_view::npos ? full : full.substr(colon + 1)) == name;
}

pugi::xml_node child(const pugi::xml_node& node, std::string_view name) {
  return node.find_child([&](const pugi::xml_node& one) { return is_named(one, name); });
}

std::string text_of(const pugi::xml_node& node, std::string_view name) {
  std::string text = child(node, name).text().get();
  if (text.size() > kXmlTextBytesMax) throw unreadable(fmt::format("its {} is too long", name));
  return text;
}

pugi::xml_node load(pugi::xml_document& document, std::string_view body, std::string_view root) {
  // Without whitespace-only text a key of blanks would get lost; DOCTYPEs are skipped, not used.
  unsigned options = pugi::parse_default | pugi::parse_ws_pcdata_single;
  pugi::xml_parse_result result = document.load_buffer(body.data(), body.size(), options);
  if (!result) throw unreadable(result.description());
  pugi::xml_node node = document.document_element();
  if (!is_named(node, root)) throw unreadable(fmt::format("it is no {}", root));
  return node;
}

// encoding-type=url is what a form does: `+` is a blank.
std::string url_decode(const std::string& text) {
  std::string out;
  auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 &&
               digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) << 4 | digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// Reads keys as the answer says they are written.
class KeyReader {
 public:
  explicit KeyReader(const pugi::xml_node& root)
      : encoded_(text_of(root, "EncodingType") == "url") {}
  std::string operator()(const pugi::xml_node& node, std::string_view name) const {
    std::string text = text_of(node, name);
    return encoded_ ? url_decode(text) : text;
  }

 private:
  bool encoded_;
};

uint64_t number_of(const pugi::xml_node& node, std::string_view name) {
  std::string text = text_of(node, name);
  uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size())
    throw unreadable(fmt::format("its {} is no number", name));
  return value;
}

// `2013-05-24T00:00:00.000Z`, with or without the fraction, which is dropped.
UtcTime time_of(const pugi::xml_node& node, std::string_view name) {
  std::string text = text_of(node, name);
  if (text.size() < 20 || text.back() != 'Z')
    throw unreadable(fmt::format("its {} is no time", name));
  try {
    return parse_rfc3339(text.substr(0, 19) + ".000Z");
  } catch (const Error&) {
    throw unreadable(fmt::format("its {} is no time", name));
  }
}

bool flag_of(const pugi::xml_node& node, std::string_view name) {
  return text_of(node, name) == "true";
}

}  // namespace

std::optional<S3ErrorBody> parse_s3_error(std::string_view body) {
  pugi::xml_document document;
  if (!document.load_buffer(body.data(), body.size())) return std::nullopt;
  pugi::xml_node root = document.document_element();
  if (is_named(root, "ErrorResponse")) root = child(root, "Error");
  if (!is_named(root, "Error")) return std::nullopt;
  auto shown = [&](const char* name) {
    return printable(child(root, name).text().get(), kErrorTextBytesMax);
  };
  return S3ErrorBody{shown("Code"), shown("Message"), shown("Region")};
}

S3ObjectPage parse_s3_objects(std::string_view body) {
  pugi::xml_document document;
  pugi::xml_node root = load(document, body, "ListBucketResult");
  KeyReader key(root);
  S3ObjectPage page;
  for (const pugi::xml_node& node : root.children())
    if (is_named(node, "Contents"))
      page.objects.push_back(
          {key(node, "Key"), number_of(node, "Size"), time_of(node, "LastModified")});
  if (flag_of(root, "IsTruncated")) {
    page.next_token = text_of(root, "NextContinuationToken");
    if (page.next_token.empty()) throw unreadable("it has a next page, but not where");
  }
  return page;
}

S3UploadPage parse_s3_uploads(std::string_view body) {
  pugi::xml_document document;
  pugi::xml_node root = load(document, body, "ListMultipartUploadsResult");
  KeyReader key(root);
  S3UploadPage page;
  for (const pugi::xml_node& node : root.children())
    if (is_named(node, "Upload"))
      page.uploads.push_back(
          {key(node, "Key"), text_of(node, "UploadId"), time_of(node, "Initiated")});
  page.last = !flag_of(root, "IsTruncated");
  if (!page.last) {
    page.next_key = key(root, "NextKeyMarker");
    page.next_id = text_of(root, "NextUploadIdMarker");
    if (page.next_key.empty()) throw unreadable("it has a next page, but not where");
  }
  return page;
}

std::string parse_s3_upload_id(std::string_view body) {
  pugi::xml_document document;
  pugi::xml_node root = load(document, body, "InitiateMultipartUploadResult");
  std::string id = text_of(root, "UploadId");
  if (id.empty()) throw unreadable("the upload has no id");
  return id;
}

bool is_s3_completion(std::string_view body) {
  pugi::xml_document document;
  return document.load_buffer(body.data(), body.size()) &&
         is_named(document.document_element(), "CompleteMultipartUploadResult");
}

std::string write_s3_completion(const std::vector<std::string>& etags) {
  std::string body = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
  for (size_t i = 0; i < etags.size(); ++i) {
    std::string etag;
    for (char c : etags[i]) {
      if (c == '"')
        etag += "&quot;";
      else if (c == '&')
        etag += "&amp;";
      else if (c == '<')
        etag += "&lt;";
      else
        etag += c;
    }
    body += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", i + 1, etag);
  }
  return body + "</CompleteMultipartUpload>";
}

std::optional<UtcTime> parse_http_time(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  if (text.size() != 29 || text[3] != ',' || !text.ends_with(" GMT")) return std::nullopt;
  size_t month = kMonths.find(text.substr(8, 3));
  if (month == std::string_view::npos || month % 3 != 0) return std::nullopt;
  try {
    return parse_rfc3339(fmt::format("{}-{:02}-{}T{}.000Z", text.substr(12, 4), month / 3 + 1,
                                     text.substr(5, 2), text.substr(17, 8)));
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace holdfast
