#include "cli/program.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/completion.h"
#include "cli/documents.h"
#include "cli/help.h"
#include "cli/manual.h"
#include "cli/signals.h"

extern char** environ;

namespace holdfast {
namespace {

Environment read_environment() {
  Environment environment;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view text(*entry);
    if (size_t equals = text.find('='); equals != std::string_view::npos)
      environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

std::string variable(const Environment& environment, const std::string& name) {
  auto found = environment.find(name);
  return found == environment.end() ? std::string() : found->second;
}

int run_command(CommandContext& context, CommandBit command) {
  switch (command) {
    case kBackup:
      return command_backup(context);
    case kList:
      return command_list(context);
    case kShow:
      return command_show(context);
    case kVerify:
      return command_verify(context);
    case kRestore:
      return command_restore(context);
    case kRecover:
      return command_recover(context);
    case kDoctor:
      return command_doctor(context);
    case kPrune:
      return command_prune(context);
    case kHold:
      return command_hold(context);
    case kUnhold:
      return command_unhold(context);
    case kCopy:
      return command_copy(context);
    case kConfig:
      return command_config(context);
    case kServe:
      return command_serve(context);
    case kKey:
      return command_key(context);
    case kBranch:
      return command_branch(context);
    case kPsql:
      return command_psql(context);
    case kAudit:
      return command_audit(context);
    case kAlert:
      return command_alert(context);
    case kDrill:
      return command_drill(context);
    case kStatus:
      return command_status(context);
    case kReport:
      return command_report(context);
    case kVersion:
    case kHelp:
    case kCompletion:
    case kEveryCommand:
      break;
  }
  throw Error(ErrorCode::internal, "this command cannot be run");
}

// The Error that a failure of any kind is to the user.
Error as_error(bool interrupted) {
  try {
    throw;
  } catch (const Error& error) {
    // What breaks after the wish to stop breaks because of it; damage that was found stays damage.
    if (error.code() == ErrorCode::corrupt) return error;
    if (!interrupted && error.code() != ErrorCode::cancelled) return error;
    return Error(ErrorCode::cancelled, "interrupted");
  } catch (const std::bad_alloc&) {
    return Error(ErrorCode::internal, "out of memory", "run with fewer --jobs");
  } catch (const std::exception& error) {
    return Error(ErrorCode::internal,
                 fmt::format("unexpected failure: {}", printable(error.what())),
                 "this is a fault of holdfast: please report it");
  }
}

int report(Console& console, Output& output, const Error& error) {
  console.failure(error);
  output.document(error_document(error));
  return exit_code_of(error.code());
}

// A URL on the command line must not bring a password along (docs/configuration.md).
void refuse_password_argument(const Arguments& arguments) {
  auto found = arguments.values.find("to");
  if (found == arguments.values.end()) return;
  auto parameters = Conninfo::parse(found->second.front()).parameters_with_secret();
  if (parameters.count("password") == 0 && parameters.count("sslpassword") == 0) return;
  throw Error(ErrorCode::invalid,
              "--to: a password on the command line can be read by every user of this machine",
              "put it in HOLDFAST_TO_URL / PGPASSWORD / ~/.pgpass");
}

int show_help(const Arguments& arguments) {
  const CommandInfo* about = arguments.command;
  if (about != nullptr && about->bit == kHelp) {
    about = nullptr;
    if (!arguments.positionals.empty()) {
      const std::string& name = arguments.positionals.front();
      if (name == "configuration" || name == "man") {
        fmt::print("{}", name == "man" ? manual_page(HOLDFAST_VERSION) : configuration_reference());
        return kExitDone;
      }
      about = find_command(name);
      if (about == nullptr)
        throw Error(ErrorCode::invalid,
                    fmt::format("there is no help on {}{}", shown(name),
                                did_you_mean(name, arguments.command->words)),
                    "see: holdfast help");
    }
  }
  fmt::print("{}", about == nullptr ? main_help() : command_help(*about));
  return kExitDone;
}

int show_completion(const Arguments& arguments) {
  if (arguments.positionals.empty())
    throw Error(ErrorCode::invalid, "completion: for which shell?",
                "holdfast completion bash, zsh or fish");
  fmt::print("{}", completion_script(arguments.positionals.front()));
  return kExitDone;
}

// What the audit trail calls a command that failed before it had begun anything; those that only
// look, and those whose first word says what they do, are not here.
std::string recorded_action(CommandBit command) {
  constexpr unsigned kRecorded =
      kBackup | kVerify | kRestore | kRecover | kPrune | kHold | kUnhold | kCopy | kDrill | kServe;
  if ((kRecorded & command) == 0) return {};
  for (const CommandInfo& info : command_table())
    if (info.bit == command) return info.name;
  return {};
}

// The command, with its beginning and its end told.
int run_told(const Arguments& arguments, const Config& config, const Run& run, Console& console,
             Output& output) {
  CommandBit command = arguments.command->bit;
  std::string target = arguments.positionals.empty() ? "" : arguments.positionals.front();
  Operation operation(config, run, recorded_action(command), target,
                      incident_of_command(arguments.command->name));
  CommandContext context{config, arguments.positionals, run, console, output, operation};
  try {
    int exit_code = run_command(context, command);
    operation.finish(exit_code, std::nullopt);
    return exit_code;
  } catch (...) {
    Error error = as_error(run.stop.stop_requested());
    operation.finish(exit_code_of(error.code()), error);
    throw error;
  }
}

int run_configured(const Arguments& arguments, const Environment& environment, Console& console,
                   Output& output, const Clock& clock) {
  SignalWatcher signals([&] { console.info("stopping (once more: at once)"); });
  try {
    Config config = Config::load(arguments, environment);
    for (const std::string& warning : config.warnings()) console.warning(warning);
    Run run{clock, console, console, signals.token()};
    return run_told(arguments, config, run, console, output);
  } catch (...) {
    return report(console, output, as_error(signals.stop_requested()));
  }
}

int run_arguments(const Arguments& arguments, const Environment& environment, Console& console,
                  Output& output, const Clock& clock) {
  if (arguments.version ||
      (arguments.command != nullptr && arguments.command->bit == kVersion && !arguments.help))
    return command_version(output);
  if (arguments.help || (arguments.command != nullptr && arguments.command->bit == kHelp))
    return show_help(arguments);
  if (arguments.command != nullptr && arguments.command->bit == kCompletion)
    return show_completion(arguments);
  if (arguments.command == nullptr) {
    if (!output.json()) {
      fmt::print(stderr, "{}", short_usage());
      return kExitUsage;
    }
    throw Error(ErrorCode::invalid, "no command is given", "see: holdfast help");
  }
  refuse_password_argument(arguments);
  return run_configured(arguments, environment, console, output, clock);
}

}  // namespace

int run_program(int argc, char** argv) {
  block_stop_signals();
  std::vector<std::string> words(argv + std::min(argc, 1), argv + argc);
  auto ours_end = std::find(words.begin(), words.end(), "--");  // the rest is psql's
  auto said = [&](const char* flag) {
    return std::find(words.begin(), ours_end, flag) != ours_end;
  };
  Environment environment = read_environment();
  bool no_color = said("--no-color") || !variable(environment, "NO_COLOR").empty();
  ConsoleOptions console_settings =
      console_options(said("--quiet"), no_color, variable(environment, "TERM"));
  SystemClock clock;
  Console console(console_settings, clock);
  bool color_out =
      !no_color && ::isatty(STDOUT_FILENO) == 1 && variable(environment, "TERM") != "dumb";
  Output output(said("--json"), color_out);

  int exit_code = kExitFailed;
  try {
    exit_code = run_arguments(parse_arguments(words), environment, console, output, clock);
  } catch (...) {
    exit_code = report(console, output, as_error(false));
  }
  try {
    output.flush();
  } catch (const Error& error) {
    console.failure(error);
    if (exit_code == kExitDone) exit_code = kExitFailed;
  }
  return exit_code;
}

}  // namespace holdfast
