// The engine's own TLS certificate, which every compute shows its clients: self-signed (ECDSA
// P-256, ten years), for localhost, 127.0.0.1, ::1 and the host that connection strings advertise.
//
// Connection strings say sslmode=require&channel_binding=require: the client does not ask who
// signed the certificate, but SCRAM binds the login to it, so that nobody in between can relay one.
// Whoever wants verify-full hands clients this file as their root. It is replaced only when it has
// to be: such clients would have to be told again.
//
// The key never leaves the folder and is 0600, as PostgreSQL demands. Both files are written
// atomically; the certificate is put in place last, and a pair that does not match (a crash in
// between) is made anew. One caller at a time per folder.
#pragma once

#include <string>

#include "base/clock.h"

namespace holdfast {

struct Certificate {
  std::string certificate_file, key_file;  // PEM, absolute where `folder` is
  UtcTime expires_at;
  bool made = false;  // by this call: running servers still show the one before
};

// The certificate in `folder` (server.crt, server.key), made anew where there is none that is good
// for another 30 days and for `advertised_host` (a DNS name or an IP address). `folder` must exist.
// Throws Error: invalid (no host name), denied and unavailable (files), internal (OpenSSL).
Certificate ensure_certificate(const std::string& folder, const std::string& advertised_host,
                               const Clock& clock);

}  // namespace holdfast
