#include "serve/account_json.h"

#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "pg/lsn.h"

namespace holdfast {
namespace {

using OrderedJson = nlohmann::ordered_json;

// The API wants a user. A self-hosted engine has none: whoever has a key is its owner.
constexpr char kOwnerId[] = "00000000-0000-4000-8000-000000000001";
constexpr char kOwnerName[] = "holdfast";
constexpr char kOwnerEmail[] = "owner@holdfast.invalid";  // RFC 2606: can belong to nobody

std::string dump(const OrderedJson& document) {
  return document.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

OrderedJson time_or_null(const std::optional<UtcTime>& time) {
  return time ? OrderedJson(format_rfc3339(*time)) : OrderedJson(nullptr);
}

}  // namespace

std::string write_user() {
  return dump({{"active_seconds_limit", 0},
               {"auth_accounts", OrderedJson::array()},
               {"email", kOwnerEmail},
               {"id", kOwnerId},
               {"image", ""},
               {"login", kOwnerName},
               {"name", kOwnerName},
               {"last_name", ""},
               {"projects_limit", 1},
               {"branches_limit", 0},
               {"max_autoscaling_limit", 56},
               {"plan", "self-hosted"}});
}

std::string write_no_organizations() {
  return dump({{"organizations", OrderedJson::array()}});
}

std::string write_auth_details() {
  return dump({{"account_id", kOwnerId}, {"auth_method", "api_key_user"}});
}

std::string write_region(const std::string& region_id) {
  OrderedJson region = {{"region_id", region_id},
                        {"name", "self-hosted"},
                        {"default", true},
                        {"geo_lat", "0"},
                        {"geo_long", "0"}};
  return dump({{"regions", OrderedJson::array({region})}});
}

std::string write_key_list(const std::vector<ApiKey>& keys) {
  OrderedJson list = OrderedJson::array();
  for (const ApiKey& key : keys)
    list.push_back({{"id", key.id},
                    {"name", key.name},
                    {"created_at", format_rfc3339(key.created_at)},
                    {"created_by", {{"id", kOwnerId}, {"name", kOwnerName}, {"image", ""}}},
                    {"last_used_at", time_or_null(key.last_used_at)},
                    {"last_used_from_addr", ""}});
  return dump(list);
}

std::string write_new_key(const NewApiKey& key) {
  return dump({{"id", key.key.id},
               {"key", key.clear.reveal()},
               {"name", key.key.name},
               {"created_at", format_rfc3339(key.key.created_at)},
               {"created_by", kOwnerId}});
}

std::string write_revoked_key(const ApiKey& key) {
  return dump({{"id", key.id},
               {"name", key.name},
               {"created_at", format_rfc3339(key.created_at)},
               {"created_by", kOwnerId},
               {"last_used_at", time_or_null(key.last_used_at)},
               {"last_used_from_addr", ""},
               {"revoked", true}});
}

std::string write_history(const std::vector<Window>& windows, const StorageHealth& health) {
  OrderedJson list = OrderedJson::array();
  for (const Window& window : windows)
    list.push_back({{"timeline", window.timeline},
                    {"from_lsn", format_lsn(window.from)},
                    {"to_lsn", format_lsn(window.to)},
                    {"from", format_rfc3339(window.from_time)},
                    {"to", format_rfc3339(window.to_time)}});
  OrderedJson receiving = {{"ok", health.receiving},
                           {"trouble", health.trouble},
                           {"received_lsn", format_lsn(health.received)},
                           {"source_lsn", format_lsn(health.source)},
                           {"lag_bytes", health.lag_bytes},
                           {"caught_up_at", time_or_null(health.caught_up_at)},
                           {"slot", health.slot},
                           {"slot_state", health.slot_state},
                           {"held_bytes", health.held_bytes},
                           {"restarts", health.restarts},
                           {"gaps", health.gaps}};
  return dump({{"windows", list}, {"receiving", receiving}});
}

}  // namespace holdfast
