// The bundle that a report is handed over in: a folder with the report and what it rests on, a list
// of all SHA-256 sums, and that list's signature. Whoever has sha256sum and openssl can check it
// (its README says how).
//
// The folder appears whole or not at all; one that is there already is never touched.
#pragma once

#include <memory>
#include <string>

#include "base/bytes.h"
#include "seal/ed25519.h"

namespace holdfast {

class EvidenceBundle {
 public:
  // Throws Error(exists) if the folder is there.
  explicit EvidenceBundle(std::string folder);
  EvidenceBundle(const EvidenceBundle&) = delete;
  EvidenceBundle& operator=(const EvidenceBundle&) = delete;
  ~EvidenceBundle();  // unfinished: nothing stays

  // `name` may have one folder in it ("manifests/….json").
  void add(const std::string& name, std::string_view content);
  // Where to write a file oneself, before finish().
  std::string path_of(const std::string& name) const;

  // README, sums and signature; then the folder gets its name. Without a key nothing is signed.
  // Returns the SHA-256 of the list of sums: to be written down elsewhere, the audit trail for one.
  std::string finish(const SigningKey* key);

 private:
  std::string folder_, working_;
  bool finished_ = false;
};

}  // namespace holdfast
