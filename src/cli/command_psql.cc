// holdfast psql BRANCH: psql on a branch, through the Neon API.
//
// psql takes this process's place (terminal, job control and exit code are its own). It finds its
// connection in two in-memory files that it inherits (ChildLogin), so that the password is on no
// command line, in no environment and on no disk; our own secrets are taken out of what it
// inherits.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "cli/api.h"
#include "cli/command.h"
#include "pg/client_tools.h"

namespace holdfast {
namespace {

constexpr const char* kService = "holdfast";  // as ChildLogin's file calls it

std::string psql_path(const Config& config) {
  std::vector<ClientTools> found = find_client_tools(config.text("pg_bindir"));
  for (auto tools = found.rbegin(); tools != found.rend(); ++tools)  // the newest knows the most
    if (tools->has("psql")) return tools->path("psql");
  throw Error(ErrorCode::not_found, "psql is not installed here",
              "install PostgreSQL's client programs, or name their folder with --pg-bindir");
}

// Ours without what may hold a secret or lead psql elsewhere.
std::vector<std::string> child_environment(const Environment& ours, const ChildLogin& login) {
  Environment env;
  for (const auto& [name, value] : ours)
    if (!name.starts_with("PG") && !name.starts_with("AWS_") && !name.starts_with("NEON_"))
      env[name] = value;
  for (const Option& option : option_table())
    if (option.kind == OptionKind::secret || option.kind == OptionKind::url)
      env.erase(option.variable);
  for (const auto& [name, value] : login.env()) env[name] = value;
  env["PGSERVICE"] = kService;  // not as an argument: psql's own -d NAME then changes only the name
  std::vector<std::string> lines;
  for (const auto& [name, value] : env) lines.push_back(name + "=" + value);
  return lines;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

[[noreturn]] void become(const std::string& program, std::vector<std::string> argv,
                         std::vector<std::string> env, const ChildLogin& login) {
  for (int fd : login.inherit())
    if (::fcntl(fd, F_SETFD, 0) != 0) throw system_error("hand over the connection", errno);
  // As a program that was started from a shell: no signal blocked, none ignored by us.
  ::signal(SIGPIPE, SIG_DFL);
  ::signal(SIGXFSZ, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::pthread_sigmask(SIG_SETMASK, &none, nullptr);
  std::vector<char*> arguments = pointers_to(argv), environment = pointers_to(env);
  ::execve(program.c_str(), arguments.data(), environment.data());
  throw system_error("start " + program, errno);
}

}  // namespace

int command_psql(CommandContext& context) {
  if (context.arguments.empty())
    throw Error(ErrorCode::invalid, "psql: on which branch?", "name it: holdfast branch list");
  if (context.output.json())
    throw Error(ErrorCode::invalid, "psql: --json has no meaning here",
                "holdfast branch url BRANCH --json gives the connection as a document");
  std::string psql = psql_path(context.config);
  OperationPart& part =
      context.operation.begin("psql", context.arguments.front(), AuditNeed::required);
  Conninfo conninfo;
  {
    ApiAccess api(context.config, context.run);
    neon::Branch branch = api.client().find_branch(context.arguments.front());
    ready_endpoint(api.client(), branch, /*make_one=*/false);
    BranchLogin login = branch_login(api.client(), branch, login_choice(context.config));
    conninfo = Conninfo::parse(login.url.reveal());
    part.detail("branch", branch.id);
    part.detail("role", login.role);
    part.detail("database", login.database);
  }
  context.console.finish_phase();
  ChildLogin login(conninfo);
  std::vector<std::string> argv = {psql};
  argv.insert(argv.end(), context.arguments.begin() + 1, context.arguments.end());
  part.end(AuditOutcome::ok);  // what follows is psql's: this process is no more
  become(psql, std::move(argv), child_environment(context.config.environment(), login), login);
}

}  // namespace holdfast
