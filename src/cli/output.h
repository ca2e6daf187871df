// Standard output: the result, either lines for people or, with --json, exactly one document.
#pragma once

#include <string>
#include <string_view>

namespace holdfast {

class Output {
 public:
  explicit Output(bool json, bool color = false) : json_(json), color_(color) {}
  virtual ~Output() = default;

  bool json() const { return json_; }
  // A line for people; nothing with --json.
  void line(std::string_view text);
  // A line that says how it went, in green or red on a terminal.
  void verdict(bool good, std::string_view text);
  // The document; nothing without --json. Only the first counts: an error after it is in the log.
  void document(const std::string& json_text);
  bool document_written() const { return document_written_; }
  // Throws Error if what was written did not arrive (a full disk); a closed pipe is no error.
  void flush();

 protected:
  virtual void write(std::string_view text);

 private:
  bool json_, color_;
  bool document_written_ = false;
  int write_errno_ = 0;
};

}  // namespace holdfast
