// The API's calls in the audit trail: who called what, from where, with what answer.
//
// A call that changes something is an event before it is carried out and one with its outcome; one
// that reads a password or a connection string is an event before it is answered. Where the trail
// is required and cannot be written, both are refused (503). Other reads are recorded only if that
// is asked for, and never refused. Calls that were not admitted are counted by address and written
// once every few seconds by a thread of this class: a stranger can neither make the server wait
// for the disk nor fill it.
//
// Actions are named after the path: api.branch.create, api.role.reveal_password. Events hold paths,
// never queries, headers or bodies. Thread-safe.
#pragma once

#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "audit/writer.h"
#include "base/log.h"
#include "serve/http_server.h"

namespace holdfast {

struct ApiAuditSettings {
  AuditWho who;          // organization and host; actor and address are the call's
  bool required = true;  // whether a call is refused that cannot be recorded
  bool reads = false;    // whether calls that only read are recorded
};

class ApiAudit {
 public:
  // All outlive it.
  ApiAudit(AuditWriter& writer, ApiAuditSettings settings, Log& log);
  // Writes what was counted of refused calls.
  ~ApiAudit();

  // Carries the call out and records it as it has to be.
  WebResponse record(const WebRequest& request, const WebHandler& carry_out);
  // A call without a key that is known. Never waits.
  void refused(const WebRequest& request);

 private:
  bool write(const AuditEvent& event);
  AuditEvent event_of(const WebRequest& request) const;
  void write_refusals();
  void work(std::stop_token stop);

  AuditWriter& writer_;
  const ApiAuditSettings settings_;
  Log& log_;
  std::mutex mutex_;  // guards what follows
  std::condition_variable_any wake_;
  std::map<std::string, uint64_t> refusals_;  // by address
  uint64_t other_refusals_ = 0;               // of addresses beyond those that are told apart
  std::jthread worker_;                       // last: it uses what is above
};

// "api.branch.create"; of a path without the API's prefix.
std::string api_action(std::string_view method, std::string_view path);
// Whether it changes something, and whether it reads what a login needs.
bool is_api_change(std::string_view method);
bool is_api_secret(std::string_view action);

}  // namespace holdfast
