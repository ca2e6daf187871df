#include "base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <optional>
#include <set>
#include <thread>

#include "base/error.h"
#include "base/text.h"

namespace holdfast {
namespace {

ProcessOptions shell(const std::string& script) {
  return {.argv = {"/bin/sh", "-c", script}, .env = {{"PATH", "/usr/bin:/bin"}}};
}

bool alive(pid_t pid) {
  if (::kill(pid, 0) != 0) return false;
  // A zombie whose parent has not noticed yet is dead.
  std::string stat = read_file("/proc/" + std::to_string(pid) + "/stat", 4096);
  return stat[stat.rfind(')') + 2] != 'Z';
}

// The wait is for another process to be scheduled; it ends as soon as that has happened.
bool dies(pid_t pid) {
  for (int i = 0; i < 2000; ++i) {
    try {
      if (!alive(pid)) return true;
    } catch (const Error&) {
      return true;  // gone between the two looks
    }
    ::poll(nullptr, 0, 5);
  }
  return false;
}

std::string read_line(int fd) {
  std::string line;
  char c;
  while (::read(fd, &c, 1) == 1 && c != '\n') line.push_back(c);
  return line;
}

TEST(ProcessTest, OutputErrorsAndExitCode) {
  ProcessResult result = run_process(shell("cat; echo problem >&2; exit 7"), "input\n");
  EXPECT_EQ(result.exit_code, 7);
  EXPECT_EQ(result.out, "input\n");
  EXPECT_EQ(result.err, "problem\n");
}

TEST(ProcessTest, DeathBySignalIs128More) {
  EXPECT_EQ(run_process(shell("kill -TERM $$")).exit_code, 128 + SIGTERM);
}

TEST(ProcessTest, MissingProgramIsNamed) {
  for (bool die : {false, true}) {
    try {
      run_process({.argv = {"/nowhere/pg_dump"}, .die_with_parent = die});
      FAIL() << "nothing was thrown";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::not_found);
      EXPECT_EQ(std::string(error.what()), "start /nowhere/pg_dump: No such file or directory");
    }
  }
  EXPECT_THROW(run_process({}), Error);
  EXPECT_THROW(run_process({.argv = {"/etc/passwd"}}), Error);
  EXPECT_THROW(run_process({.argv = {"/bin/true"}, .folder = "/nowhere"}), Error);
}

TEST(ProcessTest, ManyMegabytesGoBothWays) {
  std::string input;
  for (int i = 0; i < 400'000; ++i) input += std::to_string(i) + "\n";
  ProcessResult result = run_process(shell("cat"), input);
  EXPECT_TRUE(result.out == input);
}

TEST(ProcessTest, AChildThatReadsNothingOrClosesItsOutputIsNoProblem) {
  std::string input(1 << 20, 'x');
  EXPECT_EQ(run_process(shell("exec <&-; echo done"), input).out, "done\n");
  ProcessResult result = run_process(shell("exec >&-; wc -c >&2"), input);
  EXPECT_EQ(std::string(trim(result.err)), "1048576");
}

TEST(ProcessTest, EndsWithinItsTime) {
  EXPECT_EQ(run_process(shell("echo quick"), {}, 1000, std::chrono::seconds(20)).out, "quick\n");
  try {
    run_process(shell("sleep 100 & sleep 100"), {}, 1000, std::chrono::seconds(1));
    FAIL() << "it ran on";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::unavailable);
    EXPECT_NE(std::string(error.what()).find("within 1 s"), std::string::npos);
  }
}

TEST(ProcessTest, OutputIsBounded) {
  EXPECT_EQ(run_process(shell("head -c 1000 /dev/zero"), {}, 1000).out.size(), 1000u);
  EXPECT_THROW(run_process(shell("head -c 1001 /dev/zero"), {}, 1000), Error);
  EXPECT_THROW(run_process(shell("cat /dev/zero"), {}, 1000), Error);
}

TEST(ProcessTest, StderrTailIsTheLastLines) {
  ProcessResult result =
      run_process(shell("i=0; while [ $i -lt 20000 ]; do "
                        "echo \"line $i of stderr\"; i=$((i+1)); done >&2"));
  EXPECT_LE(result.err.size(), kStderrTailBytes);
  EXPECT_GT(result.err.size(), kStderrTailBytes - 100);
  EXPECT_TRUE(result.err.starts_with("line ")) << result.err.substr(0, 30);
  EXPECT_TRUE(result.err.ends_with("line 19999 of stderr\n"));
}

TEST(ProcessTest, SaysWhetherStderrWasCut) {
  Process quiet(shell("head -c 65536 /dev/zero >&2"));
  quiet.wait();
  EXPECT_FALSE(quiet.stderr_cut());
  for (const char* bytes : {"65537", "1000000"}) {
    Process chatty(shell(std::string("head -c ") + bytes + " /dev/zero >&2"));
    chatty.wait();
    EXPECT_TRUE(chatty.stderr_cut()) << bytes;
  }
}

TEST(ProcessTest, ChattyChildWithoutNewlinesIsBoundedToo) {
  ProcessResult result = run_process(shell("head -c 10000000 /dev/zero >&2; echo end >&2"));
  EXPECT_LE(result.err.size(), kStderrTailBytes);
  EXPECT_TRUE(result.err.ends_with("end\n"));
}

TEST(ProcessTest, EnvironmentIsExactlyWhatWasGiven) {
  ::setenv("HOLDFAST_TEST_SECRET", "hunter2", 1);
  ProcessResult result = run_process({.argv = {"/usr/bin/env"}, .env = {{"A", "1"}, {"B", "x=y"}}});
  EXPECT_EQ(result.out, "A=1\nB=x=y\n");
  EXPECT_EQ(clean_environment().count("HOLDFAST_TEST_SECRET"), 0u);
  EXPECT_EQ(clean_environment().at("PATH"), std::getenv("PATH"));
}

TEST(ProcessTest, OnlyListedHandlesAreInherited) {
  int leaky = ::open("/dev/null", O_RDONLY);  // as libraries leave them: without O_CLOEXEC
  Fd memory = make_memory_file("test", "handed over");
  int high = ::fcntl(memory.get(), F_DUPFD_CLOEXEC, 150);
  ProcessOptions options =
      shell("cat <&" + std::to_string(memory.get()) + "; echo; ls /proc/$$/fd; true");
  options.argv[0] = "/bin/bash";  // dash knows no handles above 9
  options.inherit = {high, memory.get()};
  ProcessResult result = run_process(options);
  std::vector<std::string> lines = split(result.out, '\n');
  ASSERT_GE(lines.size(), 2u) << result.err;
  EXPECT_EQ(lines[0], "handed over");
  std::set<std::string> handles(lines.begin() + 1, lines.end());
  handles.erase("");
  handles.erase("255");  // bash's own
  EXPECT_EQ(handles, (std::set<std::string>{"0", "1", "2", std::to_string(memory.get()), "150"}));
  EXPECT_TRUE(::fcntl(memory.get(), F_GETFD) & FD_CLOEXEC);  // ours stays closed for others
  ::close(leaky);
  ::close(high);
  options.inherit = {1};
  EXPECT_THROW(run_process(options), Error);
}

TEST(ProcessTest, WorksWithOurStandardHandlesClosed) {
  pid_t child = ::fork();
  if (child == 0) {
    for (int fd : {0, 1, 2}) ::close(fd);
    bool good = false;
    try {
      ProcessResult result = run_process(shell("cat; echo err >&2"), "in");
      good = result.out == "in" && result.err == "err\n";
    } catch (const Error&) {
    }
    ::_exit(good ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

TEST(ProcessTest, SignalsAreAtTheirDefaults) {
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  ProcessResult result = run_process(shell("grep -E '^Sig(Blk|Ign)' /proc/self/status"));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  std::vector<std::string> lines = split(result.out, '\n');
  ASSERT_GE(lines.size(), 2u);
  EXPECT_EQ(lines[0], "SigBlk:\t0000000000000000");
  // The C library keeps two signals (32 and 33) for itself and leaves them ignored.
  uint64_t ignored = std::stoull(lines[1].substr(8), nullptr, 16);
  EXPECT_EQ(ignored & ~(uint64_t{3} << 31), 0u) << lines[1];
}

TEST(ProcessTest, RunsInItsFolderAndItsOwnGroup) {
  ProcessOptions options = shell("pwd; ps -o pgid= -p $$; echo $$");
  options.folder = "/usr";
  std::vector<std::string> lines = split(run_process(options).out, '\n');
  ASSERT_GE(lines.size(), 3u);
  EXPECT_EQ(lines[0], "/usr");
  EXPECT_EQ(std::string(trim(lines[1])), lines[2]);
}

TEST(ProcessTest, DestroyingKillsTheWholeGroup) {
  pid_t child, grandchild;
  {
    ProcessOptions options = shell("trap '' TERM; sleep 1000 & echo $!; wait; sleep 1000");
    options.pipe_stdout = true;
    Process process(options);
    child = process.pid();
    grandchild = std::stoi(read_line(process.stdout_fd()));
    EXPECT_FALSE(process.ended());
    EXPECT_TRUE(alive(grandchild));
  }
  EXPECT_LT(::kill(child, 0), 0);
  EXPECT_TRUE(dies(grandchild));
}

TEST(ProcessTest, WhatAnEndedChildLeftRunningIsKilled) {
  ProcessOptions options = shell("sleep 1000 & echo $!");
  options.pipe_stdout = true;
  Process process(options);
  pid_t grandchild = std::stoi(read_line(process.stdout_fd()));
  EXPECT_EQ(process.wait(), 0);  // not held up by the handles the grandchild has
  EXPECT_TRUE(dies(grandchild));
}

// A daemon leaves the group (as pg_ctl's server does) and keeps our pipes: we must not wait for it.
TEST(ProcessTest, ADaemonThatKeepsThePipesDoesNotHoldUs) {
  ProcessResult result = run_process(shell("setsid sleep 1000 & echo $!; echo started >&2"));
  EXPECT_EQ(result.exit_code, 0);
  EXPECT_EQ(result.err, "started\n");
  pid_t daemon = std::stoi(result.out);
  ::kill(daemon, SIGKILL);
  EXPECT_TRUE(dies(daemon));
}

TEST(ProcessTest, TerminateAsksAndKillForces) {
  ProcessOptions options = shell("trap 'exit 42' TERM; echo ready; while :; do sleep 0.01; done");
  options.pipe_stdout = true;
  Process process(options);
  EXPECT_EQ(read_line(process.stdout_fd()), "ready");
  process.terminate();
  EXPECT_EQ(process.wait(), 42);
  EXPECT_EQ(process.wait(), 42);
  EXPECT_TRUE(process.ended());
  process.kill();
  process.terminate();
  EXPECT_EQ(process.wait(), 42);

  Process other(shell("sleep 1000"));
  other.kill();
  EXPECT_EQ(other.wait(), 128 + SIGKILL);
}

TEST(ProcessTest, EndedIsSeenThroughTheHandle) {
  ProcessOptions options = shell("read x; exit 3");
  options.pipe_stdin = true;
  Process process(options);
  EXPECT_FALSE(process.ended());
  process.close_stdin();
  pollfd ended{process.ended_fd(), POLLIN, 0};
  ASSERT_EQ(::poll(&ended, 1, 10'000), 1);
  EXPECT_TRUE(process.ended());
  EXPECT_EQ(process.wait(), 3);
}

TEST(ProcessTest, ManyAtOnceFromManyThreads) {
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([t] {
      for (int i = 0; i < 25; ++i) {
        std::string text = std::to_string(t * 1000 + i);
        EXPECT_EQ(run_process(shell("cat; exit 5"), text).out, text);
        Process dropped(shell("echo x >&2; sleep 1000"));
      }
    });
}

TEST(ProcessTest, AnotherUserWithoutOurGroups) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  ProcessOptions options = shell("id -u; id -g; id -G; echo $A; echo $$");
  options.uid = 65534;
  options.gid = 65533;
  options.env["A"] = "kept";
  options.pipe_stdout = true;
  for (bool die : {false, true}) {
    options.die_with_parent = die;
    Process process(options);
    for (const std::string& expected :
         {std::string("65534"), std::string("65533"), std::string("65533"), std::string("kept"),
          std::to_string(process.pid())})
      EXPECT_EQ(read_line(process.stdout_fd()), expected);
    EXPECT_EQ(process.wait(), 0) << process.stderr_tail();
  }
}

// A program that starts a child and is killed -9: the child goes only if that was asked for. The
// child is started by a thread that ends first, and closes its stderr: neither may end it.
TEST(ProcessTest, DiesWithItsParentIfAsked) {
  for (bool die : {false, true}) {
    int report[2];
    ASSERT_EQ(::pipe2(report, O_CLOEXEC), 0);
    pid_t program = ::fork();
    if (program == 0) {
      std::optional<Process> process;
      std::thread([&] {
        ProcessOptions options = shell("exec 2>&-; echo up; exec sleep 1000");
        options.die_with_parent = die;
        options.pipe_stdout = true;
        process.emplace(options);
      }).join();
      bool up = read_line(process->stdout_fd()) == "up" && !process->ended();
      pid_t pid = up ? process->pid() : -1;
      if (::write(report[1], &pid, sizeof pid) == sizeof pid) ::pause();
      ::_exit(1);
    }
    pid_t child = -1;
    ASSERT_EQ(::read(report[0], &child, sizeof child), static_cast<ssize_t>(sizeof child));
    ASSERT_GT(child, 0);
    ::poll(nullptr, 0, 100);  // time enough for a wrong death
    EXPECT_TRUE(alive(child));
    ::kill(program, SIGKILL);
    ::waitpid(program, nullptr, 0);
    if (die) {
      EXPECT_TRUE(dies(child));
    } else {
      EXPECT_TRUE(alive(child));
      ::kill(child, SIGKILL);
    }
    ::close(report[0]);
    ::close(report[1]);
  }
}

}  // namespace
}  // namespace holdfast
