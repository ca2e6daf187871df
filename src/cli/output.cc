#include "cli/output.h"

#include <cerrno>
#include <cstdio>

#include "base/error.h"

namespace holdfast {

void Output::line(std::string_view text) {
  if (json_) return;
  write(text);
  write("\n");
}

void Output::verdict(bool good, std::string_view text) {
  if (!color_) return line(text);
  line(std::string(good ? "\033[32m" : "\033[31m").append(text).append("\033[0m"));
}

void Output::document(const std::string& json_text) {
  if (!json_ || document_written_) return;
  document_written_ = true;
  write(json_text);
  write("\n");
}

void Output::write(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() && write_errno_ == 0)
    write_errno_ = errno;
}

void Output::flush() {
  if (std::fflush(stdout) != 0 && write_errno_ == 0) write_errno_ = errno;
  if (write_errno_ == 0 || write_errno_ == EPIPE) return;
  Error error = system_error("write to standard output", write_errno_);
  throw Error(error.code(), error.what());  // its hint is about the store
}

}  // namespace holdfast
