// Runs a fuzz target without libFuzzer, so that any compiler can: replays the seeds it is given,
// then tries mutations of them. The mutations follow from -seed alone, so a failure comes again.
//
//   fuzz_x [-runs=N] [-seconds=S] [-seed=N] [-max_len=N] FILE-OR-FOLDER…
//
// Stops after N mutations or S seconds (0: no limit), whichever is first. A failure is whatever
// ends the process (a sanitizer, an assertion, an exception that is let out); the input of that
// moment is written to crash-<run> in the working folder, and replays when given as FILE.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
// Present when a sanitizer is linked: called before it ends the process.
extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace {

using Bytes = std::vector<uint8_t>;

struct Options {
  uint64_t runs = 10'000;
  double seconds = 0;
  uint64_t seed = 1;
  size_t max_len = 64 << 10;
  std::vector<std::string> paths;
};

// The input that is being tried, for the handlers below.
const Bytes* current_input = nullptr;
char crash_name[64] = "crash-seed";

// Async-signal-safe.
void save_input() {
  if (current_input == nullptr) return;
  int fd = open(crash_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  if (fd < 0) return;
  ssize_t written = write(fd, current_input->data(), current_input->size());
  close(fd);
  const char* text = written < 0 ? "the failing input could not be written\n"
                                 : "the failing input is in crash-*\n";
  if (write(STDERR_FILENO, text, std::strlen(text)) < 0) return;
}

void on_signal(int number) {
  save_input();
  std::signal(number, SIG_DFL);
  std::raise(number);
}

void watch_for_failure() {
  if (__sanitizer_set_death_callback != nullptr) __sanitizer_set_death_callback(save_input);
  std::signal(SIGABRT, on_signal);
  if (__sanitizer_set_death_callback == nullptr) {
    for (int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL}) std::signal(number, on_signal);
  }
}

Options parse_arguments(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    std::string argument = argv[i];
    auto value_of = [&](const char* name) -> const char* {
      size_t length = std::strlen(name);
      return argument.compare(0, length, name) == 0 ? argument.c_str() + length : nullptr;
    };
    if (const char* runs = value_of("-runs=")) {
      options.runs = std::strtoull(runs, nullptr, 10);
    } else if (const char* seconds = value_of("-seconds=")) {
      options.seconds = std::strtod(seconds, nullptr);
    } else if (const char* seed = value_of("-seed=")) {
      options.seed = std::strtoull(seed, nullptr, 10);
    } else if (const char* max_len = value_of("-max_len=")) {
      options.max_len = std::strtoull(max_len, nullptr, 10);
    } else if (argument.starts_with("-")) {
      std::fprintf(stderr, "unknown option %s\n", argument.c_str());
      std::exit(2);
    } else {
      options.paths.push_back(argument);
    }
  }
  return options;
}

Bytes read_seed(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.c_str());
    std::exit(2);
  }
  return Bytes(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
}

std::vector<Bytes> read_seeds(const std::vector<std::string>& paths) {
  std::vector<std::filesystem::path> files;
  for (const std::string& path : paths) {
    if (!std::filesystem::is_directory(path)) {
      files.emplace_back(path);
      continue;
    }
    for (const auto& each : std::filesystem::recursive_directory_iterator(path)) {
      if (each.is_regular_file()) files.push_back(each.path());
    }
  }
  std::sort(files.begin(), files.end());
  std::vector<Bytes> seeds;
  for (const auto& file : files) seeds.push_back(read_seed(file));
  return seeds;
}

class Mutator {
 public:
  Mutator(std::vector<Bytes> seeds, const Options& options)
      : seeds_(std::move(seeds)), random_(options.seed), max_len_(options.max_len) {
    if (seeds_.empty()) seeds_.emplace_back();
  }

  const Bytes& next() {
    input_ = seeds_[below(seeds_.size())];
    for (size_t left = 1 + below(6); left > 0; --left) mutate();
    if (input_.size() > max_len_) input_.resize(max_len_);
    return input_;
  }

