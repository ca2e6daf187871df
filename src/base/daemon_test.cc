#include "base/daemon.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <chrono>
#include <set>
#include <thread>
#include <vector>

#include "base/expect_error.h"
#include "base/file.h"

namespace holdfast {
namespace {

std::string wait_for_line(const std::string& path) {
  for (int tries = 0; tries < 1000; ++tries) {
    if (file_exists(path))
      if (std::string text = read_file(path, 1 << 16); text.ends_with("end\n")) return text;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return "nothing was written";
}

TEST(Daemon, IsInASessionOfItsOwnWithNothingOfOurs) {
  TempFolder folder("holdfast-daemon-test-");
  Fd leaked = open_file("/dev/null", O_RDONLY);
  ASSERT_GE(::fcntl(leaked.get(), F_DUPFD, 50), 50);  // not close-on-exec
  ::signal(SIGUSR1, SIG_IGN);
  DaemonOptions options;
  options.argv = {"/bin/sh", "-c",
                  "read -r _ _ _ parent group session _ </proc/$$/stat; "
                  "[ $group = $session ] && [ $session != $$ ] && echo own session; "
                  "ls /proc/$$/fd | tr '\\n' ' '; grep SigIgn /proc/$$/status; pwd; "
                  "echo \"$WORD ${HOME-none}\"; echo end; exec sleep 30"};
  options.env = {{"WORD", "told"}};
  options.folder = folder.path();
  options.output_file = folder.path() + "/out";
  pid_t pid = start_daemon(options);
  std::string text = wait_for_line(options.output_file);
  EXPECT_TRUE(text.starts_with("own session\n0 1 2 ")) << text;
  EXPECT_NE(text.find("SigIgn:\t0000000000000000"), std::string::npos) << text;
  EXPECT_NE(text.find(folder.path() + "\ntold none\nend\n"), std::string::npos) << text;
  EXPECT_EQ(::getsid(pid) == ::getsid(0), false);
  EXPECT_EQ(::kill(pid, SIGKILL), 0);
  ::signal(SIGUSR1, SIG_DFL);
}

// Whatever other threads hold at that moment, nothing waits for it between fork and exec.
TEST(Daemon, IsStartedByManyThreadsAtOnce) {
  constexpr int kThreads = 8, kEach = 25;
  TempFolder folder("holdfast-daemon-test-");
  std::vector<std::set<pid_t>> started(kThreads);
  std::vector<std::thread> threads;
  for (int number = 0; number < kThreads; ++number)
    threads.emplace_back([&, number] {
      DaemonOptions options;
      options.argv = {"/bin/true"};
      options.folder = folder.path();
      options.output_file = folder.path() + "/out";
      for (int i = 0; i < kEach; ++i) started[number].insert(start_daemon(options));
    });
  for (std::thread& thread : threads) thread.join();
  for (const auto& pids : started) EXPECT_EQ(pids.size(), kEach);
}

TEST(Daemon, SaysWhyItCannotBeStarted) {
  TempFolder folder("holdfast-daemon-test-");
  DaemonOptions options;
  options.argv = {"/nonexistent/program"};
  options.folder = folder.path();
  options.output_file = folder.path() + "/out";
  EXPECT_ERROR(not_found, start_daemon(options));
  options.argv = {"/bin/true"};
  options.folder = folder.path() + "/missing";
  EXPECT_ERROR(not_found, start_daemon(options));
  options.output_file = folder.path() + "/missing/out";
  EXPECT_ERROR(not_found, start_daemon(options));
}

}  // namespace
}  // namespace holdfast
