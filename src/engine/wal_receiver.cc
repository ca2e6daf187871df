#include "engine/wal_receiver.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/statvfs.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

constexpr std::chrono::milliseconds kReceiverTick{1000};
constexpr double kFirstPauseSeconds = 0.5, kPauseSecondsMax = 30;
constexpr double kSoundSeconds = 20;  // a receiver that ran for so long starts without a pause
constexpr int kEndMs = 5000;
constexpr double kRememberSeconds = 30;
constexpr size_t kReceiverWordsShown = 600;
constexpr std::chrono::milliseconds kReceiverPoll{5}, kSlowPoll{100};
constexpr std::chrono::seconds kFutureMax{2};
constexpr double kPatienceSeconds = 0.5;  // with a receiver that is down

Lsn segment_start(Lsn lsn, uint32_t segment_bytes) {
  return {lsn.value - lsn.value % segment_bytes};
}

}  // namespace

WalReceiver::WalReceiver(const WalReceiverSettings& settings, StorageRecordFile& record,
                         WalFolder& folder, LineArchives& archives, SourceLink& link,
                         const Clock& clock, Log& log)
    : settings_(settings),
      record_(record),
      folder_(folder),
      archives_(archives),
      link_(link),
      clock_(clock),
      log_(log) {
  StorageRecord known = record_.get();
  health_.slot = known.slot();
  health_.gaps = static_cast<int>(known.gaps.size());
  health_.trouble = "the source has not been reached yet";
  caught_up_.begin_with(known.caught_up_at);
}

WalReceiver::~WalReceiver() {
  thread_ = std::jthread();
}

void WalReceiver::start() {
  thread_ = std::jthread([this](std::stop_token stop) { work(stop); });
}

StorageHealth WalReceiver::health() const {
  std::lock_guard lock(mutex_);
  StorageHealth found = health_;
  found.caught_up_at = caught_up_.at();
  return found;
}

std::optional<UtcTime> WalReceiver::caught_up_at() const {
  std::lock_guard lock(mutex_);
  return caught_up_.at();
}

void WalReceiver::work(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    bool paused;
    {
      std::lock_guard lock(mutex_);
      health_.paused = paused = paused_;
      standing_ = false;
    }
    if (paused) {
      end_process();
      link_.close();
    } else {
      tick();
    }
    std::unique_lock lock(mutex_);
    if (paused) {
      standing_ = true;
      health_.receiving = false;
      health_.trouble = "paused";
      health_.trouble_code.reset();
      changed_.notify_all();
      changed_.wait(lock, stop, [&] { return !paused_; });
    } else {
      changed_.wait_for(lock, stop, kReceiverTick, [&] { return paused_; });
    }
  }
  end_process();
  remember_caught_up(true);
}

void WalReceiver::tick() {
  try {
    SourceStatus status = observe();
    check_identity(status);
    care_for_slot(status);
    keep_running(status);
    std::lock_guard lock(mutex_);
    health_.source_answers = true;
  } catch (const Error& error) {
    if (process_ && process_->ended()) take_note_of_end();
    set_trouble(printable(error.what(), kReceiverWordsShown), error.code());
    std::lock_guard lock(mutex_);
    health_.source_answers = false;
  }
  remember_caught_up(false);
}

SourceStatus WalReceiver::observe() {
  SourceStatus status = link_.status();
  std::lock_guard lock(mutex_);
  if (observed_timeline_ != status.timeline) caught_up_.restart();
  observed_timeline_ = status.timeline;
  health_.source = status.flushed;
  health_.received = status.slot.received;
  health_.slot_active = status.slot.active;
  health_.slot_state = status.slot.state;
  health_.lag_bytes = status.flushed > status.slot.received && status.slot.received.value != 0
                          ? status.flushed.value - status.slot.received.value
                          : 0;
  health_.held_bytes = health_.lag_bytes;
  // A standby's clock says nothing of what the primary has committed by then.
  if (!status.standby && status.slot.active && health_.receiving)
    caught_up_.look(status.clock, status.flushed, status.slot.received);
  return status;
}

void WalReceiver::check_identity(const SourceStatus& status) {
  StorageRecord known = record_.get();
  if (known.system_identifier == 0) {
    SourceBasics basics = link_.basics();
    record_.change([&](StorageRecord& record) {
      record.system_identifier = status.system_identifier;
      record.segment_bytes = basics.segment_bytes;
      record.server_version = basics.server_version;
      record.timeline = status.timeline;
    });
    return;
  }
  if (known.system_identifier != status.system_identifier) end_process();
  check_same_cluster(known.system_identifier, status.system_identifier);
  if (known.timeline != status.timeline) {
    Lineage lineage = lineage_of(status.timeline);  // throws if it is not of this history
    log_.info(fmt::format("the source is on timeline {} now (before: {})", status.timeline,
                          known.timeline));
    record_.change([&](StorageRecord& record) { record.timeline = status.timeline; });
  }
}

