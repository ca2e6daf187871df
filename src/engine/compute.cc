#include "engine/compute.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/text.h"
#include "engine/compute_quarantine.h"
#include "engine/compute_server.h"

namespace holdfast {
namespace {

bool is_folder(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

ComputeRecord first_record(const BroughtFolder& brought, int major) {
  ComputeRecord record;
  record.major = major;
  record.brought = brought.settings;
  record.source = settings_that_matter(brought.source_settings);
  return record;
}

void tell(const QuarantineReport& report, const Run& run) {
  run.log.debug(fmt::format("quarantined: {} of roles, {}, {}",
                            plural(static_cast<uint64_t>(report.roles), "password"),
                            plural(static_cast<uint64_t>(report.subscriptions), "subscription"),
                            plural(static_cast<uint64_t>(report.slots), "slot")));
  constexpr size_t kNamed = 3;
  std::string names;
  for (size_t at = 0; at < report.prepared.size() && at < kNamed; ++at)
    names += (at == 0 ? "" : ", ") + printable(report.prepared[at], 80);
  if (!report.prepared.empty())
    run.log.warning(fmt::format("{} came along and {} locks: {}{}",
                                plural(report.prepared.size(), "prepared transaction"),
                                report.prepared.size() == 1 ? "holds its" : "hold their", names,
                                report.prepared.size() > kNamed ? ", …" : ""));
}

}  // namespace

Compute::Compute(ClientTools tools, ComputeSettings settings)
    : tools_(std::move(tools)), settings_(std::move(settings)) {}

ComputeState Compute::state() const {
  ComputeServer server(tools_, settings_);
  if (!is_folder(server.data())) return ComputeState::absent;
  auto process = find_server(server.data());
  if (!process) return ComputeState::stopped;
  if (!process->ready()) return ComputeState::starting;
  auto record = read_compute_record(server.record_file());
  return record && record->open ? ComputeState::running : ComputeState::starting;
}

bool Compute::first_start_done() const {
  auto record = read_compute_record(ComputeServer(tools_, settings_).record_file());
  return record && record->open;
}

// compute.json is written twice: before anything is changed, and when the quarantine is durable.
// All between the two is done again after a crash; letting clients in comes last of all.
void Compute::first_start(const BroughtFolder& brought,
                          const std::map<std::string, Secret>& passwords, const Run& run) {
  ComputeServer server(tools_, settings_);
  if (first_start_done()) return start(run);
  const double began = run.clock.monotonic_seconds();
  server.check(brought.snapshot.server_version / 10000);
  auto found = read_compute_record(server.record_file());
  ComputeRecord record = found ? *found : first_record(brought, tools_.major);
  if (!found) {
    server.set_source_aside();
    write_compute_record(server.record_file(), record);
  }

  run.progress.phase("recovering");
  if (!find_server(server.data())) server.write_configuration(record, true);
  server.start(record, run);
  const double recovered = run.clock.monotonic_seconds();

  run.progress.phase("quarantining");
  Connection admin = server.connect_as_admin(record, run);
  if (admin.query_text("SELECT pg_is_in_recovery()") != "f")
    throw Error(ErrorCode::internal, "the server is still recovering");
  auto connect_to = [&](const std::string& database) {
    return server.connect(record.admin, database);
  };
  tell(quarantine(admin, connect_to, passwords), run);
  const double quarantined = run.clock.monotonic_seconds();

  run.progress.phase("opening");
  record.open = true;
  write_compute_record(server.record_file(), record);
  server.write_access(true);
  server.reload(record.admin, admin, run);
  const double opened = run.clock.monotonic_seconds();
  run.progress.phase("open");
  run.log.debug(fmt::format(
      "first start in {:.3f} s: recovery {:.3f}, quarantine {:.3f}, opening {:.3f}", opened - began,
      recovered - began, quarantined - recovered, opened - quarantined));
}

void Compute::start(const Run& run) {
  ComputeServer server(tools_, settings_);
  server.check(0);
  ComputeRecord record = server.record();
  if (!record.open)
    throw Error(ErrorCode::invalid,
                fmt::format("the first start of {} was not completed", settings_.folder),
                "go on with it first");
  run.progress.phase("starting");
  // One that runs keeps its settings until its next start. It may have been opened half (a crash
  // right after compute.json was written), so it is told again who may come in.
  auto running = find_server(server.data());
  const bool adopted = running && !running->stopping();
  if (adopted) {
    server.write_access(true);
  } else {
    if (running) server.stop(run);
    server.write_configuration(record, false);
  }
  server.start(record, run);
  if (!adopted) return;
  Connection admin = server.connect_anywhere(record.admin);
  server.reload(record.admin, admin, run);
}

void Compute::stop(const Run& run) {
  ComputeServer(tools_, settings_).stop(run);
}

void Compute::remove() {
  ComputeServer server(tools_, settings_);
  end_processes(server.data(), true);
  // First out of the way in one step, so that a crash leaves no half of a compute.
  const std::string removed = settings_.folder + ".removed";
  for (int round = 0; round < 2; ++round) {
    std::error_code failed;
    std::filesystem::remove_all(removed, failed);
    if (failed)
      throw Error(ErrorCode::unavailable,
                  fmt::format("cannot remove {}: {}", removed, failed.message()));
    if (round == 0 && ::rename(settings_.folder.c_str(), removed.c_str()) != 0) {
      if (errno == ENOENT) return;
      throw system_error("remove " + settings_.folder, errno);
    }
  }
}

Conninfo Compute::admin_conninfo(const std::string& database) const {
  ComputeServer server(tools_, settings_);
  return server.conninfo(server.record().admin, database);
}

}  // namespace holdfast
