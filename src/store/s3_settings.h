// How the S3 store is set up: where the bucket is, what its objects get, how much runs at once, and
// how patient it is. Made from the options by the command line; a plain value.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string>

namespace holdfast {

struct S3Settings {
  std::string bucket;
  std::string prefix = "backups/";   // of every key; never part of an object's name
  std::string region = "us-east-1";  // corrected once if the server names another
  std::string endpoint;              // "https://s3.example.org:9000"; empty: AWS's
  std::optional<bool> path_style;    // unset: at an endpoint of one's own, and where AWS needs it
  std::optional<std::string> storage_class;  // unset: STANDARD_IA at AWS, else the server's; empty:
                                             // the server's. Only objects of 128 KiB and more
  std::optional<std::string> sse;  // "AES256", "aws:kms", "": the bucket's; unset: AES256 at AWS
  std::string kms_key;             // for aws:kms; empty: the account's own
  std::string object_lock;         // "GOVERNANCE", "COMPLIANCE"; empty: PutOptions::keep_until is
                                   // ignored

  uint64_t part_bytes_min = 8 << 20;    // S3's own limit is 5 MiB, but for the last part
  uint64_t read_block_bytes = 4 << 20;  // of reads in a row
  int parallel = 4;                     // parts of one upload that are sent at once

  int attempts = 6;        // per request: about 2 s of trouble, 5 at most
  int data_attempts = 10;  // per part or range, which a long job depends on: about 40 s
  std::stop_token stop;    // ends waiting between attempts with Error(cancelled)
  // How to wait; a seam for tests. Empty: really waits.
  std::function<void(std::chrono::milliseconds)> pause;
};

}  // namespace holdfast
