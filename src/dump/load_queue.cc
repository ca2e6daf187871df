#include "dump/load_queue.h"

#include <tuple>
#include <utility>

namespace holdfast {
namespace {

// How much longer than its fair share a connection may be busy with one table: rows that are loaded
// whole cost the server about that much less.
constexpr double kFairShares = 1.1;

uint64_t bytes_to_load(const LoadUnit& unit) {
  return unit.objects != nullptr ? unit.objects->content_bytes
                                 : unit.table->pieces[unit.piece].text_bytes;
}

bool may_be_whole(const LoadUnit& unit, const std::map<int, SendPlan>& plans) {
  if (unit.table == nullptr) return false;
  auto plan = plans.find(unit.table->dump_id);
  return plan != plans.end() && plan->second.can_be_made_anew;
}

}  // namespace

LoadQueue::LoadQueue(std::vector<LoadUnit> units, const std::map<int, SendPlan>& plans,
                     int connections)
    : units_(std::move(units)), connections_(connections) {
  for (size_t i = 0; i < units_.size(); ++i) {
    const LoadUnit& unit = units_[i];
    if (i == 0 || unit.table == nullptr || unit.table != units_[i - 1].table) {
      Stretch stretch;
      stretch.begin = i;
      stretch.objects = unit.objects != nullptr;
      stretch.can_be_whole = may_be_whole(unit, plans);
      stretches_.push_back(stretch);
    }
    stretches_.back().end = i + 1;
    stretches_.back().bytes_left += bytes_to_load(unit);
    bytes_left_ += bytes_to_load(unit);
  }
}

std::optional<LoadUnit> LoadQueue::next(Place& place) {
  std::lock_guard lock(mutex_);
  bytes_left_ -= std::exchange(place.bytes, 0);
  if (place.stretch != kNone && stretches_[place.stretch].begin == stretches_[place.stretch].end) {
    --stretches_[place.stretch].connections;
    place.stretch = kNone;
  }
  if (place.stretch == kNone) {
    place.stretch = choose();
    if (place.stretch == kNone) return std::nullopt;
    start(stretches_[place.stretch]);
  }
  Stretch& stretch = stretches_[place.stretch];
  LoadUnit unit = units_[stretch.begin++];
  unit.whole_table = stretch.whole;
  place.bytes = bytes_to_load(unit);
  stretch.bytes_left -= place.bytes;
  return unit;
}

size_t LoadQueue::choose() const {
  // What is better comes later: large objects, what nobody has begun, what leaves most.
  auto worth = [](const Stretch& stretch) {
    return std::tuple(stretch.objects, stretch.connections == 0,
                      stretch.bytes_left / (stretch.connections + 1));
  };
  size_t best = kNone;
  for (size_t i = 0; i < stretches_.size(); ++i) {
    const Stretch& stretch = stretches_[i];
    if (stretch.begin == stretch.end || (stretch.whole && stretch.connections > 0)) continue;
    if (best == kNone || worth(stretch) > worth(stretches_[best])) best = i;
  }
  return best;
}

void LoadQueue::start(Stretch& stretch) {
  if (stretch.connections++ > 0 || !stretch.can_be_whole) return;
  double fair_share = static_cast<double>(bytes_left_) / connections_;
  stretch.whole = stretch.end - stretch.begin == 1 ||
                  static_cast<double>(stretch.bytes_left) <= kFairShares * fair_share;
}

void keep_short_tables_whole(std::vector<LoadUnit>& units, const std::map<int, SendPlan>& plans) {
  for (LoadUnit& unit : units)
    unit.whole_table = may_be_whole(unit, plans) && unit.table->pieces.size() == 1;
}

}  // namespace holdfast
