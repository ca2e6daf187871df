// The Neon API over an Engine: which routes there are, who may call them, and what is logged.
// Paths, bodies and status codes are the API's own (OpenAPI file of @neondatabase/api-client), so
// that its stock clients work unchanged. Beyond it there is one route of our own:
// GET /projects/{project_id}/history, what can be recovered to and how history is being received.
//
// Every route needs a key (`Authorization: Bearer …`); cookies are ignored. One engine is one
// project: others do not exist, and projects cannot be made or deleted.
//
// handle() and admit() may be called by any thread. What the engine throws becomes an answer.
#pragma once

#include <memory>
#include <optional>

#include "base/log.h"
#include "engine/engine.h"
#include "serve/api_audit.h"
#include "serve/api_keys.h"
#include "serve/http_server.h"

namespace holdfast {

inline constexpr char kApiPrefix[] = "/api/v2";

class Api {
 public:
  // All have to outlive it. `audit`: where calls are recorded; null: nowhere.
  Api(Engine& engine, ApiKeys& keys, Log& log, ApiAudit* audit = nullptr);
  ~Api();

  // WebAdmission: 401 unless the request has a key that is known.
  std::optional<WebResponse> admit(WebRequest& request);
  // Of a request that was admitted.
  WebResponse handle(const WebRequest& request) const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace holdfast
