// The S3 store on a command line, for tests and the bench: what other programs are compared with.
//
//   store_tool put NAME [FILE]      from FILE or standard input (--expect BYTES, --lock-until TIME)
//   store_tool get NAME [FILE]      in blocks of 1 MiB, front to back
//   store_tool range NAME AT SIZE   to standard output
//   store_tool list [PREFIX]        `bytes name`, one a line
//   store_tool head NAME            `bytes locked-until-or-'-'`
//   store_tool remove NAME
//   store_tool check [BYTES]        whether it could be written to
//   store_tool reap                 clears every leftover; prints how many
//   store_tool parts BYTES          sizes of an upload's parts for an expected total: first, count
//
// Where: --bucket B, --prefix P, and AWS's own variables (endpoint, region, credentials).
// --class C, --sse S, --lock MODE, --parallel N. Exit codes are those of holdfast.
// The peak of its own memory is printed on standard error with --memory, in KiB.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "store/aws_chain.h"
#include "store/s3_parts.h"
#include "store/s3_store.h"

extern char** environ;

namespace holdfast {
namespace {

constexpr size_t kBlockBytes = 1 << 20;

struct Arguments {
  std::vector<std::string> words;
  std::map<std::string, std::string> options;

  std::string option(const std::string& name, const std::string& otherwise = {}) const {
    auto found = options.find(name);
    return found == options.end() ? otherwise : found->second;
  }
  const std::string& word(size_t i) const {
    if (i >= words.size()) throw Error(ErrorCode::invalid, "an argument is missing");
    return words[i];
  }
};

Arguments parse(int argc, char** argv) {
  Arguments found;
  for (int i = 1; i < argc; ++i) {
    std::string word = argv[i];
    if (word == "--memory") {
      found.options["memory"] = "yes";
    } else if (word.starts_with("--")) {
      if (i + 1 >= argc) throw Error(ErrorCode::invalid, word + " needs a value");
      found.options[word.substr(2)] = argv[++i];
    } else {
      found.words.push_back(word);
    }
  }
  return found;
}

Environment whole_environment() {
  Environment found;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string text = *entry;
    size_t equals = text.find('=');
    if (equals != std::string::npos) found[text.substr(0, equals)] = text.substr(equals + 1);
  }
  return found;
}

S3Settings settings_of(const Arguments& arguments, const AwsDefaults& defaults) {
  S3Settings settings;
  settings.bucket = arguments.option("bucket");
  settings.prefix = arguments.option("prefix", "backups/");
  settings.endpoint = defaults.endpoint;
  if (!defaults.region.empty()) settings.region = defaults.region;
  if (arguments.options.contains("class")) settings.storage_class = arguments.option("class");
  if (arguments.options.contains("sse")) settings.sse = arguments.option("sse");
  settings.object_lock = arguments.option("lock");
  settings.parallel = std::stoi(arguments.option("parallel", "4"));
  return settings;
}

void put(ObjectStore& store, const Arguments& arguments) {
  PutOptions options;
  options.bytes_expected = std::stoull(arguments.option("expect", "0"));
  if (arguments.options.contains("lock-until"))
    options.keep_until = parse_rfc3339(arguments.option("lock-until"));
  Fd file = arguments.words.size() > 2 ? open_file(arguments.word(2), O_RDONLY) : Fd(dup(0));
  std::unique_ptr<ObjectWriter> writer = store.put(arguments.word(1), options);
  std::vector<uint8_t> block(kBlockBytes);
  for (;;) {
    ssize_t got = read(file.get(), block.data(), block.size());
    if (got < 0) throw system_error("read the input", errno);
    if (got == 0) break;
    writer->write({block.data(), static_cast<size_t>(got)});
  }
  writer->commit();
}

void get(ObjectStore& store, const Arguments& arguments) {
  std::unique_ptr<ObjectReader> reader = store.open(arguments.word(1));
  Fd file = arguments.words.size() > 2 ? open_file(arguments.word(2), O_WRONLY | O_CREAT | O_TRUNC)
                                       : Fd(dup(1));
  std::vector<uint8_t> block(kBlockBytes);
  for (uint64_t at = 0; at < reader->size();) {
    size_t count = reader->read(at, block.data(), block.size());
    if (count == 0) throw Error(ErrorCode::corrupt, "the object ends before its size");
    write_all(file.get(), {block.data(), count}, "the output");
    at += count;
  }
}

void range(ObjectStore& store, const Arguments& arguments) {
  std::unique_ptr<ObjectReader> reader = store.open(arguments.word(1));
  std::vector<uint8_t> block(std::stoull(arguments.word(3)));
  size_t count = reader->read(std::stoull(arguments.word(2)), block.data(), block.size());
  write_all(1, {block.data(), count}, "the output");
}

void head(ObjectStore& store, const Arguments& arguments) {
  ObjectInfo found = store.head(arguments.word(1));
  fmt::print("{} {}\n", found.bytes,
             found.locked_until ? format_rfc3339(*found.locked_until) : "-");
}

void parts(const Arguments& arguments) {
  uint64_t total = std::stoull(arguments.word(1));
  uint64_t first = s3_first_part_bytes(total, S3Settings{}.part_bytes_min), sum = 0;
  int count = 0;
  while (sum < total) sum += s3_part_bytes(first, ++count);
  fmt::print("{} {}\n", first, count);
}

void work(const Arguments& arguments) {
  const std::string& command = arguments.word(0);
  if (command == "parts") return parts(arguments);
  SystemClock clock;
  AwsChainOptions chain;
  chain.environment = whole_environment();
  AwsDefaults defaults = aws_defaults(chain.environment);
  std::unique_ptr<HttpTransport> transport = make_curl_transport({defaults.ca_file, {}});
  std::unique_ptr<CredentialSource> credentials = make_aws_credentials(chain, *transport, clock);
  S3Settings settings = settings_of(arguments, defaults);
  std::unique_ptr<ObjectStore> store = make_s3_store(settings, *credentials, *transport, clock);
  if (command == "put") return put(*store, arguments);
  if (command == "get") return get(*store, arguments);
  if (command == "range") return range(*store, arguments);
  if (command == "head") return head(*store, arguments);
  if (command == "remove") return store->remove(arguments.word(1));
  if (command == "check")
    return store->check_writable(arguments.words.size() > 1 ? std::stoull(arguments.word(1)) : 0);
  if (command == "list") {
    for (const ObjectInfo& object :
         store->list(arguments.words.size() > 1 ? arguments.word(1) : ""))
      fmt::print("{} {}\n", object.bytes, object.name);
    return;
  }
  if (command == "reap") {
    fmt::print("{}\n", store->reap_unfinished([](const std::string&, UtcTime) { return true; }));
    return;
  }
  throw Error(ErrorCode::invalid, "unknown command " + command);
}

// Not getrusage's: that one counts what the starting process had before exec as well.
std::string peak_kib() {
  std::string status = read_file("/proc/self/status", 1 << 16);
  size_t at = status.find("VmHWM:");
  size_t start = status.find_first_of("0123456789", at);
  return status.substr(start, status.find(' ', start) - start);
}

int run(int argc, char** argv) {
  Arguments arguments;
  int code = kExitDone;
  try {
    arguments = parse(argc, argv);
    work(arguments);
  } catch (const Error& error) {
    fmt::print(stderr, "store_tool: {} [{}]\n", error.what(), error_code_name(error.code()));
    code = exit_code_of(error.code());
  } catch (const std::exception& error) {
    fmt::print(stderr, "store_tool: {} [internal]\n", error.what());
    code = kExitFailed;
  }
  if (arguments.options.contains("memory")) {
    fmt::print(stderr, "peak {} KiB\n", peak_kib());
  }
  return code;
}

}  // namespace
}  // namespace holdfast

int main(int argc, char** argv) {
  return holdfast::run(argc, argv);
}