 private:
  // A mersenne twister and `%`, because the standard's distributions differ between libraries.
  size_t below(size_t bound) { return bound == 0 ? 0 : static_cast<size_t>(random_() % bound); }
  uint8_t byte() { return static_cast<uint8_t>(random_()); }

  void mutate() {
    size_t at = below(input_.size() + 1);
    size_t left = input_.size() - at;
    switch (below(9)) {
      case 0:
        return change(at, [](uint8_t& b, uint8_t r) { b ^= static_cast<uint8_t>(1 << r % 8); });
      case 1:
        return change(at, [](uint8_t& b, uint8_t r) { b = r; });
      case 2:
        return change(at, [](uint8_t& b, uint8_t r) { b = static_cast<uint8_t>(b + r % 9 - 4); });
      case 3:
        return put_number(at);
      case 4:
        return insert(at, Bytes(1 + below(16), byte()));
      case 5:
        return erase(at, below(std::min<size_t>(left, 32) + 1));
      case 6:
        return insert(below(input_.size() + 1), cut(input_, 64));
      case 7:
        return insert(at, cut(seeds_[below(seeds_.size())], 256));
      default:
        if (below(4) == 0) input_.resize(at);
    }
  }

  template <typename Change>
  void change(size_t at, Change&& apply) {
    if (at < input_.size()) apply(input_[at], byte());
  }

  // Numbers at which lengths and counts go wrong, in 4 little-endian bytes.
  void put_number(size_t at) {
    static constexpr uint32_t kNumbers[] = {
        0,       1,          0x7f,       0x80,       0xff,       0x100,     0xffff,
        0x10000, 0x7fffffff, 0x80000000, 0xffffffff, 0x40000000, 0x3fffffff};
    uint32_t number = kNumbers[below(std::size(kNumbers))];
    for (size_t i = 0; i < 4 && at + i < input_.size(); ++i) {
      input_[at + i] = static_cast<uint8_t>(number >> (8 * i));
    }
  }

  Bytes cut(const Bytes& from, size_t size_max) {
    size_t start = below(from.size() + 1);
    size_t size = below(std::min(from.size() - start, size_max) + 1);
    return Bytes(from.begin() + static_cast<ptrdiff_t>(start),
                 from.begin() + static_cast<ptrdiff_t>(start + size));
  }

  void insert(size_t at, const Bytes& what) {
    input_.insert(input_.begin() + static_cast<ptrdiff_t>(at), what.begin(), what.end());
  }

  void erase(size_t at, size_t size) {
    auto first = input_.begin() + static_cast<ptrdiff_t>(at);
    input_.erase(first, first + static_cast<ptrdiff_t>(size));
  }

  std::vector<Bytes> seeds_;
  std::mt19937_64 random_;
  size_t max_len_;
  Bytes input_;
};

void run_one(const Bytes& input) {
  // A copy of exactly its size, so that a read past the end is one past the allocation.
  Bytes exact(input);
  current_input = &exact;
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  current_input = nullptr;
}

}  // namespace

int main(int argc, char** argv) {
  Options options = parse_arguments(argc, argv);
  watch_for_failure();
  std::vector<Bytes> seeds = read_seeds(options.paths);
  for (const Bytes& seed : seeds) run_one(seed);

  auto start = std::chrono::steady_clock::now();
  auto elapsed = [&] {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  };
  size_t seed_count = seeds.size();
  Mutator mutator(std::move(seeds), options);
  uint64_t runs = 0;
  while (runs < options.runs && (options.seconds <= 0 || elapsed() < options.seconds)) {
    ++runs;
    std::snprintf(crash_name, sizeof crash_name, "crash-%llu",
                  static_cast<unsigned long long>(runs));
    run_one(mutator.next());
  }
  std::printf("%zu seeds and %llu mutations in %.1f s\n", seed_count,
              static_cast<unsigned long long>(runs), elapsed());
  return 0;
}
