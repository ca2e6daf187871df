// The bucket as the store's parts see it: names and keys, what new objects get, what is there.
//
// Shared by the store, its writers and its readers; outlives them. Thread-safe.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "store/object_store.h"
#include "store/s3_client.h"

namespace holdfast {

// 16 bytes; what S3 calls the ETag of a whole PUT or part, and what Content-MD5 holds.
std::string md5_bytes(ByteView bytes);

struct S3Found {
  ObjectInfo info;
  std::string etag;   // with its quotes
  std::string token;  // of the writer that made it; see S3Bucket::new_object_headers
};

class S3Bucket {
 public:
  S3Bucket(const S3Settings& settings, CredentialSource& credentials, HttpTransport& transport,
           const Clock& clock);

  const S3Settings& settings() const { return settings_; }
  S3Client& client() { return client_; }
  const Clock& clock() const { return clock_; }
  const std::string& prefix() const { return prefix_; }

  // Throws Error(invalid) for a name that no object may have.
  std::string key_of(const std::string& name) const;
  // Nothing for a key that is no object of a store: a folder's marker, another maker's.
  std::optional<std::string> name_of(const std::string& key) const;
  // "s3://bucket/backups/care.dump", for people.
  std::string shown(const std::string& name) const;
  std::string location() const;

  // HEAD. Nothing if there is no such object.
  std::optional<S3Found> find(const std::string& name);
  void remove(const std::string& name);

  // Storage class, encryption, lock, and a token that says which writer made the object: after a
  // lost answer, what stands there can be told from what somebody else put there.
  HttpHeaders new_object_headers(const PutOptions& options, bool is_large,
                                 const std::string& token) const;

  // Whether the server still is to be asked not to replace an object (If-None-Match: *). One that
  // refuses the header is not asked again.
  std::atomic<bool> asks_create_only{true};

 private:
  static std::optional<S3Found> read_head(const std::string& name, const HttpResponse& http);
  S3Settings settings_;
  std::string prefix_;
  const Clock& clock_;
  S3Client client_;
};

}  // namespace holdfast
