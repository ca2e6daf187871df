// pg_dump as the authority on the schema: it is started in our snapshot and read up to the end of
// its archive's table of contents. From there on it is paused (its pipe is full) and keeps its
// locks on every table until this object goes away; the data is read by our own connections
// instead.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/process.h"
#include "base/run.h"
#include "pg/archive.h"
#include "pg/client_tools.h"
#include "pg/conninfo.h"

namespace holdfast {

class SchemaDump {
 public:
  // `arguments` are added to pg_dump's (`--schema=…`). `snapshot` may be empty: then pg_dump takes
  // one of its own. Throws Error with pg_dump's own last words when it fails before the end of
  // the table of contents.
  SchemaDump(const ClientTools& tools, const Conninfo& source, const std::string& snapshot,
             const std::vector<std::string>& arguments);

  const ArchiveToc& toc() const { return toc_; }

  // Goes on reading what follows the table of contents.
  void read(uint8_t* out, size_t size);
  // Whether the archive ends here. Throws Error if pg_dump did not end well.
  bool at_end();

 private:
  bool fill();
  [[noreturn]] void failed();

  ChildLogin login_;
  std::unique_ptr<Process> process_;
  std::vector<uint8_t> buffer_;
  size_t begin_ = 0, end_ = 0;
  ArchiveToc toc_;
};

// The Error for a client program that failed, from the last lines of its stderr.
Error client_program_error(const std::string& program, const std::string& stderr_tail);

}  // namespace holdfast
