// holdfast config show: every setting, its value and where that comes from. Secrets are not shown.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cli/command.h"
#include "cli/documents.h"

namespace holdfast {

int command_config(CommandContext& context) {
  const Config& config = context.config;
  std::string action = context.argument_or("");
  if (action != "show")
    throw Error(ErrorCode::invalid,
                action.empty() ? "config: what about it?"
                               : fmt::format("config: unknown action {}", shown(action)),
                "holdfast config show");
  context.output.document(config_document(config));
  context.output.line(fmt::format("file      {}", config.file().empty() ? "none" : config.file()));
  if (!config.source_names().empty())
    context.output.line(fmt::format("sources   {}", fmt::join(config.source_names(), ", ")));
  context.output.line(fmt::format("source    {}", config.source_name().empty()
                                                      ? "none chosen (--source NAME)"
                                                      : config.source_name()));
  for (const Setting& setting : config.settings()) {
    const Option& option = *setting.option;
    if (option.variable.empty() && option.key.empty()) continue;
    context.output.line(fmt::format("{:<26}{:<40} {}", option.name,
                                    shown_value(setting).value_or("-"), setting.origin));
  }
  return kExitDone;
}

}  // namespace holdfast
