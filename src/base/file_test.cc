#include "base/file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <set>
#include <thread>

#include "base/error.h"

namespace holdfast {
namespace {

template <typename Work>
std::optional<Error> error_of(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

class FileTest : public testing::Test {
 protected:
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  TempFolder folder_{"holdfast-base-"};
};

TEST_F(FileTest, FdMovesAndCloses) {
  Fd one = open_file("/dev/null", O_RDONLY);
  int number = one.get();
  Fd two = std::move(one);
  EXPECT_EQ(two.get(), number);
  two = open_file("/dev/null", O_RDONLY);
  EXPECT_TRUE(::fcntl(number, F_GETFD) < 0 || two.get() == number);
  EXPECT_TRUE(::fcntl(two.get(), F_GETFD) & FD_CLOEXEC);
  number = two.get();
  two.close();
  EXPECT_FALSE(two.open());
  EXPECT_LT(::fcntl(number, F_GETFD), 0);
}

TEST_F(FileTest, OpenNamesThePathAndTheReason) {
  std::optional<Error> error = error_of([&] { open_file(path("none"), O_RDONLY); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::not_found);
  EXPECT_EQ(std::string(error->what()), "open " + path("none") + ": No such file or directory");
}

TEST_F(FileTest, WriteReportsAFullDiskWithAHint) {
  Fd full = open_file("/dev/full", O_WRONLY);
  std::optional<Error> error = error_of([&] { write_all(full.get(), as_bytes("x"), "the thing"); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::unavailable);
  EXPECT_EQ(std::string(error->what()), "write the thing: No space left on device");
  EXPECT_FALSE(error->hint().empty());
}

TEST_F(FileTest, PreadGivesFewerOnlyAtTheEnd) {
  write_file_atomic(path("f"), "0123456789");
  Fd fd = open_file(path("f"), O_RDONLY);
  uint8_t out[20];
  EXPECT_EQ(pread_all(fd.get(), out, 4, 3, "f"), 4u);
  EXPECT_EQ(as_text({out, 4}), "3456");
  EXPECT_EQ(pread_all(fd.get(), out, 20, 8, "f"), 2u);
  EXPECT_EQ(pread_all(fd.get(), out, 20, 100, "f"), 0u);
}

TEST_F(FileTest, ReadFileIsBounded) {
  std::string content(100'000, 'x');
  write_file_atomic(path("f"), content);
  EXPECT_EQ(read_file(path("f"), 100'000), content);
  EXPECT_EQ(error_of([&] { read_file(path("f"), 99'999); })->code(), ErrorCode::invalid);
  EXPECT_FALSE(read_file("/proc/self/status", 100'000).empty());  // its size is said to be 0
  EXPECT_EQ(error_of([&] { read_file("/proc/self/status", 10); })->code(), ErrorCode::invalid);
  EXPECT_EQ(error_of([&] { read_file(folder_.path(), 10); })->code(), ErrorCode::invalid);
}

TEST_F(FileTest, AtomicWriteReplacesWholeAndLeavesNoTemporary) {
  write_file_atomic(path("f"), "old", 0640);
  write_file_atomic(path("f"), "new");
  EXPECT_EQ(read_file(path("f"), 10), "new");
  struct stat info;
  ASSERT_EQ(::stat(path("f").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  make_folders(path("folder"));
  EXPECT_TRUE(error_of([&] { write_file_atomic(path("folder"), "x"); }));
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    static_cast<void>(entry);
    ++count;
  }
  EXPECT_EQ(count, 2u);
}

TEST_F(FileTest, MakeFoldersIsRepeatableAndPrivate) {
  make_folders(path("a//b/c/"));
  make_folders(path("a/b/c"));
  make_folders("/");
  struct stat info;
  ASSERT_EQ(::stat(path("a/b").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  write_file_atomic(path("file"), "x");
  for (const char* in_the_way : {"file", "file/below", "file/below/deeper"}) {
    std::optional<Error> error = error_of([&] { make_folders(path(in_the_way)); });
    ASSERT_TRUE(error) << in_the_way;
    EXPECT_EQ(error->code(), ErrorCode::invalid) << error->what();
    EXPECT_FALSE(error->hint().empty());
  }
  EXPECT_EQ(error_of([] { make_folders(""); })->code(), ErrorCode::invalid);
}

TEST_F(FileTest, FileExists) {
  write_file_atomic(path("f"), "");
  EXPECT_TRUE(file_exists(path("f")));
  EXPECT_TRUE(file_exists(folder_.path()));
  EXPECT_FALSE(file_exists(path("g")));
  EXPECT_FALSE(file_exists(path("f/below")));
}

TEST_F(FileTest, TempFolderIsPrivateAndGoesWithItsContents) {
  std::string kept;
  {
    TempFolder temporary("inner-", folder_.path());
    kept = temporary.path();
    EXPECT_TRUE(kept.starts_with(path("inner-")));
    struct stat info;
    ASSERT_EQ(::stat(kept.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700u);
    make_folders(kept + "/a/b");
    write_file_atomic(kept + "/a/b/c", "x");
  }
  EXPECT_FALSE(file_exists(kept));
  EXPECT_EQ(error_of([&] { TempFolder nowhere("x-", path("none")); })->code(),
            ErrorCode::not_found);
}

TEST_F(FileTest, LockKeepsOthersOutAndNamesTheHolder) {
  std::optional<FileLock> lock;
  lock.emplace(path("lock"), "the store");
  std::string me = std::to_string(::getpid());
  EXPECT_EQ(read_file(path("lock"), 100), me + "\n");
  std::optional<Error> error = error_of([&] { FileLock second(path("lock"), "the store"); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::busy);
  EXPECT_EQ(std::string(error->what()),
            "another holdfast run holds the store (process " + me + ")");
  EXPECT_EQ(error->hint(), "wait for it, or see what it does with: ps -p " + me);
  lock.reset();
  EXPECT_EQ(read_file(path("lock"), 100), "");
  FileLock third(path("lock"), "the store");
}

TEST_F(FileTest, ALockThatIsHeldBrieflyIsWaitedFor) {
  std::optional<FileLock> lock;
  lock.emplace(path("lock"), "it");
  std::optional<Error> error =
      error_of([&] { FileLock second(path("lock"), "it", std::chrono::milliseconds(20)); });
  ASSERT_TRUE(error);
  EXPECT_EQ(error->code(), ErrorCode::busy);
  std::jthread other([&] { FileLock second(path("lock"), "it", std::chrono::minutes(5)); });
  lock.reset();
  other.join();
}

TEST_F(FileTest, LockEndsWithItsProcess) {
  int ready[2];
  ASSERT_EQ(::pipe2(ready, O_CLOEXEC), 0);
  pid_t child = ::fork();
  if (child == 0) {
    FileLock lock(path("lock"), "it");
    if (::write(ready[1], "x", 1) == 1) ::pause();
    ::_exit(1);
  }
  char byte;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  std::optional<Error> error = error_of([&] { FileLock mine(path("lock"), "it"); });
  ASSERT_TRUE(error);
  EXPECT_NE(std::string(error->what()).find(std::to_string(child)), std::string::npos);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  FileLock mine(path("lock"), "it");  // kill -9 needs no repair, though its number is still there
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(FileTest, MemoryFileIsPrivateAndReadFromItsStart) {
  Fd fd = make_memory_file("passfile", "secret\n");
  struct stat info;
  ASSERT_EQ(::fstat(fd.get(), &info), 0);
  EXPECT_TRUE(S_ISREG(info.st_mode));
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_TRUE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC);
  char text[16];
  ASSERT_EQ(::read(fd.get(), text, sizeof text), 7);
  EXPECT_EQ(read_file("/dev/fd/" + std::to_string(fd.get()), 100), "secret\n");
}

TEST_F(FileTest, RandomHexDiffers) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(random_hex(8));
  EXPECT_EQ(seen.size(), 100u);
  EXPECT_EQ(seen.begin()->size(), 16u);
  EXPECT_EQ(random_hex(0), "");
}

}  // namespace
}  // namespace holdfast
