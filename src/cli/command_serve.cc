// holdfast serve: the branch engine, until it is told to stop.
#include <fmt/format.h>

#include "cli/command.h"
#include "cli/documents_branch.h"
#include "cli/engine_config.h"
#include "serve/daemon.h"

namespace holdfast {

int command_serve(CommandContext& context) {
  const Config& config = context.config;
  DaemonSettings settings;
  settings.engine = engine_settings(config);
  settings.listen = config.text("engine_listen");
  Output& output = context.output;
  run_daemon(settings, context.run, [&](const std::string& url) {
    // Said at once: what starts this waits for it.
    output.document(serving_document(url, settings.engine));
    output.line("serving " + url);
    output.line(fmt::format("  source      {}", settings.engine.source.display()));
    output.line("  storage     " + settings.engine.storage_folder);
    output.line("  clients     export NEON_API_HOST=" + url + " NEON_API_KEY=…");
    output.flush();
  });
  return kExitDone;
}

}  // namespace holdfast