void WalReceiver::care_for_slot(const SourceStatus& status) {
  const SlotState& slot = status.slot;
  if (!slot.exists) {
    end_process();
    link_.make_slot();
    log_.info(fmt::format("made the replication slot {}", link_.slot()));
    return;
  }
  uint64_t held = health().held_bytes;
  bool lost = slot.state == "lost" || slot.received.value == 0;
  if (!lost && held <= settings_.held_bytes_max) return;
  log_.warning(lost ? fmt::format("the source gave up the replication slot {}", link_.slot())
                    : fmt::format("the replication slot {} makes the source keep {}: it is given "
                                  "up, and what was not received is lost",
                                  link_.slot(), human_bytes(held)));
  end_process();
  {
    std::lock_guard lock(mutex_);
    ++health_.lost_slots;
  }
  link_.drop_slot();
  link_.make_slot();
  if (!lost) note_gap(link_.status(), slot.received);
}

void WalReceiver::keep_running(const SourceStatus& status) {
  double now = clock_.monotonic_seconds();
  if (process_) {
    if (!process_->ended()) {
      if (now - started_at_ > kSoundSeconds) pause_seconds_ = 0;
      std::lock_guard lock(mutex_);
      health_.receiving = true;
      // Too soon to say that all is well.
      if (status.slot.active || now - started_at_ > 2) {
        health_.trouble.clear();
        health_.trouble_code.reset();
      }
      return;
    }
    take_note_of_end();
  }
  if (now < next_start_) {
    set_trouble(last_words_);
    return;
  }
  if (!has_room()) {
    set_trouble(
        fmt::format("the disk of {} is full: receiving waits for room, and the source "
                    "keeps its WAL meanwhile",
                    settings_.storage_folder));
    return;
  }
  begin_receiving();
}

void WalReceiver::begin_receiving() {
  SourceStatus fresh = link_.status();  // the slot may have been made a moment ago
  Lineage lineage = lineage_of(fresh.timeline);
  if (std::optional<ReceiveStart> from = arrange(lineage)) {
    SourceLink::HasWal has = link_.has_wal(from->lsn, from->timeline);
    if (has == SourceLink::HasWal::refused)
      throw Error(ErrorCode::unavailable,
                  fmt::format("the source will not go on from {} on timeline {}, up to where its "
                              "WAL was received",
                              format_lsn(from->lsn), from->timeline));
    if (has == SourceLink::HasWal::removed) {
      Lsn received = std::max(from->lsn, health().received);
      // A receiver that asked for it in vain has set the slot back to there, and a slot that holds
      // nothing is none to begin anew from.
      if (fresh.slot.received <= from->lsn) {
        link_.drop_slot();
        link_.make_slot();
        fresh = link_.status();
      }
      note_gap(fresh, std::min(received, fresh.flushed));
    }
  }
  login_ = std::make_unique<ChildLogin>(settings_.source.with("application_name", link_.slot()));
  ProcessOptions options;
  options.argv = {settings_.tools.path("pg_receivewal"),
                  "--dbname=" + login_->dbname_argument(),
                  "--directory=" + folder_.current(),
                  "--slot=" + link_.slot(),
                  "--synchronous",
                  "--no-loop",
                  "--no-password",
                  "--status-interval=1"};
  options.env = clean_environment();
  options.env.merge(login_->env());
  options.env["LC_ALL"] = "C";  // its words are looked at
  options.env.erase("LANG");
  options.inherit = login_->inherit();
  options.die_with_parent = true;
  process_ = std::make_unique<Process>(options);
  started_at_ = clock_.monotonic_seconds();
  std::lock_guard lock(mutex_);
  health_.receiving = true;
  if (ever_started_) ++health_.restarts;
  ever_started_ = true;
}

Lineage WalReceiver::lineage_of(Timeline timeline) {
  if (timeline <= 1) return first_timeline(timeline);
  std::string theirs = link_.timeline_history(timeline);
  std::optional<std::string> ours = folder_.history(timeline);
  if (ours && *ours != theirs) {
    end_process();
    throw Error(ErrorCode::invalid,
                fmt::format("the source's timeline {} is not the one that was received before: "
                            "their histories differ",
                            timeline),
                "two servers were promoted from one: point the engine at the one that it knows, "
                "or give this one a storage folder of its own");
  }
  return parse_timeline_history(timeline, theirs);
}

void WalReceiver::take_note_of_end() {
  int code = process_->wait();
  std::string words = printable(trim(process_->stderr_tail()), kReceiverWordsShown);
  process_.reset();
  login_.reset();
  pause_seconds_ =
      pause_seconds_ == 0 ? kFirstPauseSeconds : std::min(2 * pause_seconds_, kPauseSecondsMax);
  next_start_ = clock_.monotonic_seconds() + pause_seconds_;
  last_words_ = words.find("No space left") != std::string::npos
                    ? fmt::format("the disk of {} is full: {}", settings_.storage_folder, words)
                    : fmt::format("pg_receivewal ended with code {}: {}", code, words);
  set_trouble(last_words_);
}

