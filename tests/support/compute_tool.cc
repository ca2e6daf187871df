// One compute of the branch engine on a command line, for tests.
//
//   compute_tool PLAN COMMAND [WORD…]
//
// PLAN is a file of lines `kind<TAB>name<TAB>value`:
//   set       bindir, folder, listen, port, certificate, key, units
//   pg        a setting of the user's        brought   a setting of BroughtFolder::settings
//   source    a setting of the source's      password  a role's
//   at        what to do when a phase of a start begins: `kill` this program, `crash` the server
// Commands: certificate FOLDER HOST · first-start · start · stop · remove · state · done · activity
// ·
//   roles · databases · lsn · timeline · conninfo · create-role NAME · drop-role NAME ·
//   set-password NAME (password on standard input) · create-database NAME OWNER ·
//   update-database NAME NEW OWNER · drop-database NAME
// Rows are printed one a line, tab separated. Exit codes are those of holdfast; an error is printed
// as `message [code]`, its hint after it.
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <iostream>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "engine/certificate.h"
#include "engine/compute.h"
#include "engine/server_process.h"

namespace holdfast {
namespace {

class StderrLog final : public Log {
 public:
  void line(LogLevel, std::string_view text) override { fmt::print(stderr, "{}\n", text); }
};

struct Plan {
  std::map<std::string, std::string> set, at;
  ComputeSettings settings;
  BroughtFolder brought;
  std::map<std::string, Secret> passwords;
};

Plan read_plan(const std::string& path) {
  Plan plan;
  for (const std::string& line : split(read_file(path, 1 << 20), '\n')) {
    if (line.empty()) continue;
    std::vector<std::string> words = split(line, '\t');
    const std::string &kind = words.at(0), &name = words.at(1), &value = words.at(2);
    if (kind == "set") plan.set[name] = value;
    if (kind == "at") plan.at[name] = value;
    if (kind == "pg") plan.settings.pg_settings[name] = value;
    if (kind == "brought") plan.brought.settings.emplace_back(name, value);
    if (kind == "source") plan.brought.source_settings[name] = value;
    if (kind == "password") plan.passwords[name] = Secret(value);
  }
  plan.settings.folder = plan.set["folder"];
  plan.settings.listen_address = plan.set["listen"];
  plan.settings.port = std::stoi(plan.set["port"]);
  plan.settings.certificate_file = plan.set["certificate"];
  plan.settings.key_file = plan.set["key"];
  if (plan.set.contains("units")) plan.settings.compute_units = std::stod(plan.set["units"]);
  return plan;
}

// Phases are where a start can be cut short.
class Interrupter final : public Progress {
 public:
  explicit Interrupter(const Plan& plan) : plan_(plan) {}
  void phase(std::string_view name) override {
    auto found = plan_.at.find(std::string(name));
    if (found == plan_.at.end()) return;
    if (found->second == "kill") ::kill(::getpid(), SIGKILL);
    if (found->second != "crash") return;
    auto server = find_server(plan_.settings.folder + "/data");
    if (!server) throw Error(ErrorCode::internal, "no server to crash");
    server->signal(SIGKILL);
    server->ended(std::chrono::seconds(10));
  }

 private:
  const Plan& plan_;
};

std::string_view name_of(ComputeState state) {
  switch (state) {
    case ComputeState::absent:
      return "absent";
    case ComputeState::stopped:
      return "stopped";
    case ComputeState::starting:
      return "starting";
    case ComputeState::running:
      return "running";
  }
  return "?";
}

Secret password_from_input() {
  std::string line;
  std::getline(std::cin, line);
  return Secret(line);
}

void show_activity(const Compute& compute) {
  ComputeActivity activity = compute.activity();
  fmt::print("{}\t{}\t{}\t{}\n", activity.clients,
             activity.last_activity ? format_rfc3339(*activity.last_activity) : "-",
             activity.sessions, activity.database_bytes);
}

bool ask(const Compute& compute, const std::string& command) {
  if (command == "state") {
    fmt::print("{}\n", name_of(compute.state()));
  } else if (command == "done") {
    fmt::print("{}\n", compute.first_start_done());
  } else if (command == "activity") {
    show_activity(compute);
  } else if (command == "roles") {
    for (const ComputeRole& role : compute.roles())
      fmt::print("{}\t{}\t{}\t{}\n", role.name, role.login, role.superuser, role.replication);
  } else if (command == "databases") {
    for (const ComputeDatabase& database : compute.databases())
      fmt::print("{}\t{}\t{}\n", database.id, database.name, database.owner);
  } else if (command == "lsn") {
    fmt::print("{}\n", format_lsn(compute.flush_lsn()));
  } else if (command == "timeline") {
    fmt::print("{}\n", compute.timeline());
  } else if (command == "conninfo") {
    Conninfo conninfo = compute.admin_conninfo();
    fmt::print("{}\t{}\n", conninfo.get("host"), conninfo.get("user"));
  } else {
    return false;
  }
  return true;
}

void work(const std::vector<std::string>& words) {
  SystemClock clock;
  StderrLog log;
  const std::string& command = words.at(1);
  if (command == "certificate") {
    Certificate made = ensure_certificate(words.at(2), words.at(3), clock);
    fmt::print("{}\t{}\n", made.certificate_file, made.key_file);
    return;
  }
  Plan plan = read_plan(words.at(0));
  Interrupter progress(plan);
  Run run{clock, log, progress, {}};
  std::vector<ClientTools> found = find_client_tools(plan.set["bindir"]);
  Compute compute(found.at(0), plan.settings);
  if (ask(compute, command)) return;
  if (command == "first-start") return compute.first_start(plan.brought, plan.passwords, run);
  if (command == "start") return compute.start(run);
  if (command == "stop") return compute.stop(run);
  if (command == "remove") return compute.remove();
  const std::string& name = words.at(2);
  if (command == "create-role") return compute.create_role(name, password_from_input(), true);
  if (command == "drop-role") return compute.drop_role(name);
  if (command == "set-password") return compute.set_password(name, password_from_input());
  if (command == "create-database") return compute.create_database(name, words.at(3));
  if (command == "update-database") return compute.update_database(name, words.at(3), words.at(4));
  if (command == "drop-database") return compute.drop_database(name);
  throw Error(ErrorCode::invalid, "unknown command " + command);
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  using namespace holdfast;
  try {
    work({argv + 1, argv + argc});
    return kExitDone;
  } catch (const Error& error) {
    fmt::print(stderr, "compute_tool: {} [{}]\nhint: {}\n", error.what(),
               error_code_name(error.code()), error.hint());
    return exit_code_of(error.code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "compute_tool: {} [internal]\n", error.what());
    return kExitFailed;
  }
}
