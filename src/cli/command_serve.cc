// holdfast serve: the branch engine, the schedule, or both, until it is told to stop; or, with
// --once, what is due now.
#include <fmt/format.h>

#include <algorithm>

#include "base/pause.h"
#include "base/text.h"
#include "cli/audit_trail.h"
#include "cli/command.h"
#include "cli/documents_serve.h"
#include "cli/engine_config.h"
#include "cli/lag_alerts.h"
#include "cli/schedule_jobs.h"
#include "serve/daemon.h"
#include "serve/http_listen.h"
#include "serve/schedule_pages.h"

namespace holdfast {
namespace {

constexpr std::string_view kEngineKeys = "engine.";
constexpr std::chrono::minutes kStatusEvery{5};
constexpr std::chrono::minutes kStatusLimit{2};
// The two pages are short, and asked for by few.
constexpr int kPageWorkers = 2, kPageConnectionsMax = 64;

// An engine makes folders and receives WAL: not on the word of a default.
bool engine_is_configured(const Config& config) {
  const std::vector<Setting>& all = config.settings();
  return std::any_of(all.begin(), all.end(), [](const Setting& setting) {
    return setting.given && setting.option->key.starts_with(kEngineKeys);
  });
}

// The schedule and its pages, from its making to its end.
class ScheduleService {
 public:
  // `more`: metrics that stand in /metrics, too.
  ScheduleService(ScheduleSetup setup, const Config& config, const Run& run,
                  std::function<std::string()> more = {})
      : setup_(std::move(setup)),
        more_metrics_(std::move(more)),
        environment_(config.environment()),
        run_{run.clock, run.log, run.progress, stop_.get_token()},
        stop_with_(run.stop, [this] { stop_.request_stop(); }),
        events_(setup_.sources, run_, [this] { ask_status_.call(); }) {
    make_folders(setup_.state_folder);
    lock_.emplace(setup_.state_folder + "/schedule.lock", "the schedule of this user");
    ProcessRunnerSettings settings;
    settings.env = environment_;
    settings.limit = setup_.job_limit;
    settings.on_end = [this] { wakeup_.call(); };
    runner_ = make_process_runner(std::move(settings), run_);
    scheduler_.emplace(setup_.tasks, setup_.state_folder + "/schedule.json", setup_.seed, *runner_,
                       events_, run_);
  }
  ScheduleService(const ScheduleService&) = delete;
  ScheduleService& operator=(const ScheduleService&) = delete;
  ~ScheduleService() {
    stop_.request_stop();
    if (loop_.joinable()) loop_.join();
    if (asker_.joinable()) asker_.join();
    server_.reset();  // before what its handlers use
  }

  int once() { return run_scheduler_once(*scheduler_, wakeup_, events_, run_); }
  const std::vector<OnceRun>& runs() const { return events_.runs(); }

  void start() {
    if (!setup_.listen.empty()) listen();
    events_.deliver_in_background();
    loop_ = std::thread([this] { run_scheduler(*scheduler_, wakeup_, events_, run_); });
    if (server_) asker_ = std::thread([this] { keep_status_fresh(); });
  }

  const std::vector<ScheduledTask>& tasks() const { return setup_.tasks; }
  const std::string& url() const { return url_; }

 private:
  void listen() {
    ListenAddress address = parse_listen_address(setup_.listen);
    if (!is_loopback(address.host))
      run_.log.warning(fmt::format(
          "/metrics can be read by everybody who reaches {}: names of sources and stores, ages and "
          "sizes, no data",
          address.host));
    HttpServerSettings settings;
    settings.address = address.host;
    settings.port = address.port;
    settings.workers = kPageWorkers;
    settings.connections_max = kPageConnectionsMax;
    server_ = HttpServer::start(
        settings, schedule_pages(*scheduler_, status_, run_.clock, more_metrics_), run_.log);
    bool brackets = address.host.find(':') != std::string::npos;
    url_ = fmt::format("http://{}:{}", brackets ? "[" + address.host + "]" : address.host,
                       server_->port());
  }

  // An answer that does not come leaves the last one, whose age is among the metrics.
  void keep_status_fresh() {
    bool fresh = true;
    while (!run_.stop.stop_requested()) {
      std::vector<std::string> texts;
      for (const std::vector<std::string>& argv : setup_.status_argvs) {
        try {
          if (auto text = ask_program(argv, environment_, {kExitDone, kExitViolation}, kStatusLimit,
                                      run_.stop))
            texts.push_back(std::move(*text));
        } catch (const Error& error) {
          run_.log.warning("status for /metrics: " + error.in_one_line());
        }
      }
      bool answered = texts.size() == setup_.status_argvs.size();
      if (answered) status_.set(std::move(texts), run_.clock.now());
      if (!answered && fresh && !run_.stop.stop_requested())
        run_.log.warning(
            "/metrics goes without the metrics of backups: holdfast status --prometheus fails");
      fresh = answered;
      ask_status_.wait(kStatusEvery, run_.stop);
    }
  }