void WalReceiver::note_gap(const SourceStatus& status, Lsn from) {
  StorageRecord known = record_.get();
  // Where pg_receivewal begins in an empty folder.
  bool by_slot = settings_.tools.major >= 15 && known.server_version >= 150000;
  Lsn to = by_slot && status.slot.received.value != 0 ? status.slot.received : status.flushed;
  to = segment_start(to, known.segment_bytes);
  StorageGap gap{status.timeline, from, std::max(from, to), clock_.now(), caught_up_at()};
  record_.change([&](StorageRecord& record) {
    record.receive_from = to;
    record.gaps.push_back(gap);
  });
  log_.error(
      fmt::format("WAL from {} to about {} is lost: the source no longer has it. Receiving "
                  "begins anew; history before it stays readable",
                  format_lsn(gap.from), format_lsn(gap.to)));
  {
    std::lock_guard lock(mutex_);
    ++health_.gaps;
    ++health_.new_gaps;
    health_.lost_bytes += gap.to.value - gap.from.value;
    caught_up_.restart();
  }
  arrange(lineage_of(status.timeline));
}

std::optional<ReceiveStart> WalReceiver::arrange(const Lineage& lineage) {
  StorageRecord known = record_.get();
  std::optional<ReceiveStart> from;
  archives_.change_main(
      [&] { from = folder_.arrange(lineage, known.receive_from, known.segment_bytes); });
  return from;
}

void WalReceiver::end_process() {
  if (process_) {
    process_->terminate();
    pollfd ended{process_->ended_fd(), POLLIN, 0};
    ::poll(&ended, 1, kEndMs);
    process_->kill();
    process_.reset();
    login_.reset();
  }
  next_start_ = 0;
  std::lock_guard lock(mutex_);
  health_.receiving = false;
}

void WalReceiver::set_trouble(const std::string& trouble, std::optional<ErrorCode> code) {
  std::lock_guard lock(mutex_);
  health_.receiving = process_ != nullptr;
  health_.trouble_code = code;
  if (health_.trouble == trouble) return;
  health_.trouble = trouble;
  if (!trouble.empty()) log_.warning("receiving WAL: " + trouble);
}

void WalReceiver::remember_caught_up(bool now) {
  double at = clock_.monotonic_seconds();
  if (!now && at - remembered_at_ < kRememberSeconds) return;
  remembered_at_ = at;
  std::optional<UtcTime> time = caught_up_at();
  if (!time || time == record_.get().caught_up_at) return;
  try {
    record_.change([&](StorageRecord& record) { record.caught_up_at = time; });
  } catch (const Error& error) {
    log_.warning(error.what());  // it is learnt anew after a restart
  }
}

bool WalReceiver::has_room() {
  struct statvfs status {};
  if (::statvfs(folder_.current().c_str(), &status) != 0) return true;  // its open will tell
  uint64_t room = uint64_t{status.f_bavail} * status.f_frsize;
  return room >= 2 * uint64_t{record_.get().segment_bytes};
}

bool WalReceiver::catch_up(std::chrono::milliseconds at_most) {
  double began = clock_.monotonic_seconds();
  double deadline = began + std::chrono::duration<double>(at_most).count();
  try {
    SourceStatus first = observe();
    for (SourceStatus now = first;; now = observe()) {
      if (now.slot.active && now.slot.received >= first.flushed) return true;
      std::unique_lock lock(mutex_);
      double at = clock_.monotonic_seconds();
      if (paused_ || at > deadline || (!health_.receiving && at > began + kPatienceSeconds))
        return false;
      changed_.wait_for(lock, kReceiverPoll, [&] { return paused_; });
    }
  } catch (const Error&) {
    return false;  // the source is away: what was received is all there is
  }
}

void WalReceiver::wait_caught_up(std::chrono::milliseconds at_most, const Run& run) {
  double deadline = clock_.monotonic_seconds() + std::chrono::duration<double>(at_most).count();
  while (!catch_up(kSlowPoll)) {
    run.check_stop();
    StorageHealth now = health();
    if (now.receiving && now.received >= now.source && now.received.value != 0) return;
    if (clock_.monotonic_seconds() > deadline)
      throw Error(ErrorCode::unavailable,
                  fmt::format("no snapshot can be taken while no WAL is received: {}",
                              now.trouble.empty() ? "the receiver is far behind" : now.trouble));
    std::this_thread::sleep_for(kSlowPoll);
  }
}

bool WalReceiver::catch_up_to(UtcTime time, std::chrono::milliseconds at_most) {
  double deadline = clock_.monotonic_seconds() + std::chrono::duration<double>(at_most).count();
  try {
    while (true) {
      if (std::optional<UtcTime> at = caught_up_at(); at && *at >= time) return true;
      SourceStatus now = observe();
      std::unique_lock lock(mutex_);
      if (paused_ || time > now.clock + kFutureMax || clock_.monotonic_seconds() > deadline)
        return false;
      changed_.wait_for(lock, kSlowPoll, [&] { return paused_; });
    }
  } catch (const Error&) {
    return false;
  }
}

void WalReceiver::pause() {
  std::unique_lock lock(mutex_);
  paused_ = true;
  changed_.notify_all();
  changed_.wait(lock, [&] { return standing_ || !thread_.joinable(); });
}

void WalReceiver::resume() {
  std::lock_guard lock(mutex_);
  paused_ = false;
  changed_.notify_all();
}

}  // namespace holdfast
