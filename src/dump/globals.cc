#include "dump/globals.h"

#include "base/process.h"
#include "dump/schema_dump.h"

namespace holdfast {

std::optional<std::string> dump_globals(const ClientTools& tools, const Conninfo& source,
                                        const Run& run) {
  if (!tools.has("pg_dumpall")) {
    run.log.warning("no pg_dumpall beside pg_dump: roles and tablespaces are not in this backup");
    return std::nullopt;
  }
  ChildLogin login(source);
  ProcessOptions options;
  options.argv = {tools.path("pg_dumpall"), "--globals-only", "--no-role-passwords",
                  "--no-password", "--dbname=" + login.dbname_argument()};
  options.env = clean_environment();
  options.env.merge(login.env());
  options.inherit = login.inherit();
  ProcessResult result = run_process(options);
  if (result.exit_code != 0) {
    run.log.warning(std::string("roles and tablespaces are not in this backup: ") +
                    client_program_error("pg_dumpall", result.err).what());
    return std::nullopt;
  }
  return result.out;
}

}  // namespace holdfast