  ScheduleSetup setup_;
  std::function<std::string()> more_metrics_;
  std::map<std::string, std::string> environment_;
  std::stop_source stop_;
  Run run_;
  std::stop_callback<std::function<void()>> stop_with_;
  Wakeup wakeup_, ask_status_;
  ToldScheduleEvents events_;
  std::optional<FileLock> lock_;
  std::unique_ptr<JobRunner> runner_;
  std::optional<Scheduler> scheduler_;
  StatusMetrics status_;
  std::unique_ptr<HttpServer> server_;
  std::string url_;
  std::thread loop_, asker_;
};

void show_schedule(Output& output, const ScheduleService& service) {
  output.line(service.url().empty()
                  ? std::string("running the schedule")
                  : fmt::format("running the schedule: {}/healthz, /metrics", service.url()));
  for (const ScheduledTask& task : service.tasks())
    output.line(fmt::format("  {:<20}  {}  {}", task.plan.name, task.plan.schedule.to_string(),
                            task.plan.zone.name()));
}

void show_engine(Output& output, const std::string& url, const EngineSettings& engine) {
  output.line("serving " + url);
  output.line(fmt::format("  source      {}", engine.source.display()));
  output.line("  storage     " + engine.storage_folder);
  output.line("  clients     export NEON_API_HOST=" + url + " NEON_API_KEY=…");
}

int serve_once(CommandContext& context, ScheduleSetup setup) {
  if (setup.tasks.empty())
    throw Error(ErrorCode::invalid, "nothing is scheduled",
                "add a table [schedule] with backup = \"0 2 * * *\" to holdfast.toml");
  ScheduleService service(std::move(setup), context.config, context.run);
  int worst = service.once();
  for (const OnceRun& run : service.runs())
    context.output.verdict(run.end.exit_code == kExitDone,
                           fmt::format("{}/{} of {}: exit code {}", run.source, run.job,
                                       format_rfc3339(run.end.firing), run.end.exit_code));
  if (service.runs().empty()) context.output.line("nothing is due");
  context.output.document(once_document(service.runs(), worst));
  return worst;
}

}  // namespace

int command_serve(CommandContext& context) {
  const Config& config = context.config;
  ScheduleSetup setup = schedule_setup(config, context.run);
  if (config.flag("schedule_once")) return serve_once(context, std::move(setup));
  bool has_engine = engine_is_configured(config);
  if (!has_engine && setup.tasks.empty())
    throw Error(ErrorCode::invalid, "there is nothing to serve: no schedule and no engine",
                "add to holdfast.toml a table [schedule] with backup = \"0 2 * * *\" "
                "(docs/schedule.md), or [engine] with storage_dir = … (docs/engine.md)");
  std::optional<DaemonSettings> daemon;
  std::optional<LagAlerts> lag;
  std::function<std::string()> lag_metrics;
  if (has_engine) {
    daemon.emplace();
    daemon->engine = engine_settings(config);
    lag.emplace(config, context.run);
    lag_metrics = [&lag] { return lag->metrics(); };
    daemon->metrics = lag_metrics;
    daemon->on_health = [&lag](const StorageHealth& health) { lag->look(health); };
    daemon->listen = config.text("engine_listen");
    if (audit_is_on(config)) {
      daemon->audit_folder = audit_folder(config);
      daemon->audit = {audit_who(config), audit_is_required(config),
                       config.flag("audit_api_reads")};
    }
  }
  // Wanted only: neither receiving WAL nor backups must end for want of a log. Calls that need one
  // are refused.
  context.operation.begin("serve", daemon ? daemon->engine.source.dbname() : "schedule",
                          AuditNeed::wanted, {{"listen", daemon ? daemon->listen : ""}});
  std::optional<ScheduleService> schedule;
  if (!setup.tasks.empty()) schedule.emplace(std::move(setup), config, context.run, lag_metrics);
  // Said at once: what starts this waits for it. Not before the engine is there: jobs that began
  // would end with it if it does not come.
  auto ready = [&](const std::string& url) {
    if (schedule) schedule->start();
    ServingView view;
    view.url = url;
    if (daemon) view.engine = &daemon->engine;
    if (schedule) {
      view.has_schedule = true;
      view.schedule_url = schedule->url();
      view.tasks = &schedule->tasks();
    }
    context.output.document(serving_document(view));
    if (daemon) show_engine(context.output, url, daemon->engine);
    if (schedule) show_schedule(context.output, *schedule);
    context.output.flush();
  };
  if (daemon) {
    run_daemon(*daemon, context.run, ready);
  } else {
    ready("");
    wait_for_stop(context.run.stop);
  }
  return kExitDone;
}

}  // namespace holdfast
