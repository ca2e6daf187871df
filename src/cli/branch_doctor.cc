#include "cli/branch_doctor.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.h"
#include "cli/api.h"
#include "cli/branch_actions.h"
#include "cli/branch_backups.h"
#include "dump/names.h"
#include "pg/client_tools.h"
#include "pg/connection.h"

namespace holdfast {
namespace {

constexpr const char* kBranchLegCheck = "branch leg";
// Less than this, and a weekend's mistake can no longer be undone to the second.
constexpr int64_t kHistoryWanted = 7 * 24 * 3600;

class BranchDoctor {
 public:
  BranchDoctor(const Config& config, const Run& run) : config_(config), run_(run) {}

  std::vector<Finding> look() {
    if (!guarded(kBranchLegCheck, [&] { look_at_project(); })) return std::move(findings_);
    guarded("history", [&] { look_at_history(); });
    guarded("plan", [&] { look_at_plan(); });
    guarded("compute", [&] { look_at_compute(); });
    return std::move(findings_);
  }

 private:
  template <typename Look>
  bool guarded(const char* check, Look look) {
    try {
      look();
      return true;
    } catch (const Error& error) {
      if (error.code() == ErrorCode::cancelled) throw;
      findings_.push_back({FindingLevel::failure, check, error.what(), error.hint(), error.code()});
      return false;
    }
  }
  void add(FindingLevel level, const char* check, const std::string& message,
           const std::string& hint = {}) {
    findings_.push_back({level, check, message, hint});
  }

  void look_at_project() {
    run_.progress.phase("asking the API");
    api_.emplace(config_, run_);
    project_ = api_->client().project();
    live_ = live_branch(api_->client(), config_.text("neon_branch"));
    add(FindingLevel::ok, kBranchLegCheck,
        fmt::format("{} takes the key; project {} ({}), branch {}", api_->client().host(),
                    printable(project_.id, 60), printable(project_.name, 60),
                    printable(live_.name, 80)));
  }

  void look_at_history() {
    std::optional<neon::History> history = api_->client().history();
    std::vector<WindowView> windows = windows_of(project_, history, run_.clock.now());
    if (windows.empty())
      return add(FindingLevel::note, "history", "there is nothing to go back to yet",
                 "branches hold single moments until history is kept");
    std::string kept = human_seconds(static_cast<double>(project_.history_retention_seconds));
    std::string text =
        fmt::format("every second since {} can be gone back to; history is kept for {}",
                    shown_time(windows.back().from), kept);
    if (history && !history->trouble.empty())
      return add(FindingLevel::failure, "history", "trouble: " + printable(history->trouble),
                 "see holdfast branch window and the engine's log");
    if (project_.history_retention_seconds < kHistoryWanted)
      return add(FindingLevel::note, "history", text,
                 "a week (604800 s) covers what is noticed on Monday: raise the project's history "
                 "retention as far as the plan allows");
    add(FindingLevel::ok, "history", text);
  }

  // How many backups retention keeps once it is full, the next one included.
  int64_t backups_kept() const {
    int64_t kept = config_.number("retention_days") + 1 + config_.number("retention_months") + 1;
    int64_t most = config_.number("branch_backups_max");
    return most > 0 ? std::min(most + 1, kept) : kept;
  }

  void look_at_plan() {
    BranchRoom room = branch_room(api_->client());
    if (room.limit <= 0)
      return add(FindingLevel::ok, "plan",
                 fmt::format("{} branches; no limit is known", room.count));
    std::string text =
        fmt::format("{} of {} branches are used{}", room.count, room.limit,
                    room.plan.empty() ? "" : fmt::format(" (plan {})", printable(room.plan, 40)));
    if (room.count >= room.limit)
      return add(FindingLevel::failure, "plan", text + ": the next backup finds no room",
                 "delete branches that are no longer needed, or raise the plan");
    auto ours = static_cast<int64_t>(api_->client().branch_count(std::string(kBranchIdBeginning)));
    int64_t others = std::max<int64_t>(0, room.count - ours);
    if (backups_kept() + others > room.limit)
      return add(FindingLevel::note, "plan",
                 fmt::format("{}; {} backups beside {} others would not fit, so the oldest go "
                             "earlier",
                             text, backups_kept(), others),
                 "dumps keep what branches cannot; or raise the plan");
    add(FindingLevel::ok, "plan", text);
  }

  void look_at_compute() {
    run_.progress.phase("waking the compute");
    double begin = run_.clock.monotonic_seconds();
    LoginChoice login = branch_verify_options(config_, VerifyLevel::deep).login;
    neon::Endpoint endpoint = ready_endpoint(api_->client(), live_, /*make_one=*/false);
    Conninfo conninfo = Conninfo::parse(branch_login(api_->client(), live_, login).url.reveal());
    int major = await_connection(conninfo, run_).server_major();
    add(FindingLevel::ok, "compute",
        fmt::format("{} answers in {}, PostgreSQL {}, over the direct host {}",
                    printable(endpoint.id, 60),
                    human_seconds(run_.clock.monotonic_seconds() - begin), major,
                    printable(endpoint.host, 120)));
    bool fits = false;
    for (const ClientTools& tools : find_client_tools(config_.text("pg_bindir")))
      fits = fits || tools.major >= major;
    if (!fits)
      add(FindingLevel::failure, "compute",
          fmt::format("no pg_dump here is of version {} or later", major),
          fmt::format("install postgresql-client-{}", major));
  }

  const Config& config_;
  const Run& run_;
  std::optional<ApiAccess> api_;
  neon::Project project_;
  neon::Branch live_;
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> branch_leg_findings(const Config& config, const Run& run) {
  BranchLegConfigured leg = branch_leg_configured(config);
  if (leg.state == BranchLegState::none) return {};
  if (leg.state == BranchLegState::half)
    return {
        {FindingLevel::failure, kBranchLegCheck, leg.missing + " is not set",
         "set both NEON_API_KEY and NEON_PROJECT_ID (of an engine: NEON_API_HOST and a key), or "
         "none",
         ErrorCode::invalid}};
  return BranchDoctor(config, run).look();
}

}  // namespace holdfast
